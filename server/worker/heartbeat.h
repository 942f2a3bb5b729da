/* heartbeat.h: once a second, a sign of life on the scoreboard, and what is looked at as often. */
#ifndef WORKER_HEARTBEAT_H
#define WORKER_HEARTBEAT_H

#include <stdint.h>

struct event;
struct room;

struct heartbeat {
    struct room *room;
    struct event *event; /* NULL: stopped */
    uint64_t last;       /* clock_ns() */
};

/* Beats at once, then each second from the room's loop. 0 or -1. */
int heartbeat_start(struct heartbeat *heartbeat, struct room *room);
void heartbeat_stop(struct heartbeat *heartbeat);

#endif
