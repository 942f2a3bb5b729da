/* deploy_order.c: from what was asked for to the changes that a deployment makes: a reload, a
 * rollback, and the start, which is a deployment of every app to no workers yet. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "master/deploy_canary.h"
#include "master/deploy_private.h"
#include "master/history.h"
#include "master/sentence.h"
#include "master/timer.h"
#include "master/trial.h"

/* ---- making changes ---- */

/* A new generation of the app, not there yet. 0, or -1 with ENOMEM. */
static int set_build(struct deploys *deploys, struct change *change)
{
    struct master *master = deploys->master;
    uint64_t generation = ++master->catalog.apps[change->app].last;
    const char *name = catalog_name(&master->catalog, change->app);

    build_unref(change->build);
    change->build = build_new(master->home.spool, name, change->app, generation);
    return change->build != NULL ? 0 : -1;
}

/* `module` is taken over. */
static int add_change(struct deploys *deploys, size_t index, char *module, uint64_t rollback_to)
{
    struct master *master = deploys->master;
    const struct config_app *app = &master->config->apps[index];
    struct change *change = &deploys->changes[deploys->count++];
    struct build *current = master->catalog.apps[app->column].current;
    struct receipt_app *entry;

    *change = (struct change){.app = app->column,
                              .index = index,
                              .module = module,
                              .rollback_to = rollback_to,
                              .old = current != NULL ? build_ref(current) : NULL};
    if (module == NULL || set_build(deploys, change) != 0)
        return -1;
    entry = receipt_add_app(receipt_of(deploys), catalog_name(&master->catalog, app->column),
                            change->build->generation);
    if (entry == NULL)
        return -1;
    entry->from = current != NULL ? current->generation : 0;
    entry->rollback_to = rollback_to;
    receipt_set(&entry->module, module);
    return 0;
}

static void drop_changes(struct deploys *deploys)
{
    changes_free(deploys->changes, deploys->count);
    deploys->changes = NULL;
    deploys->count = 0;
    deploy_canary_free(deploys);
}

/* The action is begun; its deployment cannot be. */
static enum action_start fail(struct deploys *deploys, const char **detail_out)
{
    drop_changes(deploys);
    action_abandon(deploys->master);
    *detail_out = "memory has run out";
    return ACTION_FAILED;
}

/* ---- its way through the trial ---- */

/* Loudly, since it is not what the operator has put there. */
static bool fall_back(struct change *change, const char *reason, void *arg)
{
    struct deploys *deploys = arg;
    struct master *master = deploys->master;
    const char *name = catalog_name(&master->catalog, change->app);
    struct receipt_app *entry = deploy_app_entry(deploys, change);
    uint64_t good = history_last_good(master->history, name);
    char *module;

    if (!deploys->is_first || master->config->fallback != FALLBACK_LAST_GOOD ||
        change->rollback_to != 0 || good == 0)
        return false;
    module = history_module(master->history, name, good);
    if (module == NULL || set_build(deploys, change) != 0) {
        free(module);
        return false;
    }
    receipt_set(&change->sha256, history_sha256(master->history, name, good));
    log_error("app %s: %s was refused: %s; FALLING BACK on generation %" PRIu64
              ", the last good one",
              name, change->module, reason, good);
    free(change->module);
    change->module = module;
    change->rollback_to = good;
    if (entry != NULL) {
        entry->rollback_to = good;
        entry->generation = change->build->generation;
        receipt_set(&entry->reason, reason);
        receipt_set(&entry->module, module);
    }
    return true;
}

static void reject(struct deploys *deploys, const struct change *refused, const char *reason)
{
    const char *name = catalog_name(&deploys->master->catalog, refused->app);
    struct receipt_app *entry = deploy_app_entry(deploys, refused);
    char text[CHANNEL_TEXT_MAX + 128];

    if (entry != NULL)
        receipt_set(&entry->reason, reason);
    if (deploys->count > 1 || deploys->is_first)
        snprintf(text, sizeof(text), "app \"%s\": %s", name, reason);
    else
        snprintf(text, sizeof(text), "%s", reason);
    deploy_conclude(deploys, refused->is_untried ? OUTCOME_FAILED : OUTCOME_REJECTED, refused,
                    text);
}

static const char *why_given_up(const struct deploys *deploys)
{
    return deploys->master->is_stopping ? "the server is stopping" : "it was given up";
}

