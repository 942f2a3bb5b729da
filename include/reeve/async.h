/* reeve/async.h: futures, tasks, scopes, timers, and whatever else waits.
 *
 * All code of an application runs on coroutines, one at a time in a worker: between two calls marked
 * [suspends] nobody else touches its data, so there is nothing to lock for. What a request is to
 * asyncio's programmers:
 *
 *     here                      there
 *     reeve_future              asyncio.Future
 *     reeve_spawn               asyncio.create_task, within a TaskGroup
 *     reeve_scope with a limit  asyncio.timeout, TaskGroup
 *     reeve_await_all, _any     asyncio.gather, asyncio.wait(FIRST_COMPLETED)
 *     reeve_offload             asyncio.to_thread
 *
 * Time limits are in seconds, counted from the call. REEVE_FOREVER (or any negative number) is none,
 * 0 only looks. Every call marked [suspends] fails, besides its own errors, with
 *     ECANCELED   this request or task was cancelled: every later wait of it fails at once, too
 *     ETIMEDOUT   its own limit, or that of a scope around it, has passed
 *     EDEADLK     there is no coroutine here: an on_loop module, a callback, fini, give, handover
 *     ENOMEM
 * and a cancelled coroutine should tidy up and return. Unless a call says otherwise it is for the
 * worker's own thread, and not for that of reeve_offload. Since 1.2, all of it. */
#ifndef REEVE_ASYNC_H
#define REEVE_ASYNC_H

#include <reeve/app.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

#define REEVE_FOREVER (-1.0)

/* ---- scopes ---- */

/* What is made while a piece of code runs, and goes with it at the latest. A request has one, so
 * has init, and each task: a coroutine that ends cancels the tasks that it spawned and that still
 * run, waits until they have unwound, and lets its futures go. More scopes may be opened within,
 * for a time limit or to have an end sooner. They nest, as blocks do. */
typedef struct reeve_scope {
    void *opaque[2];
} reeve_scope;

/* Opens a scope. After `seconds` every wait in it fails with ETIMEDOUT, until reeve_scope_end. One
 * that is left open is closed with that around it, and with a warning in the log. Returns 0 or -1:
 * EDEADLK, ENOMEM. Does not suspend. */
REEVE_API int reeve_scope_begin(reeve_scope *scope, double seconds);

/* Closes the innermost scope: cancels its tasks that still run, waits until they have unwound
 * (whatever the limit), and releases its futures. Returns 0, or -1 with ETIMEDOUT when the limit
 * had passed. EINVAL: it is not the innermost one, and stays open; or it is being closed already.
 * Keeps errno on success, so that it may stand on the way out of an error. [suspends] */
REEVE_API int reeve_scope_end(reeve_scope *scope);

/* Calls callback(arg) when the innermost scope that is open now ends, once its tasks have ended; the
 * last registered is called first, on this coroutine. What it may have to wait for fails if the
 * coroutine was cancelled. What it returns is the way to take it back, for reeve_scope_forget, until
 * it was called. NULL: EDEADLK, ENOMEM. Does not suspend. */
typedef struct reeve_scope_hook reeve_scope_hook;
REEVE_API reeve_scope_hook *reeve_scope_on_end(void (*callback)(void *arg), void *arg);
REEVE_API void reeve_scope_forget(reeve_scope_hook *hook);

/* The reason why waits fail at present, an errno value; 0: they do not. */
REEVE_API int reeve_is_cancelled(void);

/* ---- futures ---- */

/* A result that is there now or later: a value, or an error. It belongs to the scope it was made
 * in, and goes with it: a long loop opens a scope for each round. */
typedef struct reeve_future reeve_future;

/* NULL: ENOMEM; EDEADLK where there is no scope, in a callback. Does not suspend. */
REEVE_API reeve_future *reeve_future_new(void);

/* Keeps it beyond its scope, until reeve_future_release. The build stays loaded as long as a future
 * of it is held. Returns the future. */
REEVE_API reeve_future *reeve_future_hold(reeve_future *future);
REEVE_API void reeve_future_release(reeve_future *future);

/* Settles it, for good: whoever awaits it goes on, soon. 0, or -1: EALREADY, it was settled; EINVAL
 * for a task, which settles itself, or error <= 0. The value stays the caller's to manage. Does not
 * suspend; may be called from callbacks. */
