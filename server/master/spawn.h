/* spawn.h: the one place that forks. A child gets its heritage and nothing else of the master's. */
#ifndef MASTER_SPAWN_H
#define MASTER_SPAWN_H

#include <stddef.h>
#include <sys/types.h>

#include "worker/worker.h"

struct spawn {
    struct heritage heritage; /* link: the child's end, which the parent goes on owning */
    const char *role;         /* for the log: "worker 0.1" */
    const char *title;        /* for ps and pgrep, at most 15 bytes */
    int output;               /* becomes the child's stdout and stderr; -1: the master's own */
    /* What the child does before it becomes a worker; non-zero is its exit status. May be NULL. */
    int (*first)(void *arg);
    void *arg;
};

/* Forks; the child runs worker_main and exits with its status. Returns the pid, -1 with errno. */
pid_t spawn_child(const struct spawn *spawn);

/* Another program, which gets stdout, stderr and what is kept, and is killed when the master ends.
 */
struct program {
    char *const *argv; /* argv[0]: the file, absolute */
    int output;        /* becomes its stdout */
    int errors;        /* becomes its stderr; why it could not be executed is written there, too */
    const int *kept;   /* descriptors with the numbers that they have */
    size_t kept_count;
};

#define SPAWN_NOT_EXECUTED 126 /* its exit status then */

/* Returns the pid, -1 with errno. It has a process group of its own. */
pid_t spawn_program(const struct program *program);

#endif
