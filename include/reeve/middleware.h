/* reeve/middleware.h: the middleware that comes with the server.
 *
 * Each is made in init with its options, stands in a table of reeve_middleware (reeve/router.h), and
 * is freed in fini:
 *
 *     static reeve_middleware around[3];
 *
 *     static int init(reeve_module *module)
 *     {
 *         const reeve_gzip gzip = {.min_size = 2048};
 *         const reeve_time_limit limit = {.seconds = 10};
 *
 *         if (reeve_gzip_new(module, &gzip, &around[0]) == -1 ||
 *             reeve_time_limit_new(module, &limit, &around[1]) == -1)
 *             return -1;
 *         ...
 *     }
 *
 * A constructor copies its options, strings and tables included, but for what a callback's `arg`
 * points to. It returns 0, or -1 when an option is wrong (EINVAL) or memory has run out (ENOMEM);
 * reeve_refuse has then been called with a sentence that says what is wrong, and *middleware_out is
 * left as it was. `module` may be NULL, and then nobody is told. What is out of an options struct's
 * initialiser is zero, which asks for the default; `reserved` stays that way.
 *
 * The order matters, from outside inwards: CORS (a preflight has no credentials, and errors need
 * their headers, too), error pages, gzip, rate limit, access control, time limit is a good one.
 *
 * What the server says in its own name (500 after a failure, 413, 504 ...) passes no middleware.
 * Since 1.2, all of it. */
#ifndef REEVE_MIDDLEWARE_H
#define REEVE_MIDDLEWARE_H

#include <reeve/app.h>
#include <reeve/router.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Frees one that was made here, when no request can reach it any more: in fini. It is all zero
 * afterwards; one that is so already is left alone, and so may stand behind a constructor that
 * failed. Not for middleware of the application's own. */
REEVE_API void reeve_middleware_free(reeve_middleware *middleware);

/* ---- access control ---- */

typedef struct reeve_user {
    const char *name; /* without ":" */
    const char *password;
} reeve_user;

/* User and password (RFC 7617). Whoever is let in is REMOTE_USER, with AUTH_TYPE "Basic". All others
 * get 401 and are asked for them, or 400 when what they sent is no such thing. Passwords travel in
 * the clear: the way to the client has to be encrypted. */
typedef struct reeve_basic_auth {
    const char *realm; /* what it is for, shown to the user: "Restricted" */
    /* One of the two. A table ends with a NULL name; how long a comparison takes tells nothing of
     * what is in it. verify says 1: let in, 0: not, -1: it cannot tell (the request fails). It
     * should compare in constant time. [suspends] is allowed. */
    const reeve_user *users;
    int (*verify)(reeve_environ *environ, const char *name, const char *password, void *arg);
    void *arg;
    uint64_t reserved[4];
} reeve_basic_auth;

REEVE_API int reeve_basic_auth_new(reeve_module *module, const reeve_basic_auth *options,
                                   reeve_middleware *middleware_out);

typedef struct reeve_token {
    const char *token;
    const char *user; /* whom it stands for */
} reeve_token;

/* A token (RFC 6750), in the Authorization header only. Whoever has one that is known is REMOTE_USER
 * as the table or verify say, with AUTH_TYPE "Bearer". All others get 401, with
 * error="invalid_token" when they had one, or 400 with error="invalid_request". */
typedef struct reeve_bearer_auth {
    const char *realm;
    /* As above; verify sets *user_out, to a string that lives as long as the request, or leaves it
     * NULL. */
    const reeve_token *tokens;
    int (*verify)(reeve_environ *environ, const char *token, const char **user_out, void *arg);
    void *arg;
    uint64_t reserved[4];
} reeve_bearer_auth;

REEVE_API int reeve_bearer_auth_new(reeve_module *module, const reeve_bearer_auth *options,
                                    reeve_middleware *middleware_out);

/* Whether two strings are the same, in a time that tells nothing of what is in `secret`, but
 * perhaps how long it is. */
REEVE_API bool reeve_is_same_secret(const char *given, const char *secret);

/* ---- CORS ---- */

/* Lets pages of other origins use this (the Fetch standard's CORS protocol). A preflight, that is an
 * OPTIONS with Origin and Access-Control-Request-Method, is answered here with 204 and goes no
 * further; whether it allows anything is in its headers. Everything else goes inwards, whatever its
 * origin (CORS is the browser's rule and no access control), and its answer gets the headers, in
 * place of the application's own of these names; an origin that is not allowed gets none. */
typedef struct reeve_cors {
    /* All lists end with NULL. Origins as browsers send them ("https://app.example", no path), or
     * "*" alone: any. Required. "null" is what any page can be, in a sandboxed frame: it is refused
     * with credentials. */
    const char *const *origins;
    const char *const *methods; /* NULL: GET, HEAD, POST; "*": any */
    const char *const *headers; /* of requests, beyond those that are always allowed; "*": any but
                                   Authorization. NULL: none */
    const char *const *exposed; /* of responses, beyond those that scripts always see; NULL: none */
    bool credentials;           /* cookies and the like, too; then "*" is for nothing above */
    unsigned max_age;           /* seconds for which a browser may keep a preflight's answer; 0: as
                                   it likes */
    uint64_t reserved[4];
} reeve_cors;

REEVE_API int reeve_cors_new(reeve_module *module, const reeve_cors *options,
                             reeve_middleware *middleware_out);

