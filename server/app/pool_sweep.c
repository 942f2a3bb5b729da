/* pool_sweep.c: closes what has not been used for long, and tries again to open after a pause: what
 * a pool does by the clock. */
#include <event2/event.h>

#include "app/generation.h"
#include "app/pool.h"
#include "base/clock.h"
#include "runtime/coro.h"

bool pool_is_too_old(const struct reeve_pool *pool, const struct pool_item *item, uint64_t now)
{
    return pool->lifetime != CORO_FOREVER && now - item->opened_at >= pool->lifetime;
}

/* When it is to be closed, if nobody takes it; CORO_FOREVER: never. */
static uint64_t end_of(const struct reeve_pool *pool, const struct pool_item *item, bool is_kept)
{
    uint64_t end = CORO_FOREVER;

    if (pool->idle_limit != CORO_FOREVER && !is_kept)
        end = item->idle_since + pool->idle_limit;
    if (pool->lifetime != CORO_FOREVER && item->opened_at + pool->lifetime < end)
        end = item->opened_at + pool->lifetime;
    return end;
}

/* The last used are the first of the list, and min_idle of them are kept; not by a build that takes
 * no requests any more. Returns when there will be more to close. */
static uint64_t close_unused(struct reeve_pool *pool, uint64_t now)
{
    size_t keep = pool->generation->is_retired ? 0 : pool->options.min_idle, seen = 0;
    struct pool_item *item, *next;
    uint64_t first = CORO_FOREVER, end;

    for (item = TAILQ_FIRST(&pool->idle); item; item = next) {
        next = TAILQ_NEXT(item, entry);
        end = end_of(pool, item, seen < keep);
        if (end > now) {
            seen++;
            first = end < first ? end : first;
            continue;
        }
        TAILQ_REMOVE(&pool->idle, item, entry);
        pool->idle_count--;
        pool_close_item(pool, item);
    }
    return first;
}

/* Held meanwhile: what is closed may let go of what held the build. */
static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct reeve_pool *pool = arg;
    struct generation *generation = pool->generation;
    const struct room *room = generation->app->room;
    uint64_t next;

    (void)fd, (void)what;
    generation_hold(generation, HOLD_TIMER);
    room_do(room, STEP_TASK, generation);
    pool->timer_at = 0;
    next = close_unused(pool, clock_ns());
    if (next != CORO_FOREVER)
        pool_sweep_by(pool, next);
    pool_open_more(pool);
    room_do(room, STEP_NONE, generation);
    generation_release(generation, HOLD_TIMER);
}

void pool_sweep_by(struct reeve_pool *pool, uint64_t when)
{
    uint64_t now = clock_ns(), ns = when > now ? when - now : 0;
    const struct timeval after = {.tv_sec = (time_t)(ns / NS_PER_SEC),
                                  .tv_usec = (suseconds_t)(ns % NS_PER_SEC / 1000 + 1)};

    if (pool->timer_at != 0 && pool->timer_at <= when)
        return;
    if (event_add(&pool->timer, &after) == 0)
        pool->timer_at = when;
}

void pool_sweep_later(struct reeve_pool *pool, const struct pool_item *item)
{
    uint64_t end = end_of(pool, item, false);

    if (end != CORO_FOREVER)
        pool_sweep_by(pool, end);
}

void pool_sweep_init(struct reeve_pool *pool)
{
    event_assign(&pool->timer, pool->generation->app->room->net.base, -1, 0, on_timer, pool);
}

void pool_sweep_fini(struct reeve_pool *pool)
{
    event_del(&pool->timer);
}
