/* pool_private.h: pool.c (how many workers), life.c (one of them), starting.c (those that fail) and
 * watchdog.c (those that hang) are one part behind pool.h; this is what they ask of each other, and
 * what bequest.c and heir.c carry over an exec. */
#ifndef MASTER_POOL_PRIVATE_H
#define MASTER_POOL_PRIVATE_H

#include "master/policy.h"
#include "master/pool.h"
#include "master/starting.h"

TAILQ_HEAD(worker_list, worker);

struct pool {
    struct master *master;
    struct worker_list workers; /* oldest first; each process until it was reaped */
    unsigned target;            /* 0 until pool_start */
    struct backoff backoff;
    unsigned held_back; /* of the missing ones: spawned when `retry` fires, not before */
    struct event retry; /* pending exactly while held_back > 0 */
    uint64_t retry_at;  /* clock_ns() */
    unsigned owed;      /* spawns to come that replace one which ended unasked */
    bool was_ready;     /* some worker was, once */
    struct starting starting;
};

/* ---- pool.c ---- */

/* A worker ended unasked: its successor is spawned by the next pool_balance, or after a delay. */
void pool_plan_successor(struct pool *pool, struct worker *worker);
/* The lowest free slot; max_workers: there is none. */
unsigned pool_free_slot(const struct pool *pool);

/* ---- life.c ---- */

/* A process in the lowest free slot, of which there is one; it is in the pool's list at once. NULL,
 * after a warning, when there is none to be had. */
struct worker *life_spawn(struct pool *pool, struct edition *edition, bool is_extra);
/* MESSAGE_STOP, and SIGKILL a second later. */
void life_stop(struct worker *worker);
void life_kill(const struct worker *worker);
/* The same for one that was not ready, or did not end, in time. */
void life_kill_late(struct worker *worker);
/* Its process goes on, but it serves no more and can be told nothing: its link is closed, or it was
 * killed and does not die, or its core is being dumped. Its successor need not wait. `how` is the
 * rest of a sentence about it. */
void life_give_up(struct worker *worker, const char *how);
void life_on_reaped(struct worker *worker, int status);
/* After an exec in place: one that the former image spawned, on the heap and filled in but for the
 * loop's part; `link` -1: it has closed its end. In the pool's list from now on. 0, or -1 with
 * errno. */
int life_adopt(struct pool *pool, struct worker *worker, int link);
/* Without a word to anybody: for pool_free. */
void life_free(struct worker *worker);

#endif
