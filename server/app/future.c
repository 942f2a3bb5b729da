/* future.c: futures as applications see them: counted, owned by scopes, awaited. */
#include <errno.h>
#include <stdlib.h>

#include "app/generation.h"
#include "app/strand.h"
#include "app/task.h"
#include "base/clock.h"
#include "base/holder.h"
#include "runtime/alarm.h"
#include "runtime/coro.h"

/* A callback that waits for a future to settle; and then for its turn, when it holds it. */
struct done_callback {
    SLIST_ENTRY(done_callback) entry;
    struct soon soon;
    reeve_future *future;
    reeve_future_callback *callback;
    void *arg;
};

static int fail(int error)
{
    errno = error;
    return -1;
}

/* ---- references ---- */

reeve_future *future_new(struct generation *generation, struct scope *scope, size_t size)
{
    reeve_future *future = calloc(1, size);

    if (!future) {
        errno = ENOMEM;
        return NULL;
    }
    future_init(&future->future);
    future->generation = generation;
    future->refs = 1;
    future->scope = scope;
    if (scope)
        LIST_INSERT_HEAD(&scope->futures, future, entry);
    generation_hold(generation, HOLD_FUTURE);
    return future;
}

reeve_future *reeve_future_new(void)
{
    const struct strand *strand = strand_current();

    return strand ? future_new(strand->generation, strand->scope, sizeof(reeve_future)) : NULL;
}

reeve_future *reeve_future_hold(reeve_future *future)
{
    future->refs++;
    return future;
}

static void future_free(reeve_future *future)
{
    struct generation *generation = future->generation;
    struct done_callback *waiting;

    if (future->fini)
        future->fini(future);
    while ((waiting = SLIST_FIRST(&future->callbacks))) {
        SLIST_REMOVE_HEAD(&future->callbacks, entry);
        free(waiting);
    }
    free(future);
    generation_release(generation, HOLD_FUTURE);
}

void reeve_future_release(reeve_future *future)
{
    if (future && --future->refs == 0)
        future_free(future);
}

void future_leave_scope(reeve_future *future)
{
    LIST_REMOVE(future, entry);
    future->scope = NULL;
    reeve_future_release(future);
}

/* ---- settling ---- */

static void on_soon(void *arg)
{
    struct done_callback *done = arg;
    reeve_future *future = done->future;
    struct generation *generation = future->generation;

    generation_hold(generation, HOLD_FUTURE); /* its code is on the stack */
    done->callback(future, done->arg);
    free(done);
    reeve_future_release(future);
    generation_release(generation, HOLD_FUTURE);
}

static void call_soon(struct done_callback *done)
{
    reeve_future_hold(done->future);
    soon_call(&done->soon, on_soon, done);
}

/* In the order in which they came. */
static void call_callbacks(reeve_future *future)
{
    SLIST_HEAD(, done_callback) turned = SLIST_HEAD_INITIALIZER(turned);
    struct done_callback *done;

    while ((done = SLIST_FIRST(&future->callbacks))) {
        SLIST_REMOVE_HEAD(&future->callbacks, entry);
        SLIST_INSERT_HEAD(&turned, done, entry);
    }
    while ((done = SLIST_FIRST(&turned))) {
        SLIST_REMOVE_HEAD(&turned, entry);
        call_soon(done);
    }
}

void future_done(reeve_future *future, int error, void *value)
{
    if (future_settle(&future->future, error, value))
        call_callbacks(future);
}

static int settle(reeve_future *future, int error, void *value)
{
    if (future->future.is_done)
        return fail(EALREADY);
    if (future->task)
        return fail(EINVAL);
    future_done(future, error, value);
    return 0;
}

int reeve_future_resolve(reeve_future *future, void *value)
{
    return settle(future, 0, value);
}

int reeve_future_fail(reeve_future *future, int error)
{
    return error > 0 ? settle(future, error, NULL) : fail(EINVAL);
}

int reeve_future_cancel(reeve_future *future)
{
    if (!future->task || future->future.is_done)
        return settle(future, ECANCELED, NULL);
    return task_cancel(future->task) ? 0 : fail(EALREADY);
}

bool reeve_future_is_done(const reeve_future *future)
{
    return future->future.is_done;
}

int reeve_future_result(reeve_future *future, void **value_out)
{
    if (!future->future.is_done)
        return fail(EINPROGRESS);
    future->is_seen = true;
    if (future->future.error)
        return fail(future->future.error);
    if (value_out)
        *value_out = future->future.value;
    return 0;
}

int reeve_future_on_done(reeve_future *future, reeve_future_callback *callback, void *arg)
{
    struct done_callback *done = calloc(1, sizeof *done);

    if (!done)
        return fail(ENOMEM);
    done->future = future;
    done->callback = callback;
    done->arg = arg;
    if (future->future.is_done)
        call_soon(done);
    else
        SLIST_INSERT_HEAD(&future->callbacks, done, entry);
    return 0;
}

/* ---- awaiting ---- */

