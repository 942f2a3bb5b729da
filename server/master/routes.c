/* routes.c: one table says what the control API has; below it what each path does.
 *
 * A handler checks what it was given and passes the wish on to the part of the master whose it is.
 * None waits: what takes long is an action (action.h), whose lines are streamed. */
#include "master/routes.h"

#include <event2/buffer.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/stats.h"
#include "master/action.h"
#include "master/master.h"
#include "master/metrics.h"
#include "master/pool.h"
#include "master/deploy.h"
#include "master/report.h"

struct route;
typedef void route_serve(struct call *call, const struct route *route);
typedef cJSON *route_report(const struct report_source *from);

struct route {
    enum evhttp_cmd_type method;
    const char *path; /* '*' stands for one segment: call->argument */
    const char *keys; /* what the body may have; NULL: it is not looked at */
    route_serve *serve;
    route_report *report; /* for serve_report */
    const char *summary;
};

static route_serve serve_index, serve_report, serve_app, serve_deploys, serve_metrics, serve_reload,
    serve_reload_all, serve_restart, serve_scale, serve_reopen, serve_shutdown;

#define GET  EVHTTP_REQ_GET
#define POST EVHTTP_REQ_POST

/* clang-format off */
static const struct route routes[] = {
    {GET,  "/v1",                NULL,         serve_index,      NULL,           "this list"},
    {GET,  "/v1/status",         NULL,         serve_report,     report_status,  "the server, its sockets, which applications"},
    {GET,  "/v1/stats",          NULL,         serve_report,     report_stats,   "the same with every worker and application"},
    {GET,  "/v1/workers",        NULL,         serve_report,     report_workers, "the workers"},
    {GET,  "/v1/apps",           NULL,         serve_report,     report_apps,    "the applications"},
    {GET,  "/v1/apps/*",         NULL,         serve_app,        NULL,           "one application"},
    {GET,  "/v1/deploys",        NULL,         serve_deploys,    NULL,           "the latest receipts of deployments, oldest first"},
    {GET,  "/v1/config",         NULL,         serve_report,     report_config,  "the configuration in force"},
    {GET,  "/metrics",           NULL,         serve_metrics,    NULL,           "figures for Prometheus"},
    {POST, "/v1/apps/reload",    "",           serve_reload_all, NULL,           "deploy every application's module; streams"},
    {POST, "/v1/apps/*/reload",  "",           serve_reload,     NULL,           "deploy an application's module; streams"},
    {POST, "/v1/workers/restart", "",          serve_restart,    NULL,           "replace every worker, one by one; streams"},
    {POST, "/v1/workers/scale",  "workers by", serve_scale,      NULL,           "{\"workers\":N} or {\"by\":N}, or as ?workers=N"},
    {POST, "/v1/logs/reopen",    "",           serve_reopen,     NULL,           "open the log files anew"},
    {POST, "/v1/shutdown",       "graceful",   serve_shutdown,   NULL,           "stop; {\"graceful\":false}: at once"},
};
/* clang-format on */

#define ROUTE_COUNT (sizeof routes / sizeof routes[0])

/* ---- finding the route ---- */

static bool path_matches(const char *pattern, const char *path, char argument[64])
{
    size_t before = strcspn(pattern, "*"), length;

    if (pattern[before] == '\0')
        return strcmp(pattern, path) == 0;
    if (strncmp(pattern, path, before) != 0)
        return false;
    length = strcspn(path + before, "/");
    if (length == 0 || length >= 64 || strcmp(pattern + before + 1, path + before + length) != 0)
        return false;
    memcpy(argument, path + before, length);
    argument[length] = '\0';
    return true;
}

static enum evhttp_cmd_type method_of(const struct call *call)
{
    enum evhttp_cmd_type method = evhttp_request_get_command(call->request);

    return method == EVHTTP_REQ_HEAD ? EVHTTP_REQ_GET : method;
}

/* There is no such path, or not for this method. */
static void refuse_unknown(struct call *call)
{
    bool has_get = false, has_post = false;
    const char *allow;

    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        if (path_matches(routes[i].path, call_path(call), call->argument)) {
            has_get = has_get || routes[i].method == GET;
            has_post = has_post || routes[i].method == POST;
        }
    }
    if (!has_get && !has_post) {
        call_refuse(call, HTTP_NOTFOUND, "not found", "there is no such path; GET /v1 lists them");
        return;
    }
    allow = !has_get ? "POST" : has_post ? "GET, HEAD, POST" : "GET, HEAD";
    evhttp_add_header(evhttp_request_get_output_headers(call->request), "Allow", allow);
    call_refuse(call, HTTP_BADMETHOD, "method not allowed", "this path answers %s", allow);
}

