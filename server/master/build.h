/* build.h: one staged build of an app (a generation), and which worker holds which.
 *
 * The staged file lives as long as somebody needs it: the app it is current for, the deployment
 * that tries it, each worker that has it loaded. Whoever lets go last removes it. */
#ifndef MASTER_BUILD_H
#define MASTER_BUILD_H

#include <stdint.h>
#include <sys/queue.h>

struct build {
    unsigned app; /* index into config->apps */
    uint64_t generation;
    char *path;        /* of the staged file, which need not be there yet */
    char version[64];  /* the module's own, "" until it is known */
    char build_id[41]; /* the linker's, in hex; "" when it has none */
    unsigned refs;
};

/* A build to be staged as SPOOL/APP/GENERATION-UNIQUE.so; the first reference is the caller's.
 * NULL with ENOMEM. */
struct build *build_new(const char *spool, const char *app_name, unsigned app, uint64_t generation);
struct build *build_ref(struct build *build);
void build_unref(struct build *build);

/* What a worker has, or is getting, of a build. */
enum hold_state {
    HOLD_ASKED,     /* PREPARE was sent */
    HOLD_PREPARED,  /* it is loaded and ready; COMMIT may have been sent */
    HOLD_COMMITTED, /* the worker said that new requests go to it */
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
