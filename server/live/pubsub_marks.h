/* pubsub_marks.h: moments between publications, as places in all rings: what was published before
 * one, and what after it, also when it is read much later.
 *
 * Marks are numbers that grow. One whose places all readers have passed is forgotten. */
#ifndef LIVE_PUBSUB_MARKS_H
#define LIVE_PUBSUB_MARKS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct mark;
TAILQ_HEAD(mark_list, mark);

struct marks {
    struct mark_list pending; /* the oldest first */
    uint64_t last;            /* the number of the latest that was set */
    unsigned ring_count;
};

void marks_open(struct marks *marks, unsigned ring_count);
void marks_close(struct marks *marks);

/* Where the rings end now. Returns its number; without memory that of the one before, as if it had
 * been set then. */
uint64_t marks_set(struct marks *marks, const uint64_t *ends);
/* The latest whose place in the ring is before this one. */
uint64_t marks_before(const struct marks *marks, unsigned ring, uint64_t place);
/* Forgets what has been passed: `at` is where the readers are. */
void marks_pass(struct marks *marks, const uint64_t *at);

#endif
