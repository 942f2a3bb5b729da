/* trial.h: new builds are tried, one after the other, each in a preflight process of its own,
 * before any worker sees one of them. */
#ifndef MASTER_TRIAL_H
#define MASTER_TRIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/config.h"
#include "master/change.h"

struct master;
struct trial;

struct trial_order { /* borrowed until the end is told */
    struct master *master;
    const struct config *config; /* whose options the apps get */
    struct change *changes;
    size_t count;
    /* A build was refused. True: `change` has another module and build now, which is tried
     * instead. NULL: a refusal is the end. */
    bool (*on_refused)(struct change *change, const char *reason, void *arg);
    /* The end: refused NULL: all are good. The reason lives during the call; the trial is freed
     * right after. Never called within trial_begin. */
    void (*on_end)(const struct change *refused, const char *reason, void *arg);
    void *arg;
};

/* What is found out goes into the running action's receipt. NULL with errno. */
struct trial *trial_begin(const struct trial_order *order);
/* Ends it soon: on_end comes, as of a refusal, when the process has gone. */
void trial_cancel(struct trial *trial);
/* True when `pid` is its process. NULL is fine. */
bool trial_reap(struct trial *trial, pid_t pid, int status);

#endif
