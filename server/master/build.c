/* build.c: references to staged builds. Knows nothing of workers but their lists of holds. */
#include "master/build.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

struct build *build_new(struct spool *spool, const char *app_name, unsigned app,
                        uint64_t generation)
{
    struct build *build = calloc(1, sizeof(*build));

    if (build == NULL)
        return NULL;
    build->path = spool_path(spool, app_name, generation, &build->memory);
    if (build->path == NULL) {
        int error = errno;

        free(build);
        errno = error;
        return NULL;
    }
    build->app = app;
    build->generation = generation;
    build->refs = 1;
    return build;
}

struct build *build_adopt(const char *path, unsigned app, uint64_t generation)
{
    struct build *build = calloc(1, sizeof(*build));

    if (build == NULL)
        return NULL;
    build->memory = spool_descriptor(path);
    build->path = strdup(path);
    if (build->path == NULL || (build->memory != -1 && build_keep(build, false) != 0)) {
        int error = errno;

        free(build->path);
        free(build);
        errno = error;
        return NULL;
    }
    build->app = app;
    build->generation = generation;
    build->refs = 1;
    return build;
}

int build_keep(const struct build *build, bool is_kept)
{
    if (build->memory == -1)
        return 0;
    return fcntl(build->memory, F_SETFD, is_kept ? 0 : FD_CLOEXEC) == -1 ? -1 : 0;
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
    if (build->memory != -1)
        close(build->memory);
    else if (unlink(build->path) != 0 && errno != ENOENT)
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
