/* router_private.h: what a router is made of, for the router*.c files.
 *
 * All of it lies in the tree's memory, is built in an application's init, and does not change once
 * the router is ready. */
#ifndef WEB_ROUTER_PRIVATE_H
#define WEB_ROUTER_PRIVATE_H

#include <reeve/router.h>
#include <stdbool.h>

#include "web/route_tree.h"

/* A controller, copied. */
struct group {
    void *state;
    reeve_before_hook **before; /* end with NULL */
    reeve_after_hook **after;
    unsigned middleware_count; /* of the first ones of each of its routes */
};

/* A route, copied. */
struct endpoint {
    struct endpoint *next;
    const char *method; /* "*": any */
    reeve_application *handler;
    const struct group *group;
    const reeve_middleware *middleware; /* the controller's, then its own */
    unsigned middleware_count;
};

/* What stands at a pattern, the data of its end: one endpoint or more. */
struct resource {
    struct endpoint *first, **last;
    const char *allow; /* NULL: every method */
};

struct reeve_router {
    struct route_tree *tree;
    const reeve_middleware *middleware;
    unsigned middleware_count;
    reeve_application *fallback; /* may be NULL */
    bool redirects, is_ready;
    int failure; /* errno of the first thing that went wrong; 0: nothing */
    char error[3 * ROUTE_PATTERN_MAX];
};

/* What the router has found for a request: in its memory. */
struct match {
    const struct reeve_router *router;
    const struct route_end *end;        /* NULL: no pattern */
    const struct endpoint *endpoint;    /* NULL: the answer is automatic, by status */
    int status;                         /* as reeve_route_status() */
    const reeve_middleware *middleware; /* the endpoint's, or those for the automatic answer */
    unsigned middleware_count;
    const char *canonical; /* 308: the path that has a route */
    const char *values[];  /* of the end's params */
};

/* NULL: memory has run out. */
struct match *match_new(const struct reeve_router *router, reeve_environ *environ);
/* Makes it what the request's accessors see, NULL: nothing. 0 or -1 with ENOMEM. */
int match_attach(reeve_environ *environ, struct match *match);
struct match *match_of(const reeve_environ *environ);
const struct resource *match_resource(const struct match *match);

/* The router's own answer, by the match's status. */
int router_answer(const struct match *match, reeve_environ *environ,
                  reeve_start_response *start_response);

#endif
