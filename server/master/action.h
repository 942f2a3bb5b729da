/* action.h: long-running actions (reload, restart) and who listens to their progress.
 *
 * An action reports by lines, each a JSON object; the last has "verdict". The listener may go away
 * at any time: the action goes on. One action at a time. */
#ifndef MASTER_ACTION_H
#define MASTER_ACTION_H

#include <cjson/cJSON.h>
#include <stdbool.h>

struct master;

/* `line` is borrowed. With is_last the action is over and will not call again; another one may be
 * begun within. */
typedef void action_on_line(const cJSON *line, bool is_last, void *arg);

struct action_listener {
    action_on_line *on_line; /* may be NULL */
    void *arg;
};

/* Why an action could not begin: nothing was changed. */
enum action_start {
    ACTION_BEGUN,
    ACTION_BUSY, /* another one runs: *detail_out names it */
    ACTION_NO_SUCH_APP,
    ACTION_STOPPING,
    ACTION_FAILED, /* *detail_out says why */
};

/* Puts the file that the configuration names for `app` into service (NULL: every app, one after the
 * other; each is a transaction of its own, one that is refused does not keep the next from going
 * live). Lines while it runs:
 *   {"step":"preflight","app":"hello","generation":2}
 *   {"step":"prepare","app":"hello","generation":2,"worker":0,"incarnation":1,"ok":true,
 *    "seconds":0.0021}                                     ok false: with "reason"
 *   {"step":"commit","app":"hello","generation":2,"seconds":0.0003}
 *   {"step":"unload","app":"hello","generation":1,"worker":0,"incarnation":1,"ok":true}
 * The last line:
 *   {"verdict":"live"|"rejected"|"aborted"|"failed","receipts":[{"deploy":7,"app":"hello",
 *    "generation":2,"version":"1.0.1","build_id":"…","outcome":"live"|…,"reason":"…",
 *    "stderr":"…" (of the preflight process),
 *    "workers":[{"id","incarnation","ok","seconds","committed","unloaded","reason"}],
 *    "held":[{"worker","count"}] (where the old code is still loaded),
 *    "seconds":{"preflight","prepare","commit","unload","total"}}]}
 * The verdict is the worst outcome; what is not known is left out. A listener is called only after
 * this has returned; *detail_out is set whenever the answer is not ACTION_BEGUN. */
enum action_start action_reload(struct master *master, const char *app,
                                struct action_listener listener, const char **detail_out);

/* Replaces every worker, one at a time: the new one is ready before the old one drains. Lines
 *   {"step":"spawned"|"ready"|"draining"|"gone","worker":0,"incarnation":2,"pid":4711}
 * and last {"verdict":"done"|"failed"|"timed out","reason":"…",
 *   "workers":[{"id","incarnation","pid"}] (those that take requests now),"seconds":1.5}.
 * "timed out": all are replaced, but a worker had to be cut off at drain_timeout. */
enum action_start action_restart(struct master *master, struct action_listener listener,
                                 const char **detail_out);

/* The listener has gone: never call it again. */
void action_forget(struct master *master, void *listener_arg);

/* ---- for deploy.c and roll.c ---- */

struct action {
    char name[96]; /* "a reload of hello"; "": none runs */
    struct action_listener listener;
};

/* Takes the place of the running action, or says why not. */
enum action_start action_begin(struct master *master, struct action_listener listener,
                               const char **detail_out, const char *name_format, ...)
    __attribute__((format(printf, 4, 5)));
/* Tells a line; frees it. NULL (no memory) is left out. */
void action_say(struct master *master, cJSON *line);
/* The verdict, and the place is free. */
void action_end(struct master *master, cJSON *line);

#endif