REEVE_API int reeve_future_resolve(reeve_future *future, void *value);
REEVE_API int reeve_future_fail(reeve_future *future, int error);

/* Fails it with ECANCELED. A task is asked to: its waits fail, and it settles once it has returned,
 * with what it returns. EALREADY: it was settled, or the task was cancelled before. */
REEVE_API int reeve_future_cancel(reeve_future *future);

REEVE_API bool reeve_future_is_done(const reeve_future *future);

/* What became of it: 0 and *value_out (may be NULL), or -1 with its error; EINPROGRESS: nothing
 * yet. */
REEVE_API int reeve_future_result(reeve_future *future, void **value_out);

/* Calls callback(future, arg) once, on the loop's stack, soon after it has settled; nothing there
 * may wait. From settling until then the future is held; one that goes before it has settled calls
 * nobody. 0 or -1 with ENOMEM. */
typedef void reeve_future_callback(reeve_future *future, void *arg);
REEVE_API int reeve_future_on_done(reeve_future *future, reeve_future_callback *callback,
                                   void *arg);

/* Waits for it. 0 and its value in *value_out (may be NULL), or -1 with its error. ETIMEDOUT when
 * the limit has passed (unless that is its own error, see reeve_future_is_done): it goes on.
 * EDEADLK for a task that awaits itself, as for the next two. [suspends] */
REEVE_API int reeve_await(reeve_future *future, double seconds, void **value_out);

/* Waits until all have settled. 0 when all have values; -1 with the error of the first one, in the
 * array's order, that failed. [suspends] */
REEVE_API int reeve_await_all(reeve_future *const *futures, size_t count, double seconds);

/* Waits until one has settled, whatever with. Its index (the lowest, when there are several), or
 * -1; EINVAL for none. [suspends] */
REEVE_API ssize_t reeve_await_any(reeve_future *const *futures, size_t count, double seconds);

/* A future that resolves (with NULL) after so many seconds. NULL: as reeve_future_new. */
REEVE_API reeve_future *reeve_after(double seconds);

/* ---- tasks ---- */

/* What a task runs, on a coroutine of its own. Returns 0, and the future's value in *value_out
 * (NULL beforehand), or -1 with errno, which the future then fails with. */
typedef int reeve_task(void *arg, void **value_out);

/* Starts a task of this scope, soon: the caller runs on first. It may use the request of the one
 * who spawned it, except for reading its body and writing its response. A task that fails, and whose
 * result nobody has looked at, is logged with its origin. One that is cancelled before it begins is
 * never run, so what `arg` owns is best left to whoever spawned it (reeve_scope_on_end). NULL:
 * EDEADLK outside of a scope, ENOMEM. Does not suspend. */
#define reeve_spawn(task, arg) reeve_spawn_named(task, arg, #task, __FILE__, __LINE__)
REEVE_API reeve_future *reeve_spawn_named(reeve_task *task, void *arg, const char *name,
                                          const char *file, int line);

/* The same, bound not to this scope but to the build in this worker: it goes on when the request
 * has ended. It is cancelled when the build takes no new requests any more and its last request has
 * ended: another build took its place, or the worker ends. A build that a canary has put aside, and
 * that may come back, goes on with its background work. From anywhere, callbacks included. Does not
 * suspend. future_out may be NULL; else it gets the future, which is the caller's to release.
 * 0, or -1: ENOMEM, or ECANCELED: it is too late. */
