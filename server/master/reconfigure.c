/* reconfigure.c: a reload of the configuration as a transaction:
 *
 *     read, compare -> open listeners -> trial of every app -> roll the workers onto it -> live
 *          `-> rejected      `-> rejected     `-> rejected        `-> back onto the former one
 *
 * It changes code only where the configuration names another module, or a new app: an app whose
 * module is the same keeps its build, and is only tried with its new options. The first new worker
 * that gets ready is the proof; from then on workers that are spawned for whatever reason are of
 * the new edition, and when a later one fails, those that came over are rolled back. */
#include "master/reconfigure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "master/deploy.h"
#include "master/history.h"
#include "master/listeners.h"
#include "master/master.h"
#include "master/pool.h"
#include "master/restart.h"
#include "master/roll.h"
#include "master/sentence.h"
#include "master/service.h"
#include "master/timer.h"
#include "master/trial.h"

struct reconfigure {
    struct master *master;
    struct config *config; /* the new one, until it is an edition's */
    struct edition *next, *former;
    struct change *changes; /* one for each of its apps */
    size_t count;
    uint64_t app_count;   /* of the scoreboard, before */
    const int *listeners; /* prepared: to be committed or abandoned; NULL: none */
    bool is_final;        /* the listeners are committed: there is no way back */
    bool has_served;      /* a worker of the new edition was ready */
    const char *given_up; /* why, as soon as it can be; NULL: it goes on */
    uint64_t phase_at;
    char *reason; /* why it is turned round */
    struct event begin;
};

static uint64_t end_phase(struct reconfigure *reconfigure)
{
    uint64_t now = clock_ns(), took = now - reconfigure->phase_at;

    reconfigure->phase_at = now;
    return took;
}

/* ---- the end ---- */

static void reconfigure_free(struct reconfigure *reconfigure)
{
    struct master *master = reconfigure->master;

    changes_free(reconfigure->changes, reconfigure->count);
    edition_unref(reconfigure->next);
    edition_unref(reconfigure->former);
    if (reconfigure->config != NULL)
        config_free(reconfigure->config);
    event_del(&reconfigure->begin);
    free(reconfigure->reason);
    if (master->reconfigure == reconfigure)
        master->reconfigure = NULL;
    free(reconfigure);
    if (master->is_ready)
        service_ready(master->service);
}

/* Whatever was begun is undone; no worker is of the new edition any more. */
static void undo(struct reconfigure *reconfigure)
{
    struct master *master = reconfigure->master;

    if (master->edition == reconfigure->next) /* the server stops: nobody is spawned any more */
        master_set_edition(master, reconfigure->former);
    if (reconfigure->next != NULL)
        catalog_end_edition(&master->catalog, false);
    if (reconfigure->listeners != NULL)
        listeners_abandon(master->listening);
    reconfigure->listeners = NULL;
}

static void settle_apps(struct reconfigure *reconfigure, enum outcome outcome)
{
    struct receipt *receipt = reconfigure->master->action.receipt;

    for (size_t i = 0; i < receipt->app_count; i++)
        if (receipt->apps[i].outcome == OUTCOME_RUNNING)
            receipt->apps[i].outcome = outcome;
}

static void give_up(struct reconfigure *reconfigure, enum outcome outcome, const char *reason)
{
    struct master *master = reconfigure->master;
    char *copy = strdup(sentence_or(reason));

    undo(reconfigure);
    settle_apps(reconfigure, outcome == OUTCOME_REJECTED ? OUTCOME_ABORTED : outcome);
    if (!reconfigure->has_served) /* names that nobody has seen do not keep their columns */
        board_set(&master->board->app_count, reconfigure->app_count);
    reconfigure_free(reconfigure);
    restart_end(master, outcome, copy);
    free(copy);
}

static void keep_modules(const struct reconfigure *reconfigure)
{
    for (size_t i = 0; i < reconfigure->count; i++)
        if (!reconfigure->changes[i].is_probe)
            change_keep(&reconfigure->changes[i], reconfigure->master);
}

