/* note.c: an application for the benchmark of views: one row of a PostgreSQL as JSON. */
#include <cjson/cJSON.h>
#include <reeve/pg.h>
#include <reeve/router.h>
#include <reeve/view.h>
#include <stdlib.h>

static reeve_pg *db;
static reeve_router *router;

static int show(reeve_environ *environ, reeve_start_response *start_response)
{
    cJSON *note = reeve_json_own(environ, cJSON_CreateObject());
    reeve_pg_result *rows;

    if (reeve_pg_query(db, &rows, "SELECT id, title FROM notes WHERE id = $1::int",
                       reeve_param(environ, "id")) == -1)
        return -1;
    cJSON_AddNumberToObject(note, "id", atof(reeve_pg_text(rows, 0, 0)));
    cJSON_AddStringToObject(note, "title", reeve_pg_text(rows, 0, 1));
    return reeve_view_json(environ, start_response, 200, note);
}

static const reeve_controller notes = {.prefix = "/notes",
                                       .routes = REEVE_ROUTES(REEVE_GET("/{id:int}", show))};

static int init(reeve_module *module)
{
    db = reeve_pg_open(module, reeve_option(module, "database"), NULL);
    router = reeve_router_new();
    reeve_router_add(router, &notes);
    if (!db)
        return -1;
    return reeve_router_ready(router) == 0 ? 0 : reeve_router_refuse(router, module);
}

static void fini(reeve_module *module)
{
    (void)module;
    reeve_pg_close(db);
    reeve_router_free(router);
}

static int application(reeve_environ *environ, reeve_start_response *start_response)
{
    return reeve_router_call(router, environ, start_response);
}

REEVE_APP(.name = "note", .version = "1.0.0", .init = init, .fini = fini,
          .application = application);
