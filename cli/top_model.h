/* top_model.h: what `reevectl top` shows, made of the server's answers: two samples of its counters
 * are a rate, two of its histograms percentiles of the time between. Asks nothing, draws nothing. */
#ifndef CLI_TOP_MODEL_H
#define CLI_TOP_MODEL_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOP_ALERTS  5
#define TOP_UNKNOWN (-1.0) /* a rate before there were two samples */

struct top_worker {
    double id, incarnation, pid;
    char status[16];
    double rate, active, connections, rss, lag, up, requests,
        respawns; /* lag: the 99th percentile, in seconds */
};

struct top_app {
    char name[64];
    double generation, rate, active, errors, p50, p99, requests,
        held;        /* errors: answers 5xx or none, a second */
    double live;     /* long-lived connections open now */
    double messages; /* received and sent by these, a second */
};

struct top_request {
    double worker, incarnation;
    double age;       /* seconds, when it was told */
    uint64_t told_at; /* clock_ns() */
    char state[48];   /* "running", or what it waits in */
    char app[64], method[16], path[256];
};

struct top_alert {
    bool is_grave;
    char text[256];
};

struct top_model {
    cJSON *before; /* the sample before; NULL: there was none, or another server's */

    char version[32];
    double pid, uptime;
    double wanted, serving, starting, draining;
    double connections, idle, accepted; /* accepted: a second */
    double active, rate, errors;
    double p50, p99;
    bool is_recent; /* the percentiles are of the time between two samples, not since the start */

    struct top_alert alerts[TOP_ALERTS];
    size_t alert_count;

    struct top_worker *workers;
    struct top_app *apps;
    struct top_request *requests; /* the longest first */
    size_t worker_count, app_count, request_count;
};

enum top_worker_key {
    TOP_BY_ID,
    TOP_BY_RATE,
    TOP_BY_ACTIVE,
    TOP_BY_RSS,
    TOP_BY_LAG,
    TOP_WORKER_KEYS
};
enum top_app_key { TOP_BY_ORDER, TOP_BY_APP_RATE, TOP_BY_ERRORS, TOP_BY_P99, TOP_APP_KEYS };

void top_model_fini(struct top_model *model);

/* A new sample: /v1/stats?buckets=1, which becomes the model's, and /v1/status, which may be NULL. 0,
 * or -1 without memory: nothing has changed then but that the rows are gone. */
int top_model_update(struct top_model *model, cJSON *stats, const cJSON *status);
/* The next sample is the first again. */
void top_model_forget(struct top_model *model);

/* /v1/workers/ID: its requests are these now; NULL: none are known. */
void top_model_set_requests(struct top_model *model, double worker, const cJSON *answer,
                            uint64_t now);
/* Those of workers that have none any more are dropped, the others are sorted. */
void top_model_settle_requests(struct top_model *model);
double top_request_age(const struct top_request *request, uint64_t now);

void top_model_sort(struct top_model *model, enum top_worker_key workers, enum top_app_key apps);

#endif
