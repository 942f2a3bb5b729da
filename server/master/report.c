/* report.c: writes the figures of base/stats.h as JSON, by their tables.
 *
 * It computes nothing and asks no worker. */
#include "master/report.h"

#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/sock.h"
#include "master/quarantines.h"
#include "master/starting.h"

/* cJSON's numbers are doubles: written by us, a count stays exact. */
static void put_count(cJSON *object, const char *name, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRIu64, value);
    cJSON_AddRawToObject(object, name, text);
}

static void put_seconds(cJSON *object, const char *name, uint64_t ns)
{
    char text[40];
    int length = snprintf(text, sizeof text, "%" PRIu64 ".%09" PRIu64, (uint64_t)(ns / NS_PER_SEC),
                          (uint64_t)(ns % NS_PER_SEC));

    while (text[length - 1] == '0' && text[length - 2] != '.')
        text[--length] = '\0';
    cJSON_AddRawToObject(object, name, text);
}

static void put_text(cJSON *object, const char *name, const char *text)
{
    if (text == NULL)
        cJSON_AddNullToObject(object, name);
    else
        cJSON_AddStringToObject(object, name, text);
}

static void put_member(cJSON *object, const char *name, const struct stats_field *field,
                       const void *member)
{
    switch (field->kind) {
    case STATS_COUNT:
    case STATS_GAUGE:
        put_count(object, name, *(const uint64_t *)member);
        break;
    case STATS_SECONDS:
        put_seconds(object, name, *(const uint64_t *)member);
        break;
    case STATS_FLAG:
        cJSON_AddBoolToObject(object, name, *(const bool *)member);
        break;
    case STATS_TEXT:
        put_text(object, name, *(const char *const *)member);
        break;
    }
}

/* The object that "connections.idle" is a member of, made when it is not there; *name_out
 * "idle". */
static cJSON *object_of(cJSON *object, const char *path, const char **name_out)
{
    const char *dot = strchr(path, '.');
    char outer[32];
    cJSON *inner;

    *name_out = path;
    if (dot == NULL)
        return object;
    *name_out = dot + 1;
    snprintf(outer, sizeof outer, "%.*s", (int)(dot - path), path);
    inner = cJSON_GetObjectItemCaseSensitive(object, outer);
    return inner != NULL ? inner : cJSON_AddObjectToObject(object, outer);
}

static void put_table(cJSON *object, const struct stats_table *table, const void *of)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct stats_field *field = &table->fields[i];
        const char *name;
        cJSON *where = object_of(object, field->name, &name);

        put_member(where, name, field, stats_member(of, field));
    }
}

static void put_times(cJSON *object, const char *name, const struct stats_times *times)
{
    put_table(cJSON_AddObjectToObject(object, name), &stats_times_table, times);
}

/* [[upper bound in seconds, how many], ...] of what is not empty; null: the last has no bound. */
static void put_buckets(cJSON *object, const struct report_source *from,
                        const struct histogram_sum *histogram)
{
    cJSON *array = from->has_buckets ? cJSON_AddArrayToObject(object, "buckets") : NULL;
    char text[80];

    for (unsigned i = 0; array != NULL && i < HISTOGRAM_BUCKETS; i++) {
        uint64_t bound = histogram_bound(i), count = histogram->buckets[i];

        if (count == 0)
            continue;
        if (bound == UINT64_MAX)
            snprintf(text, sizeof text, "[null,%" PRIu64 "]", count);
        else
            snprintf(text, sizeof text, "[%" PRIu64 ".%09" PRIu64 ",%" PRIu64 "]",
                     (uint64_t)(bound / NS_PER_SEC), (uint64_t)(bound % NS_PER_SEC), count);
        cJSON_AddItemToArray(array, cJSON_CreateRaw(text));
    }
}

static void put_column(cJSON *object, const struct stats_column *column)
{
    put_table(object, &stats_column_table, column);
    put_times(object, "latency", &column->latency);
}