static void commit_listeners(struct reconfigure *reconfigure)
{
    struct master *master = reconfigure->master;

    if (reconfigure->listeners == NULL)
        return;
    listeners_commit(master->listening);
    reconfigure->listeners = NULL;
    master->edition->listeners = listeners_fds(master->listening);
}

/* What the master itself takes from the configuration. */
static void apply(struct reconfigure *reconfigure)
{
    struct master *master = reconfigure->master;
    const struct config *now = master->config, *before = reconfigure->former->config;

    commit_listeners(reconfigure);
    catalog_end_edition(&master->catalog, true);
    if (log_open(now->log_file, now->log_level) != 0)
        log_warn("log_file %s; the one before is kept", now->log_file);
    master_set_history_limits(master);
    if (now->workers != before->workers) /* else an operator's own `scale` stands */
        pool_set_target(master->pool, now->workers);
}

static void succeed(struct reconfigure *reconfigure, enum roll_end end)
{
    struct master *master = reconfigure->master;

    master->action.receipt->times.commit = end_phase(reconfigure);
    apply(reconfigure);
    settle_apps(reconfigure, OUTCOME_LIVE);
    log_info("the configuration was read again and is in force");
    master->reconfigure = NULL; /* whoever hears of the end may begin the next one */
    restart_end(master, end == ROLL_LATE ? OUTCOME_TIMED_OUT : OUTCOME_LIVE, NULL);
    keep_modules(reconfigure); /* their receipt is there now */
    reconfigure_free(reconfigure);
}

/* ---- the roll, and the roll back ---- */

static void on_back(enum roll_end end, const char *reason, void *arg)
{
    struct reconfigure *reconfigure = arg;
    char text[CHANNEL_TEXT_MAX + 512];

    if (reconfigure->master->is_stopping) {
        give_up(reconfigure, OUTCOME_FAILED, "the server is stopping");
        return;
    }
    if (end != ROLL_FAILED) {
        give_up(reconfigure, OUTCOME_ROLLED_BACK, reconfigure->reason);
        return;
    }
    snprintf(text, sizeof(text), "%s; going back failed too: %s", sentence_or(reconfigure->reason),
             reason);
    give_up(reconfigure, OUTCOME_FAILED, text);
}

static bool is_of_next(const struct worker *worker, void *arg)
{
    const struct reconfigure *reconfigure = arg;

    return worker->edition == reconfigure->next;
}

static void turn_round(struct reconfigure *reconfigure, const char *reason)
{
    struct master *master = reconfigure->master;
    struct roll_order order = {
        .edition = reconfigure->former,
        .at_once = reconfigure->former->config->max_unavailable,
        .concerns = is_of_next,
        .on_end = on_back,
        .arg = reconfigure,
    };
    cJSON *line = action_line("take back");

    log_warnx("the new configuration is taken back: %s", reason);
    sentence_set(&reconfigure->reason, "%s", reason);
    master_set_edition(master, reconfigure->former);
    cJSON_AddStringToObject(line, "reason", reason);
    action_say(master, line);
    if (roll_begin(master, &order) != 0)
        on_back(ROLL_FAILED, "memory has run out", reconfigure);
}

static void on_first(void *arg)
{
    struct reconfigure *reconfigure = arg;

    reconfigure->has_served = true;
    master_set_edition(reconfigure->master, reconfigure->next);
}

/* Sockets that are gone are closed here before the last worker takes what waits in their queues:
 * who comes then is refused at once. In a queue that nobody accepts from he would wait in vain. */
static void on_last(void *arg)
{
    struct reconfigure *reconfigure = arg;

    commit_listeners(reconfigure);
    reconfigure->is_final = true;
}

static void on_rolled(enum roll_end end, const char *reason, void *arg)
{
    struct reconfigure *reconfigure = arg;
    struct master *master = reconfigure->master;

    if (end != ROLL_FAILED || reconfigure->is_final)
        succeed(reconfigure, end);
    else if (master->edition == reconfigure->former || master->is_stopping)
        give_up(reconfigure, OUTCOME_FAILED, reason);
    else
        turn_round(reconfigure, reason);
}

