/* soon.c: see soon.h. */
#include "runtime/soon.h"

#include <event2/event.h>
#include <event2/event_struct.h>

TAILQ_HEAD(soon_list, soon);

static struct {
    struct event event;
    struct soon_list list;
    uint64_t round;
    bool is_open, is_due, is_running;
} process;

/* libevent calls what makes itself active again and again before it looks for new events, so that one
 * busy connection would be ahead of all others. So many rounds may follow each other like that: each
 * look is a system call. */
#define ROUNDS_A_LOOK 8

/* A timer of no time comes behind the events that are there by then. */
static void schedule(void)
{
    static const struct timeval none = {0, 0};
    bool looks = process.is_running && process.round % ROUNDS_A_LOOK == 0;

    if (process.is_due)
        return;
    process.is_due = true;
    if (!looks || event_add(&process.event, &none) == -1)
        event_active(&process.event, 0, 0);
}

/* Those that come meanwhile have their turn when the loop's other events have had theirs. */
static void on_round(evutil_socket_t fd, short what, void *arg)
{
    uint64_t round = process.round++;
    struct soon *soon;

    (void)fd, (void)what, (void)arg;
    process.is_due = false;
    process.is_running = true;
    while ((soon = TAILQ_FIRST(&process.list)) && soon->round == round) {
        soon_cancel(soon);
        soon->fn(soon->arg);
    }
    process.is_running = false;
}

int soon_open(struct event_base *base)
{
    TAILQ_INIT(&process.list);
    if (event_assign(&process.event, base, -1, 0, on_round, NULL) == -1)
        return -1;
    process.is_open = true;
    process.is_due = process.is_running = false;
    return 0;
}

void soon_close(void)
{
    struct soon *soon;

    if (!process.is_open)
        return;
    event_del(&process.event);
    while ((soon = TAILQ_FIRST(&process.list)))
        soon_cancel(soon);
    process.is_open = process.is_due = false;
}

void soon_call(struct soon *soon, void (*fn)(void *arg), void *arg)
{
    if (soon->is_waiting)
        return;
    *soon = (struct soon){.fn = fn, .arg = arg, .round = process.round, .is_waiting = true};
    TAILQ_INSERT_TAIL(&process.list, soon, entry);
    schedule();
}

void soon_cancel(struct soon *soon)
{
    if (!soon->is_waiting)
        return;
    TAILQ_REMOVE(&process.list, soon, entry);
    soon->is_waiting = false;
}
