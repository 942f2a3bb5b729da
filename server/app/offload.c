/* offload.c: a function of an application's in a thread, and the coroutine that waits for it.
 *
 * The work lies on the coroutine's stack, as its argument usually does: so once it runs it is waited
 * for, whatever happens. */
#include "app/offload.h"

#include <errno.h>
#include <reeve/async.h>

#include "app/generation.h"
#include "app/strand.h"
#include "base/holder.h"
#include "runtime/coro.h"
#include "runtime/threads.h"

struct offload {
    struct thread_work work; /* first: it is found by it */
    void (*fn)(void *arg);
    void *arg;
    struct coro *coro;
    bool is_done;
};

static int fail(int error)
{
    errno = error;
    return -1;
}

int offload_begin(const struct strand *strand, struct thread_work *work)
{
    const struct room *room = strand->generation->app->room;

    if (threads_open(room->net.base, room->config->offload_threads) == -1)
        return fail(EAGAIN);
    return threads_begin(work);
}

static void run(struct thread_work *work)
{
    struct offload *offload = (struct offload *)work;

    offload->fn(offload->arg);
}

static void done(struct thread_work *work)
{
    struct offload *offload = (struct offload *)work;

    offload->is_done = true;
    coro_wake(offload->coro, 0);
}

/* 0 when it has run, or the reason why it has not even begun. */
static int wait_for(struct offload *offload)
{
    int reason = coro_wait("offload");

    if (reason && threads_take_back(&offload->work))
        return reason;
    while (!offload->is_done)
        coro_wait_resolutely("offload");
    return 0;
}

int reeve_offload(void (*fn)(void *arg), void *arg)
{
    const struct strand *strand = strand_current();
    struct offload offload = {
        .work = {.run = run, .done = done}, .fn = fn, .arg = arg, .coro = coro_current()};
    int reason;

    if (!strand)
        return -1;
    coro_note(CALL_OFFLOAD, __builtin_return_address(0));
    reason = coro_cancelled(offload.coro);
    if (reason)
        return fail(reason);
    if (offload_begin(strand, &offload.work) == -1)
        return -1;
    reason = wait_for(&offload);
    return reason ? fail(reason) : 0;
}