static void begin_roll(struct reconfigure *reconfigure)
{
    struct master *master = reconfigure->master;
    struct roll_order order = {
        .at_once = reconfigure->config->max_unavailable,
        .on_first = on_first,
        .on_last = on_last,
        .on_end = on_rolled,
        .arg = reconfigure,
    };

    reconfigure->next = edition_new(reconfigure->config, reconfigure->listeners);
    if (reconfigure->next == NULL) {
        give_up(reconfigure, OUTCOME_FAILED, "memory has run out");
        return;
    }
    reconfigure->config = NULL; /* the edition's */
    catalog_begin_edition(&master->catalog, reconfigure->next);
    for (size_t i = 0; i < reconfigure->count; i++)
        if (!reconfigure->changes[i].is_probe)
            catalog_set_next(&master->catalog, reconfigure->changes[i].app,
                             reconfigure->changes[i].build);
    order.edition = reconfigure->next;
    if (roll_begin(master, &order) != 0)
        give_up(reconfigure, OUTCOME_FAILED, "memory has run out");
}

/* ---- the trial ---- */

static void on_tried(const struct change *refused, const char *reason, void *arg)
{
    struct reconfigure *reconfigure = arg;
    struct master *master = reconfigure->master;
    char text[CHANNEL_TEXT_MAX + 128];
    const char *name;

    master->action.receipt->times.preflight = end_phase(reconfigure);
    if (reconfigure->given_up != NULL) {
        give_up(reconfigure, OUTCOME_FAILED, reconfigure->given_up);
    } else if (refused == NULL) {
        begin_roll(reconfigure);
    } else {
        struct receipt_app *entry;

        name = catalog_name(&master->catalog, refused->app);
        entry = receipt_app(master->action.receipt, name);
        if (entry != NULL) {
            entry->outcome = OUTCOME_REJECTED;
            receipt_set(&entry->reason, reason);
        }
        snprintf(text, sizeof(text), "app \"%s\": %s", name, reason);
        give_up(reconfigure, refused->is_untried ? OUTCOME_FAILED : OUTCOME_REJECTED, text);
    }
}

/* The same module as before, if there is one. */
static struct build *build_to_keep(const struct master *master, const struct config_app *app)
{
    const struct config_app *before = edition_app(master->edition, app->column);

    if (before == NULL || strcmp(before->module, app->module) != 0)
        return NULL;
    return master->catalog.apps[app->column].current;
}

static int add_change(struct reconfigure *reconfigure, size_t index)
{
    struct master *master = reconfigure->master;
    const struct config_app *app = &reconfigure->config->apps[index];
    struct build *kept = build_to_keep(master, app);
    struct change *change = &reconfigure->changes[reconfigure->count++];
    uint64_t generation =
        kept != NULL ? kept->generation : ++master->catalog.apps[app->column].last;
    struct receipt_app *entry;

    *change = (struct change){.app = app->column, .index = index, .is_probe = kept != NULL};
    change->module = strdup(kept != NULL ? kept->path : app->module);
    change->build = build_new(master->home.spool, app->name, app->column, generation);
    if (change->module == NULL || change->build == NULL)
        return -1;
    if (kept != NULL)
        return 0;
    entry = receipt_add_app(master->action.receipt, catalog_name(&master->catalog, app->column),
                            generation);
    if (entry != NULL)
        receipt_set(&entry->module, app->module);
    return 0;
}

static int begin_trial(struct reconfigure *reconfigure, char **error_out)
{
    struct trial_order order = {
        .master = reconfigure->master,
        .config = reconfigure->config,
        .on_end = on_tried,
        .arg = reconfigure,
    };

    reconfigure->changes = calloc(reconfigure->config->app_count, sizeof(*reconfigure->changes));
    if (reconfigure->changes == NULL)
        return sentence_set(error_out, "memory has run out");
    for (size_t i = 0; i < reconfigure->config->app_count; i++)
        if (add_change(reconfigure, i) != 0)
            return sentence_set(error_out, "memory has run out");
    order.changes = reconfigure->changes;
    order.count = reconfigure->count;
    if (trial_begin(&order) == NULL)
        return sentence_set(error_out, "memory has run out");
    return 0;
}

