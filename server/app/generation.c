/* generation.c: dlopen, init, commit, and the way out: fini, dlclose, and proof that the mapping is
 * gone. */
#include "app/generation.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/libraries.h"
#include "base/log.h"
#include "runtime/coro.h"

/* init may call libraries that are wasteful with stack; it runs once. */
#define INIT_STACK (1u << 20)

#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

/* What an application may ask for. */
#define STACK_LEAST (32u << 10)
#define STACK_MOST  (1u << 30)

/* ---- what the application sees of it ---- */

struct reeve_module {
    struct generation generation;
};

static struct generation *of_module(const reeve_module *module)
{
    return &((reeve_module *)(uintptr_t)module)->generation;
}

static reeve_module *module_of(struct generation *generation)
{
    return (reeve_module *)generation;
}

const char *reeve_option(const reeve_module *module, const char *key)
{
    return config_app_option(of_module(module)->app->config, key);
}

void reeve_module_set_data(reeve_module *module, void *data)
{
    of_module(module)->data = data;
}

void *reeve_module_data(const reeve_module *module)
{
    return of_module(module)->data;
}

int reeve_refuse(reeve_module *module, const char *format, ...)
{
    struct generation *generation = of_module(module);
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
    struct room *room = generation->app->room;
    unsigned app = generation->app->index;
    uint64_t number = generation->number;
    bool was_prepared = generation->is_prepared;
    const char *why_not;

    if (was_prepared && generation->descriptor->fini)
        generation->descriptor->fini(module_of(generation));
    why_not = unload(generation);
    LIST_REMOVE(generation, entry);
    free(generation->path);
    free(generation);
    if (was_prepared && room->on_unloaded)
        room->on_unloaded(app, number, why_not, room->arg);
}

/* ---- preparing ---- */

static bool is_name(const char *name)
{
    return name && *name && name[strspn(name, NAME_CHARACTERS)] == '\0';
}

/* The head of it is the same in all versions. Answers why it does not fit, or NULL. */
static const char *check_version(const reeve_app *app, char *text, size_t size)
{
    if (app->magic != REEVE_MAGIC)
        return "its reeve_app_descriptor has the wrong magic: was it made with REEVE_APP?";
    if (app->abi_major != REEVE_ABI_MAJOR || app->abi_minor > REEVE_ABI_MINOR) {
        snprintf(text, size, "it was built for interface version %u.%u, this server has %d.%d",
                 app->abi_major, app->abi_minor, REEVE_ABI_MAJOR, REEVE_ABI_MINOR);
        return text;
    }
    if (app->size < offsetof(reeve_app, name) || app->size > sizeof *app) {
        snprintf(text, size, "its descriptor says that it has %u bytes, version %u.%u has %zu",
                 app->size, app->abi_major, app->abi_minor, sizeof *app);
        return text;
    }
    return NULL;
}

static const char *check_fields(const reeve_app *app, char *text, size_t size)
{
    if (!is_name(app->name))
        return "its descriptor's .name is not letters, digits, '-' and '_'";
    if (!app->version)
        return "its descriptor has no .version";
    if (!app->application)
        return "its descriptor has no .application";
    if (app->stack_size && (app->stack_size < STACK_LEAST || app->stack_size > STACK_MOST)) {
        snprintf(text, size, "its .stack_size is %zu bytes, which is not from 32 KiB to 1 GiB",
                 app->stack_size);
        return text;
    }
    return NULL;
}

/* Takes a copy, in which fields that an older interface did not have are zero. */
static const char *check_descriptor(struct generation *generation, const reeve_app *descriptor,
                                    char *text, size_t size)
{
    const char *refusal = check_version(descriptor, text, size);

    if (refusal)
        return refusal;
    memcpy(&generation->copy, descriptor, descriptor->size);
    generation->descriptor = &generation->copy;
    return check_fields(generation->descriptor, text, size);
}

static void prepared(struct generation *generation, const char *refusal)
{
    char text[sizeof generation->refusal];
    void (*on_prepared)(struct generation *, const char *, void *) = generation->on_prepared;
    void *arg = generation->arg;

    if (!refusal) {
        generation->is_prepared = true;
        on_prepared(generation, NULL, arg);
        generation_release(generation); /* goes now if it was retired meanwhile */
        return;
    }
    snprintf(text, sizeof text, "%s", refusal); /* it may lie in what goes now */
    on_prepared(generation, text, arg);
    generation_free(generation);
}

static void run_init(void *arg)
{
    struct generation *generation = arg;
    const reeve_app *app = generation->descriptor;
    reeve_module *module = module_of(generation);

    if (app->init && app->init(module) != 0) {
        if (!generation->refusal[0])
            reeve_refuse(module, "its init failed without giving a reason (reeve_refuse)");
        return;
    }
    generation->is_prepared = true;
    if (generation->app->room->is_preflight && app->selftest && app->selftest(module) != 0 &&
        !generation->refusal[0])
        reeve_refuse(module, "its selftest failed without giving a reason (reeve_refuse)");
}

static void after_init(bool is_done, void *arg)
{
    struct generation *generation = arg;

    if (is_done)
        prepared(generation, generation->refusal[0] ? generation->refusal : NULL);
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

static const char *load(struct generation *generation, char *text, size_t size)
{
    const reeve_app *descriptor;
    char library[256];

    generation->handle = dlopen(generation->path, RTLD_NOW | RTLD_LOCAL);
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
    return check_descriptor(generation, descriptor, text, size);
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
    if (!generation || !generation->path) {
        free(generation);
        on_prepared(NULL, "memory has run out", arg);
        return;
    }
    generation->app = app;
    generation->number = number;
    generation->on_prepared = on_prepared;
    generation->arg = arg;
    LIST_INSERT_HEAD(&app->generations, generation, entry);
    generation_hold(generation); /* until init has ended */
    refusal = load(generation, text, sizeof text);
    if (refusal) {
        prepared(generation, refusal);
    } else if (generation->descriptor->on_loop) {
        run_init(generation);
        after_init(true, generation);
    } else if (coro_run(run_init, after_init, generation, INIT_STACK) == -1) {
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

void generation_commit(struct generation *generation)
{
    struct app *app = generation->app;
    struct generation *former = app->live;

    if (former == generation)
        return;
    generation->column = board_claim(app->cell, generation->number);
    app->live = generation;
    if (former)
        generation_retire(former);
}

void generation_retire(struct generation *generation)
{
    if (generation->app->live == generation)
        generation->app->live = NULL;
    generation->is_retired = true;
    if (generation->holds == 0)
        generation_free(generation);
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

void generation_hold(struct generation *generation)
{
    generation->holds++;
    board_add(&generation->app->cell->total.held, 1);
    show_holds(generation);
}

void generation_release(struct generation *generation)
{
    generation->holds--;
    board_sub(&generation->app->cell->total.held, 1);
    show_holds(generation);
    if (generation->holds == 0 && generation->is_retired)
        generation_free(generation);
}
