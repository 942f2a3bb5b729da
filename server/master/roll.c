/* roll.c: a rolling restart: for each worker in turn a replacement beside it; when that is ready
 * the old one drains, and the next is taken on without waiting for it. A replacement that does not
 * get ready ends the restart, and the old worker goes on serving. */
#include "master/roll.h"

#include <event2/event_struct.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "master/action.h"
#include "master/master.h"
#include "master/pool.h"
#include "master/receipt.h"

#define TIMER_SLACK (20 * NS_PER_MS)

struct old { /* one that is to go */
    unsigned id;
    uint64_t incarnation;
    bool is_gone;
};

struct roll {
    struct master *master;
    struct old *olds;
    size_t count;
    size_t at;                  /* the one whose turn it is */
    struct worker *replacement; /* starting, for olds[at]; NULL: none yet */
    bool is_late;               /* an old one had to be cut off */
    uint64_t begun_at;
    struct event begin;
};

static void say(struct roll *roll, const char *step, const struct worker *worker)
{
    cJSON *line = cJSON_CreateObject();

    cJSON_AddStringToObject(line, "step", step);
    cJSON_AddNumberToObject(line, "worker", worker->id);
    cJSON_AddNumberToObject(line, "incarnation", (double)worker->incarnation);
    cJSON_AddNumberToObject(line, "pid", worker->pid);
    action_say(roll->master, line);
}

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

/* Frees the roll, then tells the verdict. */
static void end(struct roll *roll, const char *verdict, const char *reason)
{
    struct master *master = roll->master;
    double seconds = receipt_seconds(clock_ns() - roll->begun_at);
    cJSON *line = cJSON_CreateObject();

    if (reason != NULL)
        log_warnx("the restart of the workers failed: %s", reason);
    else
        log_info("the workers were restarted in %.3f s: %s", seconds, verdict);
    cJSON_AddStringToObject(line, "verdict", verdict);
    if (reason != NULL)
        cJSON_AddStringToObject(line, "reason", reason);
    cJSON_AddItemToObject(line, "workers", serving_json(master->pool));
    cJSON_AddNumberToObject(line, "seconds", seconds);
    if (roll->replacement != NULL) /* a restart that ends early has one worker more: that is fine */
        roll->replacement->is_extra = false;
    event_del(&roll->begin);
    free(roll->olds);
    free(roll);
    master->roll = NULL;
    action_end(master, line);
}

static struct worker *find(const struct roll *roll, const struct old *old)
{
    struct worker *w = pool_first(roll->master->pool);

    while (w != NULL && !(w->id == old->id && w->incarnation == old->incarnation))
        w = pool_next(w);
    return w;
}

static struct old *find_old(const struct roll *roll, const struct worker *worker)
{
    for (size_t i = 0; i < roll->count; i++)
        if (roll->olds[i].id == worker->id && roll->olds[i].incarnation == worker->incarnation)
            return &roll->olds[i];
    return NULL;
}

/* The worker whose turn it is; those that went by themselves are skipped. NULL: all had theirs. */
static struct worker *next_old(struct roll *roll)
{
    for (; roll->at < roll->count; roll->at++) {
        struct worker *worker = find(roll, &roll->olds[roll->at]);

        if (worker != NULL && pool_is_staying(worker))
            return worker;
    }
    return NULL;
}

static bool are_all_gone(const struct roll *roll)
{
    for (size_t i = 0; i < roll->count; i++)
        if (!roll->olds[i].is_gone)
            return false;
    return true;
}

/* Goes on as far as it can now: a replacement is started, or it waits for the slot of one that
 * drains, or for the last ones to be gone. May end the roll. */
static void step(struct roll *roll)
{
    struct pool *pool = roll->master->pool;

    if (roll->replacement != NULL)
        return;
    if (next_old(roll) == NULL) {
        if (are_all_gone(roll))
            end(roll, roll->is_late ? "timed out" : "done", NULL);
        return;
    }
    if (!pool_has_free_slot(pool)) {
        if (pool_count(pool, SEAT_DRAINING) == 0)
            end(roll, "failed", "there is no slot for a replacement: max_workers is reached");
        return;
    }
    roll->replacement = pool_spawn_extra(pool);
    if (roll->replacement == NULL)
        end(roll, "failed", "a replacement could not be started");
    else
        say(roll, "spawned", roll->replacement);
}

