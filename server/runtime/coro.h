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

/* Runs on the loop's stack each time control has come back from the coroutine: it waits now, or it
 * has ended (then its stack was given back already). May start and resume others. */
typedef void coro_after(bool is_done, void *arg);

/* Prepares the process's pool: `stack_size` is the default in bytes, `keep` how many idle stacks of
 * a size are kept. 0 or -1. */
int coro_pool_open(struct event_base *base, size_t stack_size, size_t keep);
/* None may be alive. */
void coro_pool_close(void);

/* Runs fn(arg) on a coroutine until it ends or waits, then `after(..., arg)`, which may be NULL.
 * For the loop's stack only. `stack_size` 0 is the default. Returns 0, or -1 with ENOMEM when no
 * stack can be had: nothing ran then. */
int coro_run(void (*fn)(void *arg), coro_after *after, void *arg, size_t stack_size);

/* The one that is running; NULL on the loop's stack. */
struct coro *coro_current(void);

/* Suspends the current coroutine until it is woken. `what` is static text, "sleep" or "read body",
 * for reports. Returns the reason it was woken with: 0 or an errno value. Keeps errno. */
int coro_wait(const char *what);

/* Ends a coroutine's wait; it goes on from the loop, soon, never within this call. False when it
 * does not wait, or was woken already. */
bool coro_wake(struct coro *coro, int reason);

/* The same, but on the loop's stack it goes on within this call: for a callback that has nothing
 * left to do itself. */
bool coro_resume(struct coro *coro, int reason);

/* Wakes every one that waits with ECANCELED, so that it unwinds. One may wait again meanwhile: ask
 * again. */
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

const char *coro_waits_for(const struct coro *coro); /* NULL while it does not wait */
size_t coro_alive(void);                             /* started and not ended */

#endif
