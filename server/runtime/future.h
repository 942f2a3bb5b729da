/* future.h: a result that is there now or later, and the coroutines that wait for it.
 *
 * Nothing is allocated here, and nothing counted: the owner sees to it that a future outlives those
 * who wait. */
#ifndef RUNTIME_FUTURE_H
#define RUNTIME_FUTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct coro;
struct future;

/* With whoever waits. */
struct future_waiter {
    struct future *future; /* given to future_wait_any; the rest is future.c's */
    TAILQ_ENTRY(future_waiter) entry;
    struct coro *coro;
};

struct future { /* all zero is no future: future_init */
    bool is_done;
    int error; /* 0: it has a value */
    void *value;
    TAILQ_HEAD(, future_waiter) waiters;
};

void future_init(struct future *future);

/* For good; who waits goes on, soon. False: it was settled before. */
bool future_settle(struct future *future, int error, void *value);

/* Waits for one, or for the first of several, at most `ns` (CORO_FOREVER; 0 looks only). 0 when it
 * has come, whatever with; else the reason why not: ETIMEDOUT, or what coro_cancel was given. The
 * same one may be there twice. */
int future_wait(struct future *future, uint64_t ns);
int future_wait_any(struct future_waiter *waiters, size_t count, uint64_t ns);

#endif
