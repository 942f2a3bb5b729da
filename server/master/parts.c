/* parts.c: what the master is made of, put together in the order of what refuses most, and taken
 * apart again. Nothing runs here yet. */
#include "master/parts.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/bell.h"
#include "master/control.h"
#include "master/deploy.h"
#include "master/history.h"
#include "master/incidents.h"
#include "master/lingering.h"
#include "master/listeners.h"
#include "master/master.h"
#include "master/pool.h"
#include "master/quarantines.h"
#include "master/recycle.h"
#include "master/rest.h"
#include "master/sentence.h"
#include "master/service.h"
#include "master/watchdog.h"

static struct event_base *make_base(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base;

    if (config == NULL)
        return NULL;
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
    base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

static bool is_needed(const char *app, uint64_t generation, void *arg)
{
    const struct catalog *catalog = &((const struct master *)arg)->catalog;

    for (unsigned i = 0; i < board_get(&catalog->board->app_count); i++)
        if (strcmp(catalog_name(catalog, i), app) == 0 && catalog->apps[i].current != NULL)
            return catalog->apps[i].current->generation == generation;
    return false;
}

static bool is_served(const char *app, void *arg)
{
    return config_find_app(((const struct master *)arg)->config, app) != NULL;
}

void master_set_history_limits(struct master *master)
{
    history_set_limits(master->history,
                       &(struct history_limits){.modules = master->config->keep,
                                                .receipts = master->config->keep_receipts});
}

void parts_own_history(struct master *master)
{
    const struct history_owner owner = {
        .is_served = is_served, .is_needed = is_needed, .arg = master};

    history_set_owner(master->history, &owner);
}

static int open_history(struct master *master, char **error_out)
{
    const struct history_limits limits = {.modules = master->config->keep,
                                          .receipts = master->config->keep_receipts};

    master->history = history_open(master->home.folder, &limits);
    if (master->history == NULL)
        return sentence_set(error_out, "memory has run out");
    parts_own_history(master);
    return 0;
}

void master_continue_numbers(struct master *master, unsigned from)
{
    for (unsigned i = from; i < board_get(&master->board->app_count); i++)
        master->catalog.apps[i].last =
            history_last_generation(master->history, catalog_name(&master->catalog, i));
}

int parts_take_places(struct master *master, struct config *config, char **error_out)
{
    const struct listeners_inherited *inherited;
    size_t count;

    if (home_open(&master->home, config->state_dir, error_out) != 0)
        return -1;
    if (open_history(master, error_out) != 0)
        return -1;
    master->listening = listeners_new();
    master->service = service_open();
    if (master->listening == NULL || master->service == NULL)
        return sentence_set(error_out, "memory has run out");
    count = service_sockets(master->service, &inherited);
    if (listeners_inherit(master->listening, inherited, count, error_out) != 0)
        return -1;
    master->edition->listeners = listeners_prepare(master->listening, config, error_out);
    if (master->edition->listeners == NULL)
        return -1;
    listeners_commit(master->listening);
    master->edition->listeners = listeners_fds(master->listening);
    if (config->pid_file != NULL)
        return home_write_pid(&master->home, config->pid_file, error_out);
    return 0;
}

int parts_make_board(struct master *master, char **error_out)
{
    const struct config *config = master->config;

    master->board = board_create_with(config->max_workers, config->max_apps, config->pubsub_ring,
                                      &master->board_fd);
    if (master->board == NULL)
        return sentence_set(error_out, "the scoreboard cannot be made: %s", strerror(errno));
    master->bells = bells_make(config->max_workers);
    if (master->bells == NULL)
        return sentence_set(error_out, "%u bells, one for each of max_workers, cannot be made: %s",
                            config->max_workers, strerror(errno));
    return 0;
}

int parts_make(struct master *master, signals_on_signal *on_signal, event_callback_fn leave,
               char **error_out)
{
    master->base = make_base();
    if (master->base == NULL)
        return sentence_set(error_out, "the event loop cannot be made");
    if (catalog_open(&master->catalog, master->board) != 0)
        return sentence_set(error_out, "memory has run out");
    if (catalog_assign(&master->catalog, master->edition->config, error_out) != 0)
        return -1;
    master_continue_numbers(master, 0);
    evtimer_assign(&master->leaving, master->base, leave, master);
    master->signals = signals_open(master->base, on_signal, master);
    if (master->signals == NULL)
        return sentence_set(error_out, "signals cannot be received: %s", strerror(errno));
    master->pool = pool_new(master);
    master->deploys = deploys_new(master);
    master->lingering = lingering_new(master);
    master->quarantines = quarantines_new(master);
    master->watchdog = watchdog_new(master);
    master->recycle = recycle_new(master);
    master->incidents = incidents_new(master);
    if (master->pool == NULL || master->deploys == NULL || master->lingering == NULL ||
        master->quarantines == NULL || master->watchdog == NULL || master->recycle == NULL ||
        master->incidents == NULL)
        return sentence_set(error_out, "memory has run out");
    return 0;
}

void parts_free(struct master *master)
{
    control_free(master->control);
    symbols_free(master);
    incidents_free(master->incidents);
    lingering_free(master->lingering);
    quarantines_free(master->quarantines);
    watchdog_free(master->watchdog);
    recycle_free(master->recycle);
    deploys_free(master->deploys); /* before the pool: what it waits for is the pool's */
    pool_free(master->pool);
    rest_free(master);
    catalog_close(&master->catalog);
    signals_close(master->signals);
    if (master->board != NULL) {
        bells_unmake(master->bells, master->board->max_workers);
        board_detach(master->board);
        close(master->board_fd);
    }
    if (master->base != NULL)
        event_base_free(master->base);
    service_close(master->service);
    listeners_free(master->listening);
    history_free(master->history);
    home_close(&master->home);
    edition_unref(master->edition);
    libevent_global_shutdown();
}
