/* background.h: what an application does outside of requests in this worker: its hooks, tasks and
 * timers, bound to one generation.
 *
 * It goes on until the generation takes no new requests and the last one has ended; then it is
 * cancelled, and the generation goes when all of it has unwound. */
#ifndef APP_BACKGROUND_H
#define APP_BACKGROUND_H

#include <reeve/async.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/time.h>

#include "app/task.h"

struct generation;
struct room;

/* What other rooms do in the background for a generation; embedded in what it is. */
struct belonging {
    LIST_ENTRY(belonging) entry;
    void (*stop)(struct belonging *belonging); /* the build's end, unless it was abandoned before */
    void (*free)(struct belonging *belonging); /* ... and fini was called */
};

struct background {
    LIST_HEAD(, task) tasks;
    LIST_HEAD(, reeve_timer) timers, former;
    LIST_HEAD(, job) jobs;
    LIST_HEAD(, reeve_pool) pools; /* that were not freed; see pool.h */
    LIST_HEAD(, belonging) belongings, former_belongings;
    bool has_started; /* on_start was called */
    bool is_draining; /* on_drain was called, or need not be */
    bool is_hook_running;
    bool is_over; /* all was cancelled, nothing new begins */
};

void background_open(struct generation *generation);
/* Its fini has been called. */
void background_close(struct generation *generation);

/* The generation is live for the first time, or again. */
void background_start(struct generation *generation);
/* It takes no new requests from now on, or hardly any: the worker drains. */
void background_drain(struct generation *generation);
/* It was retired, and a request or a task of its may have been its last. */
void background_look(struct generation *generation);

/* A task without a scope: false when it is too late. */
struct task *background_spawn(struct generation *generation, reeve_task *fn, void *arg,
                              const struct origin *origin);
/* One of them has ended. */
void background_ended(struct generation *generation);

/* The background work must not be over. */
void background_adopt(struct generation *generation, struct belonging *belonging);
/* It has been stopped, by whoever calls. */
void background_abandon(struct belonging *belonging);

/* ---- all of a worker's ---- */

/* It drains: every live generation is told so. */
void background_drain_all(const struct room *room);
/* Some on_drain has not returned. */
bool background_is_told(const struct room *room);
/* It ends at once: on_drain is not called any more. */
void background_skip_drain(const struct room *room);
/* Tasks that have not ended. */
unsigned background_count(const struct room *room);

/* ---- timers.c, jobs.c ---- */

/* What fails each time is told of once a minute. All zero: it has not failed yet. */
struct complaint {
    uint64_t said_at; /* clock_ns() */
    unsigned unsaid;
};
/* `what` is "timer" or "job". */
void background_complain(struct complaint *complaint, const struct generation *generation,
                         const char *what, const struct origin *origin, int error);

/* What an event is to wait until clock_ns() is `at`; an hour at most: look again then. */
struct timeval background_until(uint64_t at, uint64_t now);

void background_stop_timers(struct generation *generation);
/* Those that the build's end has stopped go. */
void background_free_timers(struct generation *generation);
void background_stop_jobs(struct generation *generation);

#endif
