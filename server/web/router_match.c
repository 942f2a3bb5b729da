/* router_match.c: what a router finds for a request, and what the request's accessors tell of it.
 * It answers nothing. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "web/router_private.h"

static const char key; /* its address is where the match is attached */

int match_attach(reeve_environ *environ, struct match *match)
{
    return reeve_environ_set_data(environ, &key, match);
}

struct match *match_of(const reeve_environ *environ)
{
    return reeve_environ_data(environ, &key);
}

const struct resource *match_resource(const struct match *match)
{
    return match->end ? match->end->data : NULL;
}

/* ---- finding ---- */

/* With room for `size` bytes of values. */
static struct match *new_match(const struct reeve_router *router, reeve_environ *environ,
                               const struct route_end *end, size_t size, char **values_out)
{
    unsigned count = end ? end->param_count : 0;
    struct match *match =
        reeve_alloc(environ, sizeof *match + count * sizeof match->values[0] + size);

    if (!match) {
        errno = ENOMEM;
        return NULL;
    }
    *match = (struct match){.router = router, .end = end, .status = 404};
    *values_out = (char *)&match->values[count];
    return match;
}

static struct match *keep(const struct reeve_router *router, reeve_environ *environ,
                          const struct route_end *end, const struct route_value *values)
{
    unsigned count = end ? end->param_count : 0;
    struct match *match;
    size_t size = 0;
    char *at;

    for (unsigned i = 0; i < count; i++)
        size += values[i].length + 1;
    match = new_match(router, environ, end, size, &at);
    for (unsigned i = 0; match && i < count; i++) {
        match->values[i] = at;
        at = (char *)mempcpy(at, values[i].text, values[i].length) + 1;
        at[-1] = '\0';
    }
    return match;
}

static const struct endpoint *choose(const struct resource *resource, const char *method)
{
    const struct endpoint *any = NULL, *get = NULL;

    for (const struct endpoint *endpoint = resource->first; endpoint; endpoint = endpoint->next) {
        if (strcmp(endpoint->method, method) == 0)
            return endpoint;
        if (endpoint->method[0] == '*')
            any = endpoint;
        if (strcmp(endpoint->method, "GET") == 0)
            get = endpoint;
    }
    return get && strcmp(method, "HEAD") == 0 ? get : any;
}

static void choose_method(struct match *match, const char *method)
{
    const struct resource *resource = match->end->data;

    match->endpoint = choose(resource, method);
    if (match->endpoint) {
        match->status = 0;
        match->middleware = match->endpoint->middleware;
        match->middleware_count = match->endpoint->middleware_count;
        return;
    }
    match->status = strcmp(method, "OPTIONS") == 0 ? 204 : 405;
    match->middleware = resource->first->middleware;
    match->middleware_count = resource->first->group->middleware_count;
}

/* The same path with a "/" more or less at its end, if that has a route. -1: no memory. */
static int look_beside(struct match *match, reeve_environ *environ, const char *path)
{
    struct route_value values[ROUTE_PARAMS_MAX];
    size_t length = strlen(path);
    char *beside;

    if (length < 2)
        return 0;
    beside = reeve_alloc(environ, length + 2);
    if (!beside)
        return -1;
    memcpy(beside, path, length);
    if (beside[length - 1] == '/')
        length--;
    else
        beside[length++] = '/';
    beside[length] = '\0';
    if (route_tree_find(match->router->tree, beside, values)) {
        match->status = 308;
        match->canonical = beside;
    }
    return 0;
}

struct match *match_new(const struct reeve_router *router, reeve_environ *environ)
{
    struct route_value values[ROUTE_PARAMS_MAX];
    const char *path = reeve_path(environ);
    const struct route_end *end = route_tree_find(router->tree, *path ? path : "/", values);
    struct match *match = keep(router, environ, end, values);

    if (!match)
        return NULL;
    if (end)
        choose_method(match, reeve_method(environ));
    else if (router->redirects && look_beside(match, environ, path) == -1)
        return NULL;
    return match;
}

/* ---- what the request is told ---- */

const char *reeve_param(const reeve_environ *environ, const char *name)
{
    const struct match *match = match_of(environ);

    for (unsigned i = 0; match && match->end && i < match->end->param_count; i++)
        if (strcmp(match->end->params[i].name, name) == 0)
            return match->values[i];
    return NULL;
}

/* The parameter's text, when it is such a number. */
static const char *number(const reeve_environ *environ, const char *name, enum route_kind kind)
{
    const char *text = reeve_param(environ, name);

    if (text && route_kind_takes(kind, text, strlen(text)))
        return text;
    errno = text ? EINVAL : ENOENT;
    return NULL;
}

int reeve_param_int(const reeve_environ *environ, const char *name, int64_t *value_out)
{
    const char *text = number(environ, name, ROUTE_INT);

    *value_out = text ? strtoll(text, NULL, 10) : 0;
    return text ? 0 : -1;
}

int reeve_param_uint(const reeve_environ *environ, const char *name, uint64_t *value_out)
{
    const char *text = number(environ, name, ROUTE_UINT);

    *value_out = text ? strtoull(text, NULL, 10) : 0;
    return text ? 0 : -1;
}

const char *reeve_route_pattern(const reeve_environ *environ)
{
    const struct match *match = match_of(environ);

    return match && match->end ? match->end->pattern : NULL;
}

int reeve_route_status(const reeve_environ *environ)
{
    const struct match *match = match_of(environ);

    return match ? match->status : 0;
}

const char *reeve_route_allow(const reeve_environ *environ)
{
    const struct match *match = match_of(environ);
    const struct resource *resource = match ? match_resource(match) : NULL;

    return resource ? resource->allow : NULL;
}

void *reeve_controller_state(const reeve_environ *environ)
{
    const struct match *match = match_of(environ);
    const struct resource *resource = match ? match_resource(match) : NULL;

    if (!resource)
        return NULL;
    return (match->endpoint ? match->endpoint : resource->first)->group->state;
}
