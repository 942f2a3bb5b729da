/* pool.h: the workers: how many there should be, which there are, and what is sent to them.
 *
 * The pool spawns, watches, replaces and ends processes. What code they run is told to them by
 * bringup.c (a fresh one) and deploy.c (a change); rolling through them is roll.c's. */
#ifndef MASTER_POOL_H
#define MASTER_POOL_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "base/board.h"
#include "base/channel.h"
#include "base/clock.h"
#include "master/build.h"
#include "master/edition.h"
#include "master/watchdog.h"

struct master;
struct pool;

/* The master's view of one worker: from its fork until it was reaped and its last word read. */
struct worker {
    TAILQ_ENTRY(worker) link;
    struct pool *pool;
    struct edition *edition; /* what it was made with: a reference */
    unsigned id;             /* its slot */
    uint64_t incarnation;
    pid_t pid;
    enum seat_state state;   /* as on the board; never SEAT_EMPTY */
    struct channel *channel; /* NULL once the other end is closed */
    struct hold_list holds;  /* the builds it has loaded, or is loading */
    bool is_extra;           /* beside the one it is to replace: not counted against the target */
    bool is_current;         /* has been sent every app's current build and START */
    bool was_ready;
    bool is_asked;             /* its end is wanted: drained, stopped or killed by us */
    bool is_replaced;          /* it ended unasked, and its successor is spawned or planned */
    bool has_lost_connections; /* that it handed on; said already */
    bool is_reaped;
    bool is_late; /* had to be killed: it did not end in time */
    bool has_cut; /* ended in time, but had to cut something off */
    bool is_hung; /* killed, since its loop did not turn; `hang` says what is known of that */
    char *hang;   /* "its loop has not turned for 30.2 s"; NULL */
    /* When it is_hung: 'T' or 't', stopped; 'D', in the kernel's hands: what it ran is not to blame
     * then. 0: neither. */
    char hang_state;
    int status;                                /* wait status, once is_reaped */
    uint64_t spawned_at, ready_at, drained_at; /* clock_ns(); 0: not yet */
    uint64_t drain_limit;                      /* ns that its drain may take */
    uint64_t suspected_at; /* clock_ns(): of hanging, while it serves; 0: it is not */
    struct event timer;    /* the next deadline, by state: ready, ended */
    struct watch watch;    /* the watchdog's */
    char *refusal;         /* why it was never ready; NULL: it did not say */
};

/* NULL with errno. No worker is spawned before pool_start. */
struct pool *pool_new(struct master *master);
void pool_free(struct pool *pool);
void pool_start(struct pool *pool, unsigned target);

/* How many serving workers are wanted: 1 to the scoreboard's max_workers, else nothing changes and
 * the answer is false. The pool spawns or drains towards it. */
bool pool_set_target(struct pool *pool, unsigned target);
/* Spawns or drains towards the target. */
void pool_balance(struct pool *pool);
/* The same at once, where a failure before would have it wait. */
void pool_hurry(struct pool *pool);
unsigned pool_target(const struct pool *pool);
unsigned pool_count(const struct pool *pool, unsigned state);
bool pool_is_empty(const struct pool *pool);

/* All workers, oldest first, whatever their state; NULL at the end. */
struct worker *pool_first(const struct pool *pool);
struct worker *pool_next(const struct worker *worker);
/* The one in that slot, or NULL. */
struct worker *pool_find(const struct pool *pool, unsigned id);
/* Starting or serving: it will take requests. */
bool pool_is_staying(const struct worker *worker);

/* One more worker beside those that are wanted; it counts once is_extra is taken off it. NULL when
 * there is no free slot or no process to be had. */
struct worker *pool_spawn_extra(struct pool *pool, struct edition *edition);
bool pool_has_free_slot(const struct pool *pool);

/* 0, or -1 when it has gone, which is told by other ways soon. */
int pool_send(struct worker *worker, const struct message *message);
void pool_send_all(struct pool *pool, const struct message *message);

/* ns since the last heartbeat of the worker in that slot, which has four a second; and how long a
 * silence says that its loop does not turn, where something waits for it. Whether it is killed for
 * that the watchdog decides. */
#define POOL_SILENCE_MAX (2500 * NS_PER_MS)
uint64_t pool_silence(const struct pool *pool, unsigned id);

/* It did not answer in time: when its loop does not turn either, for POOL_SILENCE_MAX from now, the
 * watchdog asks and kills it, and so it is replaced. */
void pool_suspect(struct worker *worker);

/* Serves no more: finishes what it has, within config->drain_timeout. */
void pool_drain(struct worker *worker);
/* Nobody is left to serve then. */
void pool_drain_all(struct pool *pool);
/* MESSAGE_STOP, and SIGKILL a second later. */
void pool_stop_all(struct pool *pool);
void pool_kill_all(struct pool *pool);

/* SIGKILL, since it was asked for: whatever it has begun is lost. Its successor is spawned as soon
 * as it has ended. */
void pool_kill(struct worker *worker);

/* For bringup.c: a worker that will never be ready, and why. Takes it down. */
void pool_fail(struct worker *worker, const char *reason);

/* True when `pid` was one of ours. */
bool pool_reap(struct pool *pool, pid_t pid, int status);

/* "worker 0.1", in a buffer of the caller's. */
#define POOL_NAME_MAX 32
const char *pool_name(const struct worker *worker, char name[POOL_NAME_MAX]);

#endif