/* The connections that wait in a listening TCP socket to be accepted, or -1: not known. */
static int queue_of(int listener)
{
    struct tcp_info info;
    socklen_t size = sizeof info;

    /* Of a listening socket Linux tells here how many wait. */
    if (getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
        return -1;
    return (int)info.tcpi_unacked;
}

bool report_socket(const struct report_source *from, size_t i, struct stats_socket *socket_out)
{
    const struct config_listen *listen = &from->config->listens[i];
    int queue = from->listeners == NULL ? -1 : queue_of(from->listeners[i]);

    socket_out->name = listen->name;
    socket_out->address = listen->address.text;
    socket_out->protocol = config_protocol_name(listen->protocol);
    socket_out->app = listen->app;
    socket_out->backlog = (uint64_t)listen->backlog;
    socket_out->queue = queue < 0 ? 0 : (uint64_t)queue;
    return queue >= 0;
}

static cJSON *socket_object(const struct report_source *from, size_t i)
{
    cJSON *object = cJSON_CreateObject();
    struct stats_socket socket;
    bool has_queue = report_socket(from, i, &socket);

    put_table(object, &stats_socket_table, &socket);
    if (!has_queue)
        cJSON_DeleteItemFromObjectCaseSensitive(object, "queue");
    return object;
}

static void put_sockets(cJSON *object, const struct report_source *from)
{
    cJSON *sockets = cJSON_AddArrayToObject(object, "sockets");

    for (size_t i = 0; i < from->config->listen_count; i++)
        cJSON_AddItemToArray(sockets, socket_object(from, i));
}

static void put_workers(cJSON *object, const struct report_source *from)
{
    cJSON *workers = cJSON_AddArrayToObject(object, "workers");

    for (size_t i = 0; i < from->stats->worker_count; i++) {
        const struct stats_worker *worker = &from->stats->workers[i];
        cJSON *item = cJSON_CreateObject();

        put_table(item, &stats_worker_table, worker);
        put_times(item, "loop_lag", &worker->loop_lag);
        put_buckets(cJSON_GetObjectItem(item, "loop_lag"), from, &worker->loop_lag.histogram);
        cJSON_AddItemToArray(workers, item);
    }
}

static void put_holders(cJSON *object, const struct report_source *from,
                        const struct stats_app *app, uint64_t generation)
{
    const struct config_app *config = config_find_app(from->config, app->name);

    if (config != NULL)
        cJSON_AddItemToObject(
            object, "by",
            report_holders(&app->holders, from->pool, config->column, generation, config->module));
}

/* Those of which there are no figures any more. The rows of one stand together. */
static void put_older(cJSON *generations, const struct report_source *from,
                      const struct stats_app *app)
{
    uint64_t last = 0;

    for (size_t i = 0; i < app->holders.count; i++) {
        uint64_t generation = app->holders.items[i].generation;
        cJSON *item;

        if (generation == last || generation == app->latest[0].generation ||
            generation == app->latest[1].generation)
            continue;
        last = generation;
        item = cJSON_CreateObject();
        put_count(item, "generation", generation);
        put_count(item, "held", holder_list_count(&app->holders, generation));
        put_holders(item, from, app, generation);
        cJSON_AddItemToArray(generations, item);
    }
}

static cJSON *job_object(const struct stats_job *job)
{
    cJSON *object = cJSON_CreateObject();

    put_table(object, &stats_job_table, job);
    if (!job->figures.is_running)
        cJSON_ReplaceItemInObjectCaseSensitive(object, "running", cJSON_CreateNull());
    return object;
}

static void put_jobs(cJSON *object, const struct stats_app *app)
{
    cJSON *jobs = cJSON_AddArrayToObject(object, "jobs");

    for (size_t i = 0; i < app->job_count; i++)
        cJSON_AddItemToArray(jobs, job_object(&app->jobs[i]));
}

static void put_pools(cJSON *object, const struct stats_app *app)
{
    cJSON *pools = cJSON_AddArrayToObject(object, "pools");

    for (size_t i = 0; i < app->pool_count; i++) {
        cJSON *item = cJSON_CreateObject();

        put_table(item, &stats_pool_table, &app->pools[i]);
        cJSON_AddItemToArray(pools, item);
    }
}

static void put_app(cJSON *object, const struct report_source *from, const struct stats_app *app)
{
    cJSON *generations;

    put_table(object, &stats_app_table, app);
    put_column(object, &app->total);
    put_buckets(cJSON_GetObjectItem(object, "latency"), from, &app->total.latency.histogram);
    generations = cJSON_AddArrayToObject(object, "generations");
    for (size_t i = 0; i < app->latest_count; i++) {
        cJSON *item = cJSON_CreateObject();

        put_table(item, &stats_generation_table, &app->latest[i]);
        put_column(item, &app->latest[i]);
        put_holders(item, from, app, app->latest[i].generation);
        cJSON_AddItemToArray(generations, item);
    }
    put_older(generations, from, app);
    put_jobs(object, app);
    put_pools(object, app);
}

static void put_apps(cJSON *object, const struct report_source *from)
{
    cJSON *apps = cJSON_AddObjectToObject(object, "applications");

    for (size_t i = 0; i < from->stats->app_count; i++)
        put_app(cJSON_AddObjectToObject(apps, from->stats->apps[i].name), from,
                &from->stats->apps[i]);
}

/* Which apps there are, without their figures. */
static void put_app_names(cJSON *object, const struct report_source *from)
{
    cJSON *apps = cJSON_AddObjectToObject(object, "applications");

    for (size_t i = 0; i < from->stats->app_count; i++) {
        const struct stats_app *app = &from->stats->apps[i];

        put_table(cJSON_AddObjectToObject(apps, app->name), &stats_app_table, app);
    }
}

/* Only while workers fail to start. */
static void put_starting(cJSON *object, const struct report_source *from)
{
    struct starting_report starting;
    cJSON *item;

    if (from->pool == NULL || !starting_report(from->pool, &starting))
        return;
    item = cJSON_AddObjectToObject(object, "starting");
    put_count(item, "failures", starting.failures);
    put_count(item, "missing", starting.missing);
    put_seconds(item, "next_try_in", starting.next_try_in);
    if (starting.last != NULL)
        put_text(item, "last", starting.last);
}

static void put_quarantine(cJSON *object, const struct report_source *from)
{
    if (from->quarantines != NULL)
        cJSON_AddItemToObject(object, "quarantine", quarantines_list(from->quarantines));
}

cJSON *report_quarantine(const struct report_source *from)
{
    cJSON *report = cJSON_CreateObject();

    put_quarantine(report, from);
    return report;
}

cJSON *report_status(const struct report_source *from)
{
    cJSON *report = cJSON_CreateObject();

    put_table(report, &stats_server_table, &from->stats->server);
    put_starting(report, from);
    put_sockets(report, from);
    put_app_names(report, from);
    put_quarantine(report, from);
    return report;
}

cJSON *report_stats(const struct report_source *from)
{
    cJSON *report = cJSON_CreateObject();

    put_table(report, &stats_server_table, &from->stats->server);
    put_sockets(report, from);
    put_workers(report, from);
    put_apps(report, from);
    return report;
}

cJSON *report_workers(const struct report_source *from)
{
    cJSON *report = cJSON_CreateObject();

    put_workers(report, from);
    return report;
}

cJSON *report_apps(const struct report_source *from)
{
    cJSON *report = cJSON_CreateObject();

    put_apps(report, from);
    return report;
}

cJSON *report_app(const struct report_source *from, const char *name)
{
    for (size_t i = 0; i < from->stats->app_count; i++) {
        const struct stats_app *app = &from->stats->apps[i];
        const struct config_app *config = config_find_app(from->config, name);
        cJSON *report;

        if (strcmp(app->name, name) != 0)
            continue;
        report = cJSON_CreateObject();
        put_text(report, "name", app->name);
        put_text(report, "module", config == NULL ? NULL : config->module);
        put_app(report, from, app);
        return report;
    }
    return NULL;
}
