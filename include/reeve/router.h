/* reeve/router.h: routes, controllers and middleware on top of an application's one callable.
 *
 *     static int show(reeve_environ *environ, reeve_start_response *start_response)
 *     {
 *         int64_t id;
 *
 *         reeve_param_int(environ, "id", &id);
 *         ...
 *     }
 *
 *     static const reeve_controller users = {
 *         .prefix = "/users",
 *         .routes = REEVE_ROUTES(REEVE_GET("", list), REEVE_POST("", create),
 *                                REEVE_GET("/{id:int}", show, .middleware = cached)),
 *     };
 *
 *     static reeve_router *router;
 *
 *     static int init(reeve_module *module)
 *     {
 *         router = reeve_router_new();
 *         reeve_router_add(router, &users);
 *         return reeve_router_ready(router) == 0 ? 0 : reeve_router_refuse(router, module);
 *     }
 *
 *     static int application(reeve_environ *environ, reeve_start_response *start_response)
 *     {
 *         return reeve_router_call(router, environ, start_response);
 *     }
 *
 *     static void fini(reeve_module *module)
 *     {
 *         reeve_router_free(router);
 *     }
 *
 * From outside inwards a request passes the middleware of the router, of the controller and of the
 * route, each in its table's order, then the controller's `before` hooks, the handler, and the
 * `after` hooks. Which route it is has been found before the first middleware runs. A router does
 * not change once it is ready, so that any number of requests may be in it. Since 1.2, all of it.
 */
#ifndef REEVE_ROUTER_H
#define REEVE_ROUTER_H

#include <reeve/app.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- middleware ---- */

/* What a middleware calls to go on inwards: the next middleware, or at last the handler. Lives
 * until that middleware returns. */
typedef struct reeve_next reeve_next;

/* Goes on inwards, at most once: a second call fails with EALREADY, and nothing is called. Returns
 * what the next one returned. A middleware that does not call it has to answer itself. [suspends],
 * since the handler may. */
REEVE_API int reeve_next_call(reeve_next *next, reeve_environ *environ,
                              reeve_start_response *start_response);

/* Wraps what it calls. A table of them ends with a zero entry. */
typedef struct reeve_middleware {
    /* Returns what the application callable returns. It may hand a start_response of its own
     * inwards, set variables (reeve_environ_set), and look at what came back; when it returns, the
     * handler's iterable, if there is one, has not begun. [suspends] is allowed. */
    int (*call)(reeve_environ *environ, reeve_start_response *start_response, reeve_next *next,
                void *state);
    void *state; /* given to call; shared by all requests that run at the same time */
} reeve_middleware;

/* A table of middleware: REEVE_MIDDLEWARE({tell, NULL}, {limit, &ten}). Outside of functions it
 * lives for ever, within as long as the enclosing block (and cannot be a static variable's), as do
 * all the tables below. */
#define REEVE_MIDDLEWARE(...) ((const reeve_middleware[]){__VA_ARGS__, {NULL, NULL}})

/* ---- routes ---- */

/* One method at one pattern. A pattern is a path, in which a parameter may stand for a segment:
 *
 *     {id}         any text that is not empty
 *     {id:int}     a decimal number from INT64_MIN to INT64_MAX; may have leading zeros, no "+"
 *     {id:uint}    ... from 0 to UINT64_MAX: digits only
 *     {id:uuid}    8-4-4-4-12 hexadecimal digits, in any case
 *     {id:slug}    letters, digits, '-' and '_', one or more
 *     {id:path}    the rest, which may be empty and may have slashes: at the pattern's end only
 *
 * The path that is compared is PATH_INFO, which is decoded already (an encoded "/" counts as one),
 * segment by segment and in whole; a path of "" is taken for "/". Where several patterns match, the
 * first segment that differs decides: fixed text comes before int, uint and uuid, these before
 * slug, slug before plain text, and that before path. What then stands at the pattern decides
 * alone which methods there are. "/users" and "/users/" are two paths.
 *
 * At most 32 segments, 16 parameters, 512 bytes. A name is a letter or '_', then letters, digits
 * and '_', and occurs once in a pattern. Two patterns that differ in nothing but names are refused,
 * and so are int and uint at one place: nobody could say which one is meant. */
typedef struct reeve_route {
    const char *method; /* in capitals; "*": all that the pattern has no route for; NULL: the end */
    const char *pattern; /* "" is allowed behind a controller's prefix */
    reeve_application *handler;
    const reeve_middleware *middleware; /* a table, or NULL */
    const void *reserved[4];            /* NULL */
} reeve_route;

/* Where a pattern has GET but no HEAD, the handler of GET gets HEAD, too: the server drops the
 * body. Where it has no OPTIONS, the router answers 204, and any method that is not there with 405,
 * both with an Allow of all that are. These answers pass the router's middleware and that of the
 * pattern's controller (of the first one, when there are several). */
#define REEVE_ROUTE(method_, pattern_, ...)                                \
    {                                                                      \
        .method = (method_), .pattern = (pattern_), .handler = __VA_ARGS__ \
    }
#define REEVE_GET(pattern, ...)     REEVE_ROUTE("GET", pattern, __VA_ARGS__)
#define REEVE_HEAD(pattern, ...)    REEVE_ROUTE("HEAD", pattern, __VA_ARGS__)
#define REEVE_POST(pattern, ...)    REEVE_ROUTE("POST", pattern, __VA_ARGS__)
#define REEVE_PUT(pattern, ...)     REEVE_ROUTE("PUT", pattern, __VA_ARGS__)
#define REEVE_PATCH(pattern, ...)   REEVE_ROUTE("PATCH", pattern, __VA_ARGS__)
#define REEVE_DELETE(pattern, ...)  REEVE_ROUTE("DELETE", pattern, __VA_ARGS__)
#define REEVE_OPTIONS(pattern, ...) REEVE_ROUTE("OPTIONS", pattern, __VA_ARGS__)
#define REEVE_ANY(pattern, ...)     REEVE_ROUTE("*", pattern, __VA_ARGS__)

