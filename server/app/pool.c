/* pool.c: taking from a pool and giving back, in the order of coming.
 *
 * It does not know what it is that it keeps, and never waits for an open itself: those are
 * background work (pool_open.c), so that a taker who is cancelled leaves nothing half made. */
#include "app/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app/generation.h"
#include "app/strand.h"
#include "base/clock.h"
#include "base/log.h"
#include "runtime/coro.h"

#define MOST            1024u
#define DEFAULT_SIZE    10u
#define DEFAULT_WAITING 1000u
#define DEFAULT_OPEN    10.0
#define DEFAULT_IDLE    60.0

static int fail(int error)
{
    errno = error;
    return -1;
}

bool pool_is_over(const struct reeve_pool *pool)
{
    return pool->is_freed || pool->generation->background.is_over;
}

/* ---- items ---- */

void pool_close_item(struct reeve_pool *pool, struct pool_item *item)
{
    board_sub(&pool->figures->open, 1);
    if (pool->options.close)
        pool->options.close(pool->options.state, item->value);
    free(item);
}

/* From the idle ones, or as it came from an open, to a taker. */
static void hand_over(struct reeve_pool *pool, struct pool_item *item)
{
    TAILQ_INSERT_HEAD(&pool->taken, item, entry);
    pool->taken_count++;
    board_add(&pool->figures->taken, 1);
}

static void take_back(struct reeve_pool *pool, struct pool_item *item)
{
    if (item->hook)
        reeve_scope_forget(item->hook);
    item->hook = NULL;
    TAILQ_REMOVE(&pool->taken, item, entry);
    pool->taken_count--;
    board_sub(&pool->figures->taken, 1);
}

/* One that was cancelled, or whose time is over, cannot be woken any more. */
static bool serve_waiter(struct reeve_pool *pool, struct pool_item *item)
{
    struct pool_waiter *waiter;

    TAILQ_FOREACH (waiter, &pool->waiters, entry) {
        if (!coro_wake(waiter->coro, 0))
            continue;
        waiter->item = item;
        TAILQ_REMOVE(&pool->waiters, waiter, entry);
        pool->waiter_count--;
        hand_over(pool, item);
        return true;
    }
    return false;
}

void pool_fail_waiters(struct reeve_pool *pool, int error)
{
    struct pool_waiter *waiter, *next;

    for (waiter = TAILQ_FIRST(&pool->waiters); waiter; waiter = next) {
        next = TAILQ_NEXT(waiter, entry);
        if (!coro_wake(waiter->coro, 0))
            continue;
        waiter->error = error;
        TAILQ_REMOVE(&pool->waiters, waiter, entry);
        pool->waiter_count--;
    }
}

void pool_put(struct reeve_pool *pool, struct pool_item *item)
{
    uint64_t now = clock_ns();

    if (pool_is_over(pool) || pool_is_too_old(pool, item, now)) {
        pool_close_item(pool, item);
        return;
    }
    if (serve_waiter(pool, item))
        return;
    item->idle_since = now;
    TAILQ_INSERT_HEAD(&pool->idle, item, entry);
    pool->idle_count++;
    pool_sweep_later(pool, item);
}

static struct pool_item *take_idle(struct reeve_pool *pool)
{
    struct pool_item *item = TAILQ_FIRST(&pool->idle);

    if (!item)
        return NULL;
    TAILQ_REMOVE(&pool->idle, item, entry);
    pool->idle_count--;
    return item;
}

static struct pool_item *find_taken(const struct reeve_pool *pool, const void *value)
{
    struct pool_item *item;

    TAILQ_FOREACH (item, &pool->taken, entry)
        if (item->value == value)
            return item;
    return NULL;
}

/* ---- taking ---- */

static void forgotten(void *arg)
{
    struct pool_item *item = arg;
    struct reeve_pool *pool = item->pool;

    log_warnx("%s %llu: pool %s: what was taken at %s:%d was not given back (reeve_pool_give), and "
              "is closed",
              pool->generation->app->config->name, (unsigned long long)pool->generation->number,
              pool->name, item->file, item->line);
    item->hook = NULL; /* it was called */
    reeve_pool_discard(pool, item->value);
}

/* It is the taker's, as long as his scope lasts. */
static int lend(struct pool_item *item, const char *file, int line)
{
    item->file = file;
    item->line = line;
    item->hook = reeve_scope_on_end(forgotten, item);
    return item->hook ? 0 : -1;
}

static bool needs_check(const struct reeve_pool *pool, const struct pool_item *item, uint64_t now)
{
    return pool->options.check && now - item->idle_since >= pool->check_after;
}

