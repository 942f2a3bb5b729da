/* pools.h: the figures of an app's pools (reeve/pool.h) in one worker, on the scoreboard.
 *
 * A row belongs to a name: builds that follow each other, and workers that follow each other in a
 * slot, count on in the same one. Whoever reports adds up the workers' rows by name. */
#ifndef BASE_POOLS_H
#define BASE_POOLS_H

#include <stddef.h>
#include <stdint.h>

#include "base/count.h"

struct board;

#define POOLS_ROWS 8
#define POOLS_NAME 32 /* bytes, its end included */

struct pools_row {
    board_count turn;                                /* odd: it is being given to another name */
    board_count name[POOLS_NAME / sizeof(uint64_t)]; /* all zero: it is nobody's yet */
    /* Gauges. */
    board_count size;    /* how many may be open; 0: no such pool is there at present */
    board_count open;    /* in use or not */
    board_count taken;   /* of these in use */
    board_count waiting; /* takers that wait */
    /* Counters. */
    board_count takes;    /* that succeeded */
    board_count waits;    /* takes that had to wait, whatever came of it */
    board_count timeouts; /* takes whose time was over */
    board_count failures; /* takes that failed otherwise: too many wait, nothing can be opened */
    board_count opens;
    board_count open_failures;
    board_count discarded; /* broken, or not given back */
    board_count wait_sum;  /* ns that takers waited, in all */
    board_count wait_max;  /* ns, the longest */
};

/* ---- for the worker ---- */

/* The row of that name: its own, or one that nobody had, or at last that of a pool that is there no
 * more. NULL: all are in use. */
struct pools_row *pools_claim(struct pools_row rows[POOLS_ROWS], const char *name);

/* ---- for the master ---- */

/* After the worker has gone: gauges to 0. */
void pools_settle(struct pools_row rows[POOLS_ROWS]);

struct pools_sum {
    char name[POOLS_NAME];
    uint64_t size, open, taken, waiting, takes, waits, timeouts, failures, opens, open_failures,
        discarded, wait_sum, wait_max;
};

struct pools_list {
    struct pools_sum *items; /* by name */
    size_t count;
};

/* Of all workers. 0, or -1 with ENOMEM. */
int pools_gather(struct pools_list *list, const struct board *board, unsigned app);
void pools_free(struct pools_list *list);

#endif
