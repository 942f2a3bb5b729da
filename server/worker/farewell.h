/* farewell.h: how a drain ends whose time is over: long-lived connections are told, what is left then
 * is cut, and the last callbacks have a moment to return. */
#ifndef WORKER_FAREWELL_H
#define WORKER_FAREWELL_H

#include <event2/event_struct.h>
#include <stdint.h>

struct link;
struct room;

struct farewell { /* embedded in the worker */
    struct room *room;
    struct link *link; /* who is told that something was cut */
    struct event timer;
    uint64_t told_until; /* clock_ns(); 0: it has not begun */
    uint64_t cut_at;     /* clock_ns(); 0: nothing was cut yet */
    void (*on_over)(void *arg);
    void *arg;
};

/* on_over is called when nothing is waited for any more. room->net is open. */
void farewell_init(struct farewell *farewell, struct room *room, void (*on_over)(void *arg),
                   void *arg);
/* The drain has `ns` from now on; asked again, the later word counts, until it has begun. */
void farewell_begin_in(struct farewell *farewell, uint64_t ns);
void farewell_stop(struct farewell *farewell);

#endif
