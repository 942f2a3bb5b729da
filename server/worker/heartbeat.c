/* heartbeat.c: see heartbeat.h. A beat that comes late tells how long the loop was held up. */
#include "worker/heartbeat.h"

#include <event2/event.h>
#include <stdio.h>
#include <unistd.h>

#include "app/holders.h"
#include "app/room.h"
#include "base/clock.h"

#define BEAT  (250 * NS_PER_MS)
#define SLACK (BEAT / 2) /* the fourth beat may come a little early */

static uint64_t resident_bytes(void)
{
    unsigned long long total, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    if (!file)
        return 0;
    if (fscanf(file, "%llu %llu", &total, &resident) != 2)
        resident = 0;
    fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void beat(struct heartbeat *heartbeat, uint64_t now)
{
    struct room *room = heartbeat->room;

    heartbeat->last = now;
    room->net.now = now;
    board_set(&room->slot->heartbeat_at, now);
    board_set(&room->slot->rss, resident_bytes()); /* max_memory is to be noticed soon */
}

static void on_beat(evutil_socket_t fd, short what, void *arg)
{
    struct heartbeat *heartbeat = arg;
    struct room *room = heartbeat->room;
    uint64_t now = clock_ns(), elapsed = now - heartbeat->last;

    (void)fd, (void)what;
    histogram_record(&room->slot->loop_lag, elapsed > BEAT ? elapsed - BEAT : 0);
    beat(heartbeat, now);
    if (now - heartbeat->looked_at + SLACK < NS_PER_SEC)
        return;
    heartbeat->looked_at = now;
    net_hand_on(&room->net); /* those that the kernel did not take before */
    holders_show_all(room);
}

int heartbeat_start(struct heartbeat *heartbeat, struct room *room)
{
    const struct timeval each = {.tv_usec = BEAT / 1000};

    heartbeat->room = room;
    heartbeat->event = event_new(room->net.base, -1, EV_PERSIST, on_beat, heartbeat);
    beat(heartbeat, clock_ns());
    heartbeat->looked_at = heartbeat->last;
    return heartbeat->event ? event_add(heartbeat->event, &each) : -1;
}

void heartbeat_on_ready(struct heartbeat *heartbeat)
{
    struct board_slot *slot = heartbeat->room->slot;

    beat(heartbeat, clock_ns());
    board_set(&slot->rss_at_boot, board_get(&slot->rss));
}

void heartbeat_stop(struct heartbeat *heartbeat)
{
    if (heartbeat->event)
        event_free(heartbeat->event);
    heartbeat->event = NULL;
}