/* The taker's own limit is around it. */
static bool passes_check(struct reeve_pool *pool, struct pool_item *item, uint64_t now)
{
    double idle = (double)(now - item->idle_since) / NS_PER_SEC;
    reeve_scope scope;
    int result;

    if (reeve_scope_begin(&scope, pool->options.open_limit) == -1)
        return false;
    result = pool->options.check(pool->options.state, item->value, idle);
    reeve_scope_end(&scope);
    return result == 0;
}

/* An idle one that is in order, taken; or NULL: there is none. Those that are not are closed. As long
 * as there is one nobody else waits. */
static struct pool_item *take_good(struct reeve_pool *pool, const char *file, int line)
{
    struct pool_item *item;

    while (!coro_cancelled(coro_current()) && (item = take_idle(pool))) {
        uint64_t now = clock_ns();

        if (pool_is_too_old(pool, item, now)) {
            pool_close_item(pool, item);
            continue;
        }
        hand_over(pool, item);
        if (lend(item, file, line) == 0 &&
            (!needs_check(pool, item, now) || passes_check(pool, item, now)))
            return item;
        reeve_pool_discard(pool, item->value);
    }
    return NULL;
}

static void count_wait(struct reeve_pool *pool, uint64_t began)
{
    uint64_t ns = clock_ns() - began;

    board_sub(&pool->figures->waiting, 1);
    board_add(&pool->figures->waits, 1);
    board_add(&pool->figures->wait_sum, ns);
    if (ns > board_get(&pool->figures->wait_max))
        board_set(&pool->figures->wait_max, ns);
}

/* 0 or the reason why not. */
static int wait_for_one(struct reeve_pool *pool, uint64_t ns, struct pool_item **item_out)
{
    struct pool_waiter waiter = {.coro = coro_current()};
    uint64_t began = clock_ns();
    int reason;

    TAILQ_INSERT_TAIL(&pool->waiters, &waiter, entry);
    pool->waiter_count++;
    board_add(&pool->figures->waiting, 1);
    pool_open_more(pool);
    reason = coro_wait_for("pool", ns);
    count_wait(pool, began);
    if (!waiter.item && !waiter.error) {
        TAILQ_REMOVE(&pool->waiters, &waiter, entry);
        pool->waiter_count--;
    }
    *item_out = waiter.item;
    return waiter.error ? waiter.error : reason;
}

static int wait_and_bind(struct reeve_pool *pool, uint64_t ns, const char *file, int line,
                         struct pool_item **item_out)
{
    int reason = coro_cancelled(coro_current());

    if (!reason && pool->is_freed) /* during a check */
        reason = ECANCELED;
    if (!reason)
        reason = pool_hopeless(pool);
    if (!reason && ns == 0)
        reason = ETIMEDOUT;
    if (!reason && pool->waiter_count >= pool->options.max_waiting)
        reason = EAGAIN;
    if (!reason)
        reason = wait_for_one(pool, ns, item_out);
    if (reason)
        return fail(reason);
    if (lend(*item_out, file, line) == 0)
        return 0;
    reeve_pool_give(pool, (*item_out)->value);
    return fail(ENOMEM);
}

static void count_take(struct reeve_pool *pool, int result)
{
    int saved = errno;

    if (result == 0)
        board_add(&pool->figures->takes, 1);
    else if (saved == ETIMEDOUT)
        board_add(&pool->figures->timeouts, 1);
    else if (saved != ECANCELED)
        board_add(&pool->figures->failures, 1);
    errno = saved;
}

static int take(struct reeve_pool *pool, uint64_t ns, const char *file, int line, void **value_out)
{
    uint64_t began = clock_ns(), passed;
    struct pool_item *item = take_good(pool, file, line);

    if (!item) {
        passed = ns == CORO_FOREVER ? 0 : clock_ns() - began; /* a check takes its time */
        if (wait_and_bind(pool, passed < ns ? ns - passed : 0, file, line, &item) == -1)
            return -1;
    }
    *value_out = item->value;
    return 0;
}

int reeve_pool_take_at(reeve_pool *pool, double seconds, void **item_out, const char *file,
                       int line)
{
    int result, saved;

    *item_out = NULL;
    if (!coro_current())
        return fail(EDEADLK);
    coro_note(CALL_POOL, __builtin_return_address(0));
    if (pool->is_freed)
        return fail(ECANCELED);
    pool->taker_count++;
    result = take(pool, strand_limit(seconds), file, line, item_out);
    count_take(pool, result);
    pool->taker_count--;
    saved = errno;
    pool_look(pool);
    errno = saved;
    return result;
}

/* ---- giving back ---- */

static struct pool_item *returned(struct reeve_pool *pool, const void *value)
{
    struct pool_item *item = find_taken(pool, value);

