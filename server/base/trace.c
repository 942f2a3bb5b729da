/* trace.c: the words for the steps. */
#include "base/trace.h"

#include <stddef.h>

const char *worker_step_name(uint64_t step)
{
    static const char *const names[STEP_COUNT] = {
        [STEP_LOAD] = "in a constructor, while it was loaded",
        [STEP_CHECK] = "in the check of its descriptor",
        [STEP_INIT] = "in init",
        [STEP_SELFTEST] = "in selftest",
        [STEP_HANDOVER] = "in the handover of its state",
        [STEP_TASK] = "in background work",
        [STEP_CONNECTION] = "in a callback of a connection",
        [STEP_FINI] = "in fini, or in a destructor",
    };

    return step < STEP_COUNT ? names[step] : NULL;
}