void roll_on_ready(struct master *master, struct worker *worker)
{
    struct roll *roll = master->roll;
    struct worker *old;

    if (roll == NULL || roll->replacement != worker)
        return;
    say(roll, "ready", worker);
    worker->is_extra = false;
    roll->replacement = NULL;
    old = find(roll, &roll->olds[roll->at]);
    if (old != NULL && pool_is_staying(old)) {
        pool_drain(old);
        say(roll, "draining", old);
    }
    roll->at++;
    step(roll);
}

/* Its requests were cut, by itself or by us. Its timer may fire a little before ours would. */
static bool took_all_its_time(const struct master *master, const struct worker *worker)
{
    return worker->drained_at != 0 &&
           clock_ns() - worker->drained_at + TIMER_SLACK >= master->config->drain_timeout;
}

bool roll_on_leaving(struct master *master, const struct worker *worker)
{
    struct roll *roll = master->roll;

    if (roll == NULL || roll->replacement == NULL ||
        find_old(roll, worker) != &roll->olds[roll->at])
        return false;
    roll->replacement->is_extra = false; /* it takes the place now */
    return true;
}

bool roll_on_gone(struct master *master, const struct worker *worker, const char *how)
{
    struct roll *roll = master->roll;
    struct old *old;
    bool is_replaced;

    if (roll == NULL)
        return false;
    if (worker == roll->replacement) {
        char reason[256];

        snprintf(reason, sizeof(reason), "the replacement, worker %u.%" PRIu64 ", %s", worker->id,
                 worker->incarnation, worker->refusal != NULL ? worker->refusal : how);
        roll->replacement = NULL;
        end(roll, "failed", reason);
        return false;
    }
    is_replaced = roll_on_leaving(master, worker);
    old = find_old(roll, worker);
    if (old != NULL) {
        old->is_gone = true;
        if (took_all_its_time(master, worker))
            roll->is_late = true;
        say(roll, "gone", worker);
    }
    step(roll);
    return is_replaced;
}

void roll_stop(struct master *master)
{
    if (master->roll != NULL)
        end(master->roll, "failed", "the server is stopping");
}

/* From the loop, so that nobody is told of progress before the start has been answered. */
static void on_begin(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    step(arg);
}

static struct roll *roll_new(struct master *master)
{
    struct pool *pool = master->pool;
    struct roll *roll = calloc(1, sizeof(*roll));
    size_t all = pool_count(pool, SEAT_STARTING) + pool_count(pool, SEAT_SERVING);

    if (roll == NULL)
        return NULL;
    roll->master = master;
    roll->begun_at = clock_ns();
    evtimer_assign(&roll->begin, master->base, on_begin, roll);
    roll->olds = calloc(all + 1, sizeof(*roll->olds));
    if (roll->olds == NULL) {
        free(roll);
        return NULL;
    }
    for (struct worker *w = pool_first(pool); w != NULL; w = pool_next(w))
        if (pool_is_staying(w))
            roll->olds[roll->count++] = (struct old){.id = w->id, .incarnation = w->incarnation};
    return roll;
}

enum action_start action_restart(struct master *master, struct action_listener listener,
                                 const char **detail_out)
{
    static const struct timeval at_once = {0, 0};
    enum action_start begun;

    if (!pool_has_free_slot(master->pool) && pool_count(master->pool, SEAT_DRAINING) == 0) {
        *detail_out = "there is no slot for a replacement: max_workers is reached";
        return ACTION_FAILED;
    }
    begun = action_begin(master, listener, detail_out, "a restart of the workers");
    if (begun != ACTION_BEGUN)
        return begun;
    master->roll = roll_new(master);
    if (master->roll == NULL) {
        master->action = (struct action){.name = ""};
        *detail_out = "memory has run out";
        return ACTION_FAILED;
    }
    evtimer_add(&master->roll->begin, &at_once);
    log_info("restarting %zu workers, one at a time", master->roll->count);
    return ACTION_BEGUN;
}