    if (item)
        take_back(pool, item);
    else
        log_warnx("%s %llu: pool %s: something was given back that is not taken",
                  pool->generation->app->config->name, (unsigned long long)pool->generation->number,
                  pool->name);
    return item;
}

void reeve_pool_keep(reeve_pool *pool, void *value)
{
    struct pool_item *item = find_taken(pool, value);

    if (!item || !item->hook)
        return;
    reeve_scope_forget(item->hook);
    item->hook = NULL;
}

void reeve_pool_give(reeve_pool *pool, void *value)
{
    struct pool_item *item = returned(pool, value);

    if (!item)
        return;
    pool_put(pool, item);
    pool_open_more(pool); /* in place of one that was too old */
    pool_look(pool);
}

void reeve_pool_discard(reeve_pool *pool, void *value)
{
    struct pool_item *item = returned(pool, value);

    if (!item)
        return;
    board_add(&pool->figures->discarded, 1);
    pool_close_item(pool, item);
    pool_open_more(pool);
    pool_look(pool);
}

/* ---- the pool ---- */

static double or_default(double seconds, double otherwise)
{
    return seconds > 0 || seconds < 0 ? seconds : otherwise;
}

static bool is_name(const char *name)
{
    size_t length = name ? strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                        "0123456789-_")
                         : 0;

    return length > 0 && length < POOLS_NAME && name[length] == '\0';
}

static void set_options(struct reeve_pool *pool, const reeve_pool_options *options)
{
    reeve_pool_options *own = &pool->options;

    *own = *options;
    memcpy(pool->name, options->name, strlen(options->name));
    own->name = NULL;
    own->size = own->size ? own->size : DEFAULT_SIZE;
    own->max_waiting = own->max_waiting ? own->max_waiting : DEFAULT_WAITING;
    own->open_limit = or_default(own->open_limit, DEFAULT_OPEN);
    pool->idle_limit = strand_limit(or_default(own->idle_limit, DEFAULT_IDLE));
    pool->lifetime = strand_limit(or_default(own->lifetime, REEVE_FOREVER));
    pool->check_after = strand_limit(own->check_after);
}

static void count_in(struct reeve_pool *pool)
{
    pool->figures = pools_claim(pool->generation->app->cell->pools, pool->name);
    if (!pool->figures)
        pool->figures = &pool->own;
    board_add(&pool->figures->size, pool->options.size);
}

reeve_pool *reeve_pool_new(reeve_module *module, const reeve_pool_options *options)
{
    struct reeve_pool *pool;

    if (!is_name(options->name) || !options->open || options->size > MOST) {
        errno = EINVAL;
        return NULL;
    }
    pool = calloc(1, sizeof *pool);
    if (!pool) {
        errno = ENOMEM;
        return NULL;
    }
    pool->generation = generation_of(module);
    TAILQ_INIT(&pool->idle);
    TAILQ_INIT(&pool->taken);
    TAILQ_INIT(&pool->waiters);
    LIST_INIT(&pool->openings);
    set_options(pool, options);
    count_in(pool);
    pool_sweep_init(pool);
    LIST_INSERT_HEAD(&pool->generation->background.pools, pool, entry);
    return pool;
}

void pool_look(struct reeve_pool *pool)
{
    if (!pool->is_freed || pool->taken_count || pool->opening_count || pool->taker_count)
        return;
    board_sub(&pool->figures->size, pool->options.size);
    LIST_REMOVE(pool, entry);
    if (pool->options.gone)
        pool->options.gone(pool->options.state);
    free(pool);
}

void reeve_pool_free(reeve_pool *pool)
{
    struct pool_item *item;

    if (!pool || pool->is_freed)
        return;
    pool->is_freed = true;
    pool_sweep_fini(pool);
    while ((item = take_idle(pool)))
        pool_close_item(pool, item);
    pool_fail_waiters(pool, ECANCELED);
    pool_cancel_openings(pool);
    pool_look(pool);
}

/* Nothing of the generation runs any more, so whatever is still taken is nobody's. */
void pool_close_all(struct generation *generation)
{
    struct reeve_pool *pool;

    while ((pool = LIST_FIRST(&generation->background.pools))) {
        struct pool_item *item = TAILQ_FIRST(&pool->taken);

        if (item)
            reeve_pool_discard(pool, item->value);
        else if (!pool->is_freed)
            reeve_pool_free(pool);
        else
            break;
    }
}

void reeve_pool_look(const reeve_pool *pool, reeve_pool_state *state_out)
{
    *state_out = (reeve_pool_state){
        .idle = pool->idle_count,
        .taken = pool->taken_count,
        .opening = pool->opening_count,
        .waiting = pool->waiter_count,
        .error = pool->error,
    };
}
