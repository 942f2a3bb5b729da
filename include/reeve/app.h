/* reeve/app.h: what an application module sees of the server.
 *
 * An application is a shared object with one REEVE_APP descriptor. Its callable takes the environ
 * and start_response, as in WSGI (PEP 3333). Each request runs on a coroutine of its own: code
 * reads from top to bottom, and a call marked [suspends] lets the worker serve other requests while
 * it waits. Unless a call says otherwise it may be used only from the callback it belongs to, never
 * from another thread.
 *
 * Some signals are the server's, and an application leaves their handlers and their places in the
 * signal mask alone: SIGTERM, SIGINT, SIGQUIT and SIGUSR1, which end a worker or have it reopen its
 * logs; SIGUSR2 and SIGALRM, for a worker whose master has gone (so no alarm() and no setitimer() of
 * ITIMER_REAL); SIGPIPE and SIGXFSZ, which are ignored; and SIGRTMIN+5, by which the master asks a
 * worker that seems to hang where it is. SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS and
 * SIGTRAP have a handler that notes what happened and where, whereupon they do what they do without
 * it. A handler of the application's own wins, and the server then has less to tell of a crash. It
 * has nothing to tell of a thread of the application's that overflows its own stack, unless that
 * thread has a sigaltstack(). A program that is started from here inherits what is blocked and what
 * is ignored.
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
#define REEVE_ABI_MINOR 3
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
 * the empty one. Both are C, as are the macros of the other headers that make a list or a struct in
 * place: in C++ it has to be a variable. */
#define REEVE_HEADERS(...) ((const reeve_header[]){__VA_ARGS__, {NULL, NULL}})
#define REEVE_NO_HEADERS   ((const reeve_header[]){{NULL, NULL}})

/* Begins the response. `status` is a code and a reason, "200 OK"; `headers` ends with a NULL name.
 * Nothing is sent before the first byte of the body (or the end of the callable), so a handler that
 * fails may call it again to replace the unsent status and headers. The server adds Date, Server,
 * Connection and the framing: Content-Length when the whole body is known, chunked otherwise. A
 * Content-Length of the application's own is kept and enforced. Returns 0, or -1 with errno (and
 * then, but for EALREADY, what was begun before is forgotten, too):
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
 * failure too.
 *
 * A request may be cancelled, since its time is over (request_timeout), its client has gone
 * (client_gone), or the worker ends. Then the call that waits fails with ECANCELED, and so does at
 * once every later one that would have to, so the application should tidy up and return -1: the
 * client, if there is one, gets 504, or is cut off when it has got a part of the response already.
 * Whoever would rather answer in words of their own still can, as long as the answer is short
 * enough not to wait for the client: 16 KiB always are. To call again and again what fails is to
 * keep the worker from everybody else. An on_loop module never waits and is not cancelled. */
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

    /* Bytes of a request's coroutine stack, 32 KiB to 1 GiB; 0: the configured default (256 KiB).
     */
    size_t stack_size;
    /* Run on the worker's own stack and never suspend, requests, init and hooks: for hosts of other
     * languages. Background work that is begun there has a coroutine all the same. */
    bool on_loop;

    /* ---- since 1.1 ---- */

    /* Paths that are requested after selftest in the throwaway process, each with a GET that goes
     * the way of any other request: any answer but 2xx and 3xx refuses the build. They are seen
     * from where the app is mounted, begin with "/" and may have a query. The Host is "localhost",
     * and a redirection is an answer: it is not followed. The answers have to end: an endless one
     * passes after its first megabyte, but prepare_timeout is for init, selftest and all paths
     * together, and refuses a slower one. Ends with NULL; may be NULL. */
    const char *const *selftest_paths;

    /* State across deployments. A build with a state_version hands what reeve_module_data() points
     * to over to the next build, in each worker, at the moment when new requests begin to go there:
     * first give is asked in the old build, then handover in the new one, and when either declines
     * nothing moves: the new build keeps what its init made, the old one frees its own in fini.
     *
     * The state has to stand on its own: memory from malloc (not static variables), without
     * pointers to the module's functions, constants or static variables, since the old code goes
     * while the state stays. Whoever has the state in the end frees it: a fini frees nothing for
     * which reeve_state_is_handed_over() is true. Requests of the old build that still run go on
     * using what they have, and see by reeve_module_data() what they saw before; so does its
     * background work, on_drain included. The fini of the new build (and of the one after it, and
     * so on) waits until all of these have ended, so whatever is freed in a fini is freed after the
     * last of those who could use it.
     *
     * A deployment that is watched first (a canary) may be taken back: then the state returns by
     * the same two calls, with the roles exchanged and reeve_module_data() NULL until the handover
     * is done. So only a build that has a handover itself gives its state to one that is being
     * watched. One whose state did not come back is live without: its init is not called again,
     * and reeve_module_data() is NULL, for requests that began before the canary too. A rollback
     * hands over in the same way, so versions may also go down.
     *
     * Both calls are made on the loop's stack, one right after the other, and while they run
     * nothing else does: they must be quick, and a call that waits fails with EDEADLK. They are
     * not tried beforehand, since the throwaway process has no state to hand over, and when they
     * run the deployment is decided. One that crashes or hangs there ends its worker, and since
     * all workers switch at once, all of them: requests in progress and the state are lost, and
     * the successors begin with the new build and what its init makes. So they should decline
     * rather than believe: check what can be checked, try in selftest what handover does on a
     * made-up state of the version before, and deploy such a build with a canary, which loses one
     * worker's and is taken back. */

    /* Numbers the layout of the state: to be raised when it changes. 0: nothing is handed over. */
    uint32_t state_version;
    /* In the old build: may the next one, whose state_version is next_version (0: it has none of
     * its own), have the state? 0: yes, and it is consistent now; -1: no, reeve_refuse() may say
     * why. NULL: yes. */
    int (*give)(reeve_module *module, uint32_t next_version);
    /* In the new build, after its init: takes a state of that version, which need not be its own.
     * 0: it is this build's now; unless handover calls reeve_module_set_data() itself,
     * reeve_module_data() is `state` from here on, and what init made in its place is this build's
     * to free. Converted into a copy, both are this build's, and the old one to be freed in fini,
     * not before: requests of the old build may still use it. -1: declined and left as it was,
     * reeve_refuse() may say why. NULL: declines all. May be called again, for the state that
     * comes back from a canary: there may be more than one old one to free. */
    int (*handover)(reeve_module *module, void *state, uint32_t state_version);

    /* ---- since 1.2 ---- */

    /* Called once in each worker, on a coroutine, when requests begin to go to this build: the
     * place to begin background work (reeve/async.h). Not in the throwaway process. What it returns
     * is for the log only: the build is live. May be NULL. [suspends] */
    int (*on_start)(reeve_module *module);
    /* Called once after on_start (which may not have returned), on a coroutine, when no more requests
     * come to this build, or only few that are on their way: it is replaced, or the worker drains.
     * Requests that run go on, and so does background work, until this has returned and the last of
     * them has ended; then it is cancelled, and fini follows when it has unwound. Not called at a
     * quick stop. May be NULL. [suspends] */
    int (*on_drain)(reeve_module *module);

    /* ---- since 1.3 ---- */

    /* What is spoken with connections of a listener that has `protocol = chat` and this app
     * (reeve/chat.h). NULL: there is no such listener. */
    const struct reeve_chat_protocol *chat;
    /* The other protocols of connections that move from the build before to this one, each list
     * ended by NULL: that of `chat` need not stand there. May be NULL. */
    const struct reeve_chat_protocol *const *chats;
    const struct reeve_websocket_protocol *const *websockets;
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

