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

#include "base/log.h"
#include "base/sock.h"
#include "base/version.h"
#include "master/control.h"
#include "master/deploy.h"
#include "master/listeners.h"
#include "master/pool.h"
#include "master/roll.h"
#include "master/sentence.h"
#include "master/signals.h"

/* ---- the end ---- */

static void break_when_done(struct master *master)
{
    if (master->is_stopping && pool_is_empty(master->pool) && !deploy_is_busy(master->deploys))
        event_base_loopbreak(master->base);
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
        deploy_stop(master->deploys);
        roll_stop(master);
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
    if (master->is_stopping)
        return;
    master->has_failed = true;
    say_failure(reason);
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

    if (master->is_ready || master->is_stopping || serving < pool_target(master->pool))
        return;
    master->is_ready = true;
    for (size_t i = 0; i < config->listen_count && length < sizeof(addresses); i++)
        length += (size_t)snprintf(addresses + length, sizeof(addresses) - length, "%s%s",
                                   i > 0 ? ", " : "", config->listens[i].address.text);
    log_info("ready: %u worker%s, listening on %s", serving, serving == 1 ? "" : "s", addresses);
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
        if (!pool_reap(master->pool, pid, status) && !deploy_reap(master->deploys, pid, status))
            log_debug("an unknown child ended, pid %d", (int)pid);
}

/* TERM said twice is graceful still: some send it to a process and then to its group. The second INT
 * or QUIT makes haste. */
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

static void roll_by_signal(struct master *master)
{
    const struct action_listener nobody = {.on_line = NULL};
    const char *detail;

    log_info("SIGHUP: the workers are restarted (the configuration is not read again yet)");
    if (action_restart(master, nobody, &detail) != ACTION_BEGUN)
        log_warnx("SIGHUP: nothing is done: %s", detail);
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
        roll_by_signal(master);
        break;
    case SIGUSR1:
        log_info("SIGUSR1: log files are opened again");
        master_reopen_logs(master);
        break;
    case SIGUSR2:
        log_warnx("SIGUSR2: upgrading the binary is not possible yet");
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

/* ---- set-up, in the order of what refuses most ---- */

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

/* What the outside can refuse: folders, addresses. 0, or -1 with a sentence. */
static int take_places(struct master *master, struct config *config, char **error_out)
{
    if (home_open(&master->home, config->state_dir, error_out) != 0)
        return -1;
    if (master->home.is_private)
        log_warnx("no state_dir: staged modules are kept in %s until the end", master->home.folder);
    master->spool = master->home.spool;
    master->listening = listeners_open(config, error_out);
    if (master->listening == NULL)
        return -1;
    master->listeners = listeners_fds(master->listening);
    if (config->pid_file != NULL)
        return home_write_pid(&master->home, config->pid_file, error_out);
    return 0;
}

/* What only a machine at its end refuses. */
static int make_parts(struct master *master, char **error_out)
{
    const struct config *config = master->config;

    master->base = make_base();
    if (master->base == NULL)
        return sentence_set(error_out, "the event loop cannot be made");
    master->board = board_create(config->max_workers, config->max_apps, &master->board_fd);
    if (master->board == NULL)
        return sentence_set(error_out, "the scoreboard cannot be made: %s", strerror(errno));
    master->signals = signals_open(master->base, on_signal, master);
    if (master->signals == NULL)
        return sentence_set(error_out, "signals cannot be received: %s", strerror(errno));
    master->pool = pool_new(master);
    master->deploys = deploys_new(master);
    if (master->pool == NULL || master->deploys == NULL)
        return sentence_set(error_out, "memory has run out");
    return 0;
}

static void dismantle(struct master *master)
{
    control_free(master->control);
    deploys_free(master->deploys); /* before the pool: what it waits for is the pool's */
    pool_free(master->pool);
    signals_close(master->signals);
    if (master->board != NULL) {
        board_detach(master->board);
        close(master->board_fd);
    }
    if (master->base != NULL)
        event_base_free(master->base);
    listeners_free(master->listening);
    home_close(&master->home);
    libevent_global_shutdown();
}

static int serve(struct master *master, struct config *config)
{
    char *error = NULL;

    if (control_is_taken(config->control))
        sentence_set(&error,
                     "another server answers at its control socket %s: give one of them "
                     "another path (control, --control)",
                     config->control);
    if (error != NULL || take_places(master, config, &error) != 0 ||
        make_parts(master, &error) != 0) {
        say_failure(sentence_or(error));
        free(error);
        return 1;
    }
    log_info("reeve %s, pid %d", REEVE_VERSION, (int)getpid());
    master->control = control_new(master);
    deploy_first(master->deploys);
    event_base_dispatch(master->base);
    log_info("stopped");
    return master->has_failed ? 1 : 0;
}

int master_main(struct config *config)
{
    struct master master = {.config = config, .board_fd = -1, .home = {.lock = -1}};
    int status;

    log_set_role("master");
    if (log_open(config->log_file, config->log_level) != 0)
        fatal("log_file %s", config->log_file);
    sock_raise_descriptor_limit(); /* connections are descriptors: the soft limit is no wish of
                                      anybody's */
    status = serve(&master, config);
    dismantle(&master);
    return status;
}
