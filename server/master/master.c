/* master.c: the master process: its start, what its signals mean, and its end. Everything in
 * between happens in the loop, in the parts; here nothing is decided that they could decide. */
#include "master/master.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sock.h"
#include "base/stats.h"
#include "base/version.h"
#include "master/control.h"
#include "master/deploy.h"
#include "master/heir.h"
#include "master/history.h"
#include "master/incidents.h"
#include "master/listeners.h"
#include "master/parts.h"
#include "master/pool.h"
#include "master/reconfigure.h"
#include "master/rest.h"
#include "master/roll.h"
#include "master/sentence.h"
#include "master/service.h"
#include "master/signals.h"
#include "master/timer.h"
#include "master/trial.h"
#include "master/upgrade.h"

#define LEAVE_PAUSE (10 * NS_PER_MS)
#define LEAVE_TRIES 50

/* ---- the end ---- */

/* Who waits for the verdict of what was cut short is still to hear it; but not for ever. */
static void leave(evutil_socket_t fd, short what, void *arg)
{
    struct master *master = arg;

    (void)fd;
    (void)what;
    if (control_is_flushed(master->control) || master->leave_tries++ == LEAVE_TRIES)
        event_base_loopbreak(master->base);
    else
        timer_arm(&master->leaving, LEAVE_PAUSE);
}

/* Who wants the end now does without the names in them. */
static bool waits_for_stories(const struct master *master)
{
    return master->urgency < URGENCY_NOW && incidents_are_pending(master->incidents);
}

static void break_when_done(struct master *master)
{
    if (master->is_stopping && pool_is_empty(master->pool) && master->action.receipt == NULL &&
        master->trial == NULL && !waits_for_stories(master) &&
        !evtimer_pending(&master->leaving, NULL))
        timer_arm(&master->leaving, 0);
}

static void seek_end(struct master *master, enum urgency urgency)
{
    bool is_new = !master->is_stopping;

    if (urgency <= master->urgency)
        return;
    master->urgency = urgency;
    master->is_stopping = true;
    if (is_new) {
        /* Who comes now is refused at once and can go elsewhere; in the queue of a socket that
         * nobody accepts from he would wait for the end of the last worker. */
        listeners_shut(master->listening);
        service_stopping(master->service);
        deploy_stop(master->deploys);
        reconfigure_stop(master, "the server is stopping");
        upgrade_stop(master);
        roll_stop(master, "the server is stopping");
        rest_stop(master);
    }
    if (urgency == URGENCY_GRACEFUL)
        pool_drain_all(master->pool);
    else if (urgency == URGENCY_QUICK)
        pool_stop_all(master->pool);
    else
        pool_kill_all(master->pool);
    break_when_done(master);
}

void master_stop(struct master *master, bool is_graceful)
{
    seek_end(master, is_graceful ? URGENCY_GRACEFUL : URGENCY_QUICK);
}

void master_on_gone(struct master *master)
{
    break_when_done(master);
    master_show_status(master);
}

/* A start that fails is answered where it was asked for, too, when the log goes to a file. */
static void say_failure(const char *reason)
{
    log_error("not started: %s", reason);
    if (log_fd() != STDERR_FILENO)
        dprintf(STDERR_FILENO, "reeve: not started: %s\n", reason);
}

void master_fail(struct master *master, const char *reason)
{
    if (master->is_stopping || master->has_failed)
        return;
    master->has_failed = true;
    say_failure(reason);
    deploy_fail_first(master->deploys, reason);
    seek_end(master, URGENCY_QUICK);
}

/* ---- the start, told by the parts ---- */

void master_on_deployed(struct master *master)
{
    if (!master->is_stopping)
        pool_start(master->pool, master->config->workers);
}

void master_on_ready(struct master *master)
{
    const struct config *config = master->config;
    unsigned serving = pool_count(master->pool, SEAT_SERVING);
    char addresses[1024] = "";
    size_t length = 0;

    master_show_status(master);
    if (master->is_ready || master->is_stopping || serving < pool_target(master->pool))
        return;
    master->is_ready = true;
    deploy_on_ready(master->deploys);
    for (size_t i = 0; i < config->listen_count && length < sizeof(addresses); i++)
        length += (size_t)snprintf(addresses + length, sizeof(addresses) - length, "%s%s",
                                   i > 0 ? ", " : "", config->listens[i].address.text);
    log_info("ready: %u worker%s, listening on %s", serving, serving == 1 ? "" : "s", addresses);
    service_ready(master->service);
}

