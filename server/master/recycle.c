/* recycle.c: see recycle.h. Looks now and then; acts only while nothing else is going on. What a
 * worker has taken stands on the scoreboard: nobody is asked. */
#include "master/recycle.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "master/master.h"
#include "master/pool.h"
#include "master/roll.h"
#include "master/timer.h"

#define LOOK      (250 * NS_PER_MS) /* a leak grows on meanwhile */
#define LOOK_IDLE NS_PER_SEC        /* without limits */

#define PAUSE_MIN (10 * NS_PER_SEC) /* after a failure, and twice as long after each further one */
#define PAUSE_MAX (600 * NS_PER_SEC)

#define FUTILE_UP       (5 * NS_PER_SEC)
#define FUTILE_REQUESTS 64
#define FUTILE_TRIES    3 /* in a row: it is not by chance */

struct own { /* what is particular to the worker in a slot */
    uint64_t incarnation;
    uint64_t number;
};

struct recycle {
    struct master *master;
    struct event look;
    struct own *owns;  /* by slot */
    uint64_t count;    /* of workers that were given a number */
    bool is_rolling;   /* the master's roll is ours */
    bool gives_way;    /* ... and is being stopped for something else */
    bool has_no_slot;  /* that was said */
    unsigned futile;   /* in a row: workers that were replaced in vain */
    uint64_t failure;  /* ns: the pause after the latest failure; 0: there was none */
    uint64_t storm;    /* ns: the pause after the latest replacements in vain */
    uint64_t memory;   /* max_memory as it was then */
    uint64_t resumes;  /* clock_ns(): nothing is done before */
    uint64_t memorial; /* clock_ns(): memory is not looked at before */
};

enum what { WHAT_NOTHING, WHAT_REQUESTS, WHAT_MEMORY };

struct excess {
    enum what what;
    uint64_t taken, limit;
};

/* ---- decisions ---- */

/* Multiples of the golden ratio, modulo 1: wherever one begins, any number of them in a row are
 * about equally far from each other. */
uint64_t recycle_limit(uint64_t limit, unsigned jitter, uint64_t number)
{
    double share = (double)((number * UINT64_C(0x9E3779B97F4A7C15)) >> 32) / 4294967296.0;
    uint64_t less = (uint64_t)((double)limit * jitter / 100 * share);

    return less < limit ? limit - less : 1;
}

bool recycle_is_futile(const struct recycle_life *life)
{
    if (life->up >= FUTILE_UP)
        return false;
    return life->requests < FUTILE_REQUESTS || life->at_boot > life->limit / 4 * 3;
}

static uint64_t longer(uint64_t pause)
{
    if (pause == 0)
        return PAUSE_MIN;
    return 2 * pause < PAUSE_MAX ? 2 * pause : PAUSE_MAX;
}

/* ---- what workers have taken ---- */

static uint64_t number_of(struct recycle *recycle, const struct worker *worker)
{
    struct own *own = &recycle->owns[worker->id];

    if (own->incarnation != worker->incarnation)
        *own = (struct own){.incarnation = worker->incarnation, .number = recycle->count++};
    return own->number;
}

static const struct board_slot *slot_of(const struct recycle *recycle, const struct worker *worker)
{
    return board_slot(recycle->master->board, worker->id);
}

static uint64_t requests_since_boot(const struct board_slot *slot)
{
    return board_get(&slot->requests) - board_get(&slot->requests_at_boot);
}

/* By how much it is beyond a limit of its own. */
static struct excess excess_of(struct recycle *recycle, const struct worker *worker)
{
    const struct config *config = recycle->master->config;
    const struct board_slot *slot = slot_of(recycle, worker);
    struct excess excess = {.what = WHAT_NOTHING};
    uint64_t number;

    if (worker->state != SEAT_SERVING || board_get(&slot->incarnation) != worker->incarnation)
        return excess;
    number = number_of(recycle, worker);
    excess.taken = requests_since_boot(slot);
    excess.limit = recycle_limit(config->max_requests, config->recycle_jitter, number);
    if (config->max_requests > 0 && excess.taken >= excess.limit) {
        excess.what = WHAT_REQUESTS;
        return excess;
    }
    excess.taken = board_get(&slot->rss);
    excess.limit = recycle_limit(config->max_memory, config->recycle_jitter, number);
    if (config->max_memory > 0 && excess.taken > excess.limit && clock_ns() >= recycle->memorial)
        excess.what = WHAT_MEMORY;
    return excess;
}

static bool has_had_enough(const struct worker *worker, void *arg)
{
    return excess_of(arg, worker).what != WHAT_NOTHING;
}

/* All are looked at, so that they get their numbers in the order in which they came. */
static bool is_any(struct recycle *recycle)
{
    bool is_found = false;

    for (struct worker *w = pool_first(recycle->master->pool); w != NULL; w = pool_next(w))
        is_found = has_had_enough(w, recycle) || is_found;
    return is_found;
}

/* ---- what is done about it ---- */

static double mebibytes(uint64_t bytes)
{
    return (double)bytes / (1 << 20);
}