/* Whether another build has taken over what reeve_module_data() points to: then fini must not free
 * it. True from the end of that handover on, and false again once a canary is taken back: before
 * this build's handover is called, and also when the state does not come back. May be asked
 * wherever there is a module, in requests too. Since 1.1. */
REEVE_API bool reeve_state_is_handed_over(const reeve_module *module);

/* Gives the reason why init, selftest, give or handover is about to return -1: one sentence, shown
 * to whoever deploys. Returns -1, so that
 * `return reeve_refuse(module, "no such folder: %s", root);` reads well. */
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

/* Attaches a pointer to the request, for libraries and middleware. `key` is an address of the
 * caller's own, as of a static variable, and nothing else can find what is there; a second one
 * replaces the first, NULL removes it. 0, or -1 with ENOMEM. Gets it back, or NULL. Since 1.2. */
REEVE_API int reeve_environ_set_data(reeve_environ *environ, const void *key, void *data);
REEVE_API void *reeve_environ_data(const reeve_environ *environ, const void *key);

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
 *   ECANCELED    the request was cancelled: request_timeout has passed (to return without an answer
 *                gives 504), or the worker ends
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
 *   ECANCELED  the request was cancelled: request_timeout has passed, or the worker ends
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
     * -1 on failure. [suspends] is allowed. Once the request was cancelled one more piece is taken,
     * and then only the end. */
    int (*next)(void *state, const void **data, size_t *size);
    /* Called exactly once, also when the client has gone or next failed. May be NULL. */
    void (*close)(void *state);
    void *state;
} reeve_iterable;

/* Hands over the body. Once a response (EALREADY): when start_response replaces one that was not
 * sent, the body handed over after its start is closed unread (since 1.2), and there may be another.
 */
REEVE_API int reeve_respond(reeve_environ *environ, reeve_iterable body);

/* Calls `callback(arg)` when the request ends, however it ends; the last registered runs first.
 * ENOMEM. */
REEVE_API int reeve_on_close(reeve_environ *environ, void (*callback)(void *arg), void *arg);

/* True when the client is known to have gone: nothing written now will arrive. */
REEVE_API bool reeve_is_gone(const reeve_environ *environ);

/* From now on the request is cancelled as soon as its client has gone or has ended its side of the
 * connection, whatever client_gone in the configuration says: for endless streams and long polls,
 * whose clients hold both sides open for as long as they listen. One that only ends its side and
 * waits for the answer, as `nc -N` does, then gets none. If it has ended it already, the next call
 * that waits fails. Nothing in an on_loop module. Since 1.3. Does not suspend. */
REEVE_API void reeve_cancel_when_gone(reeve_environ *environ);

/* ---- waiting and telling ---- */

/* Waits `seconds` while the worker serves others. Returns 0, or -1: ECANCELED when the request was
 * cancelled (request_timeout has passed, or the worker ends), EDEADLK where there is no coroutine
 * (an on_loop module). Once a request is cancelled every call that would wait fails at once: to
 * sleep again and again all the same is an endless loop, for which the whole worker is killed after
 * hang_timeout. [suspends] */
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
