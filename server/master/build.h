/* build.h: one staged build of an app (a generation), and which worker holds which.
 *
 * The staged file lives as long as somebody needs it: the app it is current for, the deployment
 * that tries it, each worker that has it loaded. Whoever lets go last removes it. */
#ifndef MASTER_BUILD_H
#define MASTER_BUILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "master/spool.h"

struct build {
    unsigned app; /* index into config->apps */
    uint64_t generation;
    char *path;        /* of the staged file, which need not be there yet */
    int memory;        /* the descriptor behind the path, when the spool is in memory; else -1 */
    char version[64];  /* the module's own, "" until it is known */
    char build_id[41]; /* the linker's, in hex; "" when it has none */
    unsigned refs;
};

/* A build to be staged as SPOOL/APP/GENERATION-UNIQUE.so, or in memory; the first reference is the
 * caller's. NULL with errno. */
struct build *build_new(struct spool *spool, const char *app_name, unsigned app,
                        uint64_t generation);
/* One that the former image staged, after an exec in place. NULL with errno. */
struct build *build_adopt(const char *path, unsigned app, uint64_t generation);
/* Whether it outlives an exec in place, which a file does anyway; for each build before the exec,
 * and back if that fails. 0, or -1 with errno. */
int build_keep(const struct build *build, bool is_kept);
struct build *build_ref(struct build *build);
void build_unref(struct build *build);

/* What a worker has, or is getting, of a build. */
enum hold_state {
    HOLD_ASKED,     /* PREPARE was sent */
    HOLD_PREPARED,  /* it is loaded and ready; COMMIT may have been sent */
    HOLD_COMMITTED, /* the worker said that new requests go to it */
    HOLD_KEPT,      /* superseded by a canary, and there to come back to */
    HOLD_OLD,       /* superseded: the worker says UNLOADED when it is gone */
    HOLD_STUCK,     /* superseded, and the worker could not unload it */
};

struct hold {
    LIST_ENTRY(hold) link;
    struct build *build; /* a reference */
    enum hold_state state;
    uint64_t asked_at; /* clock_ns() */
};

LIST_HEAD(hold_list, hold);

/* NULL with ENOMEM. */
struct hold *hold_add(struct hold_list *holds, struct build *build);
/* NULL when there is none. */
struct hold *hold_find(const struct hold_list *holds, unsigned app, uint64_t generation);
struct hold *hold_of(const struct hold_list *holds, const struct build *build);
void hold_drop(struct hold *hold);
void hold_drop_all(struct hold_list *holds);

#endif
