/* build.c: references to staged builds. Knows nothing of workers but their lists of holds. */
#include "master/build.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

struct build *build_new(const char *spool, const char *app_name, unsigned app, uint64_t generation)
{
    struct build *build = calloc(1, sizeof(*build));

    if (build == NULL)
        return NULL;
    /* The dynamic linker takes a name it has seen for the same module, so no name comes twice, not
     * even after a restart that counts its generations from 1 again. */
    if (asprintf(&build->path, "%s/%s/%" PRIu64 "-%" PRIx64 ".so", spool, app_name, generation,
                 clock_wall_ns()) < 0) {
        free(build);
        errno = ENOMEM;
        return NULL;
    }
    build->app = app;
    build->generation = generation;
    build->refs = 1;
    return build;
}

struct build *build_ref(struct build *build)
{
    build->refs++;
    return build;
}

void build_unref(struct build *build)
{
    if (build == NULL || --build->refs > 0)
        return;
    if (unlink(build->path) != 0 && errno != ENOENT)
        log_warn("a staged module could not be removed: %s", build->path);
    free(build->path);
    free(build);
}

struct hold *hold_add(struct hold_list *holds, struct build *build)
{
    struct hold *hold = calloc(1, sizeof(*hold));

    if (hold == NULL)
        return NULL;
    hold->build = build_ref(build);
    hold->state = HOLD_ASKED;
    hold->asked_at = clock_ns();
    LIST_INSERT_HEAD(holds, hold, link);
    return hold;
}

struct hold *hold_find(const struct hold_list *holds, unsigned app, uint64_t generation)
{
    struct hold *hold;

    LIST_FOREACH (hold, holds, link)
        if (hold->build->app == app && hold->build->generation == generation)
            return hold;
    return NULL;
}

struct hold *hold_of(const struct hold_list *holds, const struct build *build)
{
    return build == NULL ? NULL : hold_find(holds, build->app, build->generation);
}

void hold_drop(struct hold *hold)
{
    LIST_REMOVE(hold, link);
    build_unref(hold->build);
    free(hold);
}

void hold_drop_all(struct hold_list *holds)
{
    while (!LIST_EMPTY(holds))
        hold_drop(LIST_FIRST(holds));
}
