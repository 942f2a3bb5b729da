/* router.c: builds a router from an application's tables, and refuses what is wrong in them with a
 * sentence. It copies all of it, so that nothing is needed afterwards but the functions. */
#include <errno.h>
#include <http_parser.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "web/router_private.h"

static const char no_memory[] = "memory has run out";

/* ---- failing: the first reason stays ---- */

static int fail(struct reeve_router *router, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int fail(struct reeve_router *router, const char *format, ...)
{
    if (!router->failure) {
        va_list args;

        va_start(args, format);
        vsnprintf(router->error, sizeof router->error, format, args);
        va_end(args);
        router->failure = EINVAL;
    }
    errno = router->failure;
    return -1;
}

static int fail_memory(struct reeve_router *router)
{
    if (!router->failure) {
        snprintf(router->error, sizeof router->error, "%s", no_memory);
        router->failure = ENOMEM;
    }
    errno = router->failure;
    return -1;
}

/* Nothing can be added to it (any more). */
static bool is_closed(struct reeve_router *router)
{
    if (!router) {
        errno = ENOMEM;
        return true;
    }
    if (router->is_ready)
        errno = EINVAL;
    else if (router->failure)
        errno = router->failure;
    return router->is_ready || router->failure;
}

/* ---- tables ---- */

static unsigned count_middleware(const reeve_middleware *table)
{
    unsigned count = 0;

    while (table && table[count].call)
        count++;
    return count;
}

/* Those of two tables, one behind the other. NULL: memory has run out. */
static const reeve_middleware *join(struct route_tree *tree, const reeve_middleware *first,
                                    unsigned first_count, const reeve_middleware *second,
                                    unsigned second_count)
{
    reeve_middleware *both =
        route_tree_alloc(tree, (first_count + second_count + 1) * sizeof *both);

    for (unsigned i = 0; both && i < first_count; i++)
        both[i] = first[i];
    for (unsigned i = 0; both && i < second_count; i++)
        both[first_count + i] = second[i];
    return both;
}

static reeve_before_hook **copy_before(struct route_tree *tree, reeve_before_hook *const *table)
{
    reeve_before_hook **copy;
    size_t count = 0;

    while (table && table[count])
        count++;
    if ((copy = route_tree_alloc(tree, (count + 1) * sizeof *copy)))
        for (size_t i = 0; i <= count; i++)
            copy[i] = i < count ? table[i] : NULL;
    return copy;
}

static reeve_after_hook **copy_after(struct route_tree *tree, reeve_after_hook *const *table)
{
    reeve_after_hook **copy;
    size_t count = 0;

    while (table && table[count])
        count++;
    if ((copy = route_tree_alloc(tree, (count + 1) * sizeof *copy)))
        for (size_t i = 0; i <= count; i++)
            copy[i] = i < count ? table[i] : NULL;
    return copy;
}

static struct group *copy_group(struct route_tree *tree, const reeve_controller *controller)
{
    struct group *group = route_tree_alloc(tree, sizeof *group);

    if (!group)
        return NULL;
    *group = (struct group){
        .state = controller->state,
        .before = copy_before(tree, controller->before),
        .after = copy_after(tree, controller->after),
        .middleware_count = count_middleware(controller->middleware),
    };
    return group->before && group->after ? group : NULL;
}

/* ---- one route ---- */

/* The server's own copy of the name; NULL: a request with such a method never gets here. */
static const char *known_method(const char *method)
{
#define METHOD(number, name, text) #text,
    static const char *const methods[] = {"*", HTTP_METHOD_MAP(METHOD)};
#undef METHOD

    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (strcmp(methods[i], method) == 0)
            return strcmp(method, "CONNECT") == 0 ? NULL : methods[i];
    return NULL;
}

static struct endpoint *find_endpoint(const struct resource *resource, const char *method)
{
    struct endpoint *endpoint = resource->first;

    while (endpoint && strcmp(endpoint->method, method) != 0)
        endpoint = endpoint->next;
    return endpoint;
}

static struct endpoint *new_endpoint(struct route_tree *tree, const struct group *group,
                                     const reeve_controller *controller, const reeve_route *route)
{
    struct endpoint *endpoint = route_tree_alloc(tree, sizeof *endpoint);
    unsigned own = count_middleware(route->middleware);

    if (!endpoint)
        return NULL;
    *endpoint = (struct endpoint){
        .method = known_method(route->method),
        .handler = route->handler,
        .group = group,
        .middleware =
            join(tree, controller->middleware, group->middleware_count, route->middleware, own),
        .middleware_count = group->middleware_count + own,
    };
    return endpoint->middleware ? endpoint : NULL;
}

static struct resource *resource_at(struct route_tree *tree, struct route_end *end)
{
    struct resource *resource = end->data;

    if (!resource && (resource = route_tree_alloc(tree, sizeof *resource))) {
        *resource = (struct resource){.first = NULL};
        resource->last = &resource->first;
        end->data = resource;
    }
    return resource;
}

static int refuse_route(struct reeve_router *router, const reeve_route *route, const char *pattern,
                        const struct route_refusal *refusal)
{
    if (!refusal->why)
        return fail_memory(router);
    if (!refusal->other)
        return fail(router, "route %s \"%s\": %s", route->method, pattern, refusal->why);
    return fail(router, "route %s \"%s\": %s \"%s\"", route->method, pattern, refusal->why,
                refusal->other);
}

static int add_route(struct reeve_router *router, const struct group *group,
                     const reeve_controller *controller, const reeve_route *route)
{
    char pattern[ROUTE_PATTERN_MAX + 2]; /* one byte too many is seen to be */
    struct route_refusal refusal;
    struct endpoint *endpoint;
    struct resource *resource;
    struct route_end *end;

    snprintf(pattern, sizeof pattern, "%s%s", controller->prefix ? controller->prefix : "",
             route->pattern ? route->pattern : "");
    if (!known_method(route->method))
        return fail(router, "route %s \"%s\": the server knows no such method, in capitals",
                    route->method, pattern);
    if (!route->handler)
        return fail(router, "route %s \"%s\": it has no handler", route->method, pattern);
    end = route_tree_add(router->tree, pattern, &refusal);
    if (!end)
        return refuse_route(router, route, pattern, &refusal);
    resource = resource_at(router->tree, end);
    if (resource && find_endpoint(resource, route->method))
        return fail(router, "route %s \"%s\": it is there already", route->method, pattern);
    endpoint = resource ? new_endpoint(router->tree, group, controller, route) : NULL;
    if (!endpoint)
        return fail_memory(router);
    *resource->last = endpoint;
    resource->last = &endpoint->next;
    return 0;
}

/* ---- ready ---- */

static bool has_method(const struct resource *resource, const char *method)
{
    return find_endpoint(resource, method) != NULL;
}

/* "GET, HEAD, POST, OPTIONS": in the order of their coming, with what the router adds. */
static void write_allow(const struct resource *resource, char *text)
{
    for (const struct endpoint *endpoint = resource->first; endpoint; endpoint = endpoint->next) {
        text += sprintf(text, "%s%s", endpoint == resource->first ? "" : ", ", endpoint->method);
        if (strcmp(endpoint->method, "GET") == 0 && !has_method(resource, "HEAD"))
            text = stpcpy(text, ", HEAD");
    }
    if (!has_method(resource, "OPTIONS"))
        strcpy(text, ", OPTIONS");
}

static int set_allow(struct route_end *end, void *arg)
{
    struct resource *resource = end->data;
    struct reeve_router *router = arg;
    size_t size = sizeof ", HEAD, OPTIONS";
    char *text;

    if (has_method(resource, "*"))
        return 0;
    for (const struct endpoint *endpoint = resource->first; endpoint; endpoint = endpoint->next)
        size += strlen(endpoint->method) + 2;
    if (!(text = route_tree_alloc(router->tree, size)))
        return fail_memory(router);
    write_allow(resource, text);
    resource->allow = text;
    return 0;
}

/* ---- what applications call ---- */

reeve_router *reeve_router_new(void)
{
    struct reeve_router *router = calloc(1, sizeof *router);

    if (router && !(router->tree = route_tree_new())) {
        free(router);
        return NULL;
    }
    return router;
}

static int check_controller(struct reeve_router *router, const reeve_controller *controller)
{
    const char *prefix = controller->prefix ? controller->prefix : "";
    size_t length = strlen(prefix);

    if (length > 0 && prefix[length - 1] == '/')
        return fail(router, "controller \"%.*s\": a prefix does not end with \"/\"",
                    ROUTE_PATTERN_MAX, prefix);
    if (!controller->routes)
        return fail(router, "controller \"%.*s\" has no routes", ROUTE_PATTERN_MAX, prefix);
    return 0;
}

int reeve_router_add(reeve_router *router, const reeve_controller *controller)
{
    const struct group *group;

    if (is_closed(router) || check_controller(router, controller) == -1)
        return -1;
    if (!(group = copy_group(router->tree, controller)))
        return fail_memory(router);
    for (const reeve_route *route = controller->routes; route->method; route++)
        if (add_route(router, group, controller, route) == -1)
            return -1;
    return 0;
}

int reeve_router_use(reeve_router *router, const reeve_middleware *middleware)
{
    unsigned count = count_middleware(middleware);
    const reeve_middleware *all;

    if (is_closed(router))
        return -1;
    all = join(router->tree, router->middleware, router->middleware_count, middleware, count);
    if (!all)
        return fail_memory(router);
    router->middleware = all;
    router->middleware_count += count;
    return 0;
}

void reeve_router_set_fallback(reeve_router *router, reeve_application *fallback)
{
    if (!is_closed(router))
        router->fallback = fallback;
}

void reeve_router_set_redirect(reeve_router *router, bool redirects)
{
    if (!is_closed(router))
        router->redirects = redirects;
}

int reeve_router_ready(reeve_router *router)
{
    if (is_closed(router) || route_tree_each(router->tree, set_allow, router) != 0)
        return -1;
    router->is_ready = true;
    return 0;
}

const char *reeve_router_error(const reeve_router *router)
{
    return router ? router->error : no_memory;
}

int reeve_router_refuse(reeve_router *router, reeve_module *module)
{
    reeve_refuse(module, "%s", reeve_router_error(router));
    reeve_router_free(router);
    return -1;
}

void reeve_router_free(reeve_router *router)
{
    if (!router)
        return;
    route_tree_free(router->tree);
    free(router);
}
