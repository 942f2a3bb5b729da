/* reeve/app.h: what an application module sees of the server.
 *
 * An application is a shared object with one REEVE_APP descriptor. Its callable takes the environ
 * and start_response, as in WSGI (PEP 3333). Each request runs on a coroutine of its own: code
 * reads from top to bottom, and a call marked [suspends] lets the worker serve other requests while
 * it waits. Unless a call says otherwise it may be used only from the callback it belongs to, never
 * from another thread.
 *
 * Build a module with
 *     cc -shared -fPIC -fvisibility=hidden -Wl,-Bsymbolic-functions -o app.so app.c
 *
 * Errors: a call that returns int or ssize_t answers -1 and sets errno; a pointer call answers
 * NULL. */
#ifndef REEVE_APP_H
#define REEVE_APP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define REEVE_API __attribute__((visibility("default")))

/* The interface's version. A module built for another major number is refused; within one, structs
 * only grow at their end and calls are only added. */
#define REEVE_ABI_MAJOR 1
#define REEVE_ABI_MINOR 0
#define REEVE_MAGIC     0x52454556u /* "REEV" */

/* One request: CGI variables, input, errors stream and response. Lives until its callable has
 * returned, the handed-over body has been closed and the on_close callbacks have run. */
typedef struct reeve_environ reeve_environ;

/* One loaded build of the application in one worker. Lives from before init until after fini. */
typedef struct reeve_module reeve_module;

/* ---- the descriptor ---- */

typedef struct reeve_header {
    const char *name;
    const char *value;
} reeve_header;

/* A header list for start_response: REEVE_HEADERS({"Content-Type", "text/plain"}, {"ETag", tag}).
 * It lives as long as the enclosing block; start_response copies what it needs. REEVE_NO_HEADERS is
 * the empty one. */
#define REEVE_HEADERS(...) ((const reeve_header[]){__VA_ARGS__, {NULL, NULL}})
#define REEVE_NO_HEADERS   ((const reeve_header[]){{NULL, NULL}})

/* Begins the response. `status` is a code and a reason, "200 OK"; `headers` ends with a NULL name.
 * Nothing is sent before the first byte of the body (or the end of the callable), so a handler that
 * fails may call it again to replace the unsent status and headers. The server adds Date, Server,
 * Connection and the framing: Content-Length when the whole body is known, chunked otherwise. A
 * Content-Length of the application's own is kept and enforced. Returns 0, or -1 with errno:
 *   EINVAL    the status is not three digits from 200 to 599, a space and a reason; or a header's
 *             name is no token, its value is NULL or has a control byte other than TAB; or a
 *             Content-Length is not a number, or not the first
 *   EPERM     a hop-by-hop header (Connection, Transfer-Encoding, ...), which is the server's
 *   EALREADY  bytes of the response were already sent
 *   ENOMEM
 * Does not suspend. */
typedef int reeve_start_response(reeve_environ *environ, const char *status,
                                 const reeve_header *headers);

/* The application: called once for each request, on a coroutine of its own. Returns 0 when the
 * response is complete or -1 when it failed: before the first byte was sent the client then gets
 * 500 with the request's id, after it the connection is cut. To return without start_response is a
 * failure too. */
typedef int reeve_application(reeve_environ *environ, reeve_start_response *start_response);

typedef struct reeve_app {
    uint32_t magic;     /* REEVE_MAGIC: filled in by REEVE_APP, as the next three */
    uint16_t abi_major; /* REEVE_ABI_MAJOR */
    uint16_t abi_minor; /* REEVE_ABI_MINOR */
    uint32_t size;      /* sizeof(struct reeve_app) as the module saw it */

    const char *name;    /* for logs and reevectl: letters, digits, '-', '_' */
    const char *version; /* the application's own, for logs and reevectl */

    /* Called once in each worker before the first request, and in a throwaway process when the
     * build is checked. On failure returns -1; reeve_refuse() says why. May be NULL. [suspends] is
     * allowed, except when on_loop. */
    int (*init)(reeve_module *module);

    /* Called when nothing of this build runs any more, just before it is unloaded. Not called when
     * init failed. Must not suspend. May be NULL. */
    void (*fini)(reeve_module *module);

    reeve_application *application; /* required */

    /* Called after init in the throwaway process only: -1 refuses the build. May be NULL. */
    int (*selftest)(reeve_module *module);

    /* Bytes of a request's coroutine stack, 32 KiB to 1 GiB; 0: the configured default (256 KiB). */
    size_t stack_size;
    /* Run on the worker's own stack and never suspend: for hosts of other languages. */
    bool on_loop;
} reeve_app;

