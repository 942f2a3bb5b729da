/* future.c: see future.h. */
#include "runtime/future.h"

#include "runtime/coro.h"

void future_init(struct future *future)
{
    *future = (struct future){0};
    TAILQ_INIT(&future->waiters);
}

bool future_settle(struct future *future, int error, void *value)
{
    const struct future_waiter *waiter;

    if (future->is_done)
        return false;
    future->is_done = true;
    future->error = error;
    future->value = error ? NULL : value;
    TAILQ_FOREACH (waiter, &future->waiters, entry)
        coro_wake(waiter->coro, 0);
    return true;
}

/* ---- waiting ---- */

static void join(struct future_waiter *waiter)
{
    waiter->coro = coro_current();
    TAILQ_INSERT_TAIL(&waiter->future->waiters, waiter, entry);
}

static void leave(struct future_waiter *waiter)
{
    TAILQ_REMOVE(&waiter->future->waiters, waiter, entry);
}

/* One that has come in time counts, whatever else has come since. */
int future_wait(struct future *future, uint64_t ns)
{
    struct future_waiter waiter = {.future = future};
    int reason;

    if (future->is_done)
        return 0;
    join(&waiter);
    reason = coro_wait_for("future", ns);
    leave(&waiter);
    return future->is_done ? 0 : reason;
}

static bool is_any_done(const struct future_waiter *waiters, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (waiters[i].future->is_done)
            return true;
    return false;
}

int future_wait_any(struct future_waiter *waiters, size_t count, uint64_t ns)
{
    int reason;

    if (is_any_done(waiters, count))
        return 0;
    for (size_t i = 0; i < count; i++)
        join(&waiters[i]);
    reason = coro_wait_for("futures", ns);
    for (size_t i = 0; i < count; i++)
        leave(&waiters[i]);
    return is_any_done(waiters, count) ? 0 : reason;
}
