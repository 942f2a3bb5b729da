/* deploy.h: putting builds of one or several apps into service as one transaction: stage,
 * preflight, prepare beside the old ones in every worker, perhaps a canary, commit everywhere or
 * nowhere, wait a little for the old code to go. action.h has the ways in (action_reload,
 * action_rollback). */
#ifndef MASTER_DEPLOY_H
#define MASTER_DEPLOY_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/channel.h"
#include "master/build.h"

struct deploys;
struct master;
struct worker;

/* NULL with errno. */
struct deploys *deploys_new(struct master *master);
void deploys_free(struct deploys *deploys);

/* The first generation of every app: once all are tried master_on_deployed, else master_fail. It is
 * live when deploy_on_ready says that workers run it, and until then may still fail. */
void deploy_first(struct deploys *deploys);
void deploy_on_ready(struct deploys *deploys);
void deploy_fail_first(struct deploys *deploys, const char *reason);
/* Ends the one that runs, if any, as soon as can be: what is not decided is given up. */
void deploy_stop(struct deploys *deploys);
/* Gives it up, a canary included. False when it is too late; *detail_out says so. */
bool deploy_cancel(struct deploys *deploys, const char **detail_out);

/* What a worker that is current says, and what becomes of one. */
void deploy_on_current(struct deploys *deploys, struct worker *worker);
void deploy_on_prepared(struct deploys *deploys, struct worker *worker,
                        const struct message *message);
void deploy_on_refused(struct deploys *deploys, struct worker *worker,
                       const struct message *message);
void deploy_on_committed(struct deploys *deploys, struct worker *worker,
                         const struct message *message);
void deploy_on_unloaded(struct deploys *deploys, struct worker *worker,
                        const struct message *message);
/* It drains: it needs no new code. */
void deploy_on_leaving(struct deploys *deploys, struct worker *worker);
/* It ended, or is about to; `how` is the end of a sentence. Twice is fine. */
void deploy_on_gone(struct deploys *deploys, struct worker *worker, const char *how);

/* A line of progress about a build, to be completed and said. */
cJSON *deploy_line(const struct master *master, const char *step, const struct build *build);

#endif
