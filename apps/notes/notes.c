/* notes: a small service on PostgreSQL: notes are listed, added, shown and deleted as JSON. Copy it
 * for a database behind routes: one pool a worker, parameters instead of pasted text, an honest
 * answer when the database is busy or down.
 *
 *     app "notes" {
 *         module = "build/apps/notes.so"
 *         mount = "/notes"
 *         option { database = "host=/run/postgresql dbname=notes" }
 *     }
 *     curl -H 'Content-Type: application/json' -d '{"text":"milk"}' http://localhost:8080/notes/ */
#include <stdlib.h>

#include <cjson/cJSON.h>
#include <reeve/pg.h>
#include <reeve/router.h>
#include <reeve/view.h>

#define MOST 10000 /* bytes that a client may send: what can be added also has to fit into a list */

static reeve_pg *db;
static reeve_router *router;

/* Busy and down are told apart from broken, and nobody outside learns more than that. */
static int fail(reeve_environ *environ, reeve_start_response *start_response)
{
    const reeve_pg_error *error = reeve_pg_last_error(db);

    reeve_log(environ, REEVE_LOG_WARNING, "database: %s %s", error->message, error->sqlstate);
    if (error->kind == REEVE_PG_STOPPED) /* the statement's time is over, or the request's */
        return reeve_view_problem(environ, start_response, 504, NULL);
    if (error->kind != REEVE_PG_UNAVAILABLE)
        return reeve_view_problem(environ, start_response, 500, NULL);
    reeve_view_header(environ, "Retry-After", "1");
    return reeve_view_problem(environ, start_response, 503, "the database is not available");
}

static cJSON *note_of(const reeve_pg_result *rows, size_t i)
{
    cJSON *note = cJSON_CreateObject();
    int64_t id = 0;

    reeve_pg_int(rows, i, 0, &id);
    cJSON_AddNumberToObject(note, "id", (double)id);
    cJSON_AddStringToObject(note, "text", reeve_pg_text(rows, i, 1));
    cJSON_AddStringToObject(note, "written", reeve_pg_text(rows, i, 2));
    return note;
}

/* A statement that gives one note, or none when there is no such one. */
static int answer_with_one(reeve_environ *environ, reeve_start_response *start_response, int status,
                           const reeve_pg_result *rows)
{
    if (reeve_pg_rows(rows) == 0)
        return reeve_view_problem(environ, start_response, 404, "there is no such note");
    return reeve_view_json(environ, start_response, status,
                           reeve_json_own(environ, note_of(rows, 0)));
}

static int list(reeve_environ *environ, reeve_start_response *start_response)
{
    cJSON *all = reeve_json_own(environ, cJSON_CreateArray());
    reeve_pg_result *rows;

    if (reeve_pg_query(db, &rows, "SELECT id, text, written FROM notes ORDER BY id LIMIT 100") ==
        -1)
        return fail(environ, start_response);
    for (size_t i = 0; i < reeve_pg_rows(rows); i++)
        cJSON_AddItemToArray(all, note_of(rows, i));
    return reeve_view_json(environ, start_response, 200, all);
}

static int add(reeve_environ *environ, reeve_start_response *start_response)
{
    reeve_pg_result *rows;
    const char *reason, *text;
    cJSON *sent;
    int status = reeve_json_read(environ, REEVE_JSON_LIMITS(.max_bytes = MOST), &sent, &reason);

    if (status)
        return reeve_view_problem(environ, start_response, status, reason);
    text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(sent, "text"));
    if (text == NULL || text[0] == '\0')
        return reeve_view_problem(environ, start_response, 400, "a note has a text");
    if (reeve_pg_query(db, &rows,
                       "INSERT INTO notes (text) VALUES ($1) RETURNING id, text, written",
                       text) == -1)
        return fail(environ, start_response);
    return answer_with_one(environ, start_response, 201, rows);
}

static int show(reeve_environ *environ, reeve_start_response *start_response)
{
    reeve_pg_result *rows;

    if (reeve_pg_query(db, &rows, "SELECT id, text, written FROM notes WHERE id = $1::bigint",
                       reeve_param(environ, "id")) == -1)
        return fail(environ, start_response);
    return answer_with_one(environ, start_response, 200, rows);
}

static int erase(reeve_environ *environ, reeve_start_response *start_response)
{
    reeve_pg_result *rows;

    if (reeve_pg_query(db, &rows, "DELETE FROM notes WHERE id = $1::bigint",
                       reeve_param(environ, "id")) == -1)
        return fail(environ, start_response);
    if (reeve_pg_affected(rows) == 0)
        return reeve_view_problem(environ, start_response, 404, "there is no such note");
    return reeve_view_empty(environ, start_response, 204);
}

static const reeve_controller notes = {
    .prefix = "",
    .routes = REEVE_ROUTES(REEVE_GET("/", list), REEVE_POST("/", add), REEVE_GET("/{id:int}", show),
                           REEVE_DELETE("/{id:int}", erase)),
};

static int init(reeve_module *module)
{
    const char *conninfo = reeve_option(module, "database");
    const char *size = reeve_option(module, "connections");

    if (conninfo == NULL)
        return reeve_refuse(module, "option database is missing: which one to connect to");
    db = reeve_pg_open(module, conninfo,
                       &(reeve_pg_options){.size = size == NULL ? 0 : strtoul(size, NULL, 10)});
    if (db == NULL)
        return -1; /* it has said why */
    router = reeve_router_new();
    reeve_router_add(router, &notes);
    if (reeve_router_ready(router) == 0)
        return 0;
    reeve_pg_close(db);
    return reeve_router_refuse(router, module);
}

/* The table, where it is missing: in every worker at once, so one of them may well find that another
 * was faster. */
static int on_start(reeve_module *module)
{
    (void)module;
    return reeve_pg_query(db, NULL,
                          "CREATE TABLE IF NOT EXISTS notes (id bigserial PRIMARY KEY,"
                          " text text NOT NULL, written timestamptz NOT NULL DEFAULT now())");
}

static void fini(reeve_module *module)
{
    (void)module;
    reeve_router_free(router);
    reeve_pg_close(db);
}

static int call(reeve_environ *environ, reeve_start_response *start_response)
{
    return reeve_router_call(router, environ, start_response);
}

REEVE_APP(.name = "notes", .version = "1.0.0", .init = init, .fini = fini, .on_start = on_start,
          .application = call);
