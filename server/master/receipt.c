/* receipt.c: see receipt.h. */
#include "master/receipt.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

static const char *const outcome_names[] = {
    [OUTCOME_LIVE] = "live",
    [OUTCOME_REJECTED] = "rejected",
    [OUTCOME_ABORTED] = "aborted",
    [OUTCOME_FAILED] = "failed",
};

const char *outcome_name(enum outcome outcome)
{
    return outcome_names[outcome];
}

double receipt_seconds(uint64_t ns)
{
    return (double)(ns / 1000) / 1e6; /* whole microseconds, so that JSON shows few digits */
}

struct receipt *receipt_new(const char *app, uint64_t generation, uint64_t deploy)
{
    struct receipt *receipt = calloc(1, sizeof(*receipt));

    if (receipt == NULL)
        return NULL;
    receipt->app = app;
    receipt->generation = generation;
    receipt->deploy = deploy;
    return receipt;
}

void receipt_free(struct receipt *receipt)
{
    if (receipt == NULL)
        return;
    for (size_t i = 0; i < receipt->worker_count; i++)
        free(receipt->workers[i].reason);
    free(receipt->workers);
    free(receipt->version);
    free(receipt->build_id);
    free(receipt->reason);
    free(receipt->output);
    free(receipt);
}

struct receipt_worker *receipt_worker(struct receipt *receipt, unsigned id, uint64_t incarnation)
{
    struct receipt_worker *more;

    for (size_t i = 0; i < receipt->worker_count; i++)
        if (receipt->workers[i].id == id && receipt->workers[i].incarnation == incarnation)
            return &receipt->workers[i];
    more = reallocarray(receipt->workers, receipt->worker_count + 1, sizeof(*more));
    if (more == NULL)
        return NULL;
    receipt->workers = more;
    more += receipt->worker_count++;
    *more = (struct receipt_worker){.id = id, .incarnation = incarnation};
    return more;
}

static void add_text(cJSON *object, const char *key, const char *text)
{
    if (text != NULL && text[0] != '\0')
        cJSON_AddStringToObject(object, key, text);
}

static cJSON *worker_json(const struct receipt_worker *worker, bool is_live)
{
    cJSON *json = cJSON_CreateObject();

    cJSON_AddNumberToObject(json, "id", worker->id);
    cJSON_AddNumberToObject(json, "incarnation", (double)worker->incarnation);
    cJSON_AddBoolToObject(json, "ok", worker->is_ok);
    cJSON_AddNumberToObject(json, "seconds", receipt_seconds(worker->prepare));
    if (is_live) {
        cJSON_AddBoolToObject(json, "committed", worker->is_committed);
        cJSON_AddBoolToObject(json, "unloaded", worker->is_unloaded);
    }
    add_text(json, "reason", worker->reason);
    return json;
}

static cJSON *held_json(const struct receipt_worker *worker)
{
    cJSON *json = cJSON_CreateObject();

    cJSON_AddNumberToObject(json, "worker", worker->id);
    cJSON_AddNumberToObject(json, "count", (double)worker->held);
    return json;
}

static void add_workers(cJSON *json, const struct receipt *receipt)
{
    cJSON *workers = cJSON_AddArrayToObject(json, "workers");
    cJSON *held = cJSON_AddArrayToObject(json, "held");
    bool is_live = receipt->outcome == OUTCOME_LIVE;

    for (size_t i = 0; i < receipt->worker_count; i++) {
        const struct receipt_worker *worker = &receipt->workers[i];

        cJSON_AddItemToArray(workers, worker_json(worker, is_live));
        if (is_live && !worker->is_unloaded)
            cJSON_AddItemToArray(held, held_json(worker));
    }
}

static void add_times(cJSON *json, const struct receipt_times *times)
{
    cJSON *seconds = cJSON_AddObjectToObject(json, "seconds");

    cJSON_AddNumberToObject(seconds, "preflight", receipt_seconds(times->preflight));
    cJSON_AddNumberToObject(seconds, "prepare", receipt_seconds(times->prepare));
    cJSON_AddNumberToObject(seconds, "commit", receipt_seconds(times->commit));
    cJSON_AddNumberToObject(seconds, "unload", receipt_seconds(times->unload));
    cJSON_AddNumberToObject(seconds, "total", receipt_seconds(times->total));
}

cJSON *receipt_json(const struct receipt *receipt)
{
    cJSON *json = cJSON_CreateObject();

    if (json == NULL)
        return NULL;
    cJSON_AddNumberToObject(json, "deploy", (double)receipt->deploy);
    cJSON_AddStringToObject(json, "app", receipt->app);
    cJSON_AddNumberToObject(json, "generation", (double)receipt->generation);
    add_text(json, "version", receipt->version);
    add_text(json, "build_id", receipt->build_id);
    cJSON_AddStringToObject(json, "outcome", outcome_name(receipt->outcome));
    add_text(json, "reason", receipt->reason);
    add_text(json, "stderr", receipt->output);
    add_workers(json, receipt);
    add_times(json, &receipt->times);
    return json;
}
