/* restart.c: a rolling restart: every worker, or one of them, is replaced by one that is made as it
 * was. */
#include "master/restart.h"

#include <stdio.h>
#include <stdlib.h>

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

/* ---- the orders ---- */

struct restart {
    struct master *master;
    bool is_of_one; /* of the following one only */
    unsigned id;
    uint64_t incarnation;
};

static bool concerns(const struct worker *worker, void *arg)
{
    const struct restart *restart = arg;

    return !restart->is_of_one ||
           (worker->id == restart->id && worker->incarnation == restart->incarnation);
}

static void on_end(enum roll_end end, const char *reason, void *arg)
{
    struct restart *restart = arg;
    struct master *master = restart->master;

    free(restart);
    restart_end(master, restart_outcome(end), reason);
}

static void on_begin(void *arg)
{
    action_say_begin(((const struct restart *)arg)->master);
}

static int begin_roll(const struct restart *what, unsigned at_once)
{
    struct restart *restart = malloc(sizeof(*restart));
    const struct roll_order order = {
        .edition = what->master->edition,
        .at_once = at_once,
        .concerns = concerns,
        .on_begin = on_begin,
        .on_end = on_end,
        .arg = restart,
    };

    if (restart == NULL)
        return -1;
    *restart = *what;
    if (roll_begin(what->master, &order) == 0)
        return 0;
    free(restart);
    return -1;
}

static enum action_start begin(const struct restart *what, unsigned at_once, const char *name,
                               const struct action_listener *listener, const char **detail_out)
{
    struct master *master = what->master;
    enum action_start begun;

    if (!roll_has_slot(master)) {
        *detail_out = "there is no slot for a replacement: max_workers is reached";
        return ACTION_FAILED;
    }
    begun = action_begin(master, ACTION_RESTART, listener, detail_out, "%s", name);
    if (begun != ACTION_BEGUN)
        return begun;
    if (begin_roll(what, at_once) != 0) {
        action_abandon(master);
        *detail_out = "memory has run out";
        return ACTION_FAILED;
    }
    log_info("%s: %u at a time", name, at_once);
    return ACTION_BEGUN;
}

enum action_start action_restart(struct master *master, unsigned at_once,
                                 const struct action_listener *listener, const char **detail_out)
{
    return begin(&(struct restart){.master = master},
                 at_once > 0 ? at_once : master->config->max_unavailable,
                 "a restart of the workers", listener, detail_out);
}

enum action_start action_restart_worker(struct master *master, const struct worker *worker,
                                        const struct action_listener *listener,
                                        const char **detail_out)
{
    const struct restart what = {
        .master = master, .is_of_one = true, .id = worker->id, .incarnation = worker->incarnation};
    char worker_name[POOL_NAME_MAX], name[64];

    snprintf(name, sizeof(name), "a restart of %s", pool_name(worker, worker_name));
    return begin(&what, 1, name, listener, detail_out);
}