/* ---- gzip ---- */

/* Compresses responses for clients that ask for it by Accept-Encoding: those whose Content-Type
 * is among `types`, of min_size or more, that have no Content-Encoding, no Content-Range and no
 * `Cache-Control: no-transform`. Small ones are held back until it is known that they are small, or
 * until reeve_flush, which reaches the client, with all that was written before, as without it. What
 * is not flushed is kept for compressing well: a handler that writes and then waits should flush.
 * A Content-Length is dropped and an ETag becomes weak; Vary names Accept-Encoding, also when there
 * was nothing to compress for this client. A client that refuses to have it as it is (identity;q=0)
 * gets any type and size compressed, but never an event stream.
 *
 * The length of what is compressed tells something of it. Where an answer has a secret in it (a
 * token against forgery, say) and repeats what somebody else can choose (a search word), let it be:
 * Cache-Control: no-transform.
 *
 * A response takes 120 KiB from its first compressed byte to its end, in each worker for at most
 * `most` of them at a time: the next ones leave as they are. 16 are kept for reuse. */
typedef struct reeve_gzip {
    size_t min_size;          /* bytes, up to 64 KiB; 0: 1024 */
    unsigned level;           /* 1 (fast) to 9 (small); 0: 5 */
    unsigned most;            /* 0: 256 */
    const char *const *types; /* "text/html", or "text/" for all of a kind; ends with NULL.
                                 NULL: text, JSON, XML, JavaScript, SVG, Wasm and what ends with
                                 +json or +xml */
    uint64_t reserved[4];
} reeve_gzip;

REEVE_API int reeve_gzip_new(reeve_module *module, const reeve_gzip *options,
                             reeve_middleware *middleware_out);

/* ---- rate limit ---- */

/* Lets each client do `rate` requests a second on average, and `burst` at once (a token bucket).
 * The others get 429 with Retry-After. All answers, with `tell`, or those alone, have RateLimit-Limit
 * (the burst), RateLimit-Remaining and RateLimit-Reset (seconds until the burst is whole again).
 *
 * Each worker counts for itself, in memory of this build: with N workers a client can get up to N
 * times as much, and a deployment forgets. So it is a protection against overload and not a quota.
 * A client is whoever has the connection: what headers say (X-Forwarded-For) is not looked at, since
 * anyone can write them. Behind a proxy that is the proxy, for everybody: there `key` has to tell.
 * A table of `keys` clients is kept, the one not seen for the longest time being forgotten for a new
 * one: 80 bytes each, taken at once. */
typedef struct reeve_rate_limit {
    double rate;    /* more than 0 */
    unsigned burst; /* 0: the rate, rounded up */
    unsigned keys;  /* 0: 10,000; at most 10,000,000 */
    bool tell;      /* in all answers */
    /* Whom to count a request for: the user, the API key. NULL: is not limited. Without it, the
     * client's address, and of an IPv6 address the first 64 bits. */
    const char *(*key)(reeve_environ *environ, void *arg);
    void *arg;
    uint64_t reserved[4];
} reeve_rate_limit;

REEVE_API int reeve_rate_limit_new(reeve_module *module, const reeve_rate_limit *options,
                                   reeve_middleware *middleware_out);

/* ---- time limit ---- */

/* Gives what it wraps so many seconds: after them each wait in it fails with ETIMEDOUT (a scope of
 * reeve/async.h). When it fails thereupon the client gets 504, or is cut off when bytes of the
 * response were sent; when it answers nevertheless, that is the answer. What does not wait is not
 * stopped, and an iterable that was handed over runs afterwards, without this limit. In an on_loop
 * module, which never waits, every request fails with EDEADLK. */
typedef struct reeve_time_limit {
    double seconds; /* more than 0 */
    uint64_t reserved[4];
} reeve_time_limit;

REEVE_API int reeve_time_limit_new(reeve_module *module, const reeve_time_limit *options,
                                   reeve_middleware *middleware_out);

/* ---- error pages ---- */

typedef enum reeve_page_kind {
    REEVE_PAGE_TEXT, /* text/plain; charset=utf-8 */
    REEVE_PAGE_HTML, /* text/html; charset=utf-8 */
    REEVE_PAGE_JSON  /* application/json */
} reeve_page_kind;

typedef struct reeve_error_page {
    int code;           /* 404 */
    const char *status; /* "404 Not Found", as the application said */
    const char *id;     /* of the request, as in the log */
    reeve_page_kind kind;
} reeve_error_page;

/* Gives answers of 400 and above that have no body one: text, HTML or JSON, whatever Accept prefers.
 * It says the status and the request's id. The application's headers stay, but for those about the
 * body that it replaces. */
typedef struct reeve_error_pages {
    bool all; /* replace the bodies that there are, too */
    /* Gives the body, which lives as long as the request: reeve_printf. It has to escape what it
     * puts into HTML. NULL: the body that there would be without it. Does not suspend. */
    const char *(*render)(reeve_environ *environ, const reeve_error_page *page, void *arg);
    void *arg;
    uint64_t reserved[4];
} reeve_error_pages;

REEVE_API int reeve_error_pages_new(reeve_module *module, const reeve_error_pages *options,
                                    reeve_middleware *middleware_out);

#ifdef __cplusplus
}
#endif
#endif
