/* frames.h: the calls that are under way on a stack, as places in files, for the master to name.
 *
 * By the unwind information that every object has, debug information or not. For signal handlers
 * there is runtime/unwind.h. */
#ifndef RUNTIME_FRAMES_H
#define RUNTIME_FRAMES_H

#include <stddef.h>
#include <stdint.h>

#include "base/frame.h"

/* Beyond so many nobody counts. */
#define FRAMES_DEPTH_MAX 1000

/* The innermost `most` of the calls that led here, from the one on that called the function which
 * begins at `below`; *depth_out: how many there are in all, at most FRAMES_DEPTH_MAX. Returns how
 * many were taken; none without such a function. */
size_t frames_take(struct frame *frames, size_t most, uintptr_t below, size_t *depth_out);

#endif
