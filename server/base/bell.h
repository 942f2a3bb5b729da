/* bell.h: how a worker that has published wakes those whom it concerns, and no others.
 *
 * Each slot has a bell: an eventfd, made by the master at the start and inherited by every worker.
 * In the slot's ring_head stands which channels its worker wants, and whether its bell was rung
 * already. No ring is lost: whoever publishes after a worker has begun to read rings it again.
 * It says that there is news, not what: whoever hears it reads all rings. */
#ifndef BASE_BELL_H
#define BASE_BELL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/board.h"
#include "base/ring.h"

/* ---- of a worker ---- */

struct bells {
    const int *fds; /* one for each slot; NULL: there are none, as in a preflight process */
    struct ring_head *heads; /* one for each slot */
    unsigned count, own;
    uint64_t catch_up; /* bytes that a worker may be behind in what it does not want */
    uint64_t *told;    /* for each slot: this worker's ring up to where its bell was rung */
};

/* For the worker of a slot: it wants nothing yet. -1: ENOMEM. The descriptors stay the caller's. */
int bells_open(struct bells *bells, const struct board *board, const int *fds, unsigned own);
/* It wants nothing any more. */
void bells_close(struct bells *bells);

/* What to wait on (readable), or -1. */
int bells_fd(const struct bells *bells);

/* The worker has been woken, and reads all rings after this. Not only when the bell was heard: also
 * before it reads for another reason. */
void bells_heard(struct bells *bells);

/* From here on this worker is woken for what is published in the channel: to be said before its
 * readers look where the rings end. */
void bells_want(struct bells *bells, uint64_t hash);
/* Only for those any more, which it wanted before. */
void bells_want_only(struct bells *bells, const struct ring_filter *wanted);
/* What it wants: for ring_next. */
const struct ring_filter *bells_wanted(const struct bells *bells);

/* After the own ring was written up to `end` (writer.published): rings the bells of those who want
 * the channel; now and then also of those who want others, so that they pass over what has come
 * before it is overwritten. Returns whether this worker is one of them: it is not rung, and is to
 * read its own ring soon. */
bool bells_ring(struct bells *bells, uint64_t hash, uint64_t end);

/* ---- of the master ---- */

/* One for each slot, close-on-exec and non-blocking. NULL with errno. */
int *bells_make(unsigned count);
void bells_unmake(int *fds, unsigned count); /* NULL: nothing */

/* After a worker has gone, which may have been about to ring: rings in its stead, whoever wants
 * anything. */
void bells_rouse(const struct board *board, const int *fds);

#endif