/* Defines the module's descriptor:
 *     REEVE_APP(.name = "hello", .version = "1.0.0", .application = hello); */
#define REEVE_APP(...)                                                    \
    REEVE_API extern const reeve_app reeve_app_descriptor;                \
    const reeve_app reeve_app_descriptor = {.magic = REEVE_MAGIC,         \
                                            .abi_major = REEVE_ABI_MAJOR, \
                                            .abi_minor = REEVE_ABI_MINOR, \
                                            .size = sizeof(reeve_app),    \
                                            __VA_ARGS__}

/* ---- the module: for init, fini, selftest, and from a request ---- */

/* The value of `option { key = value }` in the app's section of the configuration, or NULL. Lives
 * as long as the module. */
REEVE_API const char *reeve_option(const reeve_module *module, const char *key);

/* Sets and gets one pointer of the application's own; a module's static variables serve as well,
 * since each build has its own copy. */
REEVE_API void reeve_module_set_data(reeve_module *module, void *data);
REEVE_API void *reeve_module_data(const reeve_module *module);

/* Gives the reason why init or selftest is about to return -1: one sentence, shown to whoever
 * deploys. Returns -1, so that `return reeve_refuse(module, "no such folder: %s", root);` reads
 * well. */
REEVE_API int reeve_refuse(reeve_module *module, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* True in the throwaway process that checks a build: open no port, touch no shared state there. */
REEVE_API bool reeve_is_preflight(void);

/* The module that serves this request. */
REEVE_API reeve_module *reeve_environ_module(const reeve_environ *environ);

/* ---- environ ---- */

/* A variable by its name, or NULL: REQUEST_METHOD SCRIPT_NAME PATH_INFO QUERY_STRING CONTENT_TYPE
 * CONTENT_LENGTH SERVER_NAME SERVER_PORT SERVER_PROTOCOL SERVER_SOFTWARE REMOTE_ADDR REMOTE_PORT
 * REQUEST_URI REQUEST_ID HTTP_*, wsgi.url_scheme wsgi.multiprocess wsgi.multithread wsgi.run_once,
 * and whatever was set. PATH_INFO is percent-decoded once and free of "." and ".." segments and of
 * NUL; REQUEST_URI is the target as it came. A header that came several times is joined with ", "
 * (Cookie: "; "). A header whose name has an underscore is not shown, since it could pass for
 * another. The string lives as long as the request. */
REEVE_API const char *reeve_environ_get(const reeve_environ *environ, const char *name);

/* Sets (or with NULL removes) a variable for the rest of the request: for middleware. Both strings
 * are copied. */
REEVE_API int reeve_environ_set(reeve_environ *environ, const char *name, const char *value);

/* Calls `each` for every variable, until it returns non-zero; returns what it returned last. */
REEVE_API int reeve_environ_each(const reeve_environ *environ,
                                 int (*each)(const char *name, const char *value, void *arg),
                                 void *arg);

/* The common variables, never NULL. */
REEVE_API const char *reeve_method(const reeve_environ *environ); /* "GET" */
REEVE_API const char *reeve_path(const reeve_environ *environ);   /* PATH_INFO */
REEVE_API const char *reeve_query(const reeve_environ *environ);  /* QUERY_STRING, "" without one */
REEVE_API const char *reeve_request_id(const reeve_environ *environ);

/* A request header by its name in the protocol ("Accept-Language"), in any case, or NULL. */
REEVE_API const char *reeve_request_header(const reeve_environ *environ, const char *name);

/* The body's declared length in bytes; 0 without a body; -1 when it is not known beforehand
 * (chunked). */
REEVE_API int64_t reeve_content_length(const reeve_environ *environ);

/* One decoded field of the query string ("?ms=10"), or NULL; "+" stands for a space. Lives as long
 * as the request. */
REEVE_API const char *reeve_query_get(reeve_environ *environ, const char *name);

/* `size` bytes, aligned for any type and not cleared, that live as long as the request. NULL only
 * when memory has run out. */
REEVE_API void *reeve_alloc(reeve_environ *environ, size_t size)
    __attribute__((malloc, alloc_size(2)));
REEVE_API char *reeve_strdup(reeve_environ *environ, const char *text);
REEVE_API char *reeve_printf(reeve_environ *environ, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- the request's body (wsgi.input) ---- */

/* Reads up to `size` bytes of the request's body, as soon as any are there. Returns their number, 0
 * at the end of the body, or -1:
 *   ETIMEDOUT    the client sent nothing for body_timeout (to return without an answer gives 408)
 *   EBADMSG      the chunked framing is broken (400)
 *   EFBIG        the body is larger than max_body (413)
 *   ECONNRESET   the client has gone, or has ended its side within the body (400)
 *   ECANCELED    the request was cancelled: the worker ends
 *   EWOULDBLOCK  nothing is there yet, in an on_loop module
 * The first call answers `Expect: 100-continue`. [suspends] */
REEVE_API ssize_t reeve_read(reeve_environ *environ, void *buffer, size_t size);

/* ---- the response ---- */

/* Sends a piece of the body, or a vector of pieces; the bytes may be reused when it returns. Small
 * pieces are gathered and leave when the handler waits, returns, or enough have come together.
 * Suspends while a slow client has too much outstanding. Returns 0, or -1:
 *   EPROTO     before start_response, or from an on_close callback
 *   EMSGSIZE   more than the Content-Length the application declared: nothing of it was taken
 *   EPIPE      the client has gone
 *   ETIMEDOUT  it took nothing for write_timeout
 *   ECANCELED  the worker ends
 * For HEAD, 204 and 304 the bytes are counted and dropped. [suspends] */
REEVE_API int reeve_write(reeve_environ *environ, const void *data, size_t size);
REEVE_API int reeve_writev(reeve_environ *environ, const struct iovec *pieces, int count);

/* Sends what was gathered so far now, status and headers included. Errors as reeve_write.
 * [suspends] */
REEVE_API int reeve_flush(reeve_environ *environ);

/* Sends `size` bytes of the open file `fd` from `offset` as (the next part of) the body, without
 * copying them through the process. The descriptor stays the caller's. A file that turns out
 * shorter fails with EIO, and the connection is cut, since its end cannot be told to the client in
 * another way. EDEADLK in an on_loop module. Other errors as reeve_write. [suspends] */
REEVE_API int reeve_send_file(reeve_environ *environ, int fd, off_t offset, size_t size);

/* A body that the server fetches piece by piece after the callable has returned 0, as WSGI's
 * iterables. */
typedef struct reeve_iterable {
    /* Gives the next piece: 1 with *data and *size set (valid until the next call), 0 at the end,
     * -1 on failure. [suspends] is allowed. */
    int (*next)(void *state, const void **data, size_t *size);
    /* Called exactly once, also when the client has gone or next failed. May be NULL. */
    void (*close)(void *state);
    void *state;
} reeve_iterable;

/* Hands over the body. Once a request (EALREADY). */
REEVE_API int reeve_respond(reeve_environ *environ, reeve_iterable body);

/* Calls `callback(arg)` when the request ends, however it ends; the last registered runs first.
 * ENOMEM. */
REEVE_API int reeve_on_close(reeve_environ *environ, void (*callback)(void *arg), void *arg);

/* True when the client is known to have gone: nothing written now will arrive. */
REEVE_API bool reeve_is_gone(const reeve_environ *environ);

/* ---- waiting and telling ---- */

/* Waits `seconds` while the worker serves others. Returns 0, or -1: ECANCELED when the request was
 * cancelled, EDEADLK where there is no coroutine (an on_loop module). [suspends] */
REEVE_API int reeve_sleep(double seconds);

typedef enum reeve_log_level {
    REEVE_LOG_DEBUG,
    REEVE_LOG_INFO,
    REEVE_LOG_WARNING,
    REEVE_LOG_ERROR
} reeve_log_level;

/* wsgi.errors: one line to the server's log, with the app's name and the request's id before it.
 * environ may be NULL outside a request. Control bytes are escaped. */
REEVE_API void reeve_log(const reeve_environ *environ, reeve_log_level level, const char *format,
                         ...) __attribute__((format(printf, 3, 4)));

#ifdef __cplusplus
}
#endif
#endif
