/* soon.c: see soon.h. */
#include "runtime/soon.h"

#include <event2/event.h>
#include <event2/event_struct.h>

TAILQ_HEAD(soon_list, soon);

static struct {
    struct event event;
    struct soon_list list;
    uint64_t round;
    bool is_open;
} process;

/* Those that come meanwhile have their turn when the loop's other events have had theirs. */
static void on_round(evutil_socket_t fd, short what, void *arg)
{
    uint64_t round = process.round++;
    struct soon *soon;

    (void)fd, (void)what, (void)arg;
    while ((soon = TAILQ_FIRST(&process.list)) && soon->round == round) {
        soon_cancel(soon);
        soon->fn(soon->arg);
    }
}

int soon_open(struct event_base *base)
{
    TAILQ_INIT(&process.list);
    if (event_assign(&process.event, base, -1, 0, on_round, NULL) == -1)
        return -1;
    process.is_open = true;
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
    process.is_open = false;
}

void soon_call(struct soon *soon, void (*fn)(void *arg), void *arg)
{
    if (soon->is_waiting)
        return;
    *soon = (struct soon){.fn = fn, .arg = arg, .round = process.round, .is_waiting = true};
    TAILQ_INSERT_TAIL(&process.list, soon, entry);
    event_active(&process.event, 0, 0);
}

void soon_cancel(struct soon *soon)
{
    if (!soon->is_waiting)
        return;
    TAILQ_REMOVE(&process.list, soon, entry);
    soon->is_waiting = false;
}
