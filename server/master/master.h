/* master.h: the master's parts and what they ask of each other.
 *
 * master.c is the process (start, signals, stop); spawn.c forks; pool.c keeps the workers,
 * bringup.c brings a fresh one up to date; deploy.c changes code; roll.c replaces processes;
 * control.c is how all of it is asked for from outside. The master never runs app code and never
 * reads a client's bytes. */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/board.h"
#include "base/config.h"
#include "master/action.h"
#include "master/home.h"

struct pool;
struct deploys;
struct control;
struct listeners;
struct roll;
struct signals;

/* How hard the end is sought; it only ever rises. */
enum urgency { URGENCY_NONE, URGENCY_GRACEFUL, URGENCY_QUICK, URGENCY_NOW };

struct master {
    const struct config *config;
    struct event_base *base;
    struct board *board;
    int board_fd;
    const int *listeners; /* one for each of config->listens; -1 once they are shut */
    const char *spool;    /* folder of the staged modules: <state_dir>/spool */
    struct home home;
    struct listeners *listening;
    struct signals *signals;
    struct pool *pool;
    struct deploys *deploys;
    struct roll *roll; /* NULL: no restart runs */
    struct action action;
    struct control *control;
    enum urgency urgency;
    bool is_stopping;
    bool is_ready;   /* the first workers were all ready once */
    bool has_failed; /* exit status 1: the first workers never became ready, ... */
};

/* Serves until it is told to stop; returns the exit status. The configuration is checked already;
 * its addresses learn the ports that the kernel chose. */
int master_main(struct config *config);

/* Ends everything: gracefully (drain, at most config->drain_timeout) or at once. Asked twice, the
 * quicker wins. */
void master_stop(struct master *master, bool is_graceful);
/* Log files anew, here and in the workers. 0, or -1 when ours cannot be opened (the log says
 * so). */
int master_reopen_logs(struct master *master);

/* ---- told by the parts ---- */

/* Every app has its first build. */
void master_on_deployed(struct master *master);
/* A worker has become ready. */
void master_on_ready(struct master *master);
/* A process has ended and its account is settled. */
void master_on_gone(struct master *master);
/* The start has failed; the reason is said once. */
void master_fail(struct master *master, const char *reason);

#endif
