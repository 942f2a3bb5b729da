/* routes.c: one table says what the control API has; below it what is answered to questions. Orders
 * are carried out in orders.c. */
#include "master/routes.h"

#include <event2/buffer.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/stats.h"
#include "master/history.h"
#include "master/incidents.h"
#include "master/inquiry.h"
#include "master/master.h"
#include "master/metrics.h"
#include "master/orders.h"
#include "master/pool.h"
#include "master/report.h"
#include "master/rest.h"
#include "master/starting.h"
#include "master/worker_answer.h"

struct route;
typedef void route_serve(struct call *call, const struct route *route);
typedef cJSON *route_report(const struct report_source *from);

struct route {
    enum evhttp_cmd_type method;
    const char *path; /* '*' stands for one segment, '#' for a number: call->argument */
    const char *keys; /* what the body may have; NULL: it is not looked at */
    route_serve *serve;
    route_report *report;             /* for serve_report */
    void (*order)(struct call *call); /* instead of serve: something is to be done */
    const char *summary;
};

static route_serve serve_index, serve_report, serve_app, serve_deploys, serve_deploy, serve_metrics,
    serve_worker, serve_incidents;

#define GET  EVHTTP_REQ_GET
#define POST EVHTTP_REQ_POST

/* clang-format off */
static const struct route routes[] = {
    {GET,  "/v1",                 NULL,  serve_index,   NULL,           NULL, "this list"},
    {GET,  "/v1/status",          NULL,  serve_report,  report_status,  NULL, "the server, its sockets, which applications"},
    {GET,  "/v1/stats",           NULL,  serve_report,  report_stats,   NULL, "the same with every worker and application; ?buckets=1: and the histograms of times"},
    {GET,  "/v1/workers",         NULL,  serve_report,  report_workers, NULL, "the workers"},
    {GET,  "/v1/workers/#",       NULL,  serve_worker,  NULL,           NULL, "one worker by its slot: its requests, and how the last one there ended"},
    {GET,  "/v1/stacks",          NULL,  NULL,          NULL,           inquiry_serve, "each request that waits, and in which calls; ?worker=ID, ?app=NAME: of these only"},
    {GET,  "/v1/incidents",       NULL,  serve_incidents, NULL,         NULL, "the last abnormal ends of workers, oldest first"},
    {GET,  "/v1/apps",            NULL,  serve_report,  report_apps,    NULL, "the applications"},
    {GET,  "/v1/apps/*",          NULL,  serve_app,     NULL,           NULL, "one application"},
    {GET,  "/v1/deploys",         NULL,  serve_deploys, NULL,           NULL, "the receipts of deployments, oldest first; ?limit=N: the last N"},
    {GET,  "/v1/deploys/*",       NULL,  serve_deploy,  NULL,           NULL, "one receipt, by its number"},
    {GET,  "/v1/quarantine",      NULL,  serve_report,  report_quarantine, NULL, "the routes that are answered 503 since they killed workers"},
    {GET,  "/v1/config",          NULL,  serve_report,  report_config,  NULL, "the configuration in force"},
    {GET,  "/metrics",            NULL,  serve_metrics, NULL,           NULL, "figures for Prometheus"},
    {POST, "/v1/apps/reload",     "apps " ORDERS_CANARY_KEYS, NULL, NULL, orders_reload_all, "deploy the modules of {\"apps\":[...]}, or of all; streams"},
    {POST, "/v1/apps/*/reload",   ORDERS_CANARY_KEYS,         NULL, NULL, orders_reload,     "deploy an application's module; streams"},
    {POST, "/v1/apps/*/rollback", "generation",               NULL, NULL, orders_rollback,   "deploy the kept module of an earlier generation; streams"},
    {POST, "/v1/config/reload",   "",                         NULL, NULL, orders_reconfigure, "read the configuration again and roll the workers onto it; streams"},
    {POST, "/v1/upgrade",         "binary",                   NULL, NULL, orders_upgrade,    "become a new binary, in place; streams until the exec"},
    {POST, "/v1/workers/restart", "max_unavailable",          NULL, NULL, orders_restart,    "replace every worker; streams"},
    {POST, "/v1/workers/*/restart", "",                       NULL, NULL, orders_restart_worker, "replace one worker; streams"},
    {POST, "/v1/workers/*/kill",  "",                         NULL, NULL, orders_kill_worker, "end one worker at once, with all it has begun"},
    {POST, "/v1/workers/scale",   "workers by",               NULL, NULL, orders_scale,      "{\"workers\":N} or {\"by\":N}, or as ?workers=N"},
    {POST, "/v1/drain",           "",                         NULL, NULL, orders_drain,      "take no connections any more, finish what runs, live on; streams"},
    {POST, "/v1/resume",          "",                         NULL, NULL, orders_resume,     "take connections again, where it did before; streams"},
    {POST, "/v1/quarantine/lift", "app path",                 NULL, NULL, orders_lift,       "serve routes again: those of {\"app\":...,\"path\":...}, or all"},
    {POST, "/v1/deploys/cancel",  "",                         NULL, NULL, orders_cancel,     "give the running deployment up"},
    {POST, "/v1/logs/reopen",     "",                         NULL, NULL, orders_reopen,     "open the log files anew"},
    {POST, "/v1/shutdown",        "graceful",                 NULL, NULL, orders_shutdown,   "stop; {\"graceful\":false}: at once"},
};
/* clang-format on */

