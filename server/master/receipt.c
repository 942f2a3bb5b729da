/* receipt.c: see receipt.h. */
#include "master/receipt.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

static const char *const outcome_names[] = {
    [OUTCOME_RUNNING] = "running",
    [OUTCOME_LIVE] = "live",
    [OUTCOME_DONE] = "done",
    [OUTCOME_REJECTED] = "rejected",
    [OUTCOME_ABORTED] = "aborted",
    [OUTCOME_FAILED] = "failed",
    [OUTCOME_ROLLED_BACK] = "rolled back",
    [OUTCOME_TIMED_OUT] = "timed out",
};

static const char *const kind_names[] = {
    [ACTION_START] = "start",   [ACTION_RELOAD] = "reload",   [ACTION_ROLLBACK] = "rollback",
    [ACTION_CONFIG] = "config", [ACTION_UPGRADE] = "upgrade", [ACTION_RESTART] = "restart",
    [ACTION_DRAIN] = "drain",   [ACTION_RESUME] = "resume",
};

const char *outcome_name(enum outcome outcome)
{
    return outcome_names[outcome];
}

double receipt_seconds(uint64_t ns)
{
    return (double)(ns / 1000) / 1e6; /* whole microseconds, so that JSON shows few digits */
}

void receipt_set(char **text, const char *value)
{
    char *copy = value != NULL ? strdup(value) : NULL;

    free(*text);
    *text = copy;
}

/* ---- making ---- */

struct receipt *receipt_new(uint64_t deploy, enum action_kind kind, const char *action,
                            const struct requester *requester)
{
    struct receipt *receipt = calloc(1, sizeof(*receipt));

    if (receipt == NULL)
        return NULL;
    receipt->deploy = deploy;
    receipt->kind = kind;
    receipt->requester = *requester;
    receipt->began_wall = clock_wall_ns();
    receipt->began_at = clock_ns();
    receipt->action = strdup(action);
    if (receipt->action == NULL) {
        free(receipt);
        return NULL;
    }
    return receipt;
}

static void free_app(struct receipt_app *app)
{
    free(app->module);
    free(app->version);
    free(app->build_id);
    free(app->sha256);
    free(app->output);
    free(app->warnings);
    free(app->reason);
    free(app->decline);
}

void receipt_free(struct receipt *receipt)
{
    if (receipt == NULL)
        return;
    for (size_t i = 0; i < receipt->app_count; i++)
        free_app(&receipt->apps[i]);
    for (size_t i = 0; i < receipt->worker_count; i++)
        free(receipt->workers[i].reason);
    cJSON_Delete(receipt->held);
    cJSON_Delete(receipt->canary);
    free(receipt->apps);
    free(receipt->workers);
    free(receipt->action);
    free(receipt->reason);
    free(receipt);
}

struct receipt_app *receipt_add_app(struct receipt *receipt, const char *name, uint64_t generation)
{
    struct receipt_app *more = reallocarray(receipt->apps, receipt->app_count + 1, sizeof(*more));

    if (more == NULL)
        return NULL;
    receipt->apps = more;
    more += receipt->app_count++;
    *more = (struct receipt_app){.name = name, .generation = generation};
    return more;
}

struct receipt_app *receipt_app(const struct receipt *receipt, const char *name)
{
    for (size_t i = 0; i < receipt->app_count; i++)
        if (strcmp(receipt->apps[i].name, name) == 0)
            return &receipt->apps[i];
    return NULL;
}

static bool is_before(const struct receipt_worker *worker, unsigned id, uint64_t incarnation)
{
    return worker->id < id || (worker->id == id && worker->incarnation < incarnation);
}

struct receipt_worker *receipt_worker(struct receipt *receipt, unsigned id, uint64_t incarnation)
{
    struct receipt_worker *more;
    size_t at = 0;

    while (at < receipt->worker_count && is_before(&receipt->workers[at], id, incarnation))
        at++;
    more = &receipt->workers[at];
    if (at < receipt->worker_count && more->id == id && more->incarnation == incarnation)
        return more;
    more = reallocarray(receipt->workers, receipt->worker_count + 1, sizeof(*more));
    if (more == NULL)
        return NULL;
    receipt->workers = more;
    more += at;
    memmove(more + 1, more, (receipt->worker_count++ - at) * sizeof(*more));
    *more = (struct receipt_worker){.id = id, .incarnation = incarnation, .is_unloaded = true};
    return more;
}

/* ---- telling ---- */

static void add_text(cJSON *object, const char *key, const char *text)
{
    if (text != NULL && text[0] != '\0')
        cJSON_AddStringToObject(object, key, text);
}

