/* bringup.c: one worker at a time, no state but the worker's holds. While a worker is being brought
 * up no build changes under it: a deployment that is deciding waits for it (deploy.c). */
#include "master/bringup.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "master/deploy.h"
#include "master/master.h"
#include "master/pool.h"

static int ask(struct worker *worker, struct build *build)
{
    if (hold_add(&worker->holds, build) == NULL)
        return -1;
    pool_send(worker, &(struct message){.type = MESSAGE_PREPARE,
                                        .app = build->app,
                                        .generation = build->generation,
                                        .text = build->path});
    return 0;
}

static bool has_all(struct master *master, const struct worker *worker)
{
    for (unsigned app = 0; app < master->config->app_count; app++) {
        struct hold *hold = hold_of(&worker->holds, deploy_current(master->deploys, app));

        if (hold == NULL || hold->state != HOLD_PREPARED)
            return false;
    }
    return true;
}

static void start(struct master *master, struct worker *worker)
{
    for (unsigned app = 0; app < master->config->app_count; app++) {
        const struct build *build = deploy_current(master->deploys, app);

        pool_send(worker, &(struct message){
                              .type = MESSAGE_COMMIT, .app = app, .generation = build->generation});
    }
    pool_send(worker, &(struct message){.type = MESSAGE_START});
    worker->is_current = true;
    deploy_on_current(master->deploys, worker);
}

void bringup_begin(struct master *master, struct worker *worker)
{
    for (unsigned app = 0; app < master->config->app_count; app++) {
        if (ask(worker, deploy_current(master->deploys, app)) != 0) {
            pool_fail(worker, "memory has run out");
            return;
        }
    }
}

void bringup_on_prepared(struct master *master, struct worker *worker,
                         const struct message *message)
{
    struct hold *hold = hold_find(&worker->holds, message->app, message->generation);

    if (hold == NULL || hold->state != HOLD_ASKED)
        return;
    hold->state = HOLD_PREPARED;
    if (has_all(master, worker))
        start(master, worker);
}

void bringup_on_refused(struct master *master, struct worker *worker, const struct message *message)
{
    char reason[CHANNEL_TEXT_MAX + 128];

    snprintf(reason, sizeof(reason), "app \"%s\", generation %" PRIu64 ": %s",
             master->config->apps[message->app].name, message->generation, message->text);
    pool_fail(worker, reason);
}
