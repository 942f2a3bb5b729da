/* deploy.h: putting a build of an app into service as a transaction: stage, preflight, prepare
 * beside the old one in every worker, commit everywhere or nowhere, wait a little for the old code
 * to go. action.h has the way in (action_reload) and the form of the receipt. */
#ifndef MASTER_DEPLOY_H
#define MASTER_DEPLOY_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/channel.h"
#include "master/build.h"

struct deploys;
struct master;
struct worker;

/* Enters the apps on the scoreboard. NULL with errno. */
struct deploys *deploys_new(struct master *master);
void deploys_free(struct deploys *deploys);

/* The first generation of every app; then master_on_deployed, or master_fail. */
void deploy_first(struct deploys *deploys);
/* Ends the one that runs, if any; its action gets a verdict. No other one begins. */
void deploy_stop(struct deploys *deploys);
/* A preflight process may still be there after deploy_stop. */
bool deploy_is_busy(const struct deploys *deploys);

/* The build that new requests go to, with its version and build id; NULL before the first. */
struct build *deploy_current(const struct deploys *deploys, unsigned app);
/* The latest receipts, oldest first: an array, borrowed. */
const cJSON *deploy_history(const struct deploys *deploys);

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

/* True when `pid` was a preflight process. */
bool deploy_reap(struct deploys *deploys, pid_t pid, int status);

#endif
