/* router_call.c: the way of a request through a router: middleware, hooks, the handler. */
#include <errno.h>

#include "web/router_private.h"

/* One for each middleware that runs, on its caller's stack. */
struct reeve_next {
    const struct match *match;
    unsigned done; /* middleware up to and with the one that has this */
    bool is_used;
};

/* ---- the innermost ---- */

static int call_handler(const struct endpoint *endpoint, reeve_environ *environ,
                        reeve_start_response *start_response)
{
    for (reeve_before_hook *const *hook = endpoint->group->before; *hook; hook++) {
        int verdict = (*hook)(environ, start_response);

        if (verdict)
            return verdict > 0 ? 0 : -1;
    }
    return endpoint->handler(environ, start_response);
}

static int call_endpoint(const struct endpoint *endpoint, reeve_environ *environ,
                         reeve_start_response *start_response)
{
    int result = call_handler(endpoint, environ, start_response);

    for (reeve_after_hook *const *hook = endpoint->group->after; *hook; hook++)
        result = (*hook)(environ, start_response, result);
    return result;
}

/* ---- inwards ---- */

static const reeve_middleware *middleware_at(const struct match *match, unsigned i)
{
    const struct reeve_router *router = match->router;

    if (i < router->middleware_count)
        return &router->middleware[i];
    i -= router->middleware_count;
    return i < match->middleware_count ? &match->middleware[i] : NULL;
}

/* What lies within the first `done` of its middleware. */
static int go_on(const struct match *match, unsigned done, reeve_environ *environ,
                 reeve_start_response *start_response)
{
    const reeve_middleware *middleware = middleware_at(match, done);
    struct reeve_next next = {.match = match, .done = done + 1};

    if (middleware)
        return middleware->call(environ, start_response, &next, middleware->state);
    if (match->endpoint)
        return call_endpoint(match->endpoint, environ, start_response);
    return router_answer(match, environ, start_response);
}

int reeve_next_call(reeve_next *next, reeve_environ *environ, reeve_start_response *start_response)
{
    if (next->is_used) {
        errno = EALREADY;
        return -1;
    }
    next->is_used = true;
    return go_on(next->match, next->done, environ, start_response);
}

/* ---- the outermost ---- */

/* A handler may call another router. What was found in that one is forgotten when it comes back. */
static int call_within(struct match *outer, const struct match *match, reeve_environ *environ,
                       reeve_start_response *start_response)
{
    int result = go_on(match, 0, environ, start_response), error = errno;

    match_attach(environ, outer);
    errno = error;
    return result;
}

int reeve_router_call(const reeve_router *router, reeve_environ *environ,
                      reeve_start_response *start_response)
{
    struct match *outer = match_of(environ), *match;

    if (!router || !router->is_ready) {
        errno = EINVAL;
        return -1;
    }
    match = match_new(router, environ);
    if (!match || match_attach(environ, match) == -1)
        return -1;
    if (outer)
        return call_within(outer, match, environ, start_response);
    return go_on(match, 0, environ, start_response);
}