void master_set_edition(struct master *master, struct edition *edition)
{
    edition_ref(edition);
    edition_unref(master->edition);
    master->edition = edition;
    master->config = edition->config;
}

void master_show_status(struct master *master)
{
    struct stats *stats;

    if (master->pool == NULL || !service_is_heard(master->service))
        return;
    stats = stats_new(master->board, master->config, clock_ns());
    if (stats != NULL)
        stats->server.is_drained = rest_is_on(master);
    if (stats != NULL)
        service_describe(master->service, stats, master->action.receipt != NULL);
    stats_free(stats);
}

/* ---- signals ---- */

int master_reopen_logs(struct master *master)
{
    int status = log_reopen();

    if (status != 0)
        log_warn("the log file could not be opened again, the old one is kept");
    pool_send_all(master->pool, &(struct message){.type = MESSAGE_REOPEN});
    return status;
}

static void reap(struct master *master)
{
    pid_t pid;
    int status;

    /* One SIGCHLD may stand for several ends. */
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        if (!pool_reap(master->pool, pid, status) && !trial_reap(master->trial, pid, status) &&
            !upgrade_reap(master->upgrade, pid, status) && !symbols_reap(master, pid))
            log_debug("an unknown child ended, pid %d", (int)pid); /* pid 1 gets strangers, too */
    break_when_done(master);
}

/* TERM said twice is graceful still: some send it to a process and then to its group. The second
 * INT or QUIT makes haste. */
static void stop_by_signal(struct master *master, const char *name, enum urgency urgency)
{
    static const char *const how[] = {"", "stopping when all requests are done",
                                      "stopping without waiting for requests",
                                      "stopping, all workers are killed"};

    if (urgency == URGENCY_QUICK && master->urgency >= URGENCY_QUICK)
        urgency = URGENCY_NOW;
    if (urgency <= master->urgency)
        return;
    log_info("%s: %s", name, how[urgency]);
    seek_end(master, urgency);
}

/* A server without a configuration file has nothing to read again: its workers are renewed. */
static void reload_by_signal(struct master *master)
{
    const struct action_listener nobody = {.requester = {.signal = "SIGHUP"}};
    const char *detail = "";
    enum action_start begun = master->config->path != NULL
                                  ? action_reconfigure(master, &nobody, &detail)
                                  : action_restart(master, 0, &nobody, &detail);

    if (begun != ACTION_BEGUN)
        log_warnx("SIGHUP: nothing is done: %s%s", detail,
                  begun == ACTION_BUSY ? " is running" : "");
}

static void upgrade_by_signal(struct master *master)
{
    const struct action_listener nobody = {.requester = {.signal = "SIGUSR2"}};
    const char *detail = "";
    enum action_start begun = action_upgrade(master, NULL, &nobody, &detail);

    if (begun != ACTION_BEGUN)
        log_warnx("SIGUSR2: nothing is done: %s%s", detail,
                  begun == ACTION_BUSY ? " is running" : "");
}

static void scale_by_signal(struct master *master, int by)
{
    const char *name = by > 0 ? "SIGTTIN" : "SIGTTOU";
    unsigned target = pool_target(master->pool);

    if (target == 0 || master->is_stopping)
        log_warnx("%s: the server is %s", name, target == 0 ? "starting" : "stopping");
    else if (!pool_set_target(master->pool, target + (unsigned)by))
        log_warnx("%s: workers wanted: %u; from 1 to %u are possible", name, target,
                  master->board->max_workers);
}

