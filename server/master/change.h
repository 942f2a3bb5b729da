/* change.h: what a deployment does to one app. */
#ifndef MASTER_CHANGE_H
#define MASTER_CHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "master/build.h"

struct change {
    unsigned app;         /* column */
    size_t index;         /* in the apps of the configuration that it is tried with */
    char *module;         /* the file that is staged */
    uint64_t rollback_to; /* the generation whose kept module that is; 0: it is the operator's */
    char *sha256;         /* what the module has to have; NULL: anything */
    struct build *build;  /* the new one: a reference */
    struct build *old;    /* what it supersedes: a reference from the commit on */
    bool is_probe;        /* the code is current: it is only tried with other options */
    bool is_untried;      /* its refusal is no word about it: it could not be tried */
};

struct master;

/* Keeps the module of a change that is live, for a rollback to come. Its receipt has to be in the
 * history already. What stands against it is said in the log. */
void change_keep(const struct change *change, struct master *master);
/* The array and what it refers to; NULL is fine. */
void changes_free(struct change *changes, size_t count);

#endif
