/* generation.c: dlopen, init, commit, and the way out: fini, dlclose, and proof that the mapping is
 * gone. */
#include "app/generation.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/descriptor.h"
#include "app/holders.h"
#include "app/libraries.h"
#include "app/place.h"
#include "app/pool.h"
#include "app/state.h"
#include "app/trial.h"
#include "base/log.h"
#include "runtime/coro.h"

/* init may call libraries that are wasteful with stack; it runs once. */
#define INIT_STACK (1u << 20)

/* ---- what the application sees of it ---- */

struct reeve_module {
    struct generation generation;
};

struct generation *generation_of(const reeve_module *module)
{
    return &((reeve_module *)(uintptr_t)module)->generation;
}

reeve_module *generation_module(struct generation *generation)
{
    return (reeve_module *)generation;
}

const char *reeve_option(const reeve_module *module, const char *key)
{
    return config_app_option(generation_of(module)->app->config, key);
}

void reeve_module_set_data(reeve_module *module, void *data)
{
    struct generation *generation = generation_of(module);

    generation->data = data;
    generation->has_set_data = true;
}

void *reeve_module_data(const reeve_module *module)
{
    return generation_of(module)->data;
}

bool reeve_state_is_handed_over(const reeve_module *module)
{
    return generation_of(module)->is_handed_over;
}

int reeve_refuse(reeve_module *module, const char *format, ...)
{
    struct generation *generation = generation_of(module);
    va_list args;

    va_start(args, format);
    vsnprintf(generation->refusal, sizeof generation->refusal, format, args);
    va_end(args);
    return -1;
}

/* ---- the end ---- */

/* dlclose promises nothing: a library may refuse to go (nodelete, unique symbols, thread-local
 * destructors). */
static const char *unload(struct generation *generation)
{
    void *again;

    if (!generation->handle)
        return NULL;
    if (dlclose(generation->handle) != 0)
        return dlerror();
    again = dlopen(generation->path, RTLD_NOW | RTLD_NOLOAD);
    if (!again)
        return NULL;
    dlclose(again);
    return "the module stays mapped: it is linked with -z nodelete, or has unique C++ symbols or "
           "thread-local destructors";
}

static void generation_free(struct generation *generation)
{
    struct app *app = generation->app;
    struct room *room = app->room;
    struct tenure *heir = generation->heir;
    uint64_t number = generation->number;
    bool was_prepared = generation->is_prepared;
    const char *why_not;

    room_do(room, STEP_FINI, generation);
    if (was_prepared && generation->descriptor->fini)
        generation->descriptor->fini(generation_module(generation));
    pool_close_all(generation);
    why_not = unload(generation);
    room_do(room, STEP_NONE, generation);
    LIST_REMOVE(generation, entry);
    state_close(generation);
    background_close(generation);
    free(generation->path);
    free(generation);
    holders_show(app);
    if (was_prepared && room->on_unloaded)
        room->on_unloaded(app->index, number, why_not, room->arg);
    state_release(heir);
}

/* ---- preparing ---- */

static void prepared(struct generation *generation, const char *refusal)
{
    char text[sizeof generation->refusal];
    void (*on_prepared)(struct generation *, const char *, void *) = generation->on_prepared;
    void *arg = generation->arg;

    if (!refusal) {
        generation->is_prepared = true;
        on_prepared(generation, NULL, arg);
        generation_release(generation, HOLD_INIT); /* goes now if it was retired meanwhile */
        return;
    }
    snprintf(text, sizeof text, "%s", refusal); /* it may lie in what goes now */
    on_prepared(generation, text, arg);
    generation->is_retired = true;
    background_drain(generation);
    generation_release(generation, HOLD_INIT);
}

struct strand *generation_strand(struct generation *generation)
{
    if (generation->strand)
        return generation->strand;
    generation->strand = malloc(sizeof *generation->strand);
    if (generation->strand)
        strand_open(generation->strand, coro_current(), generation, NULL);
    return generation->strand;
}

