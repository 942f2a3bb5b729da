/* task.h: the futures of the public interface, and tasks: futures that a coroutine settles. */
#ifndef APP_TASK_H
#define APP_TASK_H

#include <reeve/async.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "app/strand.h"
#include "runtime/future.h"
#include "runtime/soon.h"

struct done_callback;

/* Lifetime: until its last reference is released. It holds its generation. */
struct reeve_future {
    struct future future;
    struct generation *generation;
    unsigned refs;
    struct scope *scope; /* that holds one of them; NULL: none does */
    LIST_ENTRY(reeve_future) entry;
    SLIST_HEAD(, done_callback) callbacks; /* that wait for it to settle, the latest first */
    struct task *task;                     /* whose it is; NULL: anybody settles it */
    bool is_seen;                          /* somebody has looked at what became of it */
    void (*fini)(reeve_future *future);    /* before it is freed; NULL: nothing to do */
};

/* Where in the application's source it comes from. */
struct origin {
    const char *name, *file;
    int line;
};

struct task {
    reeve_future future; /* first: it is freed as one. The task holds it until it has ended */
    struct strand strand;
    struct scope *scope; /* it was spawned in; NULL: background work */
    LIST_ENTRY(task) entry;
    reeve_task *fn;
    void *arg;
    struct origin origin;
    void (*on_ended)(void *arg, int error); /* of background work; may be NULL */
    void *on_ended_arg;
};

/* ---- futures ---- */

/* Of `size` bytes, which begin with the future; the rest is cleared. One reference, the scope's, or
 * the caller's if there is none. NULL with ENOMEM. */
reeve_future *future_new(struct generation *generation, struct scope *scope, size_t size);
void future_done(reeve_future *future, int error, void *value);
/* The scope's reference goes. */
void future_leave_scope(reeve_future *future);

/* ---- tasks ---- */

/* Soon begins a task of the generation, on a coroutine of its own: in a scope, or without as
 * background work, where the caller owns the reference. NULL with ENOMEM. */
struct task *task_start(struct generation *generation, struct scope *scope, reeve_task *fn,
                        void *arg, const struct origin *origin);

/* False: it was cancelled before. */
bool task_cancel(struct task *task);
void task_cancel_all(struct scope *scope);

/* What its coroutine runs; arg is the task. */
void task_run(void *arg);
struct strand *task_strand(void *task);

#endif
