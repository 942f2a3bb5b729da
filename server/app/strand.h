/* strand.h: one line of execution of an application's code, which may wait: a request, an init, a
 * task, or a callback of a connection; and the scopes it is in.
 *
 * Lifetime: of its coroutine. What is made in a scope goes with it at the latest. */
#ifndef APP_STRAND_H
#define APP_STRAND_H

#include <reeve/async.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct coro;
struct alarm;
struct generation;
struct reeve_environ;
struct reeve_future;
struct task;

struct scope {
    struct scope *outer; /* NULL: the strand's first */
    struct strand *strand;
    LIST_HEAD(, reeve_future) futures; /* of each of which it holds one reference */
    LIST_HEAD(, task) tasks;           /* that have not ended */
    LIST_HEAD(, reeve_scope_hook) hooks;
    struct alarm *limit; /* NULL: none */
    bool is_joining;     /* the strand waits for its tasks to end */
    bool is_ending;      /* its hooks may run: it cannot be ended once more */
    bool is_expired;
};

struct strand {
    struct coro *coro;
    struct generation *generation;
    struct reeve_environ *request; /* whose scope this is in; NULL: none's */
    struct scope root;
    struct scope *scope;   /* the innermost */
    struct scope *expired; /* the outermost whose limit has passed: waits fail until its end */
};

void strand_open(struct strand *strand, struct coro *coro, struct generation *generation,
                 struct reeve_environ *request);
/* At its coroutine's end: closes all scopes that are open. [suspends] */
void strand_close(struct strand *strand);

/* Whose code runs; NULL with errno: EDEADLK, there is no coroutine; ENOMEM. */
struct strand *strand_current(void);

/* One of a scope's tasks has ended, and is off the list. */
void scope_task_ended(struct scope *scope);

/* Seconds of the public interface in ns, CORO_FOREVER for a negative number. */
uint64_t strand_limit(double seconds);

#endif
