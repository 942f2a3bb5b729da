/* top_model.c: see top_model.h. What the server leaves out reads as 0, and a counter that went
 * backwards as no change. */
#include "top_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/histogram.h"
#include "json.h"

/* ---- two samples ---- */

struct pair {
    const cJSON *before, *now; /* of the same thing; before NULL: it is new */
    double seconds;            /* between them; 0: not known */
};

static double rate_of(const struct pair *pair, const char *path)
{
    double more;

    if (pair->before == NULL || pair->seconds <= 0)
        return TOP_UNKNOWN;
    more = json_number(pair->now, path) - json_number(pair->before, path);
    return more > 0 ? more / pair->seconds : 0;
}

static unsigned bucket_of(const cJSON *bound)
{
    if (!cJSON_IsNumber(bound) || bound->valuedouble * 1e9 > 1e15)
        return HISTOGRAM_BUCKETS - 1;
    if (bound->valuedouble <= 0)
        return 0;
    return histogram_bucket((uint64_t)(bound->valuedouble * 1e9 + 0.5) - 1);
}

static void add_buckets(struct histogram_sum *sum, const cJSON *buckets, bool is_before)
{
    const cJSON *item;

    cJSON_ArrayForEach (item, buckets) {
        const cJSON *count = cJSON_GetArrayItem(item, 1);
        uint64_t *bucket = &sum->buckets[bucket_of(cJSON_GetArrayItem(item, 0))];
        uint64_t n =
            cJSON_IsNumber(count) && count->valuedouble > 0 ? (uint64_t)count->valuedouble : 0;

        if (is_before)
            *bucket -= n < *bucket ? n : *bucket;
        else
            *bucket += n;
    }
}

/* Adds what was recorded between the two. False: the server does not tell. */
static bool add_recent(struct histogram_sum *sum, const struct pair *pair, const char *path)
{
    struct histogram_sum recent = {.count = 0};
    const cJSON *times = json_at(pair->now, path);

    if (!cJSON_IsArray(json_at(times, "buckets")))
        return false;
    add_buckets(&recent, json_at(times, "buckets"), false);
    add_buckets(&recent, json_at(json_at(pair->before, path), "buckets"), true);
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        sum->buckets[i] += recent.buckets[i];
        sum->count += recent.buckets[i];
    }
    return true;
}

static double quantile(const struct histogram_sum *sum, double q)
{
    return (double)histogram_quantile(sum, q) / (double)NS_PER_SEC;
}

/* ---- rows ---- */

static void copy(char *to, size_t size, const char *text)
{
    snprintf(to, size, "%s", text);
}

/* The item of an array whose member `key` is this number. */
static const cJSON *find(const cJSON *array, const char *key, double number)
{
    const cJSON *item;

    cJSON_ArrayForEach (item, array) {
        double its = json_number(item, key);

        if (its >= number && its <= number)
            return item;
    }
    return NULL;
}

static void read_worker(struct top_worker *worker, const struct pair *pair, double wall)
{
    struct histogram_sum lag = {.count = 0};
    const cJSON *json = pair->now;
    double spawned = json_number(json, "last_spawn");

    *worker = (struct top_worker){
        .id = json_number(json, "id"),
        .incarnation = json_number(json, "incarnation"),
        .pid = json_number(json, "pid"),
        .rate = rate_of(pair, "requests"),
        .active = json_number(json, "active"),
        .connections = json_number(json, "connections.open"),
        .rss = json_number(json, "rss"),
        .lag = json_number(json, "loop_lag.p99"),
        .requests = json_number(json, "requests"),
        .respawns = json_number(json, "respawn_count"),
        .up = spawned > 0 && wall > spawned ? wall - spawned : 0,
    };
    copy(worker->status, sizeof worker->status, json_text(json, "status"));
    if (add_recent(&lag, pair, "loop_lag"))
        worker->lag = quantile(&lag, 0.99);
}

