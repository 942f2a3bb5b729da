/* wakes.h: times at which sessions are to be looked at: a heap and one timer for all of the process, so
 * that each of very many costs some bytes and no event of its own. */
#ifndef LIVE_WAKES_H
#define LIVE_WAKES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;

struct wake {     /* embedded; all zero: not set */
    uint64_t at;  /* clock_ns() */
    size_t place; /* in the heap, from 1; 0: it is not there */
};

/* on_time is called after `ns`, once; replaces what was set. It runs on the loop's stack, never early;
 * the wake is not set any more, and it may set or stop any, or free this one's owner. Base and on_time
 * are the same for all. 0, or -1 with ENOMEM. */
int wake_start(struct wake *wake, uint64_t ns, struct event_base *base,
               void (*on_time)(struct wake *wake));
void wake_stop(struct wake *wake);

static inline bool wake_is_set(const struct wake *wake)
{
    return wake->place > 0;
}

#endif
