/* background.c: begins and ends a generation's background work. */
#include "app/background.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#include "app/generation.h"
#include "base/clock.h"
#include "base/log.h"

#define COMPLAIN_EVERY (60 * NS_PER_SEC)
#define WAIT_MOST      (3600 * NS_PER_SEC)

void background_open(struct generation *generation)
{
    struct background *background = &generation->background;

    LIST_INIT(&background->tasks);
    LIST_INIT(&background->timers);
    LIST_INIT(&background->former);
    LIST_INIT(&background->jobs);
    LIST_INIT(&background->pools);
    LIST_INIT(&background->belongings);
    LIST_INIT(&background->former_belongings);
}

/* ---- tasks ---- */

struct task *background_spawn(struct generation *generation, reeve_task *fn, void *arg,
                              const struct origin *origin)
{
    struct task *task;

    if (generation->background.is_over) {
        errno = ECANCELED;
        return NULL;
    }
    task = task_start(generation, NULL, fn, arg, origin);
    if (task)
        LIST_INSERT_HEAD(&generation->background.tasks, task, entry);
    return task;
}

void background_ended(struct generation *generation)
{
    const struct room *room = generation->app->room;

    if (room->on_background_ended)
        room->on_background_ended(room->arg);
}

int reeve_spawn_background_named(reeve_module *module, reeve_task *fn, void *arg,
                                 reeve_future **future_out, const char *name, const char *file,
                                 int line)
{
    const struct origin origin = {.name = name, .file = file, .line = line};
    struct task *task = background_spawn(generation_of(module), fn, arg, &origin);

    if (!task)
        return -1;
    if (future_out)
        *future_out = &task->future;
    else
        reeve_future_release(&task->future); /* it holds itself until it has ended */
    return 0;
}

/* ---- of other rooms ---- */

void background_adopt(struct generation *generation, struct belonging *belonging)
{
    LIST_INSERT_HEAD(&generation->background.belongings, belonging, entry);
}

void background_abandon(struct belonging *belonging)
{
    LIST_REMOVE(belonging, entry);
}

static void stop_belongings(struct background *background)
{
    struct belonging *belonging;

    while ((belonging = LIST_FIRST(&background->belongings))) {
        LIST_REMOVE(belonging, entry);
        LIST_INSERT_HEAD(&background->former_belongings, belonging, entry);
        belonging->stop(belonging);
    }
}

void background_close(struct generation *generation)
{
    struct belonging *belonging;

    background_free_timers(generation);
    while ((belonging = LIST_FIRST(&generation->background.former_belongings))) {
        LIST_REMOVE(belonging, entry);
        belonging->free(belonging);
    }
}

/* ---- the end ---- */

static void end(struct generation *generation)
{
    struct background *background = &generation->background;
    struct task *task;

    background->is_over = true;
    background_stop_timers(generation);
    background_stop_jobs(generation);
    stop_belongings(background);
    LIST_FOREACH (task, &background->tasks, entry)
        task_cancel(task);
    members_end_made(generation);
}

/* A job that is stopped may have been the last that held it: whoever calls holds it. */
void background_look(struct generation *generation)
{
    const struct background *background = &generation->background;

    if (background->is_draining && !background->is_hook_running && !background->is_over &&
        generation->held_for[HOLD_REQUEST] == 0 &&
        generation->held_for[HOLD_CONNECTION] == generation->made)
        end(generation);
}

/* ---- hooks ---- */

static int run_hook(struct generation *generation, int (*hook)(reeve_module *module))
{
    return hook(generation_module(generation));
}

static int on_start(void *arg, void **value_out)
{
    struct generation *generation = arg;

    (void)value_out;
    return run_hook(generation, generation->descriptor->on_start);
}

static int on_drain(void *arg, void **value_out)
{
    struct generation *generation = arg;

    (void)value_out;
    return run_hook(generation, generation->descriptor->on_drain);
}

/* It is live all the same. */
static void complain(const struct generation *generation, const char *hook, int error)
{
    if (error && error != ECANCELED)
        log_warnx("%s %llu: its %s failed: %s", generation->app->config->name,
                  (unsigned long long)generation->number, hook, strerror(error));
}