/* Who waits for more at once needs memory for it. */
#define WAITERS_ON_STACK 16

static int can_wait(const void *site)
{
    if (!coro_current())
        return fail(EDEADLK);
    coro_note(CALL_AWAIT, site);
    return 0;
}

/* It would wait for its own end. */
static bool is_own(const reeve_future *future)
{
    return future->task && !future->future.is_done && future->task->strand.coro == coro_current();
}

/* It is held meanwhile: whoever has it may let it go. 0 or the reason. */
static int await_one(reeve_future *future, uint64_t ns)
{
    int reason;

    if (is_own(future))
        return EDEADLK;
    reeve_future_hold(future);
    reason = future_wait(&future->future, ns);
    future->is_seen |= future->future.is_done;
    reeve_future_release(future);
    return reason;
}

int reeve_await(reeve_future *future, double seconds, void **value_out)
{
    int reason, result;

    if (can_wait(__builtin_return_address(0)) == -1)
        return -1;
    reeve_future_hold(future);
    reason = await_one(future, strand_limit(seconds));
    result = reason ? fail(reason) : reeve_future_result(future, value_out);
    reeve_future_release(future);
    return result;
}

static int await_each(reeve_future *const *futures, size_t count, uint64_t ns)
{
    uint64_t end = ns < CORO_FOREVER ? clock_ns() + ns : CORO_FOREVER, now;
    int reason = 0;

    for (size_t i = 0; i < count && !reason; i++) {
        if (!futures[i]->future.is_done && end != CORO_FOREVER) {
            now = clock_ns();
            ns = now < end ? end - now : 0;
        }
        reason = await_one(futures[i], ns);
    }
    return reason;
}

static void hold_all(reeve_future *const *futures, size_t count)
{
    for (size_t i = 0; i < count; i++)
        reeve_future_hold(futures[i]);
}

static void release_all(reeve_future *const *futures, size_t count)
{
    int saved = errno;

    for (size_t i = 0; i < count; i++)
        reeve_future_release(futures[i]);
    errno = saved;
}

int reeve_await_all(reeve_future *const *futures, size_t count, double seconds)
{
    int reason, result = 0;

    if (can_wait(__builtin_return_address(0)) == -1)
        return -1;
    hold_all(futures, count);
    reason = await_each(futures, count, strand_limit(seconds));
    if (reason)
        result = fail(reason);
    for (size_t i = 0; i < count && result == 0; i++)
        result = reeve_future_result(futures[i], NULL);
    release_all(futures, count);
    return result;
}

static ssize_t first_done(reeve_future *const *futures, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (futures[i]->future.is_done)
            return (ssize_t)i;
    return -1;
}

static int await_first(reeve_future *const *futures, size_t count, uint64_t ns, ssize_t *first_out)
{
    struct future_waiter few[WAITERS_ON_STACK], *waiters = few;
    int reason;

    if (count > WAITERS_ON_STACK)
        waiters = calloc(count, sizeof *waiters);
    if (!waiters)
        return ENOMEM;
    for (size_t i = 0; i < count; i++)
        waiters[i].future = &futures[i]->future;
    hold_all(futures, count);
    reason = future_wait_any(waiters, count, ns);
    *first_out = first_done(futures, count);
    release_all(futures, count);
    if (waiters != few)
        free(waiters);
    return reason;
}

static bool has_own(reeve_future *const *futures, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (is_own(futures[i]))
            return true;
    return false;
}

ssize_t reeve_await_any(reeve_future *const *futures, size_t count, double seconds)
{
    ssize_t first;
    int reason;

    if (can_wait(__builtin_return_address(0)) == -1)
        return -1;
    if (count == 0)
        return fail(EINVAL);
    first = first_done(futures, count);
    if (first >= 0)
        return first;
    if (has_own(futures, count))
        return fail(EDEADLK);
    reason = await_first(futures, count, strand_limit(seconds), &first);
    return reason ? fail(reason) : first;
}

/* ---- a future by the clock ---- */

struct after {
    reeve_future future; /* first: it is freed as one */
    struct alarm alarm;
};

static void on_time(void *arg)
{
    struct after *after = arg;

    future_done(&after->future, 0, NULL);
}

static void after_fini(reeve_future *future)
{
    struct after *after = (struct after *)future;

    alarm_stop(&after->alarm);
}

reeve_future *reeve_after(double seconds)
{
    const struct strand *strand = strand_current();
    uint64_t ns = strand_limit(seconds);
    struct after *after;

    if (!strand)
        return NULL;
    after = (struct after *)future_new(strand->generation, strand->scope, sizeof *after);
    if (!after)
        return NULL;
    alarm_init(&after->alarm, strand->generation->app->room->net.base, on_time, after);
    after->future.fini = after_fini;
    if (ns != CORO_FOREVER && alarm_start(&after->alarm, ns) == -1) {
        future_leave_scope(&after->future);
        errno = ENOMEM;
        return NULL;
    }
    return &after->future;
}