static int read_workers(struct top_model *model, const struct pair *pair)
{
    const cJSON *workers = json_at(pair->now, "workers"), *json;
    size_t count = (size_t)cJSON_GetArraySize(workers);
    double wall = json_number(pair->now, "started_at") + model->uptime;

    model->workers = calloc(count + 1, sizeof *model->workers);
    if (model->workers == NULL)
        return -1;
    cJSON_ArrayForEach (json, workers) {
        const struct pair its = {
            find(json_at(pair->before, "workers"), "id", json_number(json, "id")), json,
            pair->seconds};

        read_worker(&model->workers[model->worker_count++], &its, wall);
        model->serving += cJSON_IsTrue(json_at(json, "accepting"));
    }
    return 0;
}

/* Its latencies go into the server's too. */
static void read_app(struct top_model *model, struct top_app *app, const struct pair *pair,
                     struct histogram_sum *all)
{
    double none = rate_of(pair, "responses.none"), failed = rate_of(pair, "responses.5xx");
    double in = rate_of(pair, "messages_in"), out = rate_of(pair, "messages_out");
    struct histogram_sum own = {.count = 0};

    *app = (struct top_app){
        .generation = json_number(pair->now, "generation"),
        .rate = rate_of(pair, "requests"),
        .active = json_number(pair->now, "active"),
        .errors = failed < 0 ? TOP_UNKNOWN : none + failed,
        .p50 = json_number(pair->now, "latency.p50"),
        .p99 = json_number(pair->now, "latency.p99"),
        .requests = json_number(pair->now, "requests"),
        .held = json_number(pair->now, "held"),
        .live = json_number(pair->now, "connections.open"),
        .messages = in < 0 ? TOP_UNKNOWN : in + out,
    };
    copy(app->name, sizeof app->name, json_name(pair->now));
    if (add_recent(&own, pair, "latency")) {
        model->is_recent = model->is_recent || pair->before != NULL;
        app->p50 = quantile(&own, 0.5);
        app->p99 = quantile(&own, 0.99);
        add_recent(all, pair, "latency");
    } else {
        model->p50 = app->p50 > model->p50 ? app->p50 : model->p50;
        model->p99 = app->p99 > model->p99 ? app->p99 : model->p99;
    }
    if (model->errors >= 0 && app->errors > 0)
        model->errors += app->errors;
}

static int read_apps(struct top_model *model, const struct pair *pair)
{
    const cJSON *apps = json_at(pair->now, "applications"), *json;
    size_t count = (size_t)cJSON_GetArraySize(apps);
    struct histogram_sum all = {.count = 0};

    model->apps = calloc(count + 1, sizeof *model->apps);
    if (model->apps == NULL)
        return -1;
    cJSON_ArrayForEach (json, apps) {
        const cJSON *before = cJSON_GetObjectItemCaseSensitive(
            json_at(pair->before, "applications"), json_name(json));

        read_app(model, &model->apps[model->app_count++],
                 &(struct pair){before, json, pair->seconds}, &all);
    }
    if (all.count > 0) { /* else those of the slowest app, if the server tells no histograms */
        model->p50 = quantile(&all, 0.5);
        model->p99 = quantile(&all, 0.99);
    }
    return 0;
}

static void read_server(struct top_model *model, const struct pair *pair)
{
    const cJSON *json = pair->now;

    copy(model->version, sizeof model->version, json_text(json, "version"));
    model->pid = json_number(json, "pid");
    model->uptime = json_number(json, "uptime");
    model->wanted = json_number(json, "processes.target");
    model->starting = json_number(json, "processes.starting");
    model->draining = json_number(json, "processes.draining");
    model->connections = json_number(json, "connections.active");
    model->idle = json_number(json, "connections.idle");
    model->accepted = rate_of(pair, "connections.accepted");
    model->active = json_number(json, "requests.active");
    model->rate = rate_of(pair, "requests.total");
    model->serving = model->p50 = model->p99 = 0;
    model->errors = pair->before != NULL ? 0 : TOP_UNKNOWN;
    model->is_recent = false;
}

/* ---- alerts ---- */

static struct top_alert *add_alert(struct top_model *model, bool is_grave)
{
    struct top_alert *alert = &model->alerts[model->alert_count];

    if (model->alert_count + 1 < TOP_ALERTS)
        model->alert_count++;
    alert->is_grave = is_grave;
    return alert;
}

