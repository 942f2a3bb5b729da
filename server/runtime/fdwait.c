/* fdwait.c: see fdwait.h. */
#include "runtime/fdwait.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <poll.h>
#include <stdbool.h>

#include "runtime/coro.h"

/* Steps in a row, of one and the same coroutine, without anybody else's turn. */
#define STEPS_IN_A_ROW 64

struct fd_waiter {
    struct event event;
    struct coro *coro;
    unsigned ready;
};

static unsigned events_of(short what)
{
    return (what & EV_READ ? FD_READABLE : 0) | (what & EV_WRITE ? FD_WRITABLE : 0);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct fd_waiter *waiter = arg;

    (void)fd;
    waiter->ready |= events_of(what);
    coro_resume(waiter->coro, 0);
}

/* What has come in time counts, whatever else has come since. */
int fd_wait(struct event_base *base, int fd, unsigned events, uint64_t ns, unsigned *ready_out)
{
    struct fd_waiter waiter = {.coro = coro_current()};
    short what =
        (short)((events & FD_READABLE ? EV_READ : 0) | (events & FD_WRITABLE ? EV_WRITE : 0));
    int reason = coro_cancelled(waiter.coro);

    if (reason || ns == 0)
        return reason ? reason : ETIMEDOUT;
    event_assign(&waiter.event, base, fd, what, on_event, &waiter);
    errno = 0;
    if (event_add(&waiter.event, NULL) == -1)
        return errno ? errno : ENOMEM;
    reason = coro_wait_for("descriptor", ns);
    event_del(&waiter.event);
    if (ready_out)
        *ready_out = waiter.ready;
    return waiter.ready ? 0 : reason;
}

/* An error or the end lets nobody wait. */
int fd_poll(int fd, unsigned events)
{
    struct pollfd look = {.fd = fd,
                          .events = (short)((events & FD_READABLE ? POLLIN : 0) |
                                            (events & FD_WRITABLE ? POLLOUT : 0))};
    unsigned ready = 0;

    while (poll(&look, 1, 0) == -1)
        if (errno != EINTR)
            return -1;
    if (fd < 0 || look.revents & POLLNVAL) {
        errno = EBADF;
        return -1;
    }
    if (look.revents & (POLLERR | POLLHUP))
        return (int)events;
    ready |= look.revents & POLLIN ? FD_READABLE : 0;
    ready |= look.revents & POLLOUT ? FD_WRITABLE : 0;
    return (int)ready;
}

int fd_take_turns(void)
{
    static const struct coro *latest; /* never looked into: it may have ended */
    static unsigned steps;
    const struct coro *coro = coro_current();
    int reason;

    if (coro != latest) {
        latest = coro;
        steps = 0;
    }
    if (++steps < (coro_cancelled(coro) ? 2 : 1) * STEPS_IN_A_ROW)
        return 0;
    reason = coro_sleep(0);
    if (!reason)
        steps = 0;
    return reason;
}
