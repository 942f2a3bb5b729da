/* worker.h: the one door from the master into a worker.
 *
 * A worker is one process with one loop. It knows what is in its heritage and what its link tells
 * it, nothing else. A fresh worker is brought up to date by the same messages as a running one:
 * PREPARE and COMMIT for each app's current generation, then START. The preflight process is a
 * worker without listeners. */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/board.h"
#include "base/config.h"

/* What the master hands down at fork. All pointers stay valid in the child, which owns its copy of
 * them. */
struct heritage {
    const struct config *config;
    const int *listeners; /* one for each of config->listens; NULL in a preflight process */
    struct board *board;
    const int *bells; /* one for each slot of the board; NULL in a preflight process */
    pid_t master;     /* whose end is this worker's, too */
    int link;         /* the worker's end of its channel */
    unsigned id; /* slot; in a preflight process a private scoreboard of one slot is used instead */
    uint64_t incarnation;
    bool is_preflight;
    /* Shared with the master: a preflight process says here what it tries, "in init". NULL in a
     * worker. */
    char *step;
    size_t step_size;
};

/* Runs until the worker is told to end, or the master has gone. Returns the exit status:
 * 0 told to, or drained; 1 the start failed (the log says why). */
int worker_main(const struct heritage *heritage);

#endif