/* ---- what can be told before any process is made ---- */

static void say_listener(struct master *master, const char *address, const char *change)
{
    cJSON *line = action_line("listener");

    cJSON_AddStringToObject(line, "address", address);
    cJSON_AddStringToObject(line, "change", change);
    action_say(master, line);
}

static void say_listeners(struct reconfigure *reconfigure)
{
    struct master *master = reconfigure->master;
    const char *removed;

    for (size_t i = 0; i < reconfigure->config->listen_count; i++)
        say_listener(master, reconfigure->config->listens[i].address.text,
                     listeners_change(master->listening, i));
    for (size_t i = 0; (removed = listeners_removed(master->listening, i)) != NULL; i++)
        say_listener(master, removed, "removed");
}

static int check(struct reconfigure *reconfigure, char **error_out)
{
    struct master *master = reconfigure->master;

    reconfigure->config = config_load(master->config->path, error_out);
    if (reconfigure->config == NULL ||
        config_compare(master->config, reconfigure->config, error_out) != 0 ||
        catalog_assign(&master->catalog, reconfigure->config, error_out) != 0)
        return -1;
    master_continue_numbers(master, (unsigned)reconfigure->app_count);
    reconfigure->listeners = listeners_prepare(master->listening, reconfigure->config, error_out);
    if (reconfigure->listeners == NULL)
        return -1;
    say_listeners(reconfigure);
    return begin_trial(reconfigure, error_out);
}

static void on_begin(evutil_socket_t fd, short what, void *arg)
{
    struct reconfigure *reconfigure = arg;
    char *error = NULL;

    (void)fd;
    (void)what;
    action_say_begin(reconfigure->master);
    if (reconfigure->given_up != NULL) {
        give_up(reconfigure, OUTCOME_FAILED, reconfigure->given_up);
        return;
    }
    action_say(reconfigure->master, action_line("check"));
    if (check(reconfigure, &error) != 0)
        give_up(reconfigure, OUTCOME_REJECTED, sentence_or(error));
    free(error);
}

enum action_start action_reconfigure(struct master *master, const struct action_listener *listener,
                                     const char **detail_out)
{
    struct reconfigure *reconfigure;
    enum action_start begun;

    if (master->config->path == NULL) {
        *detail_out = "the server was started without a configuration file";
        return ACTION_BAD_ORDER;
    }
    begun =
        action_begin(master, ACTION_CONFIG, listener, detail_out, "a reload of the configuration");
    if (begun != ACTION_BEGUN)
        return begun;
    reconfigure = calloc(1, sizeof(*reconfigure));
    if (reconfigure == NULL) {
        action_abandon(master);
        *detail_out = "memory has run out";
        return ACTION_FAILED;
    }
    reconfigure->master = master;
    reconfigure->former = edition_ref(master->edition);
    reconfigure->app_count = board_get(&master->board->app_count);
    reconfigure->phase_at = clock_ns();
    evtimer_assign(&reconfigure->begin, master->base, on_begin, reconfigure);
    timer_arm(&reconfigure->begin, 0);
    master->reconfigure = reconfigure;
    service_reloading(master->service);
    return ACTION_BEGUN;
}

bool reconfigure_stop(struct master *master, const char *reason)
{
    struct reconfigure *reconfigure = master->reconfigure;

    if (reconfigure == NULL || reconfigure->reason != NULL || reconfigure->is_final)
        return false; /* it is being turned round already, or cannot be any more */
    reconfigure->given_up = reason;
    if (master->trial != NULL)
        trial_cancel(master->trial);
    else
        roll_stop(master, reason);
    return true;
}