static void on_trial_end(const struct change *refused, const char *reason, void *arg)
{
    struct deploys *deploys = arg;

    receipt_of(deploys)->times.preflight = deploy_enter(deploys, PHASE_PREPARE);
    if (refused == NULL && !deploys->is_given_up)
        deploy_begin_prepare(deploys);
    else if (deploys->is_given_up)
        deploy_conclude(deploys, OUTCOME_FAILED, NULL, why_given_up(deploys));
    else
        reject(deploys, refused, reason);
}

static void on_begin(evutil_socket_t fd, short what, void *arg)
{
    struct deploys *deploys = arg;
    struct trial_order order = {
        .master = deploys->master,
        .config = deploys->master->config,
        .changes = deploys->changes,
        .count = deploys->count,
        .on_refused = fall_back,
        .on_end = on_trial_end,
        .arg = deploys,
    };

    (void)fd;
    (void)what;
    action_say_begin(deploys->master);
    if (deploys->is_given_up || trial_begin(&order) == NULL)
        deploy_conclude(deploys, OUTCOME_FAILED, NULL,
                        deploys->is_given_up ? why_given_up(deploys) : "memory has run out");
}

static enum action_start begin(struct deploys *deploys)
{
    deploys->is_given_up = false;
    deploys->phase = PHASE_TRIAL;
    deploys->phase_at = clock_ns();
    timer_arm(&deploys->begin, 0);
    return ACTION_BEGUN;
}

void deploy_end(struct deploys *deploys, enum outcome outcome, const char *reason)
{
    struct master *master = deploys->master;
    bool is_first = deploys->is_first;

    deploys->is_first = false;
    action_end(master, outcome, reason, NULL);
    if (is_first && outcome != OUTCOME_LIVE)
        master_fail(master, sentence_or(reason));
}

void deploy_on_ready(struct deploys *deploys)
{
    if (deploys->phase == PHASE_START)
        deploy_conclude(deploys, OUTCOME_LIVE, NULL, NULL);
}

void deploy_fail_first(struct deploys *deploys, const char *reason)
{
    if (deploys->phase == PHASE_START)
        deploy_conclude(deploys, OUTCOME_FAILED, NULL, reason);
}

/* ---- what is asked for ---- */

/* app_count: there is none of that name. */
static size_t find_app(const struct config *config, const char *name)
{
    const struct config_app *app = config_find_app(config, name);

    return app != NULL ? (size_t)(app - config->apps) : config->app_count;
}

/* "a reload of hello, echo" */
static void name_reload(const struct reload_order *order, char *out, size_t size)
{
    int length = snprintf(out, size, "a reload of %s", order->app_count == 0 ? "every app" : "");

    for (size_t i = 0; i < order->app_count && length > 0 && (size_t)length < size; i++)
        length += snprintf(out + length, size - (size_t)length, "%s%s", i > 0 ? ", " : "",
                           order->apps[i]);
}

static enum action_start check_reload(const struct master *master, const struct reload_order *order,
                                      unsigned *canary_out, const char **detail_out)
{
    unsigned serving = pool_count(master->pool, SEAT_SERVING);

    serving = serving > 0 ? serving : 1; /* none, for the moment: that is for later to say */

    for (size_t i = 0; i < order->app_count; i++) {
        if (find_app(master->config, order->apps[i]) == master->config->app_count) {
            *detail_out = order->apps[i];
            return ACTION_NO_SUCH_APP;
        }
        for (size_t j = 0; j < i; j++) {
            if (strcmp(order->apps[i], order->apps[j]) == 0) {
                *detail_out = "an app is named twice";
                return ACTION_BAD_ORDER;
            }
        }
    }
    if (order->canary != NULL && judge_parse_share(order->canary, serving, canary_out) != 0) {
        *detail_out = "a canary is a number of workers (\"1\") or a share of them (\"25%\")";
        return ACTION_BAD_ORDER;
    }
    return ACTION_BEGUN;
}

/* The action is begun. */
static int plan_reload(struct deploys *deploys, const struct reload_order *order, unsigned canary)
{
    const struct config *config = deploys->master->config;
    size_t count = order->app_count > 0 ? order->app_count : config->app_count;

    if (order->canary != NULL && deploy_canary_new(deploys, canary, order->rules) != 0)
        return -1;
    deploys->changes = calloc(count, sizeof(*deploys->changes));
    if (deploys->changes == NULL)
        return -1;
    for (size_t i = 0; i < count; i++) {
        size_t index = order->app_count > 0 ? find_app(config, order->apps[i]) : i;

        if (add_change(deploys, index, strdup(config->apps[index].module), 0) != 0)
            return -1;
    }
    return 0;
}

