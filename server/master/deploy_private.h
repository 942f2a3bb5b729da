/* deploy_private.h: deploy.c (one deployment among the workers, until it is decided),
 * deploy_switch.c (what follows), deploy_order.c (what was asked for, and the start),
 * deploy_canary.c and deploy_tell.c (what is told) are one part behind deploy.h; this is what they
 * share. */
#ifndef MASTER_DEPLOY_PRIVATE_H
#define MASTER_DEPLOY_PRIVATE_H

#include <event2/event_struct.h>

#include "master/change.h"
#include "master/deploy.h"
#include "master/master.h"
#include "master/pool.h"
#include "master/receipt.h"

enum phase {
    PHASE_IDLE,
    PHASE_TRIAL,     /* preflights */
    PHASE_PREPARE,   /* in every worker; after a canary again, in those that came meanwhile */
    PHASE_CANARY,    /* some workers run it */
    PHASE_TAKE_BACK, /* from them */
    PHASE_COMMIT,
    PHASE_UNLOAD,
    PHASE_START, /* of the server: the first workers are not ready yet */
};

struct canary;

struct deploys {
    struct master *master;
    enum phase phase; /* what follows belongs to the deployment that runs */
    struct change *changes;
    size_t count;
    struct canary *canary; /* NULL: none is wanted */
    uint64_t phase_at;
    struct event begin; /* from the loop: nobody hears of progress before his answer */
    struct event timer; /* the phase's deadline */
    bool is_first;      /* it is the start of the server */
    bool is_given_up;   /* during the trial, which takes a moment to end */
    char *why;          /* of a taking back */
    cJSON *unsaid;      /* lines that have to wait for another; NULL: none */
    bool has_suspected; /* the phase's deadline is over: those that hang are given a last chance */
    char *error;        /* why the last order could not be begun */
};

#define EACH_CHANGE(deploys, change)                 \
    for (struct change *change = (deploys)->changes; \
         change < (deploys)->changes + (deploys)->count; change++)
#define EACH_WORKER(deploys, w) \
    for (struct worker *w = pool_first((deploys)->master->pool); w != NULL; w = pool_next(w))

static inline struct receipt *receipt_of(const struct deploys *deploys)
{
    return deploys->master->action.receipt;
}

/* Ends the phase before: how long it took. */
uint64_t deploy_enter(struct deploys *deploys, enum phase phase);
/* NULL: this worker has nothing of the new build. */
struct hold *deploy_candidate(const struct change *change, const struct worker *worker);
struct hold *deploy_former(const struct change *change, const struct worker *worker);
struct receipt_worker *deploy_entry(struct deploys *deploys, const struct worker *worker);
struct receipt_app *deploy_app_entry(struct deploys *deploys, const struct change *change);

/* ---- deploy.c ---- */

void deploy_on_timer(evutil_socket_t fd, short what, void *arg);
/* All builds are good: the workers' turn. */
void deploy_begin_prepare(struct deploys *deploys);
/* `culprit` NULL: no app's in particular. `reason` NULL only for OUTCOME_LIVE. */
void deploy_conclude(struct deploys *deploys, enum outcome outcome, const struct change *culprit,
                     const char *reason);
/* The canary is good: every worker gets it. */
void deploy_promote(struct deploys *deploys);
/* Asks those that have not answered what they were asked for a sign of life; the first of them. */
struct worker *deploy_suspect_silent(struct deploys *deploys, enum hold_state asked);
/* The same at once of those that are being taken back and have had no heartbeat for a while. */
void deploy_suspect_stale(struct deploys *deploys);

/* Of all changes; a worker that lacks one has not. */
bool deploy_has_reached(struct deploys *deploys, const struct worker *worker,
                        enum hold_state state);
bool deploy_has_any(struct deploys *deploys, const struct worker *worker);
void deploy_send(struct worker *worker, enum message_type type, const struct build *build,
                 uint64_t value);
/* The worker drops the new build, if it has it. */
void deploy_forget(struct change *change, struct worker *worker);

/* ---- deploy_switch.c ---- */

/* Sends the messages by which a worker goes to the new builds. With `is_kept` the old ones stay as
 * they are, to come back to. */
void deploy_switch(struct deploys *deploys, struct worker *worker, bool is_kept);
/* The new builds are the apps' from here on. */
void deploy_commit(struct deploys *deploys);
/* It is not good: the new build is withdrawn from those that run it, then the deployment ends. */
void deploy_take_back(struct deploys *deploys, const char *reason);
/* Goes on as far as the workers have come, in the phases that wait for them. */
void deploy_check_progress(struct deploys *deploys);
void deploy_check_taken_back(struct deploys *deploys);
/* It is live; what has not come is not waited for any longer. */
void deploy_finish(struct deploys *deploys);

/* ---- deploy_canary.c ---- */

/* -1: it cannot be, for want of memory or of a worker that serves. */
int deploy_canary_begin(struct deploys *deploys);
bool deploy_canary_is_live(const struct deploys *deploys);
/* No heartbeat for longer than any loop should take for a turn. */
bool deploy_is_stale(const struct deploys *deploys, unsigned worker);
/* Its worker ended, or is on its way out. */
void deploy_canary_on_gone(struct deploys *deploys, const struct worker *worker, const char *how);
/* The figures go into the receipt. */
void deploy_canary_close(struct deploys *deploys, bool is_promoted, const char *reason);
void deploy_canary_free(struct deploys *deploys);

/* ---- deploy_order.c ---- */

/* The deployment is over; the receipt is complete but for its outcome. */
void deploy_end(struct deploys *deploys, enum outcome outcome, const char *reason);

/* ---- deploy_tell.c ---- */

/* Completes a line about a worker. `reason` NULL: it went well. */
cJSON *deploy_worker_line(cJSON *line, const struct worker *worker, const char *reason);
/* Completes and says it. `reason` NULL: it went well. */
void deploy_say_worker(struct deploys *deploys, cJSON *line, const struct worker *worker,
                       const char *reason);
/* What the old code is still held by, as the scoreboard has it. */
void deploy_note_held(struct deploys *deploys);
void deploy_log_outcome(struct deploys *deploys, enum outcome outcome, const char *reason);

#endif
