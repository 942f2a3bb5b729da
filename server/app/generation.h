/* generation.h: one numbered build of an app in this worker: loaded, live, retired, unloaded.
 *
 * Whatever runs or waits in a generation's code holds it (generation_hold). A retired one that
 * nothing holds any more is finished, unloaded, and the mapping verified to be gone. It is `struct
 * reeve_module` to the application. */
#ifndef APP_GENERATION_H
#define APP_GENERATION_H

#include <reeve/app.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "app/background.h"
#include "app/member.h"
#include "app/room.h"
#include "base/channel.h"
#include "base/holder.h"
#include "runtime/soon.h"

/* Where a module is mapped. */
struct mapping {
    const char *start, *end, *base; /* base: the load address; NULL: not known */
};

struct generation {
    struct app *app;
    LIST_ENTRY(generation) entry;
    uint64_t number;
    void *handle; /* of dlopen */
    struct mapping mapping;
    const reeve_app *descriptor;          /* NULL, or `copy` */
    reeve_app copy;                       /* of the module's, which may be an older, shorter one */
    struct board_column *column;          /* NULL once a later generation took it over */
    unsigned holds, held_for[HOLD_KINDS]; /* all, and by what they are for */
    struct soon release;                  /* of the last, which was for `last` */
    enum hold_kind last;
    bool is_prepared; /* init succeeded: fini is owed */
    bool is_retired;
    bool was_live;
    bool has_set_data;     /* the application, since this was last cleared */
    bool is_handed_over;   /* `data` belongs to another generation now */
    void *data;            /* the application's */
    struct tenure *tenure; /* the present one, or that to come if it is live again; see state.c */
    unsigned bygone;       /* requests that began in earlier ones */
    struct tenure *heir;   /* of whoever has its state now, held for its background work; or NULL */
    struct background background;
    struct member_list members;
    unsigned made;         /* of them, by the application */
    struct strand *strand; /* of its init, while that runs */
    char *path;
    char refusal[512]; /* reeve_refuse's sentence */
    void (*on_prepared)(struct generation *generation, const char *refusal, void *arg);
    void *arg;
};

/* Loads the module at `path` as generation `number` of the app and runs its init (in preflight its
 * selftest too) on a coroutine. on_prepared is called once, within the call or later: with NULL, or
 * with the sentence why it was refused; then the generation goes, when what its init has begun in
 * the background has unwound. */
void generation_prepare(struct app *app, uint64_t number, const char *path,
                        void (*on_prepared)(struct generation *, const char *refusal, void *arg),
                        void *arg);
/* NULL when there is none of that number. */
struct generation *generation_find(const struct app *app, uint64_t number);
/* New requests go to it, and the state of the one before if both agree. That one is retired, or
 * with `is_kept` stays loaded, to be committed again or retired later. Returns what became of the
 * state, with the reason (or "") in `why`, of which `size` may be 0. */
enum handover generation_commit(struct generation *generation, bool is_kept, char *why,
                                size_t size);
/* No new request; unloaded when nothing holds it. */
void generation_retire(struct generation *generation);

void generation_hold(struct generation *generation, enum hold_kind kind);
/* The last one of a retired generation unloads its code: on the loop's stack, and so soon when this
 * is called on another. */
void generation_release(struct generation *generation, enum hold_kind kind);

/* What holds it is something else from now on. */
void generation_rehold(struct generation *generation, enum hold_kind from, enum hold_kind to);

/* A request runs in it, from its begin to its end: what enter returned is what it leaves with. */
struct tenure *generation_enter(struct generation *generation);
void generation_leave(struct generation *generation, struct tenure *tenure); /* as release */

/* The column to count in, or NULL. */
struct board_column *generation_column(struct generation *generation);

/* As the application knows it, and back. */
reeve_module *generation_module(struct generation *generation);
struct generation *generation_of(const reeve_module *module);
/* What the coroutine of its init runs; arg is the generation. */
void generation_run_init(void *arg);
/* ... whose strand is this; NULL: memory has run out. */
struct strand *generation_strand(struct generation *generation);

#endif