static void alert_of_state(struct top_model *model, const cJSON *json)
{
    if (cJSON_IsTrue(json_at(json, "stopping")))
        copy(add_alert(model, true)->text, sizeof model->alerts[0].text,
             "stopping: takes no connections, finishes what it has");
    else if (cJSON_IsTrue(json_at(json, "is_drained")))
        copy(add_alert(model, false)->text, sizeof model->alerts[0].text,
             model->draining > 0
                 ? "draining: takes no connections, finishes what it has"
                 : "drained: takes no connections; `reevectl resume` opens it again");
}

static void alert_of_start(struct top_model *model, const cJSON *starting)
{
    if (!cJSON_IsObject(starting))
        return;
    snprintf(add_alert(model, true)->text, sizeof model->alerts[0].text,
             "workers fail to start, %.0f so far, next try in %.0f s: %s",
             json_number(starting, "failures"), json_number(starting, "next_try_in"),
             json_text(starting, "last"));
}

static void alert_of_quarantine(struct top_model *model, const cJSON *list)
{
    const cJSON *first = cJSON_GetArrayItem(list, 0);
    int count = cJSON_GetArraySize(list);
    char more[32] = "";

    if (count == 0)
        return;
    if (count > 1)
        snprintf(more, sizeof more, ", and %d more", count - 1);
    snprintf(add_alert(model, true)->text, sizeof model->alerts[0].text,
             "quarantine: %s %s%s for %.0f s, %.0f refused%s", json_text(first, "app"),
             json_text(first, "path"), cJSON_IsTrue(json_at(first, "is_prefix")) ? "..." : "",
             json_number(first, "remaining"), json_number(first, "refused"), more);
}

static void alert_of_incidents(struct top_model *model, double count)
{
    if (count > 0)
        snprintf(add_alert(model, false)->text, sizeof model->alerts[0].text,
                 "%.0f incident%s so far: `reevectl incidents`", count, count > 1 ? "s" : "");
}

/* The gravest first. */
static void read_alerts(struct top_model *model, const cJSON *stats, const cJSON *status)
{
    model->alert_count = 0;
    alert_of_state(model, stats);
    alert_of_start(model, json_at(status, "starting"));
    alert_of_quarantine(model, json_at(status, "quarantine"));
    alert_of_incidents(model, json_number(status, "incidents"));
}

/* ---- a sample ---- */

static void drop_rows(struct top_model *model)
{
    free(model->workers);
    free(model->apps);
    model->workers = NULL;
    model->apps = NULL;
    model->worker_count = model->app_count = 0;
}

void top_model_forget(struct top_model *model)
{
    cJSON_Delete(model->before);
    model->before = NULL;
}

void top_model_fini(struct top_model *model)
{
    drop_rows(model);
    top_model_forget(model);
    free(model->requests);
    *model = (struct top_model){.before = NULL};
}

/* One that was upgraded goes on with its counters, and says that it started when they did. */
static bool is_same_server(const cJSON *before, const cJSON *now)
{
    double apart = json_number(now, "started_at") - json_number(before, "started_at");

    return apart > -1 && apart < 1;
}

int top_model_update(struct top_model *model, cJSON *stats, const cJSON *status)
{
    struct pair pair = {.before = model->before, .now = stats};
    int result;

    pair.seconds = json_number(stats, "uptime") - json_number(pair.before, "uptime");
    if (pair.seconds <= 0 || !is_same_server(pair.before, stats))
        pair.before = NULL;
    drop_rows(model);
    read_server(model, &pair);
    result = read_workers(model, &pair) != 0 || read_apps(model, &pair) != 0 ? -1 : 0;
    read_alerts(model, stats, status);
    cJSON_Delete(model->before);
    model->before = stats;
    return result;
}

/* ---- requests ---- */

static void drop_requests_of(struct top_model *model, double worker)
{
    size_t kept = 0;

    for (size_t i = 0; i < model->request_count; i++) {
        double its = model->requests[i].worker;

        if (its < worker || its > worker)
            model->requests[kept++] = model->requests[i];
    }
    model->request_count = kept;
}

