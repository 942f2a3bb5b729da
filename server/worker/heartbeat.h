/* heartbeat.h: signs of life on the scoreboard, and what is looked at once a second. */
#ifndef WORKER_HEARTBEAT_H
#define WORKER_HEARTBEAT_H

#include <stdint.h>

struct event;
struct room;

struct heartbeat {
    struct room *room;
    struct event *event; /* NULL: stopped */
    uint64_t last;       /* clock_ns(): of the last beat */
    uint64_t looked_at;  /* ... and of what is done once a second */
};

/* Beats at once, then four times a second from the room's loop: often enough for the shortest
 * hang_timeout, 1 s, to be told from a beat that comes late. 0 or -1. */
int heartbeat_start(struct heartbeat *heartbeat, struct room *room);
/* Beats, and keeps in mind how much memory it takes without having served anything. */
void heartbeat_on_ready(struct heartbeat *heartbeat);
void heartbeat_stop(struct heartbeat *heartbeat);

#endif
