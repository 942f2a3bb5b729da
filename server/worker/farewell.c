/* farewell.c: see farewell.h. */
#include "worker/farewell.h"

#include <event2/event.h>
#include <stdbool.h>

#include "app/background.h"
#include "app/member.h"
#include "app/room.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/net.h"
#include "worker/link.h"

/* Who is told has so long to take it in, and then the last callbacks to return. The master waits for
 * longer than both. */
#define TAKING_IN (1 * NS_PER_SEC)
#define RETURNING (1 * NS_PER_SEC)
#define STEP      (20 * NS_PER_MS)

static void await(struct farewell *farewell, uint64_t ns)
{
    const struct timeval at = {.tv_sec = (time_t)(ns / NS_PER_SEC),
                               .tv_usec = (suseconds_t)(ns % NS_PER_SEC / 1000)};

    event_add(&farewell->timer, &at);
}

static bool has_unfinished(const struct room *room)
{
    return net_unfinished(&room->net) > 0 || board_get(&room->slot->active) > 0 ||
           duties_waiting() > 0;
}

/* Those, too, that begin within that moment. False: there is nobody to wait for. */
static bool bid(struct farewell *farewell)
{
    const struct room *room = farewell->room;
    uint64_t now = clock_ns();

    if (!farewell->told_until)
        farewell->told_until = now + TAKING_IN;
    else if (now >= farewell->told_until)
        return false;
    members_farewell(room);
    if ((TAILQ_EMPTY(&room->net.streams) && duties_waiting() == 0) || !has_unfinished(room))
        return false;
    await(farewell, STEP);
    return true;
}

/* What is cut off in the middle is told to the log, and to the master. */
static void note_cut(const struct farewell *farewell)
{
    const struct room *room = farewell->room;
    unsigned connections = net_cut_short(&room->net), callbacks = duties_waiting(),
             tasks = background_count(room);
    size_t requests = (size_t)board_get(&room->slot->active);

    if (connections == 0 && requests == 0 && callbacks == 0 && tasks == 0)
        return;
    log_warnx("the drain took too long: %u connections are cut, %zu requests among them, and %u "
              "background tasks are cancelled, and %u callbacks of connections",
              connections, requests, tasks, callbacks);
    link_say_cut(farewell->link);
}

static bool await_last_callbacks(struct farewell *farewell)
{
    const struct room *room = farewell->room;

    if ((TAILQ_EMPTY(&room->net.streams) && members_accepted(room) == 0) ||
        clock_ns() >= farewell->cut_at + RETURNING)
        return false;
    await(farewell, STEP);
    return true;
}

static void on_time(evutil_socket_t fd, short what, void *arg)
{
    struct farewell *farewell = arg;

    (void)fd, (void)what;
    if (!farewell->cut_at) {
        if (bid(farewell))
            return;
        note_cut(farewell);
        farewell->cut_at = clock_ns();
        net_cut_all(&farewell->room->net);
    }
    if (await_last_callbacks(farewell))
        return;
    if (duties_waiting() > 0)
        link_say_cut(farewell->link);
    farewell->on_over(farewell->arg);
}

void farewell_init(struct farewell *farewell, struct room *room, void (*on_over)(void *arg),
                   void *arg)
{
    *farewell = (struct farewell){.room = room, .on_over = on_over, .arg = arg};
    event_assign(&farewell->timer, room->net.base, -1, 0, on_time, farewell);
}

void farewell_begin_in(struct farewell *farewell, uint64_t ns)
{
    if (!farewell->told_until)
        await(farewell, ns);
}

void farewell_stop(struct farewell *farewell)
{
    event_del(&farewell->timer);
}
