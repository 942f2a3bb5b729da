/* commands.c: see commands.h. A verb is added here, and its function in one of the files that are
 * named there. */
#include "commands.h"

#include <string.h>

#include "words.h"

#define CANARY                                                             \
    (TAKES(OPTION_CANARY) | TAKES(OPTION_FOR) | TAKES(OPTION_MAX_ERRORS) | \
     TAKES(OPTION_MAX_LATENCY) | TAKES(OPTION_MIN_REQUESTS))

#define WAITS                                                                           \
    "\nWaits, and tells the outcome: see the exit status below. Ctrl-C ends only the\n" \
    "waiting, and says what goes on."

/* clang-format off */
const struct command commands[] = {
    {"status",     "",          0, 0,  COMPLETES_NOTHING, 0,
     "is it running, where, with which applications", NULL, run_status},
    {"stats",      "",          0, 0,  COMPLETES_NOTHING, 0,
     "every figure of the server, workers and applications",
     "Read from the scoreboard: it works while every worker hangs. Counters only grow,\n"
     "across respawns too.", run_stats},
    {"top",        "",          0, 0,  COMPLETES_NOTHING, TAKES(OPTION_INTERVAL),
     "the same, live: workers, applications, longest requests",
     "Fills the terminal until `q`; `?` tells the keys. Rates and percentiles are of\n"
     "the time between two looks.", run_top},
    {"workers",    "",          0, 0,  COMPLETES_NOTHING, 0,
     "the worker processes", NULL, run_workers},
    {"apps",       "",          0, 0,  COMPLETES_NOTHING, 0,
     "the applications, and what old code is held by", NULL, run_apps},
    {"show",       "APP|N|worker ID", 1, 2, COMPLETES_APPS, 0,
     "an application; deployment N; a worker's requests",
     "An application by generation, deployment N in full, or the requests that a\n"
     "worker runs and has run last, also of one that hangs or was killed.", run_show},
    {"incidents",  "[N]",       0, 1,  COMPLETES_NOTHING, 0,
     "workers that crashed, hung or were killed; N in full",
     "The last 32: which request it was, and in which code.", run_incidents},
    {"config",     "",          0, 0,  COMPLETES_NOTHING, 0,
     "the configuration in force, defaults included",
     "Durations are in seconds, sizes in bytes.", run_config},
    {"history",    "[APP]",     0, 1,  COMPLETES_APPS,    TAKES(OPTION_LIMIT),
     "the deployments so far, the latest last",
     "`reevectl show N` shows one in full.", run_history},
    {"reload",     "[APP...]",  0, -1, COMPLETES_APPS,
     TAKES(OPTION_ALL) | TAKES(OPTION_CONFIG) | CANARY | TAKES(OPTION_NO_WAIT),
     "deploy the modules of the configuration, in place",
     "The new builds are tried in a process of their own, prepared in every worker\n"
     "beside the old ones, and then switched everywhere or nowhere: all APPs together,\n"
     "or without APP every one. No connection is dropped. A canary that misbehaves is\n"
     "taken back by itself." WAITS, run_reload},
    {"rollback",   "APP [GEN]", 1, 2, COMPLETES_APPS, TAKES(OPTION_NO_WAIT),
     "deploy an earlier generation of an application",
     "Without GEN the one before. It is deployed as a reload is, under a new\n"
     "number. `reevectl history APP` lists the generations." WAITS, run_rollback},
    {"restart",    "",          0, 0,  COMPLETES_NOTHING, TAKES(OPTION_MAX_UNAVAILABLE) | TAKES(OPTION_NO_WAIT),
     "replace every worker process, one by one",
     "A new worker is ready before the old one stops taking connections and finishes\n"
     "its requests." WAITS, run_restart},
    {"upgrade",    "",          0, 0,  COMPLETES_NOTHING, TAKES(OPTION_BINARY) | TAKES(OPTION_NO_WAIT),
     "replace the server's own program, in place",
     "The new binary is checked in a process of its own; then the server goes on as\n"
     "it, under the same process id, and rolls the workers." WAITS, run_upgrade},
    {"cancel",     "",          0, 0,  COMPLETES_NOTHING, 0,
     "give the running deployment up",
     "Before it is decided nothing has changed; a canary, and a configuration that\n"
     "some workers have already, is taken back. A restart ends where it is. A start\n"
     "and an upgrade cannot be given up.", run_cancel},
    {"stacks",     "[ID]",      0, 1,  COMPLETES_NOTHING, 0,
     "the requests and tasks that wait, and where",
     "Of all workers, or of the one with that ID, such as 0. Nobody is held up by it.\n"
     "The server's own calls are left out; -j has them.", run_stacks},
    {"worker",     "kill|restart ID", 2, 2, COMPLETES_NOTHING, TAKES(OPTION_NO_WAIT),
     "end or replace one worker process",
     "ID is 0, or 0.3 for that incarnation and no later one. `restart` is as that of\n"
     "all: the new worker is ready before the old one drains. `kill` ends it now:\n"
     "what it has begun is lost, and a new one is started." WAITS, run_worker},
    {"scale",      "N|+N|-N",   1, 1,  COMPLETES_NOTHING, 0,
     "how many workers there shall be", NULL, run_scale},
    {"lift",       "[APP [PATH]]", 0, 2, COMPLETES_APPS, TAKES(OPTION_ALL),
     "serve routes again that are quarantined",
     "A route that killed quarantine_after workers within quarantine_time is answered\n"
     "503 for as long; `reevectl status` lists them. Lifted is what refuses PATH, or\n"
     "every route of APP, or with --all of every application.", run_lift},
    {"drain",      "",          0, 0,  COMPLETES_NOTHING, TAKES(OPTION_NO_WAIT),
     "take the server out of rotation, and let it live on",
     "New connections are refused, running requests are finished, for at most\n"
     "drain_timeout; then there are no workers. `reevectl resume` opens it again." WAITS, run_drain},
    {"resume",     "",          0, 0,  COMPLETES_NOTHING, TAKES(OPTION_NO_WAIT),
     "take connections again, where it did before the drain",
     "The verdict comes when as many workers as are wanted are ready. When an address\n"
     "is taken meanwhile, or no worker gets ready, the server stays drained." WAITS, run_resume},
    {"stop",       "",          0, 0,  COMPLETES_NOTHING, TAKES(OPTION_NOW),
     "stop the server, and wait until it is gone",
     "Running requests are finished first, for at most drain_timeout.", run_stop},
    {"reopen",     "",          0, 0,  COMPLETES_NOTHING, 0,
     "open the log files anew, after a rotation", NULL, run_reopen},
    {"check",      "FILE",      1, 1,  COMPLETES_FILES,   0,
     "check a configuration file and its modules", "The same as `reeve -t -c FILE`, with its exit status.", run_check},
    {"version",    "",          0, 0,  COMPLETES_NOTHING, 0,
     "the versions of reevectl and of the server that runs", NULL, run_version},
    {"help",       "[VERB]",    0, 1,  COMPLETES_VERBS,   0,
     "this page, or a verb's; stats' explains each figure", NULL, run_help},
    {"completion", "bash",      1, 1,  COMPLETES_BASH,    0,
     "a script that completes reevectl's words in bash", "Add to ~/.bashrc: eval \"$(reevectl completion bash)\"", run_completion},
    {"_apps",      "",          0, 0,  COMPLETES_NOTHING, 0, NULL, NULL, run_app_names},
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

const struct command *command_nearest(const char *name)
{
    const struct command *nearest = NULL;
    int best = WORDS_APART;

    for (const struct command *c = commands; c->name != NULL; c++) {
        int distance = words_distance(name, c->name);

        if (c->summary != NULL && distance < best) {
            best = distance;
            nearest = c;
        }
    }
    return nearest;
}
