/* action.c: the one place for a long-running action, its number and its receipt. What an action
 * does is in deploy.c, restart.c, reconfigure.c and upgrade.c. */
#include "master/action.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "master/deploy.h"
#include "master/history.h"
#include "master/master.h"
#include "master/reconfigure.h"
#include "master/recycle.h"
#include "master/rest.h"
#include "master/roll.h"
#include "master/sentence.h"

static void keep_receipt(struct master *master, const struct receipt *receipt)
{
    cJSON *json = receipt_json(receipt);

    if (json != NULL)
        history_put(master->history, json);
    cJSON_Delete(json);
}

static void log_begin(const struct receipt *receipt)
{
    const struct requester *by = &receipt->requester;

    if (by->is_peer)
        log_info("deployment %" PRIu64 ": %s, asked for by user %u, process %d", receipt->deploy,
                 receipt->action, (unsigned)by->uid, (int)by->pid);
    else if (by->signal != NULL)
        log_info("deployment %" PRIu64 ": %s, asked for by %s", receipt->deploy, receipt->action,
                 by->signal);
    else
        log_debug("deployment %" PRIu64 ": %s", receipt->deploy, receipt->action);
}

enum action_start action_begin(struct master *master, enum action_kind kind,
                               const struct action_listener *listener, const char **detail_out,
                               const char *name_format, ...)
{
    struct action *action = &master->action;
    char name[128];
    va_list args;
    uint64_t number;

    if (master->is_stopping) {
        *detail_out = "the server is stopping";
        return ACTION_STOPPING;
    }
    if (action->receipt != NULL) {
        snprintf(action->busy, sizeof(action->busy), "deployment %" PRIu64 " (%s)",
                 action->receipt->deploy, action->receipt->action);
        *detail_out = action->busy;
        return ACTION_BUSY;
    }
    if (!rest_allows(master, kind, detail_out))
        return ACTION_NOT_NOW;
    recycle_give_way(master);
    va_start(args, name_format);
    vsnprintf(name, sizeof(name), name_format, args);
    va_end(args);
    number = history_next_deploy(master->history);
    action->receipt = receipt_new(number, kind, name, &listener->requester);
    if (action->receipt == NULL) {
        *detail_out = "memory has run out";
        return ACTION_FAILED;
    }
    board_set(&master->board->deployments, number);
    action->listener = *listener;
    log_begin(action->receipt);
    master_show_status(master);
    return ACTION_BEGUN;
}

void action_abandon(struct master *master)
{
    struct receipt *receipt = master->action.receipt;

    receipt->outcome = OUTCOME_FAILED;
    receipt_set(&receipt->reason, "it could not be begun");
    keep_receipt(master, receipt);
    receipt_free(receipt);
    master->action = (struct action){.receipt = NULL};
    master_show_status(master);
}

cJSON *action_line(const char *step)
{
    cJSON *line = cJSON_CreateObject();

    cJSON_AddStringToObject(line, "step", step);
    return line;
}

void action_say_begin(struct master *master)
{
    cJSON *line = action_line("begin");

    cJSON_AddNumberToObject(line, "deploy", (double)master->action.receipt->deploy);
    cJSON_AddStringToObject(line, "action", master->action.receipt->action);
    keep_receipt(master, master->action.receipt); /* a killed master leaves a trace of what it was
                                                     at */
    action_say(master, line);
}

void action_say(struct master *master, cJSON *line)
{
    struct action_listener listener = master->action.listener;

    if (line != NULL && listener.on_line != NULL)
        listener.on_line(line, false, listener.arg);
    cJSON_Delete(line);
}

static cJSON *verdict_line(const struct receipt *receipt, cJSON *more)
{
    static const char no_memory[] = "{\"verdict\":\"failed\",\"reason\":\"memory has run out\"}";
    cJSON *line = cJSON_CreateObject(), *item;

    cJSON_AddStringToObject(line, "verdict", outcome_name(receipt->outcome));
    cJSON_AddNumberToObject(line, "deploy", (double)receipt->deploy);
    if (receipt->reason != NULL)
        cJSON_AddStringToObject(line, "reason", receipt->reason);
    while (more != NULL && (item = more->child) != NULL) {
        cJSON_DetachItemViaPointer(more, item);
        cJSON_AddItemToObject(line, item->string, item);
    }
    cJSON_Delete(more);
    cJSON_AddItemToObject(line, "receipt", receipt_json(receipt));
    return line != NULL ? line : cJSON_Parse(no_memory);
}

void action_end(struct master *master, enum outcome outcome, const char *reason, cJSON *more)
{
    struct action_listener listener = master->action.listener;
    struct receipt *receipt = master->action.receipt;
    cJSON *line;

    receipt->outcome = outcome;
    receipt->times.total = clock_ns() - receipt->began_at;
    if (reason != NULL)
        receipt_set(&receipt->reason, reason);
    keep_receipt(master, receipt);
    line = verdict_line(receipt, more);
    master->action = (struct action){.receipt = NULL}; /* the listener may begin another one */
    if (listener.on_line != NULL)
        listener.on_line(line, true, listener.arg);
    cJSON_Delete(line);
    receipt_free(receipt);
    master_on_gone(master);
}

bool action_cancel(struct master *master, const char **detail_out)
{
    if (master->action.receipt == NULL) {
        *detail_out = "no deployment is running";
        return false;
    }
    switch (master->action.receipt->kind) {
    case ACTION_RELOAD:
    case ACTION_ROLLBACK:
        return deploy_cancel(master->deploys, detail_out);
    case ACTION_CONFIG:
        *detail_out =
            "it is too late: the configuration is in force, or is being taken back already";
        return reconfigure_stop(master, "it was given up");
    case ACTION_RESTART:
        roll_stop(master, "it was given up");
        return true;
    case ACTION_DRAIN:
    case ACTION_RESUME:
        return rest_cancel(master, detail_out);
    default:
        *detail_out = "a start and an upgrade cannot be given up";
        return false;
    }
}

void action_forget(struct master *master, const void *listener_arg)
{
    if (master->action.receipt != NULL && master->action.listener.arg == listener_arg)
        master->action.listener.on_line = NULL;
}