void routes_serve(struct call *call)
{
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        const struct route *route = &routes[i];

        if (route->method != method_of(call) ||
            !path_matches(route->path, call_path(call), call->argument))
            continue;
        if (route->keys == NULL || call_read_body(call, route->keys) == 0)
            route->serve(call, route);
        return;
    }
    refuse_unknown(call);
}

/* ---- asking ---- */

static void serve_index(struct call *call, const struct route *own)
{
    cJSON *json = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(json, "paths");

    (void)own;
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        cJSON *item = cJSON_CreateObject();

        cJSON_AddStringToObject(item, "method", routes[i].method == GET ? "GET" : "POST");
        cJSON_AddStringToObject(item, "path", routes[i].path);
        cJSON_AddStringToObject(item, "summary", routes[i].summary);
        cJSON_AddItemToArray(list, item);
    }
    call_answer(call, HTTP_OK, json);
}

/* The figures of this moment, to be freed with stats_free; NULL when memory has run out. */
static struct stats *gather(const struct master *master, struct report_source *source_out)
{
    struct stats *stats = stats_new(master->board, master->config, clock_ns());

    if (stats == NULL)
        return NULL;
    stats->server.is_stopping = master->is_stopping;
    stats->server.target = pool_target(master->pool);
    source_out->stats = stats;
    source_out->config = master->config;
    source_out->listeners = master->listeners;
    return stats;
}

static void serve_report(struct call *call, const struct route *route)
{
    struct report_source source;
    struct stats *stats = gather(call->master, &source);

    call_answer(call, HTTP_OK, stats == NULL ? NULL : route->report(&source));
    stats_free(stats);
}

static void refuse_app(struct call *call)
{
    call_refuse(call, HTTP_NOTFOUND, "no such application", "there is no application \"%s\"",
                call->argument);
}

static void serve_app(struct call *call, const struct route *route)
{
    struct report_source source;
    struct stats *stats = gather(call->master, &source);
    cJSON *json = stats == NULL ? NULL : report_app(&source, call->argument);

    (void)route;
    if (stats != NULL && json == NULL)
        refuse_app(call);
    else
        call_answer(call, HTTP_OK, json);
    stats_free(stats);
}

static void serve_deploys(struct call *call, const struct route *route)
{
    cJSON *json = cJSON_CreateObject();
    cJSON *receipts = cJSON_Duplicate(deploy_history(call->master->deploys), true);

    (void)route;
    if (!cJSON_AddItemToObject(json, "deploys", receipts)) {
        cJSON_Delete(receipts);
        cJSON_Delete(json);
        json = NULL;
    }
    call_answer(call, HTTP_OK, json);
}

static void serve_metrics(struct call *call, const struct route *route)
{
    struct evkeyvalq *headers = evhttp_request_get_input_headers(call->request);
    const char *accept = evhttp_find_header(headers, "Accept");
    bool is_openmetrics = accept != NULL && strstr(accept, "application/openmetrics-text") != NULL;
    struct evbuffer *text = evbuffer_new();
    struct report_source source;
    struct stats *stats = gather(call->master, &source);

    (void)route;
    if (text != NULL && stats != NULL)
        metrics_write(text, &source, is_openmetrics);
    call_answer_text(call, is_openmetrics ? METRICS_OPENMETRICS : METRICS_PROMETHEUS, text);
    stats_free(stats);
}

/* ---- actions ---- */

/* The first line may come before the action's start has returned. */
static void on_line(const cJSON *line, bool is_last, void *arg)
{
    struct call *call = arg;

    if (!call->is_answered)
        call_stream_begin(call);
    call_stream_line(call, line, is_last);
}

static const char *detail_or(const char *detail, const char *otherwise)
{
    return detail == NULL || detail[0] == '\0' ? otherwise : detail;
}

static void refuse_action(struct call *call, enum action_start start, const char *detail)
{
    switch (start) {
    case ACTION_BEGUN:
        break;
    case ACTION_BUSY:
        call_refuse(call, 409, "busy", "%s is running; try again when it is over",
                    detail_or(detail, "another action"));
        break;
    case ACTION_NO_SUCH_APP:
        refuse_app(call);
        break;
    case ACTION_STOPPING:
        call_refuse(call, HTTP_SERVUNAVAIL, "stopping", "%s",
                    detail_or(detail, "the server is stopping"));
        break;
    case ACTION_FAILED:
        call_refuse(call, HTTP_INTERNAL, "failed", "%s", detail_or(detail, "nothing was changed"));
        break;
    }
}

