/* pool.c: keeps as many workers as are wanted: which there are, how many are missing, and when the
 * next one is spawned. What becomes of each is in life.c. */
#include "master/pool.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "master/master.h"
#include "master/pool_private.h"
#include "master/rest.h"
#include "master/timer.h"

/* ---- looking ---- */

const char *pool_name(const struct worker *worker, char name[POOL_NAME_MAX])
{
    snprintf(name, POOL_NAME_MAX, "worker %u.%" PRIu64, worker->id, worker->incarnation);
    return name;
}

struct worker *pool_first(const struct pool *pool)
{
    return TAILQ_FIRST(&pool->workers);
}

struct worker *pool_next(const struct worker *worker)
{
    return TAILQ_NEXT(worker, link);
}

bool pool_is_empty(const struct pool *pool)
{
    return TAILQ_EMPTY(&pool->workers);
}

bool pool_is_staying(const struct worker *worker)
{
    return worker->state == SEAT_STARTING || worker->state == SEAT_SERVING;
}

unsigned pool_target(const struct pool *pool)
{
    return pool->target;
}

unsigned pool_count(const struct pool *pool, unsigned state)
{
    const struct worker *worker;
    unsigned count = 0;

    TAILQ_FOREACH (worker, &pool->workers, link)
        count += worker->state == state;
    return count;
}

/* Those that count against the target. */
static unsigned count_staying(const struct pool *pool)
{
    const struct worker *worker;
    unsigned count = 0;

    TAILQ_FOREACH (worker, &pool->workers, link)
        count += pool_is_staying(worker) && !worker->is_extra;
    return count;
}

struct worker *pool_find(const struct pool *pool, unsigned id)
{
    struct worker *worker;

    TAILQ_FOREACH (worker, &pool->workers, link)
        if (worker->id == id)
            return worker;
    return NULL;
}

/* The lowest free slot; max_workers: there is none. */
unsigned pool_free_slot(const struct pool *pool)
{
    unsigned id = 0;

    while (id < pool->master->board->max_workers && pool_find(pool, id) != NULL)
        id++;
    return id;
}

bool pool_has_free_slot(const struct pool *pool)
{
    return pool_free_slot(pool) < pool->master->board->max_workers;
}

uint64_t pool_silence(const struct pool *pool, unsigned id)
{
    uint64_t beat = board_get(&board_slot(pool->master->board, id)->heartbeat_at);
    uint64_t now = clock_ns();

    return now > beat ? now - beat : 0;
}

/* ---- telling ---- */

int pool_send(struct worker *worker, const struct message *message)
{
    if (worker->channel == NULL) {
        errno = EPIPE;
        return -1;
    }
    return channel_send(worker->channel, message);
}

void pool_send_all(struct pool *pool, const struct message *message)
{
    struct worker *worker;

    TAILQ_FOREACH (worker, &pool->workers, link)
        pool_send(worker, message);
}

void pool_drain_all(struct pool *pool)
{
    struct worker *worker;

    pool_send_all(pool, &(struct message){.type = MESSAGE_LAST_CALL});
    TAILQ_FOREACH (worker, &pool->workers, link)
        pool_drain(worker);
}

void pool_stop_all(struct pool *pool)
{
    struct worker *worker;

    TAILQ_FOREACH (worker, &pool->workers, link)
        life_stop(worker);
}

void pool_kill(struct worker *worker)
{
    worker->is_asked = true;
    life_kill(worker);
}

void pool_kill_all(struct pool *pool)
{
    struct worker *worker;

    TAILQ_FOREACH (worker, &pool->workers, link)
        pool_kill(worker);
}

struct worker *pool_spawn_extra(struct pool *pool, struct edition *edition)
{
    return pool_has_free_slot(pool) ? life_spawn(pool, edition, true) : NULL;
}

bool pool_reap(struct pool *pool, pid_t pid, int status)
{
    struct worker *worker;

    TAILQ_FOREACH (worker, &pool->workers, link) {
        if (worker->pid == pid && !worker->is_reaped) {
            life_on_reaped(worker, status);
            return true;
        }
    }
    return false;
}

/* ---- how many ---- */

/* One that is not ready yet is missed least, then the one in the highest slot. */
static struct worker *most_dispensable(const struct pool *pool)
{
    struct worker *worker, *best = NULL;

    TAILQ_FOREACH (worker, &pool->workers, link) {
        if (!pool_is_staying(worker) || worker->is_extra)
            continue;
        if (best == NULL || worker->state < best->state ||
            (worker->state == best->state && worker->id > best->id))
            best = worker;
    }
    return best;
}

/* None is spawned before then; a nearer time that was set already stands. */
static void hold_back(struct pool *pool, unsigned count, uint64_t delay)
{
    uint64_t until = clock_ns() + delay;

    if (pool->held_back == 0 || until < pool->retry_at) {
        pool->retry_at = until;
        timer_arm(&pool->retry, delay);
    }
    pool->held_back += count;
}

void pool_plan_successor(struct pool *pool, struct worker *worker)
{
    uint64_t now = clock_ns(), delay;
    struct unasked_end end = {.was_ready = worker->was_ready,
                              .up = worker->was_ready ? now - worker->ready_at : 0};

    worker->is_replaced = true;
    pool->owed++;
    if (!worker->was_ready && pool->held_back > 0) { /* one delay for all that end together */
        pool->held_back++;
        return;
    }
    delay = policy_respawn_delay(&pool->backoff, &end, now);
    if (delay == 0)
        return;
    hold_back(pool, 1, delay);
    log_info("the next worker is started in %g s", (double)delay / (double)NS_PER_SEC);
}

void pool_balance(struct pool *pool)
{
    unsigned staying;

    if (pool->master->is_stopping || pool->target == 0 || rest_is_on(pool->master))
        return;
    for (staying = count_staying(pool); staying > pool->target; staying--)
        pool_drain(most_dispensable(pool));
    for (; staying + pool->held_back < pool->target && pool_has_free_slot(pool); staying++) {
        if (life_spawn(pool, pool->master->edition, false) == NULL) {
            /* No process to be had: that passes, but not by trying at once. */
            hold_back(pool, pool->target - staying - pool->held_back, NS_PER_SEC);
            return;
        }
    }
}

void pool_hurry(struct pool *pool)
{
    event_del(&pool->retry);
    pool->held_back = 0;
    pool_balance(pool);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    pool_hurry(arg);
}

bool pool_set_target(struct pool *pool, unsigned target)
{
    if (target < 1 || target > pool->master->board->max_workers)
        return false;
    if (target != pool->target)
        log_info("workers wanted: %u, before: %u", target, pool->target);
    pool->target = target;
    pool_balance(pool);
    return true;
}

void pool_start(struct pool *pool, unsigned target)
{
    pool->target = target;
    pool_balance(pool);
}

struct pool *pool_new(struct master *master)
{
    struct pool *pool = calloc(1, sizeof(*pool));

    if (pool == NULL)
        return NULL;
    pool->master = master;
    TAILQ_INIT(&pool->workers);
    evtimer_assign(&pool->retry, master->base, on_retry, pool);
    starting_init(pool);
    return pool;
}

void pool_free(struct pool *pool)
{
    struct worker *worker;

    if (pool == NULL)
        return;
    while ((worker = TAILQ_FIRST(&pool->workers)) != NULL) { /* only when the loop has failed */
        life_kill(worker);
        TAILQ_REMOVE(&pool->workers, worker, link);
        life_free(worker);
    }
    event_del(&pool->retry);
    starting_fini(pool);
    free(pool);
}