static void on_started(void *arg, int error)
{
    complain(arg, "on_start", error);
}

static void on_drained(void *arg, int error)
{
    struct generation *generation = arg;

    complain(generation, "on_drain", error);
    generation->background.is_hook_running = false;
    if (generation->is_retired)
        background_look(generation);
}

/* False: it does not run on; it is over, or memory has run out. */
static bool call_hook(struct generation *generation, reeve_task *fn, const char *name,
                      void (*on_ended)(void *arg, int error))
{
    const struct origin origin = {.name = name, .file = generation->app->config->module};
    struct task *task;

    if (generation->descriptor->on_loop) {
        room_do(generation->app->room, STEP_TASK, generation);
        on_ended(generation, fn(generation, NULL) == 0 ? 0 : errno);
        room_do(generation->app->room, STEP_NONE, generation);
        return false;
    }
    task = background_spawn(generation, fn, generation, &origin);
    if (!task) {
        complain(generation, name, errno);
        return false;
    }
    task->on_ended = on_ended;
    task->on_ended_arg = generation;
    task->future.is_seen = true; /* there */
    reeve_future_release(&task->future);
    return true;
}

void background_start(struct generation *generation)
{
    struct background *background = &generation->background;

    if (background->has_started || generation->app->room->is_preflight)
        return;
    background->has_started = true;
    if (generation->descriptor->on_start)
        call_hook(generation, on_start, "on_start", on_started);
}

void background_drain(struct generation *generation)
{
    struct background *background = &generation->background;

    if (background->is_draining)
        return;
    background->is_draining = true;
    if (background->has_started && generation->descriptor->on_drain)
        background->is_hook_running = call_hook(generation, on_drain, "on_drain", on_drained);
}

/* ---- all of a worker's ---- */

void background_drain_all(const struct room *room)
{
    for (unsigned i = 0; i < room->app_count; i++)
        if (room->apps[i].live)
            background_drain(room->apps[i].live);
}

bool background_is_told(const struct room *room)
{
    const struct generation *generation;

    for (unsigned i = 0; i < room->app_count; i++)
        LIST_FOREACH (generation, &room->apps[i].generations, entry)
            if (generation->background.is_hook_running)
                return true;
    return false;
}

void background_skip_drain(const struct room *room)
{
    struct generation *generation;

    for (unsigned i = 0; i < room->app_count; i++)
        LIST_FOREACH (generation, &room->apps[i].generations, entry)
            generation->background.is_draining = true;
}

unsigned background_count(const struct room *room)
{
    const struct generation *generation;
    const struct task *task;
    unsigned count = 0;

    for (unsigned i = 0; i < room->app_count; i++)
        LIST_FOREACH (generation, &room->apps[i].generations, entry)
            LIST_FOREACH (task, &generation->background.tasks, entry)
                count++;
    return count;
}

/* ---- by the clock ---- */

void background_complain(struct complaint *complaint, const struct generation *generation,
                         const char *what, const struct origin *origin, int error)
{
    uint64_t now = clock_ns();
    char more[64] = "";

    if (complaint->said_at && now < complaint->said_at + COMPLAIN_EVERY) {
        complaint->unsaid++;
        return;
    }
    if (complaint->unsaid > 0)
        snprintf(more, sizeof more, ", after %u more times since it was last told of",
                 complaint->unsaid);
    log_warnx("%s %llu: the %s %s failed (%s:%d): %s%s", generation->app->config->name,
              (unsigned long long)generation->number, what, origin->name, origin->file,
              origin->line, strerror(error), more);
    *complaint = (struct complaint){.said_at = now};
}

struct timeval background_until(uint64_t at, uint64_t now)
{
    uint64_t ns = at > now ? at - now + 1000 : 0;

    if (ns > WAIT_MOST)
        ns = WAIT_MOST;
    return (struct timeval){.tv_sec = (time_t)(ns / NS_PER_SEC),
                            .tv_usec = (suseconds_t)(ns % NS_PER_SEC / 1000)};
}