/* After an action's start: it may have reported already, and even be over. */
static void follow(struct call *call, enum action_start start, const char *detail)
{
    if (start != ACTION_BEGUN)
        refuse_action(call, start, detail);
    else if (!call->is_answered)
        call_stream_begin(call);
}

static void reload(struct call *call, const char *app)
{
    struct action_listener listener = {on_line, call};
    const char *detail = NULL;
    enum action_start start = action_reload(call->master, app, listener, &detail);

    follow(call, start, detail);
}

static void serve_reload_all(struct call *call, const struct route *route)
{
    (void)route;
    reload(call, NULL);
}

static void serve_reload(struct call *call, const struct route *route)
{
    (void)route;
    reload(call, call->argument);
}

static void serve_restart(struct call *call, const struct route *route)
{
    struct action_listener listener = {on_line, call};
    const char *detail = NULL;
    enum action_start start = action_restart(call->master, listener, &detail);

    (void)route;
    follow(call, start, detail);
}

/* ---- at once ---- */

/* True when nothing may be changed any more; it was refused then. */
static bool refuse_when_stopping(struct call *call)
{
    if (call->master->is_stopping)
        refuse_action(call, ACTION_STOPPING, NULL);
    return call->master->is_stopping;
}

/* A whole number of either sign and nothing around it: true. */
static bool number_of(const char *text, int *number_out)
{
    char *end;
    long number = strtol(text, &end, 10);

    if (end == text || *end != '\0' || number < INT_MIN || number > INT_MAX)
        return false;
    *number_out = (int)number;
    return true;
}

/* The number under `key` in the body, or else in the query. */
static bool find_number(const struct call *call, const char *key, int *number_out)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(call->body, key);
    char *query = item == NULL ? call_query(call, key) : NULL;
    bool is_found = query != NULL && number_of(query, number_out);

    if (cJSON_IsNumber(item) && item->valuedouble == (double)item->valueint) {
        *number_out = item->valueint;
        is_found = true;
    }
    free(query);
    return is_found;
}

static void serve_scale(struct call *call, const struct route *route)
{
    struct pool *pool = call->master->pool;
    unsigned before = pool_target(pool), most = call->master->board->max_workers;
    int wanted = 0, by = 0;
    cJSON *json;

    (void)route;
    if (refuse_when_stopping(call))
        return;
    if (find_number(call, "by", &by) == find_number(call, "workers", &wanted)) {
        call_refuse(call, HTTP_BADREQUEST, "bad request",
                    "either \"workers\" or \"by\" has to be a whole number");
        return;
    }
    if (by != 0 && __builtin_add_overflow((int)before, by, &wanted))
        wanted = 0;
    if (wanted < 1 || !pool_set_target(pool, (unsigned)wanted)) {
        call_refuse(call, HTTP_BADREQUEST, "bad request", "workers can be 1 to %u, not %d", most,
                    wanted);
        return;
    }
    json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "workers", pool_target(pool));
    cJSON_AddNumberToObject(json, "before", before);
    call_answer(call, HTTP_OK, json);
}

static void serve_reopen(struct call *call, const struct route *route)
{
    cJSON *json;

    (void)route;
    if (master_reopen_logs(call->master) != 0) {
        call_refuse(call, HTTP_INTERNAL, "failed",
                    "the master's log file cannot be opened; it goes on with the old one");
        return;
    }
    json = cJSON_CreateObject();
    cJSON_AddTrueToObject(json, "reopened");
    call_answer(call, HTTP_OK, json);
}

static void stop_gracefully(evutil_socket_t fd, short what, void *master)
{
    (void)fd;
    (void)what;
    master_stop(master, true);
}

static void stop_at_once(evutil_socket_t fd, short what, void *master)
{
    (void)fd;
    (void)what;
    master_stop(master, false);
}

static void serve_shutdown(struct call *call, const struct route *route)
{
    const cJSON *graceful = cJSON_GetObjectItemCaseSensitive(call->body, "graceful");
    cJSON *json;

    (void)route;
    if (graceful != NULL && !cJSON_IsBool(graceful)) {
        call_refuse(call, HTTP_BADREQUEST, "bad request", "\"graceful\" has to be true or false");
        return;
    }
    json = cJSON_CreateObject();
    cJSON_AddTrueToObject(json, "stopping");
    cJSON_AddBoolToObject(json, "graceful", !cJSON_IsFalse(graceful));
    cJSON_AddNumberToObject(json, "pid", getpid());
    call->after = cJSON_IsFalse(graceful) ? stop_at_once : stop_gracefully;
    call_answer(call, HTTP_OK, json);
}
