/* watchdog.h: notices workers whose loop does not turn, asks them by signal what they do, and kills
 * them. What they answered lies on the scoreboard (base/trace.h) for whoever tells of their end.
 *
 * A request that is slow is none of its business: while it waits the loop turns, and a heartbeat
 * tells. It never waits itself. */
#ifndef MASTER_WATCHDOG_H
#define MASTER_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

#include "master/vigil.h"

struct master;
struct watchdog;
struct worker;

enum watchdog_reason {
    WATCHDOG_SILENT,  /* no heartbeat for hang_timeout */
    WATCHDOG_SUSPECT, /* it did not do what it was told to, and had no heartbeat since */
    WATCHDOG_LATE,    /* its time is over: it goes, even should it have a heartbeat again; but not
                         should it have got ready meanwhile */
};

/* What the watchdog knows of a worker. Starts as zeros. */
struct watch {
    struct silence silence;
    bool is_asked; /* a question waits for its answer; the rest is about it */
    enum watchdog_reason reason;
    bool can_answer, has_answered;  /* this question, not one that it had survived */
    uint64_t asked_at, answered_at; /* by the vigil's clock */
    uint64_t beat, turn;            /* as they were when it was asked */
    bool is_spared; /* it hangs, but a debugger or a core dump is why: said already */
};

/* NULL with errno. */
struct watchdog *watchdog_new(struct master *master);
void watchdog_free(struct watchdog *watchdog);

/* A worker has to be killed: when its loop does not turn it is asked first, and gets at most a
 * second to answer. One that goes on meanwhile is left alone, unless it is late; so is one that
 * somebody debugs, or whose core is being dumped, until the server stops. One that serves and dumps
 * its core the watchdog finds by itself, and has it replaced at once. */
void watchdog_question(struct worker *worker, enum watchdog_reason reason);

#endif
