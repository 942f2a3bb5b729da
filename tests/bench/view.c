/* view.c: an application for the benchmark of views: a router, a parameter, and a list of twenty items as JSON. */
#include <cjson/cJSON.h>
#include <reeve/router.h>
#include <reeve/view.h>

#define ITEMS 20

static reeve_router *router;

static int list(reeve_environ *environ, reeve_start_response *start_response)
{
    cJSON *answer = reeve_json_own(environ, cJSON_CreateObject());
    cJSON *items = cJSON_AddArrayToObject(answer, "items");
    int64_t first;

    reeve_param_int(environ, "first", &first);
    for (int64_t i = first; i < first + ITEMS; i++) {
        cJSON *item = cJSON_CreateObject();

        cJSON_AddNumberToObject(item, "id", (double)i);
        cJSON_AddStringToObject(item, "name", "a thing with a name");
        cJSON_AddNumberToObject(item, "price", 12.5);
        cJSON_AddItemToArray(items, item);
    }
    return reeve_view_json(environ, start_response, 200, answer);
}

static const reeve_controller things = {.prefix = "/things",
                                        .routes = REEVE_ROUTES(REEVE_GET("/{first:int}", list))};

static int init(reeve_module *module)
{
    router = reeve_router_new();
    reeve_router_add(router, &things);
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

REEVE_APP(.name = "view", .version = "1.0.0", .init = init, .fini = fini,
          .application = application);