static void judge_memory(struct recycle *recycle, const struct worker *worker, uint64_t limit)
{
    const struct board_slot *slot = slot_of(recycle, worker);
    const struct recycle_life life = {.limit = limit,
                                      .at_boot = board_get(&slot->rss_at_boot),
                                      .up = clock_ns() - worker->ready_at,
                                      .requests = requests_since_boot(slot)};

    if (!recycle_is_futile(&life)) {
        recycle->futile = 0;
        recycle->storm = 0;
        return;
    }
    if (++recycle->futile < FUTILE_TRIES)
        return;
    if (recycle->storm == 0)
        log_warnx("max_memory is too small: worker %u.%" PRIu64 " had %.1f MiB when it was ready, "
                  "and was beyond its limit of %.1f MiB %.1f s later; until that changes, workers "
                  "are replaced less and less often",
                  worker->id, worker->incarnation, mebibytes(life.at_boot), mebibytes(limit),
                  (double)life.up / (double)NS_PER_SEC);
    recycle->futile = 0;
    recycle->storm = longer(recycle->storm);
    recycle->memorial = clock_ns() + recycle->storm;
}

static void on_drain(const struct worker *worker, void *arg)
{
    struct recycle *recycle = arg;
    struct excess excess = excess_of(recycle, worker);
    char name[POOL_NAME_MAX];

    pool_name(worker, name);
    if (excess.what == WHAT_REQUESTS)
        log_info("%s is replaced: it has served %" PRIu64 " requests (its limit: %" PRIu64 ")",
                 name, excess.taken, excess.limit);
    else if (excess.what == WHAT_NOTHING) /* any more */
        log_info("%s is replaced: it had grown beyond max_memory", name);
    else
        log_info("%s is replaced: it has taken %.1f MiB (its limit: %.1f MiB)", name,
                 mebibytes(excess.taken), mebibytes(excess.limit));
    board_add(&board_seat(recycle->master->board, worker->id)->recycled, 1);
    if (excess.what == WHAT_MEMORY)
        judge_memory(recycle, worker, excess.limit);
}

static void on_end(enum roll_end end, const char *reason, void *arg)
{
    struct recycle *recycle = arg;
    bool gives_way = recycle->gives_way || recycle->master->is_stopping;

    recycle->is_rolling = recycle->gives_way = false;
    if (end != ROLL_FAILED)
        recycle->failure = 0;
    if (end != ROLL_FAILED || gives_way)
        return;
    recycle->failure = longer(recycle->failure);
    recycle->resumes = clock_ns() + recycle->failure;
    log_warnx("workers that reached max_requests or max_memory go on: %s; the next try is in %g s",
              reason, (double)recycle->failure / (double)NS_PER_SEC);
}

/* Those that drain free theirs soon. */
static bool has_slot(struct recycle *recycle)
{
    const struct pool *pool = recycle->master->pool;

    if (pool_has_free_slot(pool)) {
        recycle->has_no_slot = false;
        return true;
    }
    if (!recycle->has_no_slot && pool_count(pool, SEAT_DRAINING) == 0) {
        recycle->has_no_slot = true;
        log_warnx("workers have reached max_requests or max_memory, but there is no slot for a "
                  "replacement: max_workers is reached");
    }
    return false;
}

static void replace(struct recycle *recycle)
{
    struct master *master = recycle->master;
    struct roll_order order = {
        .edition = master->edition,
        .at_once = master->config->max_unavailable,
        .is_brief = true,
        .concerns = has_had_enough,
        .on_drain = on_drain,
        .on_end = on_end,
        .arg = recycle,
    };

    recycle->is_rolling = roll_begin(master, &order) == 0;
}

/* What was learned of the former limit does not hold for another one. */
static void learn_limit(struct recycle *recycle)
{
    if (recycle->memory == recycle->master->config->max_memory)
        return;
    recycle->memory = recycle->master->config->max_memory;
    recycle->futile = 0;
    recycle->storm = recycle->memorial = 0;
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
    struct recycle *recycle = arg;
    struct master *master = recycle->master;
    bool has_limits = master->config->max_requests > 0 || master->config->max_memory > 0;

    (void)fd;
    (void)what;
    timer_arm(&recycle->look, has_limits ? LOOK : LOOK_IDLE);
    learn_limit(recycle);
    if (has_limits && !master->is_stopping && master->roll == NULL &&
        master->action.receipt == NULL && clock_ns() >= recycle->resumes && is_any(recycle) &&
        has_slot(recycle))
        replace(recycle);
}

void recycle_give_way(struct master *master)
{
    struct recycle *recycle = master->recycle;

    if (!recycle->is_rolling)
        return;
    recycle->gives_way = true;
    roll_stop(master, "something else is to be done");
}

struct recycle *recycle_new(struct master *master)
{
    struct recycle *recycle = calloc(1, sizeof(*recycle));

    if (recycle == NULL)
        return NULL;
    recycle->owns = calloc(master->board->max_workers, sizeof(*recycle->owns));
    if (recycle->owns == NULL) {
        free(recycle);
        return NULL;
    }
    recycle->master = master;
    evtimer_assign(&recycle->look, master->base, on_look, recycle);
    timer_arm(&recycle->look, LOOK);
    return recycle;
}

void recycle_free(struct recycle *recycle)
{
    if (recycle == NULL)
        return;
    event_del(&recycle->look);
    free(recycle->owns);
    free(recycle);
}
