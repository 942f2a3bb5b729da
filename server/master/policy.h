/* policy.h: decisions of the master that need no process to be made, so that they can be tested
 * without one: how soon to spawn again, and the words in which an end is told. */
#ifndef MASTER_POLICY_H
#define MASTER_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

#define POLICY_DELAY_MIN (100 * NS_PER_MS)
#define POLICY_DELAY_MAX (10 * NS_PER_SEC)
/* Up for so long, or no failure for so long: all is well. */
#define POLICY_STEADY      (10 * NS_PER_SEC)
#define POLICY_BRIEF       (1 * NS_PER_SEC) /* a ready worker that ends sooner did not last */
#define POLICY_BRIEF_FREE  8                /* so many of them in a row are replaced at once */
#define POLICY_BRIEF_DELAY (50 * NS_PER_MS) /* and each further one after this */
#define POLICY_START_TRIES 3 /* so many crashes are forgiven before anything was ever ready */

/* What the unasked ends of the past say about the next one. Starts as zeros. */
struct backoff {
    unsigned failures; /* in a row: workers that ended before they were ready */
    unsigned brief;    /* in a row: workers that were ready and ended within POLICY_BRIEF */
    uint64_t until;    /* clock_ns(): when the delay that was given last is over */
};

/* How a worker that nobody had asked to go came to its end. */
struct unasked_end {
    bool was_ready;
    uint64_t up; /* ns since it was ready */
};

/* How many ns to wait, from `now`, before its successor is spawned: 0 for one that had been ready
 * (the load it carried is there), more each time for one that had not (the next will not fare
 * better). Call it once for a group of ends that share one delay. */
uint64_t policy_respawn_delay(struct backoff *backoff, const struct unasked_end *end, uint64_t now);

/* Before any worker was ever ready, one has ended again: has it been tried often enough? */
bool policy_is_hopeless(const struct backoff *backoff);

/* A wait status as the end of a sentence: "exited with status 1",
 * "was killed by signal 9 (Killed)". */
void policy_describe_end(int status, char *text, size_t size);

#endif