static void run_init(struct generation *generation)
{
    const reeve_app *app = generation->descriptor;
    reeve_module *module = generation_module(generation);

    room_do(generation->app->room, STEP_INIT, generation);
    if (app->init && app->init(module) != 0) {
        if (!generation->refusal[0])
            reeve_refuse(module, "its init failed without giving a reason (reeve_refuse)");
        return;
    }
    generation->is_prepared = true;
    room_do(generation->app->room, STEP_SELFTEST, generation);
    if (generation->app->room->is_preflight && app->selftest && app->selftest(module) != 0 &&
        !generation->refusal[0])
        reeve_refuse(module, "its selftest failed without giving a reason (reeve_refuse)");
}

void generation_run_init(void *arg)
{
    struct generation *generation = arg;

    run_init(generation);
    if (!generation->strand)
        return;
    strand_close(generation->strand);
    free(generation->strand);
    generation->strand = NULL;
}

static void after_init(struct generation *generation)
{
    prepared(generation, generation->refusal[0] ? generation->refusal : NULL);
}

static void on_init(enum coro_event event, struct coro *coro, void *arg)
{
    struct generation *generation = arg;

    (void)coro;
    room_do(generation->app->room, event == CORO_RESUMES ? STEP_INIT : STEP_NONE, generation);
    if (event == CORO_ENDED)
        after_init(generation);
}

/* The linker speaks of our private copy; the operator knows the module by another name. */
static const char *say_load_error(const struct generation *generation, char *text, size_t size)
{
    const char *error = dlerror();
    size_t skip = strlen(generation->path);

    if (strncmp(error, generation->path, skip) == 0)
        snprintf(text, size, "%s%s", generation->app->config->module, error + skip);
    else
        snprintf(text, size, "%s", error);
    return text;
}

static const char *check_listeners(const struct generation *generation)
{
    const struct config *config = generation->app->room->config;

    for (size_t i = 0; i < config->listen_count; i++)
        if (config->listens[i].protocol == LISTEN_CHAT && !generation->descriptor->chat &&
            &config->apps[config->listens[i].app_index] == generation->app->config)
            return "a listener of the configuration has it for its chat protocol, and its "
                   "descriptor has no .chat";
    return NULL;
}

static const char *load(struct generation *generation, char *text, size_t size)
{
    const reeve_app *descriptor;
    char library[256];

    room_do(generation->app->room, STEP_LOAD, generation);
    generation->handle = dlopen(generation->path, RTLD_NOW | RTLD_LOCAL);
    room_do(generation->app->room, STEP_CHECK, generation);
    if (!generation->handle)
        return say_load_error(generation, text, size);
    if (libraries_find_private(generation->handle, library, sizeof library)) {
        snprintf(text, size,
                 "it needs %s, a shared library of its own, which would stay as it is while an "
                 "older build is loaded: link it statically",
                 library);
        return text;
    }
    descriptor = dlsym(generation->handle, "reeve_app_descriptor");
    if (!descriptor)
        return "it has no REEVE_APP descriptor";
    generation->descriptor = &generation->copy;
    place_find_mapping(descriptor, &generation->mapping);
    if (descriptor_check(descriptor, text, size, &generation->copy))
        return text;
    return check_listeners(generation);
}

void generation_prepare(struct app *app, uint64_t number, const char *path,
                        void (*on_prepared)(struct generation *, const char *refusal, void *arg),
                        void *arg)
{
    struct generation *generation = calloc(1, sizeof(reeve_module));
    char text[512];
    const char *refusal;

    if (generation)
        generation->path = strdup(path);
    if (!generation || !generation->path || state_open(generation) == -1) {
        if (generation)
            free(generation->path);
        free(generation);
        on_prepared(NULL, "memory has run out", arg);
        return;
    }
    generation->app = app;
    generation->number = number;
    generation->on_prepared = on_prepared;
    generation->arg = arg;
    background_open(generation);
    LIST_INIT(&generation->members);
    LIST_INSERT_HEAD(&app->generations, generation, entry);
    generation_hold(generation, HOLD_INIT); /* until init has ended */
    refusal = load(generation, text, sizeof text);
    if (refusal) {
        prepared(generation, refusal);
    } else if (generation->descriptor->on_loop) {
        generation_run_init(generation);
        room_do(app->room, STEP_NONE, generation);
        after_init(generation);
    } else if (coro_run(generation_run_init, on_init, generation, INIT_STACK) == -1) {
        prepared(generation, "memory for a stack has run out");
    }
}

