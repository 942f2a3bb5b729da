/* master.h: the master's parts and what they ask of each other.
 *
 * master.c is the process (start, signals, stop); spawn.c forks; pool.c keeps the workers,
 * bringup.c brings a fresh one up to date; deploy.c changes code, reconfigure.c the configuration,
 * upgrade.c the server itself; roll.c replaces processes; control.c is how all of it is asked for
 * from outside. The master never runs app code and never reads a client's bytes. */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/board.h"
#include "base/config.h"
#include "master/action.h"
#include "master/catalog.h"
#include "master/edition.h"
#include "master/home.h"
#include "master/inquiry.h"
#include "master/symbols.h"

struct pool;
struct quarantines;
struct deploys;
struct control;
struct history;
struct incidents;
struct lingering;
struct listeners;
struct reconfigure;
struct recycle;
struct rest;
struct roll;
struct self;
struct service;
struct signals;
struct trial;
struct upgrade;
struct watchdog;

/* How hard the end is sought; it only ever rises. */
enum urgency { URGENCY_NONE, URGENCY_GRACEFUL, URGENCY_QUICK, URGENCY_NOW };

struct master {
    const struct self *self;
    struct edition *edition;     /* what workers are made with from now on: a reference */
    const struct config *config; /* the edition's */
    struct event_base *base;
    struct board *board;
    int board_fd;
    int *bells; /* one for each slot of the board: base/bell.h */
    struct home home;
    struct history *history;
    struct catalog catalog;
    struct listeners *listening;
    struct service *service;
    struct signals *signals;
    struct pool *pool;
    struct deploys *deploys;
    struct lingering *lingering;
    struct quarantines *quarantines;
    struct incidents *incidents;
    struct watchdog *watchdog;
    struct recycle *recycle;
    struct action action;
    struct trial *trial;             /* NULL: no build is being tried */
    struct roll *roll;               /* NULL: no workers are being replaced */
    struct reconfigure *reconfigure; /* NULL: the configuration is not being reloaded */
    struct upgrade *upgrade;         /* NULL: no new binary is being checked */
    struct rest *rest;               /* NULL: the server takes connections */
    struct control *control;
    struct symbols_question_list questions; /* whose answers are still to come */
    struct inquiries inquiries;
    enum urgency urgency;
    struct event leaving; /* the last step: see leave() */
    unsigned leave_tries;
    bool is_stopping;
    bool is_ready;   /* the first workers were all ready once */
    bool has_failed; /* exit status 1: the first workers never became ready, ... */
};

/* Serves until it is told to stop; returns the exit status. The configuration is checked already,
 * and ours from now on; its addresses learn the ports that the kernel chose. */
int master_main(struct config *config, const struct self *self);
/* The same, but goes on with what the former image of this process has left (heir.h): `document` is
 * the descriptor of its state. */
int master_resume(struct config *config, const struct self *self, int document);

/* Ends everything: gracefully (drain, at most config->drain_timeout) or at once. Asked twice, the
 * quicker wins. */
void master_stop(struct master *master, bool is_graceful);
/* Log files anew, here and in the workers. 0, or -1 when ours cannot be opened (the log says
 * so). */
int master_reopen_logs(struct master *master);

/* From now on workers are made with this one. */
void master_set_edition(struct master *master, struct edition *edition);
/* As the configuration has them now. */
void master_set_history_limits(struct master *master);
/* Generations of the apps in columns from `from` on are numbered where the history left off. */
void master_continue_numbers(struct master *master, unsigned from);
/* The service manager's line of status is brought up to date. */
void master_show_status(struct master *master);

/* ---- told by the parts ---- */

/* Every app has its first build: workers may begin. */
void master_on_deployed(struct master *master);
/* A worker has become ready. */
void master_on_ready(struct master *master);
/* A process has ended and its account is settled, or an action has ended. */
void master_on_gone(struct master *master);
/* The start has failed; the reason is said once. */
void master_fail(struct master *master, const char *reason);

#endif
