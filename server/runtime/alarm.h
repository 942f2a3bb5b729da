/* alarm.h: a timer that is never early, though libevent's is, which counts from the start of the
 * loop's round and so by what ran in the round before. */
#ifndef RUNTIME_ALARM_H
#define RUNTIME_ALARM_H

#include <event2/event_struct.h>
#include <stdint.h>

struct event_base;

struct alarm { /* embedded in its owner, or with whoever waits */
    struct event timer;
    uint64_t end; /* clock_ns() */
    void (*on_time)(void *arg);
    void *arg;
};

/* on_time(arg) runs on the loop's stack; it may free the alarm. */
void alarm_init(struct alarm *alarm, struct event_base *base, void (*on_time)(void *arg),
                void *arg);
/* After `ns`, once. 0, or -1 with ENOMEM. */
int alarm_start(struct alarm *alarm, uint64_t ns);
/* Also one that was not started, or has rung. */
void alarm_stop(struct alarm *alarm);

#endif
