/* soon.h: a call that is put off to the loop's next round, on the loop's own stack. */
#ifndef RUNTIME_SOON_H
#define RUNTIME_SOON_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct event_base;

struct soon { /* embedded in its owner, or allocated for it; all zero: not waiting */
    TAILQ_ENTRY(soon) entry;
    void (*fn)(void *arg);
    void *arg;
    uint64_t round; /* in the one after which it is called */
    bool is_waiting;
};

/* One list a process. 0 or -1. */
int soon_open(struct event_base *base);
/* What has not been called is forgotten. */
void soon_close(void);

/* Calls fn(arg), once, in the order of these calls. A second time before that changes nothing.
 * Nothing of `soon` is touched any more when fn is called. */
void soon_call(struct soon *soon, void (*fn)(void *arg), void *arg);
void soon_cancel(struct soon *soon);

#endif
