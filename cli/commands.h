/* commands.h: the verbs of reevectl, as one table that feeds the parser, the help and the
 * completion. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "exit.h"
#include "options.h"
#include "output.h"

struct command;

/* One run of reevectl: what the command line said. */
struct ctl {
    const char *socket; /* NULL: where it is by custom, until first used */
    char *found;        /* that place, once it was looked for; NULL */
    const struct output *out;
    const struct command *command;
    struct option_value options[OPTION_COUNT]; /* checked; none that the verb does not take */
    int argc;                                  /* what stands behind the verb, options taken out */
    char **argv;                               /* ends with NULL */
};

typedef enum exit_status command_run(struct ctl *ctl);

enum completes {
    COMPLETES_NOTHING,
    COMPLETES_APPS,
    COMPLETES_FILES,
    COMPLETES_VERBS,
    COMPLETES_BASH
};

struct command {
    const char *name;
    const char *arguments; /* as the help shows them */
    int min, max;          /* how many of them; max -1: any number */
    enum completes completes;
    unsigned options;    /* a set; those of reevectl itself are always taken */
    const char *summary; /* NULL: it is not shown */
    const char *details; /* for `help VERB`; NULL: the summary says all */
    command_run *run;
};

extern const struct command commands[]; /* ends with a name of NULL */

const struct command *command_find(const char *name);
/* The verb that `name` was most likely meant to be, or NULL. */
const struct command *command_nearest(const char *name);

/* ---- the verbs, by file ---- */

command_run run_status, run_stats, run_workers, run_apps, run_config, run_version; /* ask.c */
command_run run_show, run_history, run_incidents, run_stacks, run_app_names;
command_run run_scale, run_reopen, run_stop, run_cancel, run_check; /* act.c */
command_run run_reload, run_rollback, run_restart, run_upgrade;     /* deploy.c */
command_run run_drain, run_resume, run_worker;
command_run run_top;        /* top.c */
command_run run_lift;       /* lift.c */
command_run run_help;       /* help.c */
command_run run_completion; /* completion.c */

/* How a verb (NULL: reevectl itself) is called, for somebody who got it wrong. */
void help_usage(FILE *to, const struct command *command);

#endif
