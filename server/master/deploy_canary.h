/* deploy_canary.h: how an order gets its canary; the rest is in deploy_private.h. */
#ifndef MASTER_DEPLOY_CANARY_H
#define MASTER_DEPLOY_CANARY_H

#include "master/judge.h"

struct deploys;

/* The deployment to come will be tried in so many workers first. 0, or -1 with ENOMEM. */
int deploy_canary_new(struct deploys *deploys, unsigned workers, const struct canary_rules *rules);

#endif
