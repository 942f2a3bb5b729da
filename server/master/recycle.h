/* recycle.h: workers that have begun max_requests, or grown beyond max_memory, are replaced: the
 * new one is ready before the old one drains, at most max_unavailable at a time.
 *
 * That is routine: it is no action, leaves no receipt, and gives way to whatever is asked for. */
#ifndef MASTER_RECYCLE_H
#define MASTER_RECYCLE_H

#include <stdbool.h>
#include <stdint.h>

struct master;
struct recycle;

/* NULL with ENOMEM. */
struct recycle *recycle_new(struct master *master);
void recycle_free(struct recycle *recycle); /* NULL is fine */

/* An action begins: a replacement that is not ready yet is given up, and the worker whose place it
 * was to take goes on serving. */
void recycle_give_way(struct master *master);

/* ---- decisions that need no process ---- */

/* The limit of one worker, the `number`-th that there ever was: `jitter` percent lower at most. Any
 * workers with numbers in a row have theirs spread evenly over that range. 1 or more. */
uint64_t recycle_limit(uint64_t limit, unsigned jitter, uint64_t number);

struct recycle_life { /* of a worker that has grown beyond max_memory */
    uint64_t limit;   /* its own; bytes */
    uint64_t at_boot; /* what it took when it was ready; bytes */
    uint64_t up;      /* ns since then */
    uint64_t requests;
};

/* It came to nothing: it was beyond its limit at once, not because of what it served. The next one
 * will fare no better. */
bool recycle_is_futile(const struct recycle_life *life);

#endif
