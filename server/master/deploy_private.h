/* deploy_private.h: deploy.c (one deployment), deploy_queue.c (several, as an action) and
 * deploy_tell.c (what is told of them) are one part behind deploy.h; this is what they share. */
#ifndef MASTER_DEPLOY_PRIVATE_H
#define MASTER_DEPLOY_PRIVATE_H

#include <event2/event_struct.h>

#include "master/deploy.h"
#include "master/master.h"
#include "master/receipt.h"

enum phase { PHASE_IDLE, PHASE_PREFLIGHT, PHASE_PREPARE, PHASE_COMMIT, PHASE_UNLOAD };

struct deploy_app {
    struct build *current; /* a reference; NULL before the first */
    uint64_t last;         /* the highest generation that was tried */
};

struct deploys {
    struct master *master;
    struct deploy_app *apps; /* one for each of config->apps */
    cJSON *history;

    enum phase phase; /* the rest of this group belongs to the deployment that runs */
    unsigned app;
    struct build *build; /* the new one: a reference */
    struct build *old;   /* the one it supersedes: a reference from the commit on */
    struct preflight *preflight;
    struct receipt *receipt;
    uint64_t begun_at, phase_at;
    struct event timer; /* the phase's deadline */

    bool is_running; /* an action, or the start: apps next..last one after the other */
    bool is_first;   /* it is the start */
    unsigned next, last;
    struct event go_on; /* the next app, or the verdict */
    cJSON *receipts;
    enum outcome worst;
};

static inline const struct config_app *deploy_app_of(const struct deploys *deploys)
{
    return &deploys->master->config->apps[deploys->app];
}

/* ---- deploy.c ---- */

/* Begins one deployment; when it is over, go_on fires. */
void deploy_begin(struct deploys *deploys, unsigned app);
void deploy_on_timer(evutil_socket_t fd, short what, void *arg);
/* Ends the one that runs, if any: nothing is changed, or it is live already. */
void deploy_cut_short(struct deploys *deploys, const char *reason);

/* ---- deploy_tell.c ---- */

/* A line of progress, to be completed and said. */
cJSON *deploy_line(const struct deploys *deploys, const char *step, uint64_t generation);
/* Completes and says it. `reason` NULL: it went well. */
void deploy_say_worker(struct deploys *deploys, cJSON *line, const struct worker *worker,
                       const char *reason);
/* The receipt is complete: into the log, the history and the action's verdict. */
void deploy_account(struct deploys *deploys);

#endif