#define ROUTE_COUNT (sizeof routes / sizeof routes[0])

/* ---- finding the route ---- */

static bool path_matches(const char *pattern, const char *path, char argument[64])
{
    size_t before = strcspn(pattern, "*#"), length;

    if (pattern[before] == '\0')
        return strcmp(pattern, path) == 0;
    if (strncmp(pattern, path, before) != 0)
        return false;
    length = strcspn(path + before, "/");
    if (length == 0 || length >= 64 || strcmp(pattern + before + 1, path + before + length) != 0)
        return false;
    if (pattern[before] == '#' && strspn(path + before, "0123456789") != length)
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
        if (route->keys != NULL && call_read_body(call, route->keys) != 0)
            return;
        if (route->order != NULL)
            route->order(call);
        else
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
    stats->server.is_drained = rest_is_on(master);
    stats->server.target = pool_target(master->pool);
    stats->server.start_failures = starting_failures(master->pool);
    source_out->stats = stats;
    source_out->config = master->config;
    source_out->listeners = master->edition->listeners;
    source_out->pool = master->pool;
    source_out->quarantines = master->quarantines;
    source_out->has_buckets = false;
    return stats;
}

static void serve_report(struct call *call, const struct route *route)
{
    char *buckets = call_query(call, "buckets");
    struct report_source source;
    struct stats *stats = gather(call->master, &source);

    source.has_buckets = buckets != NULL && strcmp(buckets, "1") == 0;
    free(buckets);
    call_answer(call, HTTP_OK, stats == NULL ? NULL : route->report(&source));
    stats_free(stats);
}

static void serve_worker(struct call *call, const struct route *route)
{
    struct report_source source;
    struct stats *stats = gather(call->master, &source);

    (void)route;
    if (stats != NULL)
        worker_answer(call, &source);
    else
        call_answer(call, HTTP_OK, NULL);
    stats_free(stats);
}

static void serve_incidents(struct call *call, const struct route *route)
{
    (void)route;
    call_answer(call, HTTP_OK, incidents_report(call->master->incidents));
}

static void serve_app(struct call *call, const struct route *route)
{
    struct report_source source;
    struct stats *stats = gather(call->master, &source);
    cJSON *json = stats == NULL ? NULL : report_app(&source, call->argument);

    (void)route;
    if (stats != NULL && json == NULL)
        orders_refuse_app(call, call->argument);
    else
        call_answer(call, HTTP_OK, json);
    stats_free(stats);
}

/* The last `limit` of them; 0: all. */
static cJSON *latest_receipts(const cJSON *receipts, int limit)
{
    int skip = limit > 0 ? cJSON_GetArraySize(receipts) - limit : 0;
    cJSON *array = cJSON_CreateArray();
    const cJSON *receipt;

    cJSON_ArrayForEach (receipt, receipts)
        if (skip-- <= 0)
            cJSON_AddItemToArray(array, cJSON_Duplicate(receipt, true));
    return array;
}

static void serve_deploys(struct call *call, const struct route *route)
{
    char *limit = call_query(call, "limit");
    cJSON *json = cJSON_CreateObject();

    (void)route;
    cJSON_AddItemToObject(
        json, "deploys",
        latest_receipts(history_receipts(call->master->history), limit != NULL ? atoi(limit) : 0));
    free(limit);
    call_answer(call, HTTP_OK, json);
}

static void serve_deploy(struct call *call, const struct route *route)
{
    char *end;
    unsigned long long number = strtoull(call->argument, &end, 10);
    const cJSON *receipt = *end == '\0' ? history_receipt(call->master->history, number) : NULL;

    (void)route;
    if (receipt == NULL)
        call_refuse(call, HTTP_NOTFOUND, "no such deployment",
                    "the history has no deployment \"%s\"", call->argument);
    else
        call_answer(call, HTTP_OK, cJSON_Duplicate(receipt, true));
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
