/* vigil.h: for how long a worker has been silent while the master listened. Pure: no clock is read
 * and no process touched here.
 *
 * It has a clock of its own, which stands still while the master does not look: stopped, or with
 * the whole machine paused or overloaded, it has heard nothing, and that is no worker's silence. */
#ifndef MASTER_VIGIL_H
#define MASTER_VIGIL_H

#include <stdint.h>

struct vigil {
    uint64_t looked_at; /* clock_ns(); 0: not yet */
    uint64_t now;       /* ns that it has listened for */
};

/* What it knows of one worker. Starts as zeros. */
struct silence {
    uint64_t beat;  /* the last that was seen: clock_ns() */
    uint64_t since; /* when it was, by the vigil's clock */
};

/* A look at `now`, clock_ns(): of the time since the last one `most` count at most. */
void vigil_look(struct vigil *vigil, uint64_t now, uint64_t most);

/* The ns that a worker has been silent, whose last heartbeat is `beat`. The first look at it, and
 * each new beat, is where that begins. */
uint64_t vigil_silence(const struct vigil *vigil, struct silence *silence, uint64_t beat);

/* Its silence had another reason: it begins anew. */
void vigil_excuse(const struct vigil *vigil, struct silence *silence);

#endif