static void add_number(cJSON *object, const char *key, uint64_t number)
{
    if (number != 0)
        cJSON_AddNumberToObject(object, key, (double)number);
}

static void add_lines(cJSON *object, const char *key, const char *text)
{
    char *copy = text != NULL ? strdup(text) : NULL, *rest = copy, *line;
    cJSON *array = NULL;

    while (rest != NULL && (line = strsep(&rest, "\n")) != NULL) {
        if (line[0] == '\0')
            continue;
        if (array == NULL)
            array = cJSON_AddArrayToObject(object, key);
        cJSON_AddItemToArray(array, cJSON_CreateString(line));
    }
    free(copy);
}

static void add_handover(cJSON *json, const struct receipt_app *app)
{
    cJSON *handover;

    if (app->handed_over + app->declined == 0)
        return;
    handover = cJSON_AddObjectToObject(json, "handover");
    cJSON_AddNumberToObject(handover, "done", app->handed_over);
    cJSON_AddNumberToObject(handover, "refused", app->declined);
    add_text(handover, "reason", app->decline);
}

static cJSON *app_json(const struct receipt_app *app)
{
    cJSON *json = cJSON_CreateObject();

    cJSON_AddStringToObject(json, "app", app->name);
    add_number(json, "generation", app->generation);
    add_number(json, "from", app->from);
    add_number(json, "rollback_to", app->rollback_to);
    add_text(json, "version", app->version);
    add_text(json, "build_id", app->build_id);
    add_text(json, "sha256", app->sha256);
    add_number(json, "size", app->size);
    add_text(json, "module", app->module);
    cJSON_AddStringToObject(json, "outcome", outcome_name(app->outcome));
    add_text(json, "reason", app->reason);
    add_text(json, "stderr", app->output);
    add_lines(json, "warnings", app->warnings);
    add_handover(json, app);
    return json;
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

static void add_times(cJSON *json, const struct receipt *receipt)
{
    const struct receipt_times *times = &receipt->times;
    cJSON *seconds = cJSON_AddObjectToObject(json, "seconds");

    cJSON_AddNumberToObject(seconds, "preflight", receipt_seconds(times->preflight));
    cJSON_AddNumberToObject(seconds, "prepare", receipt_seconds(times->prepare));
    if (receipt->canary != NULL)
        cJSON_AddNumberToObject(seconds, "canary", receipt_seconds(times->canary));
    cJSON_AddNumberToObject(seconds, "commit", receipt_seconds(times->commit));
    cJSON_AddNumberToObject(seconds, "unload", receipt_seconds(times->unload));
    cJSON_AddNumberToObject(seconds, "total", receipt_seconds(times->total));
}

/* Nothing when it was the server itself. */
static void add_requester(cJSON *json, const struct requester *requester)
{
    cJSON *by;

    if (!requester->is_peer && requester->signal == NULL)
        return;
    by = cJSON_AddObjectToObject(json, "asked_by");
    add_text(by, "signal", requester->signal);
    if (requester->is_peer) {
        cJSON_AddNumberToObject(by, "uid", requester->uid);
        cJSON_AddNumberToObject(by, "pid", requester->pid);
    }
}

static void add_parts(cJSON *json, const struct receipt *receipt)
{
    cJSON *array = cJSON_AddArrayToObject(json, "apps");

    for (size_t i = 0; i < receipt->app_count; i++)
        cJSON_AddItemToArray(array, app_json(&receipt->apps[i]));
    array = cJSON_AddArrayToObject(json, "workers");
    for (size_t i = 0; i < receipt->worker_count; i++)
        cJSON_AddItemToArray(array,
                             worker_json(&receipt->workers[i], receipt->outcome == OUTCOME_LIVE));
    cJSON_AddItemToObject(json, "held",
                          receipt->held != NULL ? cJSON_Duplicate(receipt->held, true)
                                                : cJSON_CreateArray());
    if (receipt->canary != NULL)
        cJSON_AddItemToObject(json, "canary", cJSON_Duplicate(receipt->canary, true));
}

cJSON *receipt_json(const struct receipt *receipt)
{
    cJSON *json = cJSON_CreateObject();

    if (json == NULL)
        return NULL;
    cJSON_AddNumberToObject(json, "deploy", (double)receipt->deploy);
    cJSON_AddStringToObject(json, "kind", kind_names[receipt->kind]);
    cJSON_AddStringToObject(json, "action", receipt->action);
    add_requester(json, &receipt->requester);
    cJSON_AddNumberToObject(json, "began_at", receipt_seconds(receipt->began_wall));
    cJSON_AddStringToObject(json, "outcome", outcome_name(receipt->outcome));
    add_text(json, "reason", receipt->reason);
    add_parts(json, receipt);
    add_times(json, receipt);
    return json;
}
