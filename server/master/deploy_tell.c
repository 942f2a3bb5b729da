/* deploy_tell.c: what is told of a deployment: progress to whoever listens, the outcome to the log,
 * the receipt to the history. Decides nothing. */
#include "master/deploy_private.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "master/pool.h"

#define HISTORY_MAX 64

cJSON *deploy_line(const struct deploys *deploys, const char *step, uint64_t generation)
{
    cJSON *line = cJSON_CreateObject();

    cJSON_AddStringToObject(line, "step", step);
    cJSON_AddStringToObject(line, "app", deploy_app_of(deploys)->name);
    cJSON_AddNumberToObject(line, "generation", (double)generation);
    return line;
}

void deploy_say_worker(struct deploys *deploys, cJSON *line, const struct worker *worker,
                       const char *reason)
{
    cJSON_AddNumberToObject(line, "worker", worker->id);
    cJSON_AddNumberToObject(line, "incarnation", (double)worker->incarnation);
    cJSON_AddBoolToObject(line, "ok", reason == NULL);
    if (reason != NULL)
        cJSON_AddStringToObject(line, "reason", reason);
    action_say(deploys->master, line);
}

static void log_output(const struct deploys *deploys, const char *output)
{
    char *copy = strdup(output), *rest = copy, *line;

    while (copy != NULL && (line = strsep(&rest, "\n")) != NULL) {
        if (line[0] == '\0')
            continue;
        if (deploys->receipt->outcome == OUTCOME_REJECTED)
            log_warnx("preflight of %s: %s", deploy_app_of(deploys)->name, line);
        else
            log_debug("preflight of %s: %s", deploy_app_of(deploys)->name, line);
    }
    free(copy);
}

static void log_outcome(const struct deploys *deploys)
{
    const struct receipt *receipt = deploys->receipt;
    const char *name = deploy_app_of(deploys)->name;
    unsigned held = 0;

    for (size_t i = 0; i < receipt->worker_count; i++)
        held += !receipt->workers[i].is_unloaded;
    if (deploys->is_first && receipt->outcome == OUTCOME_LIVE)
        log_debug("app %s: generation %" PRIu64 " passed its preflight", name, receipt->generation);
    else if (receipt->outcome != OUTCOME_LIVE && !deploys->is_first) /* then fail_start says it */
        log_warnx("app %s: generation %" PRIu64 " %s%s: %s", name, receipt->generation,
                  receipt->outcome == OUTCOME_FAILED ? "" : "was ", outcome_name(receipt->outcome),
                  receipt->reason);
    else if (receipt->outcome == OUTCOME_LIVE && held == 0)
        log_info("app %s: generation %" PRIu64 " is live", name, receipt->generation);
    else if (receipt->outcome == OUTCOME_LIVE)
        log_info("app %s: generation %" PRIu64 " is live, the old code is still held in %u workers",
                 name, receipt->generation, held);
    if (receipt->output != NULL)
        log_output(deploys, receipt->output);
}

static void keep_receipt(struct deploys *deploys)
{
    cJSON *json = receipt_json(deploys->receipt);

    if (json == NULL)
        return;
    cJSON_AddItemToArray(deploys->history, cJSON_Duplicate(json, true));
    if (cJSON_GetArraySize(deploys->history) > HISTORY_MAX)
        cJSON_DeleteItemFromArray(deploys->history, 0);
    cJSON_AddItemToArray(deploys->receipts, json);
}

void deploy_account(struct deploys *deploys)
{
    log_outcome(deploys);
    keep_receipt(deploys);
}

const cJSON *deploy_history(const struct deploys *deploys)
{
    return deploys->history;
}
