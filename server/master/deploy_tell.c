/* deploy_tell.c: what is told of a deployment: progress to whoever listens, the outcome to the log,
 * what is still held to the receipt. Decides nothing. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "master/deploy_private.h"
#include "master/report.h"

cJSON *deploy_line(const struct master *master, const char *step, const struct build *build)
{
    cJSON *line = action_line(step);

    cJSON_AddStringToObject(line, "app", catalog_name(&master->catalog, build->app));
    cJSON_AddNumberToObject(line, "generation", (double)build->generation);
    return line;
}

cJSON *deploy_worker_line(cJSON *line, const struct worker *worker, const char *reason)
{
    cJSON_AddNumberToObject(line, "worker", worker->id);
    cJSON_AddNumberToObject(line, "incarnation", (double)worker->incarnation);
    cJSON_AddBoolToObject(line, "ok", reason == NULL);
    if (reason != NULL)
        cJSON_AddStringToObject(line, "reason", reason);
    return line;
}

void deploy_say_worker(struct deploys *deploys, cJSON *line, const struct worker *worker,
                       const char *reason)
{
    action_say(deploys->master, deploy_worker_line(line, worker, reason));
}

/* ---- what is still held ---- */

static cJSON *held_json(struct deploys *deploys, const struct change *change,
                        const struct worker *worker)
{
    const struct board_cell *cell = board_cell(deploys->master->board, worker->id, change->app);
    const struct board_column *column = board_column_of(cell, change->old->generation);
    struct holder_list holders = {0};
    cJSON *json = cJSON_CreateObject();

    cJSON_AddStringToObject(json, "app", catalog_name(&deploys->master->catalog, change->app));
    cJSON_AddNumberToObject(json, "generation", (double)change->old->generation);
    cJSON_AddNumberToObject(json, "worker", worker->id);
    if (column != NULL)
        cJSON_AddNumberToObject(json, "count", (double)board_get(&column->held));
    holder_list_add(&holders, cell, change->old->generation);
    cJSON_AddItemToObject(json, "by",
                          report_holders(&holders, deploys->master->pool, change->app,
                                         change->old->generation, change->module));
    /* A worker that is silent counts nothing: nobody knows what holds the old code there. */
    if (deploy_is_stale(deploys, worker->id))
        cJSON_AddStringToObject(json, "reason", "does not answer");
    holder_list_free(&holders);
    return json;
}

void deploy_note_held(struct deploys *deploys)
{
    struct receipt *receipt = receipt_of(deploys);

    receipt->held = cJSON_CreateArray();
    for (struct worker *w = pool_first(deploys->master->pool); w != NULL; w = pool_next(w)) {
        for (size_t i = 0; i < deploys->count; i++) {
            const struct change *change = &deploys->changes[i];
            struct receipt_worker *entry;

            if (deploy_former(change, w) == NULL)
                continue;
            entry = deploy_entry(deploys, w);
            if (entry != NULL)
                entry->is_unloaded = false;
            cJSON_AddItemToArray(receipt->held, held_json(deploys, change, w));
        }
    }
}

/* ---- the log ---- */

static void log_output(const char *app, enum outcome outcome, const char *output)
{
    char *copy = strdup(output), *rest = copy, *line;

    while (rest != NULL && (line = strsep(&rest, "\n")) != NULL) {
        if (line[0] == '\0')
            continue;
        if (outcome == OUTCOME_REJECTED)
            log_warnx("preflight of %s: %s", app, line);
        else
            log_debug("preflight of %s: %s", app, line);
    }
    free(copy);
}

static void log_warnings(const char *app, const char *warnings)
{
    char *copy = strdup(warnings), *rest = copy, *line;

    while (rest != NULL && (line = strsep(&rest, "\n")) != NULL)
        if (line[0] != '\0')
            log_warnx("app %s: %s", app, line);
    free(copy);
}

static unsigned count_held(struct deploys *deploys, const struct change *change)
{
    unsigned held = 0;

    EACH_WORKER (deploys, w)
        held += deploy_former(change, w) != NULL;
    return held;
}

static void log_app(struct deploys *deploys, const struct change *change, enum outcome outcome,
                    const char *reason)
{
    const char *name = catalog_name(&deploys->master->catalog, change->app);
    const struct receipt_app *entry = deploy_app_entry(deploys, change);
    uint64_t generation = change->build->generation;
    unsigned held = count_held(deploys, change);

    if (deploys->is_first && outcome == OUTCOME_LIVE)
        log_debug("app %s: generation %" PRIu64 " passed its preflight", name, generation);
    else if (outcome != OUTCOME_LIVE && !deploys->is_first) /* then master_fail says it */
        log_warnx("app %s: generation %" PRIu64 " %s%s: %s", name, generation,
                  outcome == OUTCOME_FAILED ? "" : "was ", outcome_name(outcome), reason);
    else if (outcome == OUTCOME_LIVE && held == 0)
        log_info("app %s: generation %" PRIu64 " is live", name, generation);
    else if (outcome == OUTCOME_LIVE)
        log_info("app %s: generation %" PRIu64
                 " is live, the old code is still held in %u worker%s",
                 name, generation, held, held == 1 ? "" : "s");
    if (entry != NULL && entry->output != NULL)
        log_output(name, entry->outcome, entry->output);
    if (entry != NULL && entry->warnings != NULL)
        log_warnings(name, entry->warnings);
}

void deploy_log_outcome(struct deploys *deploys, enum outcome outcome, const char *reason)
{
    for (size_t i = 0; i < deploys->count; i++)
        log_app(deploys, &deploys->changes[i], outcome, reason);
}
