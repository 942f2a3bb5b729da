/* routed.c: routes, controllers and middleware, each of which leaves its word in the header Trail.
 *
 * option refuse: adds a route that is wrong. */
#include <inttypes.h>
#include <reeve/router.h>
#include <stdlib.h>
#include <string.h>

static reeve_router *router;

/* ---- the trail: what was passed so far ---- */

static void leave(reeve_environ *environ, const char *word)
{
    const char *trail = reeve_environ_get(environ, "routed.trail");

    reeve_environ_set(environ, "routed.trail",
                      trail ? reeve_printf(environ, "%s %s", trail, word) : word);
}

static int answer(reeve_environ *environ, reeve_start_response *start_response, const char *text)
{
    const char *trail = reeve_environ_get(environ, "routed.trail");

    start_response(
        environ, "200 OK",
        REEVE_HEADERS({"Content-Type", "text/plain"}, {"Trail", trail ? trail : "none"}));
    return reeve_write(environ, text, strlen(text));
}

static int pass(reeve_environ *environ, reeve_start_response *start_response, reeve_next *next,
                void *state)
{
    int result;

    leave(environ, state);
    result = reeve_next_call(next, environ, start_response);
    reeve_log(environ, REEVE_LOG_INFO, "%s of %s: %d", (const char *)state,
              reeve_route_pattern(environ) ? reeve_route_pattern(environ) : "nothing", result);
    return result;
}

/* Lets nobody in but those who know the word. */
static int guard(reeve_environ *environ, reeve_start_response *start_response, reeve_next *next,
                 void *state)
{
    const char *word = reeve_request_header(environ, "X-Word");

    if (word && strcmp(word, state) == 0)
        return reeve_next_call(next, environ, start_response);
    return start_response(environ, "401 Unauthorized", REEVE_HEADERS({"WWW-Authenticate", "Word"}));
}

static char all[] = "router", users_word[] = "users", one_word[] = "one", secret[] = "open";

/* ---- users: a shared state, hooks ---- */

struct store {
    unsigned asked, done;
};
static struct store store;

static int index_users(reeve_environ *environ, reeve_start_response *start_response)
{
    const struct store *own = reeve_controller_state(environ);

    return answer(environ, start_response,
                  reeve_printf(environ, "asked %u, done %u\n", own->asked, own->done));
}

/* Waits, so that several are here at once, each with its own parameters. */
static int show_user(reeve_environ *environ, reeve_start_response *start_response)
{
    int64_t id;

    if (reeve_param_int(environ, "id", &id) == -1 || reeve_sleep(0.01) == -1)
        return -1;
    return answer(environ, start_response,
                  reeve_printf(environ, "%s %" PRId64 " %s\n", reeve_method(environ), id,
                               reeve_route_pattern(environ)));
}

static int fail(reeve_environ *environ, reeve_start_response *start_response)
{
    (void)environ;
    (void)start_response;
    return -1;
}

static int count_asked(reeve_environ *environ, reeve_start_response *start_response)
{
    struct store *own = reeve_controller_state(environ);

    leave(environ, "before");
    own->asked++;
    if (strcmp(reeve_query(environ), "before") == 0)
        return answer(environ, start_response, "answered before\n") == 0 ? 1 : -1;
    return 0;
}

static int count_done(reeve_environ *environ, reeve_start_response *start_response, int result)
{
    struct store *own = reeve_controller_state(environ);

    own->done++;
    if (result == -1 && strcmp(reeve_query(environ), "rescue") == 0)
        return start_response(environ, "503 Service Unavailable", REEVE_NO_HEADERS);
    return result;
}

static const reeve_controller users = {
    .prefix = "/users",
    .state = &store,
    .middleware = REEVE_MIDDLEWARE({pass, users_word}),
    .before = REEVE_BEFORE(count_asked),
    .after = REEVE_AFTER(count_done),
    .routes = REEVE_ROUTES(
        REEVE_GET("", index_users), REEVE_GET("/fail", fail),
        REEVE_GET("/{id:int}", show_user, .middleware = REEVE_MIDDLEWARE({pass, one_word})),
        REEVE_DELETE("/{id:int}", show_user)),
};

/* ---- the rest ---- */

static int show_rest(reeve_environ *environ, reeve_start_response *start_response)
{
    return answer(environ, start_response,
                  reeve_printf(environ, "rest [%s]\n", reeve_param(environ, "rest")));
}

static int show_name(reeve_environ *environ, reeve_start_response *start_response)
{
    return answer(environ, start_response,
                  reeve_printf(environ, "name [%s]\n", reeve_param(environ, "name")));
}

static int own_options(reeve_environ *environ, reeve_start_response *start_response)
{
    return start_response(environ, "200 OK", REEVE_HEADERS({"Allow", "of my own"}));
}

static const reeve_controller rest = {
    .routes =
        REEVE_ROUTES(REEVE_GET("/files/{rest:path}", show_rest),
                     REEVE_GET("/names/{name}", show_name), REEVE_POST("/names/{name}", show_name),
                     REEVE_OPTIONS("/own", own_options), REEVE_GET("/dir/", show_rest)),
};

static const reeve_controller guarded = {
    .prefix = "/guarded",
    .middleware = REEVE_MIDDLEWARE({guard, secret}),
    .routes = REEVE_ROUTES(REEVE_GET("", index_users)),
};

static const reeve_controller wrong = {.routes =
                                           REEVE_ROUTES(REEVE_GET("/names/{other}", show_name))};

static int missing(reeve_environ *environ, reeve_start_response *start_response)
{
    const char *allow = reeve_route_allow(environ);

    if (reeve_route_status(environ) == 405)
        return start_response(environ, "405 Not So", REEVE_HEADERS({"Allow", allow}));
    return start_response(environ, "404 Not Here", REEVE_NO_HEADERS);
}

static int init(reeve_module *module)
{
    router = reeve_router_new();
    reeve_router_use(router, REEVE_MIDDLEWARE({pass, all}));
    reeve_router_set_redirect(router, true);
    reeve_router_set_fallback(router, missing);
    reeve_router_add(router, &users);
    reeve_router_add(router, &rest);
    reeve_router_add(router, &guarded);
    if (reeve_option(module, "refuse"))
        reeve_router_add(router, &wrong);
    return reeve_router_ready(router) == 0 ? 0 : reeve_router_refuse(router, module);
}

static void fini(reeve_module *module)
{
    (void)module;
    reeve_router_free(router);
}

static int application(reeve_environ *environ, reeve_start_response *start_response)
{
    return reeve_router_call(router, environ, start_response);
}

REEVE_APP(.name = "routed", .version = "1.0.0", .init = init, .fini = fini,
          .application = application);