static void on_signal(int number, void *arg)
{
    struct master *master = arg;

    switch (number) {
    case SIGCHLD:
        reap(master);
        break;
    case SIGTERM:
        stop_by_signal(master, "SIGTERM", URGENCY_GRACEFUL);
        break;
    case SIGINT:
        stop_by_signal(master, "SIGINT", URGENCY_QUICK);
        break;
    case SIGQUIT:
        stop_by_signal(master, "SIGQUIT", URGENCY_QUICK);
        break;
    case SIGHUP:
        reload_by_signal(master);
        break;
    case SIGUSR1:
        log_info("SIGUSR1: log files are opened again");
        master_reopen_logs(master);
        break;
    case SIGUSR2:
        upgrade_by_signal(master);
        break;
    case SIGTTIN:
        scale_by_signal(master, 1);
        break;
    case SIGTTOU:
        scale_by_signal(master, -1);
        break;
    default:
        break;
    }
}

/* ---- the whole ---- */

static int serve(struct master *master, struct config *config)
{
    char *error = NULL;

    if (control_is_taken(config->control))
        sentence_set(&error,
                     "another server answers at its control socket %s: give one of them "
                     "another path (control, --control)",
                     config->control);
    if (error != NULL || parts_take_places(master, config, &error) != 0 ||
        parts_make_board(master, &error) != 0 ||
        parts_make(master, on_signal, leave, &error) != 0) {
        say_failure(sentence_or(error));
        free(error);
        return 1;
    }
    log_info("reeve %s, pid %d", REEVE_VERSION, (int)getpid());
    master->control = control_new(master);
    home_tell(&master->home, master->control == NULL);
    service_watch(master->service, master->base);
    deploy_first(master->deploys);
    event_base_dispatch(master->base);
    log_info("stopped");
    return master->has_failed ? 1 : 0;
}

static void begin(struct master *master, struct config *config, const struct self *self)
{
    *master = (struct master){.self = self, .config = config, .board_fd = -1, .home = {.lock = -1}};
    log_set_role("master");
    master->edition = edition_new(config, NULL);
    if (master->edition == NULL)
        fatalx("memory has run out");
}

int master_main(struct config *config, const struct self *self)
{
    struct master master;
    int status;

    begin(&master, config, self);
    if (log_open(config->log_file, config->log_level) != 0)
        fatal("log_file %s", config->log_file);
    sock_raise_descriptor_limit(); /* connections are descriptors: the soft limit is no wish of
                                      anybody's */
    status = serve(&master, config);
    parts_free(&master);
    return status;
}

/* ---- going on after an exec in place ---- */

static int take_over(struct master *master, const struct succession *succession, char **error_out)
{
    if (heir_compare(succession, master->edition->config, error_out) != 0 ||
        heir_take_places(master, succession, error_out) != 0 ||
        heir_take_board(master, succession, error_out) != 0)
        return -1;
    parts_own_history(master);
    master->service = service_open();
    if (master->service == NULL)
        return sentence_set(error_out, "memory has run out");
    if (parts_make(master, on_signal, leave, error_out) != 0)
        return -1;
    return heir_take_state(master, succession, error_out);
}

/* The check should have found it. The workers finish what they have; nothing is removed, since they
 * may still need it. */
static void abandon(const char *reason) __attribute__((noreturn));
static void abandon(const char *reason)
{
    log_error("the new binary cannot go on: %s; the workers finish what they have",
              sentence_or(reason));
    _exit(1);
}

int master_resume(struct config *config, const struct self *self, int document)
{
    struct master master;
    struct succession succession = {.format = 0};
    char *error = NULL;

    begin(&master, config, self);
    if (log_open(config->log_file, config->log_level) != 0)
        log_warn("log_file %s; the log goes to stderr", config->log_file);
    sock_raise_descriptor_limit();
    if (succession_read(document, &succession, &error) != 0 || succession.pid != getpid())
        abandon(error != NULL ? error : "its state is another process's");
    if (take_over(&master, &succession, &error) != 0)
        abandon(error);
    close(document);
    master.is_ready = true;
    master_set_history_limits(&master);
    service_watch(master.service, master.base);
    upgrade_go_on(&master, succession.version);
    succession_fini(&succession);
    reap(&master); /* who has ended during the exec */
    event_base_dispatch(master.base);
    log_info("stopped");
    parts_free(&master);
    return 0;
}
