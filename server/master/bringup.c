/* bringup.c: one worker at a time, no state but the worker's holds. While a worker is being brought
 * up no build changes under it: a deployment that is deciding waits for it (deploy.c). */
#include "master/bringup.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "master/deploy.h"
#include "master/master.h"
#include "master/pool.h"

#define EACH_APP(worker, app)                                            \
    for (const struct config_app *app = (worker)->edition->config->apps; \
         app < (worker)->edition->config->apps + (worker)->edition->config->app_count; app++)

static struct build *build_for(struct master *master, const struct worker *worker,
                               const struct config_app *app)
{
    return catalog_build(&master->catalog, worker->edition, app->column);
}

static int ask(struct worker *worker, struct build *build)
{
    if (build == NULL || hold_add(&worker->holds, build) == NULL)
        return -1;
    pool_send(worker, &(struct message){.type = MESSAGE_PREPARE,
                                        .app = build->app,
                                        .generation = build->generation,
                                        .text = build->path});
    return 0;
}

static bool has_all(struct master *master, const struct worker *worker)
{
    EACH_APP (worker, app) {
        struct hold *hold = hold_of(&worker->holds, build_for(master, worker, app));

        if (hold == NULL || hold->state != HOLD_PREPARED)
            return false;
    }
    return true;
}

static void start(struct master *master, struct worker *worker)
{
    EACH_APP (worker, app)
        pool_send(worker,
                  &(struct message){.type = MESSAGE_COMMIT,
                                    .app = app->column,
                                    .generation = build_for(master, worker, app)->generation});
    pool_send(worker, &(struct message){.type = MESSAGE_START});
    worker->is_current = true;
    deploy_on_current(master->deploys, worker);
}

void bringup_begin(struct master *master, struct worker *worker)
{
    EACH_APP (worker, app) {
        if (ask(worker, build_for(master, worker, app)) != 0) {
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
    const char *name = catalog_name(&master->catalog, message->app);
    char reason[CHANNEL_TEXT_MAX + 128];

    snprintf(reason, sizeof(reason), "app \"%s\", generation %" PRIu64 ": %s",
             name != NULL ? name : "?", message->generation, message->text);
    pool_fail(worker, reason);
}