#define reeve_spawn_background(module, task, arg, future_out) \
    reeve_spawn_background_named(module, task, arg, future_out, #task, __FILE__, __LINE__)
REEVE_API int reeve_spawn_background_named(reeve_module *module, reeve_task *task, void *arg,
                                           reeve_future **future_out, const char *name,
                                           const char *file, int line);

/* Whose code this is: NULL outside of a coroutine. The request whose scope this is, or one around
 * it; NULL in background work. */
REEVE_API reeve_module *reeve_current_module(void);
REEVE_API reeve_environ *reeve_current_environ(void);

/* ---- background work by the clock ---- */

/* Calls task(arg) as background work: once after `seconds`, or every `seconds` for the first time
 * after as many. A periodic one never overlaps itself: beats that it misses are left out, and those
 * that follow stay in time with the first. Its value is dropped, an error is logged, once a minute
 * at most. Lives until it was stopped, or has run once; the build's end stops it. From anywhere,
 * init included. NULL: ENOMEM, EINVAL (a period must be 1 ms or more), ECANCELED as above. Does not
 * suspend. */
typedef struct reeve_timer reeve_timer;
#define reeve_call_after(module, seconds, task, arg) \
    reeve_timer_new(module, seconds, 0, task, arg, #task, __FILE__, __LINE__)
#define reeve_call_every(module, seconds, task, arg) \
    reeve_timer_new(module, seconds, seconds, task, arg, #task, __FILE__, __LINE__)
REEVE_API reeve_timer *reeve_timer_new(reeve_module *module, double first, double period,
                                       reeve_task *task, void *arg, const char *name,
                                       const char *file, int line);
/* No further call; one that runs goes on. Not for a one-shot timer that has run, nor twice; but in
 * fini, when the build's end has stopped it, it does no harm. NULL: nothing. */
REEVE_API void reeve_timer_stop(reeve_timer *timer);

/* A periodic job of the application as a whole: every `seconds` it runs in one of the workers, and
 * never in two at once, nor in two builds. Each worker says that it has the job, best in init or
 * on_start; the build that is live runs it, for the first time after as many seconds as the server
 * has known the name. `name` tells the app's jobs apart, across its builds: letters, digits, '-',
 * '_', up to 31 of them, and 8 names an app (one that no build has any more is forgotten after a
 * minute). Which worker it is changes from run to run. Beats that it misses are left out; it begins
 * up to 50 ms late, or a tenth of a shorter period. A run is background work: it is cancelled as any
 * other, also when its worker drains, and one that was cut off by that or by the death of its worker
 * runs again at its next time. Not in the throwaway process. `reevectl -j apps` tells of the runs.
 * 0 or -1: ENOMEM, EINVAL (a period must be 1 ms or more), ENOSPC, EEXIST in this build, ECANCELED
 * as above. Does not suspend. */
#define reeve_job_every(module, name, seconds, task, arg) \
    reeve_job_new(module, name, seconds, task, arg, __FILE__, __LINE__)
REEVE_API int reeve_job_new(reeve_module *module, const char *name, double seconds,
                            reeve_task *task, void *arg, const char *file, int line);

/* ---- taking turns ---- */

/* All of these let those who wait through in the order of their coming. They live where the
 * application puts them: in a static variable, or in memory that outlives everyone who waits. What
 * is all zero is not ready to use; nothing is to be done at their end.
 *
 * What becomes free is handed to the first who waits, there and then: if that one is cancelled, or
 * its limit passes, before it can go on, it has it all the same, and its next wait fails. What can
 * be had without waiting can be had in a cancelled coroutine, too. With a limit of 0, acquire, put
 * and get may be called from everywhere. */

/* `count` may be held at a time. */
typedef struct reeve_semaphore {
    uint64_t opaque[4];
} reeve_semaphore;
REEVE_API void reeve_semaphore_init(reeve_semaphore *semaphore, size_t count);
REEVE_API int reeve_semaphore_acquire(reeve_semaphore *semaphore, double seconds); /* [suspends] */
REEVE_API void reeve_semaphore_release(reeve_semaphore *semaphore);
REEVE_API size_t reeve_semaphore_available(const reeve_semaphore *semaphore);

/* For what must not change across a wait; nothing else needs one. Not recursive: EDEADLK. It belongs
 * to the coroutine that has locked it, which has to unlock it before it ends. */
typedef struct reeve_mutex {
    uint64_t opaque[6];
} reeve_mutex;
REEVE_API void reeve_mutex_init(reeve_mutex *mutex);
REEVE_API int reeve_mutex_lock(reeve_mutex *mutex, double seconds); /* [suspends] */
/* 0, or -1 with EPERM: this coroutine has not locked it. */
REEVE_API int reeve_mutex_unlock(reeve_mutex *mutex);

typedef struct reeve_condition {
    uint64_t opaque[4];
} reeve_condition;
REEVE_API void reeve_condition_init(reeve_condition *condition);
/* Unlocks the mutex, waits until it is signalled, and locks it again, also when it fails, however
 * long that takes. Nothing wakes it but a signal; what it waits for may have changed again since.
 * EPERM as above. [suspends] */
REEVE_API int reeve_condition_wait(reeve_condition *condition, reeve_mutex *mutex, double seconds);
REEVE_API void reeve_condition_signal(reeve_condition *condition);
REEVE_API void reeve_condition_broadcast(reeve_condition *condition);

/* A queue of at most `capacity` pointers between coroutines. */
typedef struct reeve_queue reeve_queue;
REEVE_API reeve_queue *reeve_queue_new(size_t capacity); /* NULL: ENOMEM, EINVAL for 0 */
/* Nobody may be waiting, but for those that reeve_queue_close has just sent away. What is in it stays
 * the application's. */
REEVE_API void reeve_queue_free(reeve_queue *queue);
/* EPIPE: it was closed. [suspends] while it is full */
REEVE_API int reeve_queue_put(reeve_queue *queue, void *item, double seconds);
/* EPIPE: it was closed, and is empty. [suspends] while it is empty */
REEVE_API int reeve_queue_get(reeve_queue *queue, void **item_out, double seconds);
/* Nothing more is put; what is in it can still be had. */
REEVE_API void reeve_queue_close(reeve_queue *queue);
REEVE_API size_t reeve_queue_count(const reeve_queue *queue);

/* ---- descriptors ---- */

/* All descriptors here are the application's own, have to be non-blocking, and stay open while
 * somebody waits for them: if one is closed all the same nobody is told, and who waits does so until
 * its limit, or until something happens at the next file that gets the number. Those that these
 * calls make are non-blocking and close-on-exec, and send small messages at once (TCP_NODELAY).
 *
 * Each call first tries, and suspends only if there is nothing to be had; but who makes many in a
 * row lets others have their turns. Several may wait for the same descriptor. */

#define REEVE_READABLE 1u
#define REEVE_WRITABLE 2u

/* Waits until fd is ready for one of `events`, or at its end. Which ones it is ready for, or -1;
 * EPERM: a file or folder, which always is; EBADF; EINVAL: no such events. [suspends] */
REEVE_API int reeve_wait_fd(int fd, unsigned events, double seconds);

/* Reads what there is, up to `size` bytes, once there is something. Their number, 0 at the end, or
 * -1 as read(2). [suspends] */
REEVE_API ssize_t reeve_fd_read(int fd, void *buffer, size_t size, double seconds);
/* Writes all. 0, or -1 as write(2), when some of it may have gone. [suspends] */
REEVE_API int reeve_fd_write(int fd, const void *data, size_t size, double seconds);
/* A new connection, as accept4(2), or -1. [suspends] */
REEVE_API int reeve_fd_accept(int fd, struct sockaddr *address, socklen_t *length, double seconds);
/* A connected stream socket, or -1 as connect(2); a Unix socket whose queue is full is waited for.
 * [suspends] */
REEVE_API int reeve_fd_connect(const struct sockaddr *address, socklen_t length, double seconds);
/* The same by name: each of its addresses in turn, which share the time. EHOSTUNREACH: the name is
 * not known; EINVAL: the service is not; else as the last one failed. "unix:PATH" is a Unix socket,
 * with any service, which may be NULL. [suspends] */
REEVE_API int reeve_connect(const char *host, const char *service, double seconds);

struct addrinfo;
/* getaddrinfo(3), off the loop: 0 and *result_out, to be freed with freeaddrinfo, or EAI_*; on
 * EAI_SYSTEM see errno, also for ECANCELED, ETIMEDOUT and EDEADLK, and EAGAIN: too many lookups are
 * queued. A resolver that hangs is not waited for past the limit; lookups take up half of
 * offload_threads at most. [suspends] */
REEVE_API int reeve_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                                struct addrinfo **result_out, double seconds);

/* ---- threads ---- */

/* Runs fn(arg) in one of this worker's few threads (offload_threads in the configuration), for what
 * blocks or computes for long, and waits until it has returned. In fn nothing of reeve may be
 * called but reeve_log without a request. Once it runs it cannot be stopped, so neither is the wait:
 * a cancellation or limit that comes meanwhile is seen by the next wait. 0, or -1 when it was not
 * begun: ECANCELED or ETIMEDOUT while it was queued, EAGAIN when 1,024 are. fn must not end its
 * thread; one that never returns holds its build, and its thread, until the worker ends.
 * [suspends] */
REEVE_API int reeve_offload(void (*fn)(void *arg), void *arg);

#ifdef __cplusplus
}
#endif
#endif