static void read_request(struct top_request *request, const cJSON *json)
{
    const char *waits_in = json_text(json, "waits_in");

    copy(request->state, sizeof request->state,
         waits_in[0] != '\0' ? waits_in : json_text(json, "phase"));
    copy(request->app, sizeof request->app, json_text(json, "app"));
    copy(request->method, sizeof request->method, json_text(json, "method"));
    copy(request->path, sizeof request->path, json_text(json, "path"));
    request->age = json_number(json, "age");
}

void top_model_set_requests(struct top_model *model, double worker, const cJSON *answer,
                            uint64_t now)
{
    const cJSON *list = json_at(answer, "in_flight"), *json;
    size_t count = (size_t)cJSON_GetArraySize(list);
    struct top_request *all;

    drop_requests_of(model, worker);
    if (count == 0)
        return;
    all = reallocarray(model->requests, model->request_count + count, sizeof *all);
    if (all == NULL)
        return;
    model->requests = all;
    cJSON_ArrayForEach (json, list) {
        struct top_request *request = &all[model->request_count++];

        *request = (struct top_request){
            .worker = worker,
            .incarnation = json_number(answer, "worker.incarnation"),
            .told_at = now,
        };
        read_request(request, json);
    }
}

double top_request_age(const struct top_request *request, uint64_t now)
{
    return request->age + (double)(now - request->told_at) / (double)NS_PER_SEC;
}

static double begun_at(const struct top_request *request)
{
    return (double)request->told_at / (double)NS_PER_SEC - request->age;
}

static int compare_requests(const void *a, const void *b)
{
    double one = begun_at(a), other = begun_at(b);

    return (one > other) - (one < other);
}

void top_model_settle_requests(struct top_model *model)
{
    size_t i = 0;

    while (i < model->request_count) {
        double worker = model->requests[i].worker;
        size_t k = 0;

        while (k < model->worker_count &&
               (model->workers[k].id < worker || model->workers[k].id > worker))
            k++;
        if (k == model->worker_count || model->workers[k].active <= 0)
            drop_requests_of(model, worker);
        else
            i++;
    }
    if (model->request_count > 1)
        qsort(model->requests, model->request_count, sizeof *model->requests, compare_requests);
}

/* ---- order ---- */

/* The larger first. */
static int by(double a, double b)
{
    return (a < b) - (a > b);
}

static int by_id(const void *a, const void *b)
{
    const struct top_worker *one = a, *other = b;
    int order = by(other->id, one->id);

    return order != 0 ? order : by(other->incarnation, one->incarnation);
}

#define COMPARE(name, type, member, otherwise)                                \
    static int name(const void *a, const void *b)                             \
    {                                                                         \
        int order = by(((const type *)a)->member, ((const type *)b)->member); \
                                                                              \
        return order != 0 ? order : otherwise;                                \
    }

COMPARE(by_rate, struct top_worker, rate, by_id(a, b))
COMPARE(by_active, struct top_worker, active, by_id(a, b))
COMPARE(by_rss, struct top_worker, rss, by_id(a, b))
COMPARE(by_lag, struct top_worker, lag, by_id(a, b))

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct top_app *)a)->name, ((const struct top_app *)b)->name);
}

COMPARE(by_app_rate, struct top_app, rate, by_name(a, b))
COMPARE(by_errors, struct top_app, errors, by_name(a, b))
COMPARE(by_p99, struct top_app, p99, by_name(a, b))

typedef int compare(const void *a, const void *b);

void top_model_sort(struct top_model *model, enum top_worker_key workers, enum top_app_key apps)
{
    static compare *const of_workers[] = {by_id, by_rate, by_active, by_rss, by_lag};
    static compare *const of_apps[] = {NULL, by_app_rate, by_errors, by_p99};

    if (model->worker_count > 1)
        qsort(model->workers, model->worker_count, sizeof *model->workers, of_workers[workers]);
    if (model->app_count > 1 && of_apps[apps] != NULL)
        qsort(model->apps, model->app_count, sizeof *model->apps, of_apps[apps]);
}
