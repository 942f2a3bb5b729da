/* pool.h: inside of the pools of the public interface: what pool.c (taking and giving), pool_open.c
 * (opening, and the pause after a failure) and pool_sweep.c (closing what is not used) share.
 *
 * Each thing is in one of three places: among the idle ones, among the taken ones, or with an
 * opening that is under way. */
#ifndef APP_POOL_H
#define APP_POOL_H

#include <reeve/async.h>
#include <reeve/pool.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/pools.h"

struct coro;
struct generation;

struct pool_item {
    TAILQ_ENTRY(pool_item) entry;
    struct reeve_pool *pool;
    void *value;
    uint64_t opened_at, idle_since; /* clock_ns() */
    reeve_scope_hook *hook;         /* of the scope it goes with; NULL: with none */
    const char *file;               /* where it was taken */
    int line;
};
TAILQ_HEAD(pool_items, pool_item);

/* On the stack of a taker. */
struct pool_waiter {
    TAILQ_ENTRY(pool_waiter) entry;
    struct coro *coro;
    struct pool_item *item; /* it got; then, as after an error, it is off the list */
    int error;
};

struct pool_opening {
    LIST_ENTRY(pool_opening) entry;
    struct reeve_pool *pool;
    struct pool_item *item; /* to be filled */
    reeve_future *task;
};

/* Lifetime: until it is freed and nothing of it is in use, being opened or waited for. */
struct reeve_pool {
    LIST_ENTRY(reeve_pool) entry; /* of its generation's */
    struct generation *generation;
    reeve_pool_options options; /* name: NULL, see below */
    char name[POOLS_NAME];
    uint64_t idle_limit, lifetime, check_after; /* ns */
    struct pool_items idle;                     /* the last used first */
    struct pool_items taken;                    /* the last taken first */
    LIST_HEAD(, pool_opening) openings;
    TAILQ_HEAD(, pool_waiter) waiters; /* who came first is first */
    size_t idle_count, taken_count, opening_count, waiter_count;
    size_t taker_count; /* coroutines in reeve_pool_take, those that were told to go included */
    int error;          /* of the last open; 0: it succeeded */
    unsigned failures;  /* of open in a row */
    uint64_t retry_at;  /* none before that, after a failure */
    bool is_freed;      /* nothing is taken or opened any more */
    struct event timer;
    uint64_t timer_at;         /* clock_ns(); 0: it is not set */
    struct pools_row *figures; /* on the scoreboard, or in `own`, which nobody sees */
    struct pools_row own;
};

/* ---- pool.c ---- */

/* Gives it to whoever waits longest, or puts it among the idle ones; or closes it when nobody shall
 * use it any more. It is on no list. */
void pool_put(struct reeve_pool *pool, struct pool_item *item);
void pool_close_item(struct reeve_pool *pool, struct pool_item *item);
void pool_fail_waiters(struct reeve_pool *pool, int error);
/* It may be the time to free it. */
void pool_look(struct reeve_pool *pool);
bool pool_is_over(const struct reeve_pool *pool);
/* At the end of its generation: those that the application has not freed. */
void pool_close_all(struct generation *generation);

/* ---- pool_open.c ---- */

/* Opens what those who wait need and there is room for. Lets them fail when there is no hope. */
void pool_open_more(struct reeve_pool *pool);
void pool_cancel_openings(struct reeve_pool *pool);
/* Why a taker need not even wait: nothing is open, and there is a pause. 0: he may hope. */
int pool_hopeless(const struct reeve_pool *pool);

/* ---- pool_sweep.c ---- */

void pool_sweep_init(struct reeve_pool *pool);
void pool_sweep_fini(struct reeve_pool *pool);
bool pool_is_too_old(const struct reeve_pool *pool, const struct pool_item *item, uint64_t now);
/* It has to look again at this time at the latest. */
void pool_sweep_by(struct reeve_pool *pool, uint64_t when);
/* ... for what has become idle. */
void pool_sweep_later(struct reeve_pool *pool, const struct pool_item *item);

#endif
