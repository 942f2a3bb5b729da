/* commands.h: the verbs of reevectl, as one table that feeds the parser, the help and the
 * completion. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>

#include "exit.h"
#include "output.h"

struct command;

/* One run of reevectl: what the command line said. */
struct ctl {
    const char *socket; /* NULL: where it is by custom */
    double timeout;     /* seconds; 0: the verb's own */
    const struct output *out;
    const struct command *command;
    bool has_flag; /* the verb's own was given */
    int argc;      /* what stands behind the verb, options taken out */
    char **argv;   /* ends with NULL */
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
    const char *flag; /* "--now", or NULL */
    const char *flag_summary;
    const char *summary;
    const char *details; /* for `help VERB`; NULL: the summary says all */
    command_run *run;
};

extern const struct command commands[]; /* ends with a name of NULL */

/* Options of reevectl itself; they stand anywhere on the line. */
struct option_row {
    char letter;
    const char *name;     /* "socket", without its dashes */
    const char *argument; /* NULL: it has none */
    const char *summary;
};

extern const struct option_row option_rows[]; /* ends with a letter of 0 */

const struct command *command_find(const char *name);
/* The verb that `name` was most likely meant to be, or NULL. */
const struct command *command_nearest(const char *name);

/* ---- the verbs, by file ---- */

command_run run_status, run_stats, run_workers, run_apps, run_show, run_config; /* ask.c */
command_run run_version, run_app_names;
command_run run_reload, run_restart, run_scale, run_stop, run_reopen, run_check; /* act.c */
command_run run_help, run_completion;                                            /* help.c */

/* Two lines for somebody who got it wrong. */
void help_usage(const struct command *command);

#endif
