/* pool_open.c: opens what takers wait for, as background work, and pauses when that fails. */
#include <errno.h>
#include <stdlib.h>

#include "app/generation.h"
#include "app/pool.h"
#include "base/clock.h"

/* The pause after a failure doubles from the first to the last. */
#define FIRST_PAUSE (100 * NS_PER_MS)
#define LAST_PAUSE  (5 * NS_PER_SEC)

/* ---- pauses ---- */

static bool is_pausing(const struct reeve_pool *pool)
{
    return pool->failures > 0 && clock_ns() < pool->retry_at;
}

static bool has_any(const struct reeve_pool *pool)
{
    return pool->taken_count > 0 || pool->opening_count > 0;
}

int pool_hopeless(const struct reeve_pool *pool)
{
    return !has_any(pool) && is_pausing(pool) ? pool->error : 0;
}

/* Those that were tried at the same time fail at the same time: that is one failure. */
static void failed(struct reeve_pool *pool, int error)
{
    uint64_t pause = FIRST_PAUSE;

    board_add(&pool->figures->open_failures, 1);
    pool->error = error;
    if (is_pausing(pool))
        return;
    for (unsigned i = 0; i < pool->failures && pause < LAST_PAUSE; i++)
        pause *= 2;
    pool->failures++;
    pool->retry_at = clock_ns() + (pause < LAST_PAUSE ? pause : LAST_PAUSE);
}

static void succeeded(struct reeve_pool *pool)
{
    board_add(&pool->figures->opens, 1);
    board_add(&pool->figures->open, 1);
    pool->error = 0;
    pool->failures = 0;
}

/* ---- one opening ---- */

/* Its end is seen to by on_opened, since one that is cancelled before it began never runs. */
static int open_one(void *arg, void **value_out)
{
    struct pool_opening *opening = arg;
    const reeve_pool_options *options = &opening->pool->options;
    reeve_scope scope;
    int result, error;

    if (reeve_scope_begin(&scope, options->open_limit) == -1)
        return -1;
    errno = 0;
    result = options->open(options->state, value_out);
    error = result == 0 && !*value_out ? EINVAL : errno;
    reeve_scope_end(&scope); /* what was opened at the last moment is good all the same */
    errno = error;
    return *value_out ? result : -1;
}

static void on_opened(reeve_future *task, void *arg)
{
    struct pool_opening *opening = arg;
    struct reeve_pool *pool = opening->pool;
    struct pool_item *item = opening->item;
    int error = reeve_future_result(task, &item->value) == 0 ? 0 : errno;

    LIST_REMOVE(opening, entry);
    pool->opening_count--;
    free(opening);
    reeve_future_release(task);
    if (error) {
        free(item);
        if (error == ECANCELED) /* the build's end: it says nothing about the service */
            pool->error = error;
        else
            failed(pool, error);
    } else {
        item->pool = pool;
        item->opened_at = clock_ns();
        succeeded(pool);
        pool_put(pool, item);
    }
    pool_open_more(pool);
    pool_look(pool);
}

static int start(struct reeve_pool *pool, struct pool_opening *opening)
{
    reeve_module *module = generation_module(pool->generation);

    if (reeve_spawn_background(module, open_one, opening, &opening->task) == -1)
        return -1;
    if (reeve_future_on_done(opening->task, on_opened, opening) == 0)
        return 0;
    reeve_future_cancel(opening->task); /* before it began */
    reeve_future_release(opening->task);
    errno = ENOMEM;
    return -1;
}

/* 0 or the reason why not. */
static int open_another(struct reeve_pool *pool)
{
    struct pool_opening *opening = calloc(1, sizeof *opening);
    int error;

    if (!opening)
        return ENOMEM;
    opening->pool = pool;
    opening->item = calloc(1, sizeof *opening->item);
    if (opening->item && start(pool, opening) == 0) {
        LIST_INSERT_HEAD(&pool->openings, opening, entry);
        pool->opening_count++;
        return 0;
    }
    error = opening->item ? errno : ENOMEM;
    free(opening->item);
    free(opening);
    return error;
}

void pool_cancel_openings(struct reeve_pool *pool)
{
    struct pool_opening *opening;

    LIST_FOREACH (opening, &pool->openings, entry)
        reeve_future_cancel(opening->task);
}

/* ---- how many ---- */

/* After a failure one at a time, until one succeeds. */
static bool wants_more(const struct reeve_pool *pool)
{
    size_t all = pool->idle_count + pool->taken_count + pool->opening_count;

    return pool->opening_count < pool->waiter_count && all < pool->options.size &&
           (pool->failures == 0 || (pool->opening_count == 0 && !is_pausing(pool)));
}

void pool_open_more(struct reeve_pool *pool)
{
    if (pool->is_freed)
        return;
    while (wants_more(pool)) {
        int error = open_another(pool);

        if (!error)
            continue;
        if (!has_any(pool))
            pool_fail_waiters(pool, error);
        return;
    }
    if (pool->waiter_count == 0 || !is_pausing(pool))
        return;
    if (has_any(pool))
        pool_sweep_by(pool, pool->retry_at);
    else
        pool_fail_waiters(pool, pool->error);
}