/* A table of routes: REEVE_ROUTES(REEVE_GET("/", index), REEVE_POST("/", add)). */
#define REEVE_ROUTES(...) ((const reeve_route[]){__VA_ARGS__, {.method = NULL}})

/* ---- controllers ---- */

/* Called before the handler. 0: go on; 1: it has answered, neither the other hooks nor the handler
 * are called; -1: failure, likewise. [suspends] is allowed. */
typedef int reeve_before_hook(reeve_environ *environ, reeve_start_response *start_response);

/* Called after the handler, always, also when a hook before it has answered or failed. `result` is
 * what the handler returned (0 when a hook answered), errno what it left; what it returns is the
 * result from here on, so in general `return result`. A handler that failed before its first byte
 * can still be answered for, by start_response. [suspends] is allowed. */
typedef int reeve_after_hook(reeve_environ *environ, reeve_start_response *start_response,
                             int result);

#define REEVE_BEFORE(...) ((reeve_before_hook *const[]){__VA_ARGS__, NULL})
#define REEVE_AFTER(...)  ((reeve_after_hook *const[]){__VA_ARGS__, NULL})

/* Handlers around a shared state. All that it points to may be NULL but for the routes. */
typedef struct reeve_controller {
    const char *prefix; /* before each pattern; does not end with "/", may have parameters */
    const reeve_route *routes;
    void *state; /* reeve_controller_state() */
    const reeve_middleware *middleware;
    reeve_before_hook *const *before; /* a table that ends with NULL, in its order */
    reeve_after_hook *const *after;   /* likewise */
    const void *reserved[4];          /* NULL */
} reeve_controller;

/* ---- building: in init ---- */

typedef struct reeve_router reeve_router;

/* NULL: ENOMEM. The calls below take that, too, up to reeve_router_ready, which then fails. None of
 * them suspends. */
REEVE_API reeve_router *reeve_router_new(void);

/* Adds a controller's routes. Everything is copied but the functions and what `state` points to.
 * 0, or -1 with EINVAL or ENOMEM, and reeve_router_ready will fail: it suffices to ask there. */
REEVE_API int reeve_router_add(reeve_router *router, const reeve_controller *controller);

/* Adds middleware around everything, 404 too. Copied. As above. */
REEVE_API int reeve_router_use(reeve_router *router, const reeve_middleware *middleware);

/* The application's own answer for what has no route or not that method: see reeve_route_status
 * and reeve_route_allow. */
REEVE_API void reeve_router_set_fallback(reeve_router *router, reeve_application *fallback);

/* A path that has no route, but would with a "/" more or less at its end, is answered with 308 and
 * the one that has. Off by default. */
REEVE_API void reeve_router_set_redirect(reeve_router *router, bool redirects);

/* Checks what was added and closes the router: nothing can be added any more. 0, or -1 with EINVAL
 * or ENOMEM, and reeve_router_error() says what the matter is. */
REEVE_API int reeve_router_ready(reeve_router *router);

/* One sentence, which names the route. "" when nothing is wrong. Lives as long as the router. */
REEVE_API const char *reeve_router_error(const reeve_router *router);

/* For init: refuses the build (reeve_refuse) for this reason and frees the router. Returns -1. */
REEVE_API int reeve_router_refuse(reeve_router *router, reeve_module *module);

/* For fini. May be NULL. */
REEVE_API void reeve_router_free(reeve_router *router);

/* ---- in a request ---- */

/* What the application's callable does: finds the route and calls what stands there. Returns what
 * it returned; -1 with EINVAL: the router is not ready, or ENOMEM. [suspends], since handlers may.
 */
REEVE_API int reeve_router_call(const reeve_router *router, reeve_environ *environ,
                                reeve_start_response *start_response);

/* A parameter of the route by its name, or NULL. Lives as long as the request. */
REEVE_API const char *reeve_param(const reeve_environ *environ, const char *name);

/* The same as a number: 0 and *value_out, or -1: ENOENT there is none of that name, EINVAL it is no
 * such number, which cannot be when the pattern says {name:int} or {name:uint}; then *value_out
 * is 0. */
REEVE_API int reeve_param_int(const reeve_environ *environ, const char *name, int64_t *value_out);
REEVE_API int reeve_param_uint(const reeve_environ *environ, const char *name, uint64_t *value_out);

/* The pattern that matched, "/users/{id:int}", prefix included, for logs and metrics; NULL without
 * one. Lives as long as the router. */
REEVE_API const char *reeve_route_pattern(const reeve_environ *environ);

/* What the router itself has to say: 0, a handler is there; 404; 405; 204 for OPTIONS; 308. */
REEVE_API int reeve_route_status(const reeve_environ *environ);

/* The methods that the pattern has, "GET, HEAD, OPTIONS", for the Allow of a 405; NULL without a
 * pattern, and with REEVE_ANY. Lives as long as the router. */
REEVE_API const char *reeve_route_allow(const reeve_environ *environ);

/* The state of the controller whose route this is; NULL without one. */
REEVE_API void *reeve_controller_state(const reeve_environ *environ);

#ifdef __cplusplus
}
#endif
#endif
