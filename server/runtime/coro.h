/* coro.h: coroutines: a stack of its own for each piece of app code that may wait.
 *
 * Only the loop's stack resumes a coroutine, so they never nest. One that waits says for what
 * (coro_wait), and exactly one wake-up ends the wait: further ones are refused. Stacks are guarded,
 * pooled, and the last used is the first taken. One pool a process. */
#ifndef RUNTIME_CORO_H
#define RUNTIME_CORO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct coro;
struct frame;

/* What becomes of a coroutine after its start. */
enum coro_event {
    CORO_RESUMES, /* it goes on now; nothing may be done that starts or resumes others */
    CORO_WAITS,   /* control has come back from it: it is suspended */
    CORO_ENDED,   /* ... for good, and its stack was given back already: `coro` is NULL */
};
/* Runs on the loop's stack. */
typedef void coro_watch(enum coro_event event, struct coro *coro, void *arg);

/* Prepares the process's pool: `stack_size` is the default in bytes, `keep` how many idle stacks of
 * a size are kept. 0 or -1. */
int coro_pool_open(struct event_base *base, size_t stack_size, size_t keep);
/* None may be alive. */
void coro_pool_close(void);

/* Runs fn(arg) on a coroutine until it ends or waits; `watch` (may be NULL) is told of that, and of
 * what follows. For the loop's stack only. `stack_size` 0 is the default. Returns 0, or -1 with
 * ENOMEM when no stack can be had: nothing ran then. */
int coro_run(void (*fn)(void *arg), coro_watch *watch, void *arg, size_t stack_size);

/* The same, but it begins from the loop, soon: from wherever. NULL with ENOMEM. `watch` is told
 * CORO_RESUMES at its begin, too. */
struct coro *coro_start(void (*fn)(void *arg), coro_watch *watch, void *arg, size_t stack_size);

/* The one that is running; NULL on the loop's stack. */
struct coro *coro_current(void);

/* Suspends the current coroutine until it is woken. `what` is static text, "sleep" or "read body",
 * for reports. Returns the reason it was woken with: 0 or an errno value. Does not suspend when the
 * coroutine was cancelled: returns that reason. Keeps errno. */
int coro_wait(const char *what);

/* The same for `ns` at most, then ETIMEDOUT; 0 is over at once. */
#define CORO_FOREVER UINT64_MAX
int coro_wait_for(const char *what, uint64_t ns);

/* The same for what has to be waited for whatever happens: a cancellation or interruption neither
 * prevents nor ends it. Still it may end too early, by coro_cancel_all: look, and wait again. */
int coro_wait_resolutely(const char *what);

/* Ends a coroutine's wait; it goes on from the loop, soon, never within this call. False when it
 * does not wait, or was woken already. */
bool coro_wake(struct coro *coro, int reason);

/* The same, but on the loop's stack it goes on within this call: for a callback that has nothing
 * left to do itself. */
bool coro_resume(struct coro *coro, int reason);

/* Cancels a coroutine, so that it unwinds: the wait that it is in ends with `reason`, an errno
 * value, and from then on until its function returns every coro_wait of it returns that at once,
 * without giving the loop back. So whatever it calls that has to wait fails, clean-up that wants to
 * wait included, and what can be done without waiting still works. One that was woken already sees
 * the end of that wait as it was, and the cancellation in the next.
 *
 * From wherever: the loop's stack, another coroutine, or itself. It goes on from the loop, never
 * within this call. False when it was cancelled before: the first reason stays.
 *
 * It is for the end of the whole piece of work. For a deadline of one wait coro_wake with a reason
 * is enough, after which the next wait is as any other. And it is a request, no force: one that
 * takes no notice of the error and calls again for ever keeps the loop for itself. */
bool coro_cancel(struct coro *coro, int reason);

/* As coro_cancel, but until coro_uninterrupt: for a time limit of a part of the work. False when its
 * waits fail already. A cancellation in between stays. */
bool coro_interrupt(struct coro *coro, int reason);
void coro_uninterrupt(struct coro *coro);

/* The reason that its waits fail with; 0: they do not. */
int coro_cancelled(const struct coro *coro);

/* For tests: whoever is the n-th to wait from now on is cancelled in that wait; 0: nobody. Returns
 * how many waits were left until then, of the number that was given before. */
unsigned coro_cancel_nth(unsigned n);

/* Wakes every one that waits with ECANCELED, so that it unwinds. One may wait again meanwhile: ask
 * again. Other than coro_cancel it ends this wait only, so that one that takes no notice keeps
 * nobody from leaving. */
void coro_cancel_all(void);

/* Suspends the current coroutine for at least `ns`; 0 lets everything else that is ready run first.
 * Returns 0 or the reason it was woken with before its time. */
int coro_sleep(uint64_t ns);

/* For reports: the application is about to make this call, which may wait, at `site` of its code.
 * Kept until the next one. Without a coroutine there is nothing to note. */
void coro_note(unsigned call, const void *site);

/* Calls `each` for every one that does not run now and that was started with fn: with its arg, what
 * was noted last, and yours. Call 0: nothing was. It must not start, wake or end any. */
typedef void coro_each_fn(void *coro_arg, unsigned call, const void *site, void *arg);
void coro_each(void (*fn)(void *arg), coro_each_fn *each, void *arg);

/* Looks at every one that does not run, bit by bit, while they go on in between: each one that was
 * there at the begin and is still there when its turn comes is given to `each` once. One walk at a
 * time. `each` must not start, wake or end any, and answers false when that is enough for now. */
struct coro_walk {
    uint64_t number;
};
typedef bool coro_walk_fn(struct coro *coro, void *arg);
void coro_walk_begin(struct coro_walk *walk);
/* True: those were all. */
bool coro_walk_on(const struct coro_walk *walk, coro_walk_fn *each, void *arg);

/* What it was started with, if with fn; else NULL. */
void *coro_arg(const struct coro *coro, void (*fn)(void *arg));

/* The calls that one which does not run is in, the innermost `most` of them, as frames_take; the
 * coroutine and its stack are only read. None where the machine's switch has no way to tell. */
size_t coro_frames(const struct coro *coro, struct frame *frames, size_t most, size_t *depth_out);

/* What was noted last. */
unsigned coro_call(const struct coro *coro);
const void *coro_site(const struct coro *coro);

const char *coro_waits_for(const struct coro *coro); /* NULL while it does not wait */
size_t coro_alive(void);                             /* started and not ended */

/* True when the access to `address`, with the stack pointer `sp` (0: not known), ran over the end
 * of the stack of the coroutine that runs; then with its size. For a signal handler. */
bool coro_is_overflow(uintptr_t address, uintptr_t sp, size_t *size_out);

#endif
