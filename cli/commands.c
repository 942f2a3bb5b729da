/* commands.c: see commands.h. A verb is added here, and its function in ask.c or act.c. */
#include "commands.h"

#include <limits.h>
#include <string.h>

/* clang-format off */
const struct option_row option_rows[] = {
    {'s', "socket",  "PATH",    "the control socket (by default where reeve puts it)"},
    {'j', "json",    NULL,      "answer in JSON, for programs"},
    {'t', "timeout", "SECONDS", "give up after so long (by default 30 for questions, never for actions)"},
    {'h', "help",    NULL,      "this page"},
    {'V', "version", NULL,      "the version"},
    {0},
};

const struct command commands[] = {
    {"status",     "",          0, 0,  COMPLETES_NOTHING, NULL, NULL,
     "is it running, where, with which applications", NULL, run_status},
    {"stats",      "",          0, 0,  COMPLETES_NOTHING, NULL, NULL,
     "every figure of the server, its workers and applications",
     "Read from the scoreboard: it works while every worker hangs. Counters only grow, across\n"
     "respawns too.", run_stats},
    {"workers",    "",          0, 0,  COMPLETES_NOTHING, NULL, NULL,
     "the worker processes", NULL, run_workers},
    {"apps",       "",          0, 0,  COMPLETES_NOTHING, NULL, NULL,
     "the applications", NULL, run_apps},
    {"show",       "APP",       1, 1,  COMPLETES_APPS,    NULL, NULL,
     "one application, by generation", NULL, run_show},
    {"config",     "",          0, 0,  COMPLETES_NOTHING, NULL, NULL,
     "the configuration in force, defaults included",
     "Durations are in seconds, sizes in bytes.", run_config},
    {"reload",     "[APP...]",  0, -1, COMPLETES_APPS,    "--no-wait", "return as soon as it has begun",
     "deploy the modules that the configuration names, in place",
     "The new build is tried in a process of its own, prepared in every worker beside the old one,\n"
     "and then switched everywhere or nowhere. No connection is dropped. Without APP all are\n"
     "deployed, one after the other. Waits, and tells the outcome: see the exit status below.", run_reload},
    {"restart",    "",          0, 0,  COMPLETES_NOTHING, "--no-wait", "return as soon as it has begun",
     "replace every worker process, one by one",
     "A new worker is ready before the old one stops taking connections and finishes its requests.", run_restart},
    {"scale",      "N|+N|-N",   1, 1,  COMPLETES_NOTHING, NULL, NULL,
     "how many workers there shall be", NULL, run_scale},
    {"stop",       "",          0, 0,  COMPLETES_NOTHING, "--now", "cut running requests off",
     "stop the server, and wait until it is gone",
     "Running requests are finished first, for at most drain_timeout.", run_stop},
    {"reopen",     "",          0, 0,  COMPLETES_NOTHING, NULL, NULL,
     "open the log files anew, after a rotation", NULL, run_reopen},
    {"check",      "FILE",      1, 1,  COMPLETES_FILES,   NULL, NULL,
     "check a configuration file and its modules", "The same as `reeve -t -c FILE`, with its exit status.", run_check},
    {"version",    "",          0, 0,  COMPLETES_NOTHING, NULL, NULL,
     "the versions of reevectl and of the server that runs", NULL, run_version},
    {"help",       "[VERB]",    0, 1,  COMPLETES_VERBS,   NULL, NULL,
     "this page, or a verb's: that of stats says what each figure means", NULL, run_help},
    {"completion", "bash",      1, 1,  COMPLETES_BASH,    NULL, NULL,
     "a script that completes reevectl's words in bash", "Add to ~/.bashrc: eval \"$(reevectl completion bash)\"", run_completion},
    {"_apps",      "",          0, 0,  COMPLETES_NOTHING, NULL, NULL, NULL, NULL, run_app_names},
    {0},
};
/* clang-format on */

const struct command *command_find(const char *name)
{
    for (const struct command *c = commands; c->name != NULL; c++) {
        if (strcmp(c->name, name) == 0)
            return c;
    }
    return NULL;
}

#define WORD_MAX 16

static int least(int a, int b, int c)
{
    int least_of_two = a < b ? a : b;

    return least_of_two < c ? least_of_two : c;
}

/* How many letters have to be put in, taken out or changed to make `b` of `a` (Levenshtein). */
static int distance(const char *a, const char *b)
{
    int row[WORD_MAX + 1], length = (int)strlen(b);

    if (length > WORD_MAX || strlen(a) > WORD_MAX)
        return INT_MAX;
    for (int j = 0; j <= length; j++)
        row[j] = j;
    for (int i = 1; a[i - 1] != '\0'; i++) {
        int diagonal = row[0];

        row[0] = i;
        for (int j = 1; j <= length; j++) {
            int above = row[j];

            row[j] = least(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[length];
}

const struct command *command_nearest(const char *name)
{
    const struct command *nearest = NULL;
    int best = 3; /* three letters off are another word */

    for (const struct command *c = commands; c->name != NULL; c++) {
        int d = c->name[0] == '_' ? INT_MAX : distance(name, c->name);

        /* "rest" is the beginning of "restart", though three letters off. */
        if (c->name[0] != '_' && strlen(name) > 1 && strncmp(name, c->name, strlen(name)) == 0)
            d = 1;
        if (d < best && d < (int)strlen(c->name)) {
            best = d;
            nearest = c;
        }
    }
    return nearest;
}
