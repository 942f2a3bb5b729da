/* starting.c: see starting.h. It counts and tells; nothing is spawned or delayed here. */
#include "master/starting.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "master/master.h"
#include "master/pool_private.h"
#include "master/rest.h"
#include "master/sentence.h"
#include "master/timer.h"

/* ---- words ---- */

const char *starting_step(const struct worker *worker, char step[STARTING_STEP_MAX])
{
    const struct master *master = worker->pool->master;
    const struct board_slot *slot = board_slot(master->board, worker->id);
    const char *name = worker_step_name(board_get(&slot->step)), *app;
    uint64_t column = board_get(&slot->step_app);

    step[0] = '\0';
    if (board_get(&slot->incarnation) != worker->incarnation || name == NULL)
        return step;
    app = column < board_get(&master->board->app_count)
              ? catalog_name(&master->catalog, (unsigned)column)
              : NULL;
    snprintf(step, STARTING_STEP_MAX, " %s of %s %" PRIu64, name, app != NULL ? app : "?",
             board_get(&slot->step_generation));
    return step;
}

void starting_describe(const struct worker *worker, const char *how, char last[STARTING_LAST_MAX])
{
    char name[POOL_NAME_MAX], step[STARTING_STEP_MAX];
    uint64_t up = worker->was_ready ? clock_ns() - worker->ready_at : 0;

    pool_name(worker, name);
    if (worker->refusal != NULL)
        snprintf(last, STARTING_LAST_MAX, "%s: %s", name, worker->refusal);
    else if (worker->was_ready)
        snprintf(last, STARTING_LAST_MAX, "%s %s %.1f s after it was ready", name, how,
                 (double)up / (double)NS_PER_SEC);
    else if (starting_step(worker, step)[0] != '\0')
        snprintf(last, STARTING_LAST_MAX, "%s %s%s", name, how, step);
    else
        snprintf(last, STARTING_LAST_MAX, "%s %s before it was ready", name, how);
}

/* ---- counting ---- */

static bool is_complete(const struct pool *pool)
{
    uint64_t now = clock_ns();
    unsigned count = 0;

    for (const struct worker *w = pool_first(pool); w != NULL; w = pool_next(w))
        count += w->state == SEAT_SERVING && now - w->ready_at >= POLICY_BRIEF;
    return count >= pool->target;
}

static void on_check(evutil_socket_t fd, short what, void *arg)
{
    struct pool *pool = arg;
    struct starting *starting = &pool->starting;

    (void)fd;
    (void)what;
    if (!is_complete(pool)) {
        timer_arm(&starting->check, POLICY_BRIEF / 2);
        return;
    }
    if (starting->failures > 0)
        log_info("all workers serve again, after %u failed start%s", starting->failures,
                 starting->failures == 1 ? "" : "s");
    starting->failures = 0;
    free(starting->last);
    starting->last = NULL;
}

void starting_on_end(struct worker *worker, const char *last)
{
    struct starting *starting = &worker->pool->starting;

    /* One that served for a moment is no failed start, but for those that come after so many of
     * its kind that the next one has to wait. */
    if (worker->was_ready && (clock_ns() - worker->ready_at >= POLICY_BRIEF ||
                              worker->pool->backoff.brief < POLICY_BRIEF_FREE))
        return;
    starting->failures++;
    sentence_set(&starting->last, "%s", last);
    timer_arm(&starting->check, POLICY_BRIEF / 2);
}

void starting_go_on(struct pool *pool, unsigned failures, const char *last)
{
    if (failures == 0)
        return;
    pool->starting.failures = failures;
    if (last != NULL)
        sentence_set(&pool->starting.last, "%s", last);
    timer_arm(&pool->starting.check, POLICY_BRIEF / 2);
}

void starting_init(struct pool *pool)
{
    evtimer_assign(&pool->starting.check, pool->master->base, on_check, pool);
}

void starting_fini(struct pool *pool)
{
    event_del(&pool->starting.check);
    free(pool->starting.last);
}

/* ---- telling ---- */

unsigned starting_failures(const struct pool *pool)
{
    struct starting_report report;

    return starting_report(pool, &report) ? report.failures : 0;
}

bool starting_report(const struct pool *pool, struct starting_report *report_out)
{
    const struct starting *starting = &pool->starting;
    unsigned serving = pool_count(pool, SEAT_SERVING);
    uint64_t now = clock_ns();

    if (starting->failures == 0 || pool->master->is_stopping || rest_is_on(pool->master))
        return false;
    *report_out = (struct starting_report){
        .failures = starting->failures,
        .missing = serving < pool->target ? pool->target - serving : 0,
        .next_try_in = pool->held_back > 0 && pool->retry_at > now ? pool->retry_at - now : 0,
        .last = starting->last,
    };
    return true;
}