/* ---- serving ---- */

struct generation *generation_find(const struct app *app, uint64_t number)
{
    struct generation *generation;

    LIST_FOREACH (generation, &app->generations, entry)
        if (generation->number == number)
            return generation;
    return NULL;
}

static void supersede(struct generation *former, bool is_kept)
{
    if (!is_kept)
        generation_retire(former);
    else
        holders_show(former->app);
}

enum handover generation_commit(struct generation *generation, bool is_kept, char *why, size_t size)
{
    struct app *app = generation->app;
    struct generation *former = app->live;
    enum handover how = HANDOVER_NONE;

    if (size > 0)
        why[0] = '\0';
    if (former == generation)
        return how;
    room_do(app->room, STEP_HANDOVER, generation);
    if (former)
        how = state_hand_over(former, generation, is_kept, why, size);
    room_do(app->room, STEP_NONE, generation);
    generation->column = board_claim(app->cell, generation->number, former ? former->number : 0);
    generation->was_live = true;
    app->live = generation;
    background_start(generation);
    if (former)
        supersede(former, is_kept);
    return how;
}

struct board_column *generation_column(struct generation *generation)
{
    struct board_column *column = generation->column;

    return column && board_get(&column->generation) == generation->number ? column : NULL;
}

static void show_holds(struct generation *generation)
{
    struct board_column *column = generation_column(generation);

    if (column)
        board_set(&column->held, generation->holds);
}

/* What held it is less by one. Held once more while its background work ends, which may let go of
 * it. */
static void retired_look(struct generation *generation)
{
    if (!generation->background.is_over) {
        generation->holds++;
        background_look(generation);
        generation->holds--;
        show_holds(generation);
    }
    if (generation->holds == 0)
        generation_free(generation);
}

void generation_retire(struct generation *generation)
{
    if (generation->app->live == generation)
        generation->app->live = NULL;
    generation->is_retired = true;
    generation->holds++;      /* while its background work is told */
    members_move(generation); /* before those that the application has made are told to end */
    background_drain(generation);
    generation->holds--;
    show_holds(generation);
    holders_show(generation->app);
    retired_look(generation);
}

void generation_hold(struct generation *generation, enum hold_kind kind)
{
    generation->holds++;
    generation->held_for[kind]++;
    board_add(&generation->app->cell->total.held, 1);
    show_holds(generation);
}

static void on_last(void *arg)
{
    struct generation *generation = arg;

    generation_release(generation, generation->last);
}

/* Code of another build may let go of this one's last future. */
static void release_from_loop(struct generation *generation, enum hold_kind kind)
{
    generation->last = kind;
    soon_call(&generation->release, on_last, generation);
}

void generation_release(struct generation *generation, enum hold_kind kind)
{
    if (generation->is_retired && generation->holds == 1 && coro_current()) {
        release_from_loop(generation, kind);
        return;
    }
    generation->holds--;
    generation->held_for[kind]--;
    board_sub(&generation->app->cell->total.held, 1);
    show_holds(generation);
    if (generation->is_retired)
        retired_look(generation);
}

void generation_rehold(struct generation *generation, enum hold_kind from, enum hold_kind to)
{
    generation->held_for[from]--;
    generation->held_for[to]++;
}

struct tenure *generation_enter(struct generation *generation)
{
    generation_hold(generation, HOLD_REQUEST);
    return generation->tenure;
}

void generation_leave(struct generation *generation, struct tenure *tenure)
{
    bool is_bygone = tenure != generation->tenure;

    generation->bygone -= is_bygone;
    generation_release(generation, HOLD_REQUEST);
    if (is_bygone)
        state_leave(tenure);
}
