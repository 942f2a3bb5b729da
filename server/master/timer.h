/* timer.h: a deadline in the master's unit of time. */
#ifndef MASTER_TIMER_H
#define MASTER_TIMER_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdint.h>

#include "base/clock.h"

/* Fires `ns` from now; one that is pending already is put off or brought forward. */
static inline void timer_arm(struct event *timer, uint64_t ns)
{
    struct timeval t = {.tv_sec = (time_t)(ns / NS_PER_SEC),
                        .tv_usec = (suseconds_t)(ns % NS_PER_SEC / 1000)};

    event_add(timer, &t);
}

#endif
