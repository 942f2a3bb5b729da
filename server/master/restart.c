/* restart.c: a rolling restart: every worker is replaced by one that is made as it was. */
#include "master/restart.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "master/action.h"
#include "master/master.h"
#include "master/pool.h"
#include "master/roll.h"

static cJSON *serving_json(struct pool *pool)
{
    cJSON *array = cJSON_CreateArray();

    for (struct worker *w = pool_first(pool); w != NULL; w = pool_next(w)) {
        cJSON *item;

        if (w->state != SEAT_SERVING)
            continue;
        item = cJSON_CreateObject();
        cJSON_AddNumberToObject(item, "id", w->id);
        cJSON_AddNumberToObject(item, "incarnation", (double)w->incarnation);
        cJSON_AddNumberToObject(item, "pid", w->pid);
        cJSON_AddItemToArray(array, item);
    }
    return array;
}

enum outcome restart_outcome(enum roll_end end)
{
    switch (end) {
    case ROLL_DONE:
        return OUTCOME_DONE;
    case ROLL_LATE:
        return OUTCOME_TIMED_OUT;
    case ROLL_FAILED:
        break;
    }
    return OUTCOME_FAILED;
}

void restart_end(struct master *master, enum outcome outcome, const char *reason)
{
    double seconds = receipt_seconds(clock_ns() - master->action.receipt->began_at);
    cJSON *more = cJSON_CreateObject();

    if (reason != NULL)
        log_warnx("%s: %s: %s", master->action.receipt->action, outcome_name(outcome), reason);
    else
        log_info("%s: %s after %.3f s", master->action.receipt->action, outcome_name(outcome),
                 seconds);
    cJSON_AddItemToObject(more, "workers", serving_json(master->pool));
    cJSON_AddNumberToObject(more, "seconds", seconds);
    action_end(master, outcome, reason, more);
}

static void on_end(enum roll_end end, const char *reason, void *arg)
{
    restart_end(arg, restart_outcome(end), reason);
}

static void on_begin(void *arg)
{
    action_say_begin(arg);
}

enum action_start action_restart(struct master *master, unsigned at_once,
                                 const struct action_listener *listener, const char **detail_out)
{
    struct roll_order order = {
        .edition = master->edition,
        .at_once = at_once > 0 ? at_once : master->config->max_unavailable,
        .on_begin = on_begin,
        .on_end = on_end,
        .arg = master,
    };
    enum action_start begun;

    if (!pool_has_free_slot(master->pool) && pool_count(master->pool, SEAT_DRAINING) == 0) {
        *detail_out = "there is no slot for a replacement: max_workers is reached";
        return ACTION_FAILED;
    }
    begun = action_begin(master, ACTION_RESTART, listener, detail_out, "a restart of the workers");
    if (begun != ACTION_BEGUN)
        return begun;
    if (roll_begin(master, &order) != 0) {
        action_abandon(master);
        *detail_out = "memory has run out";
        return ACTION_FAILED;
    }
    log_info("restarting the workers, %u at a time", order.at_once);
    return ACTION_BEGUN;
}