enum action_start action_reload(struct master *master, const struct reload_order *order,
                                const struct action_listener *listener, const char **detail_out)
{
    unsigned canary = 0;
    enum action_start begun = check_reload(master, order, &canary, detail_out);
    char name[120];

    if (begun != ACTION_BEGUN)
        return begun;
    name_reload(order, name, sizeof(name));
    begun = action_begin(master, ACTION_RELOAD, listener, detail_out, "%s", name);
    if (begun != ACTION_BEGUN)
        return begun;
    if (plan_reload(master->deploys, order, canary) != 0)
        return fail(master->deploys, detail_out);
    return begin(master->deploys);
}

void deploy_first(struct deploys *deploys)
{
    struct master *master = deploys->master;
    const struct action_listener nobody = {.on_line = NULL};
    const struct reload_order everything = {.app_count = 0};
    const char *detail;

    if (action_begin(master, ACTION_START, &nobody, &detail, "the start of the server") !=
        ACTION_BEGUN) {
        master_fail(master, detail); /* unless it is stopping already */
        return;
    }
    if (plan_reload(deploys, &everything, 0) != 0) {
        fail(deploys, &detail);
        master_fail(master, detail);
        return;
    }
    deploys->is_first = true;
    begin(deploys);
}

/* The kept module of the generation, or of the one before the current one; NULL with a
 * sentence. */
static char *find_kept(const struct master *master, const char *app, uint64_t *generation,
                       char **error_out)
{
    const struct config_app *configured = &master->config->apps[find_app(master->config, app)];
    const struct build *current = master->catalog.apps[configured->column].current;
    char *module;

    if (*generation == 0)
        *generation =
            history_before(master->history, app, current != NULL ? current->generation : 0);
    if (*generation == 0) {
        sentence_set(error_out, "no other build of app \"%s\" is kept to go back to", app);
        return NULL;
    }
    if (current != NULL && current->generation == *generation) {
        sentence_set(error_out, "generation %" PRIu64 " of app \"%s\" is the one that is live",
                     *generation, app);
        return NULL;
    }
    module = history_module(master->history, app, *generation);
    if (module == NULL)
        sentence_set(error_out, "generation %" PRIu64 " of app \"%s\" is not kept", *generation,
                     app);
    return module;
}

enum action_start action_rollback(struct master *master, const char *app, uint64_t generation,
                                  const struct action_listener *listener, const char **detail_out)
{
    struct deploys *deploys = master->deploys;
    size_t index = find_app(master->config, app);
    enum action_start begun;
    char *module;

    if (index == master->config->app_count) {
        *detail_out = app;
        return ACTION_NO_SUCH_APP;
    }
    free(deploys->error);
    deploys->error = NULL;
    module = find_kept(master, app, &generation, &deploys->error);
    if (module == NULL) {
        *detail_out = sentence_or(deploys->error);
        return ACTION_NO_SUCH_BUILD;
    }
    begun = action_begin(master, ACTION_ROLLBACK, listener, detail_out,
                         "a rollback of %s to generation %" PRIu64, app, generation);
    if (begun != ACTION_BEGUN) {
        free(module);
        return begun;
    }
    deploys->changes = calloc(1, sizeof(*deploys->changes));
    if (deploys->changes == NULL) {
        free(module);
        return fail(deploys, detail_out);
    }
    if (add_change(deploys, index, module, generation) != 0)
        return fail(deploys, detail_out);
    receipt_set(&deploys->changes[0].sha256, history_sha256(master->history, app, generation));
    return begin(deploys);
}

/* ---- the whole ---- */

struct deploys *deploys_new(struct master *master)
{
    struct deploys *deploys = calloc(1, sizeof(*deploys));

    if (deploys == NULL)
        return NULL;
    deploys->master = master;
    evtimer_assign(&deploys->timer, master->base, deploy_on_timer, deploys);
    evtimer_assign(&deploys->begin, master->base, on_begin, deploys);
    return deploys;
}

void deploys_free(struct deploys *deploys)
{
    if (deploys == NULL)
        return;
    event_del(&deploys->timer);
    event_del(&deploys->begin);
    drop_changes(deploys);
    cJSON_Delete(deploys->unsaid);
    free(deploys->why);
    free(deploys->error);
    free(deploys);
}
