/* action.h: long-running actions (reload, rollback, restart, ...) and who listens to their
 * progress.
 *
 * One action at a time; each has a number and a receipt, which goes into the history when the
 * action begins ("running") and again when it ends. An action reports by lines, each a JSON object;
 * the last has "verdict". The listener may go away at any time: the action goes on. */
#ifndef MASTER_ACTION_H
#define MASTER_ACTION_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "master/receipt.h"

struct master;
struct canary_rules;
struct worker;

/* `line` is borrowed. With is_last the action is over and will not call again; another one may be
 * begun within. */
typedef void action_on_line(const cJSON *line, bool is_last, void *arg);

struct action_listener {
    action_on_line *on_line; /* may be NULL */
    void *arg;
    struct requester requester;
};

/* Why an action could not begin: nothing was changed. */
enum action_start {
    ACTION_BEGUN,
    ACTION_BUSY, /* another one runs: *detail_out names it */
    ACTION_NO_SUCH_APP,
    ACTION_NO_SUCH_BUILD, /* of a rollback: *detail_out */
    ACTION_BAD_ORDER,     /* it contradicts itself: *detail_out */
    ACTION_NOT_NOW,       /* the server is in no state for it: *detail_out */
    ACTION_STOPPING,
    ACTION_FAILED, /* *detail_out says why */
};

/* What can be asked for. *detail_out is set whenever the answer is not ACTION_BEGUN; it is good
 * until the next call. A listener is called only after the function has returned.
 *
 * Every stream begins with {"step":"begin","deploy":7,"action":"a reload of hello"} and ends with
 * {"verdict":"live","deploy":7,"receipt":{...}}; server/README.md has the form of a receipt. */

struct reload_order {
    const char *const *apps;          /* names */
    size_t app_count;                 /* 0: every app */
    const char *canary;               /* "1", "25%": how many workers try it first; NULL: none */
    const struct canary_rules *rules; /* of the canary */
};

/* Puts the modules that the configuration names into service, all of them or none. Lines:
 *   {"step":"preflight","app":"hello","generation":2}
 *   {"step":"prepare","app":"hello","generation":2,"worker":0,"incarnation":1,"ok":true,
 *    "seconds":0.0021}                                     ok false: with "reason"
 *   {"step":"canary","workers":[0],"seconds_left":9.0,"old":{...},"new":{...}}   now and then
 *   {"step":"promote","reason":"..."} or {"step":"take back","reason":"..."}
 *   {"step":"commit","seconds":0.0003}
 *   {"step":"unload","app":"hello","generation":1,"worker":0,"incarnation":1,"ok":true} */
enum action_start action_reload(struct master *master, const struct reload_order *order,
                                const struct action_listener *listener, const char **detail_out);

/* The same with the kept module of an earlier generation; 0: of the one that was live before. */
enum action_start action_rollback(struct master *master, const char *app, uint64_t generation,
                                  const struct action_listener *listener, const char **detail_out);

/* Replaces every worker, `at_once` at a time (0: as configured): the new one is ready before the
 * old one drains. Lines:
 *   {"step":"spawned"|"ready"|"draining"|"gone","worker":0,"incarnation":2,"pid":4711}
 * The verdict: "done", "failed" or "timed out" (all are replaced, but a worker had to be cut off at
 * drain_timeout), with "workers":[{"id","incarnation","pid"}] that take requests now. */
enum action_start action_restart(struct master *master, unsigned at_once,
                                 const struct action_listener *listener, const char **detail_out);

/* The same for one worker. */
enum action_start action_restart_worker(struct master *master, const struct worker *worker,
                                        const struct action_listener *listener,
                                        const char **detail_out);

/* Reads the configuration again and rolls the workers onto it. Lines: {"step":"check"},
 * {"step":"listener","address":"...","change":"added"|"kept"|"removed"}, those of preflights and
 * of a restart. */
enum action_start action_reconfigure(struct master *master, const struct action_listener *listener,
                                     const char **detail_out);

/* Takes the server out of rotation: it takes no connections, finishes what it has within
 * drain_timeout, and lives on without workers. Lines: {"step":"draining"|"gone","worker":0,
 * "incarnation":2,"pid":4711}. The verdict: "done", or "timed out" (it is drained, but requests were
 * lost). */
enum action_start action_drain(struct master *master, const struct action_listener *listener,
                               const char **detail_out);

/* Back: the sockets are opened again where they were, the workers spawned. Lines: those of a
 * restart. The verdict: "done", or "failed": it stays drained. */
enum action_start action_resume(struct master *master, const struct action_listener *listener,
                                const char **detail_out);

/* Gives the running action up, if it still can be: nothing changes, or a canary is taken back.
 * False: *detail_out says why not. */
bool action_cancel(struct master *master, const char **detail_out);

/* The listener has gone: never call it again. */
void action_forget(struct master *master, const void *listener_arg);

/* ---- for those who carry actions out ---- */

struct action {
    struct receipt *receipt; /* NULL: none runs */
    struct action_listener listener;
    char busy[192]; /* what another one is told */
};

/* Takes the place of the running action, or says why not. */
enum action_start action_begin(struct master *master, enum action_kind kind,
                               const struct action_listener *listener, const char **detail_out,
                               const char *name_format, ...) __attribute__((format(printf, 5, 6)));
/* It was begun in vain, and whoever asked is told so: as if it had not been. */
void action_abandon(struct master *master);
/* The first line, and the receipt as it is then: from the loop, when the start has been
 * answered. */
void action_say_begin(struct master *master);
/* A line to be completed: {"step":step}. */
cJSON *action_line(const char *step);
/* Tells a line; frees it. NULL (no memory) is left out. */
void action_say(struct master *master, cJSON *line);
/* The receipt is closed and kept, the verdict told with the members of `more` (freed; may be NULL),
 * and the place is free. `reason` may be NULL. */
void action_end(struct master *master, enum outcome outcome, const char *reason, cJSON *more);

#endif
