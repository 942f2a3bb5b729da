/* verdict.h: what becomes of a worker that was asked why it is silent. Pure: what is known of it
 * comes in, and nobody is asked or killed here. */
#ifndef MASTER_VERDICT_H
#define MASTER_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "master/process.h"
#include "master/watchdog.h"

#define VERDICT_ANSWER_WAIT (1 * NS_PER_SEC)
/* One that was only held up answers, and has a heartbeat right behind. */
#define VERDICT_AFTER_ANSWER (100 * NS_PER_MS)

enum verdict {
    VERDICT_WAIT,    /* for the answer, or for what comes after it */
    VERDICT_GOES_ON, /* its loop turns again: it stays */
    VERDICT_SPARED,  /* that it does not go on is somebody's wish */
    VERDICT_LATE,    /* its loop turns, but its own time is over */
    VERDICT_HANGS,
};

struct suspicion {
    enum watchdog_reason reason;
    bool is_serving;  /* it got ready, should that have been what it was late with */
    bool is_stopping; /* the server */
    bool has_beaten;  /* since it was asked */
    bool has_answered;
    uint64_t waited; /* ns since it was asked; or since it answered, when it has */
};

enum verdict verdict_of(const struct suspicion *of, const struct process *process);

/* Debugged, or dumping its core. */
bool verdict_is_held(const struct process *process);

/* Of one that hangs: 'T' or 't', stopped; 'D', held in the kernel; 0: neither, or one that has
 * answered from there, and so was held for no longer than a moment. */
char verdict_state(const struct process *process, bool has_answered);

#endif
