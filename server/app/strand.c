/* strand.c: strands and their scopes: opened, limited in time, closed with all that was made in
 * them. */
#include "app/strand.h"

#include <errno.h>
#include <stdlib.h>

#include "app/generation.h"
#include "app/member.h"
#include "app/request.h"
#include "app/task.h"
#include "base/clock.h"
#include "base/holder.h"
#include "base/log.h"
#include "runtime/alarm.h"
#include "runtime/coro.h"

/* No limit is longer. */
#define LIMIT_MOST (366.0 * 24 * 3600)

static int fail(int error)
{
    errno = error;
    return -1;
}

uint64_t strand_limit(double seconds)
{
    if (seconds < 0)
        return CORO_FOREVER;
    if (!(seconds > 0)) /* NaN too */
        return 0;
    return (uint64_t)((seconds < LIMIT_MOST ? seconds : LIMIT_MOST) * NS_PER_SEC);
}

/* ---- scopes ---- */

static void scope_open(struct scope *scope, struct strand *strand)
{
    *scope = (struct scope){.outer = strand->scope, .strand = strand};
    LIST_INIT(&scope->futures);
    LIST_INIT(&scope->tasks);
    LIST_INIT(&scope->hooks);
    strand->scope = scope;
}

static bool is_within(const struct scope *scope, const struct scope *outer)
{
    while (scope && scope != outer)
        scope = scope->outer;
    return scope != NULL;
}

static void on_limit(void *arg)
{
    struct scope *scope = arg;
    struct strand *strand = scope->strand;

    scope->is_expired = true;
    if (!strand->expired || is_within(strand->expired, scope))
        strand->expired = scope;
    coro_interrupt(strand->coro, ETIMEDOUT);
}

static int set_limit(struct scope *scope, uint64_t ns)
{
    scope->limit = malloc(sizeof *scope->limit);
    if (!scope->limit)
        return fail(ENOMEM);
    alarm_init(scope->limit, scope->strand->generation->app->room->net.base, on_limit, scope);
    if (alarm_start(scope->limit, ns) == 0)
        return 0;
    free(scope->limit);
    return -1;
}

static void drop_limit(struct scope *scope)
{
    if (!scope->limit)
        return;
    alarm_stop(scope->limit);
    free(scope->limit);
}

static void join_tasks(struct scope *scope)
{
    task_cancel_all(scope);
    scope->is_joining = true;
    while (!LIST_EMPTY(&scope->tasks))
        coro_wait_resolutely("end of tasks");
    scope->is_joining = false;
}

struct reeve_scope_hook {
    LIST_ENTRY(reeve_scope_hook) entry;
    void (*callback)(void *arg);
    void *arg;
};

void reeve_scope_forget(reeve_scope_hook *hook)
{
    LIST_REMOVE(hook, entry);
    free(hook);
}

static void close_inner_scopes(struct scope *scope);

static void run_hooks(struct scope *scope)
{
    reeve_scope_hook *hook, taken;

    while ((hook = LIST_FIRST(&scope->hooks))) {
        taken = *hook;
        reeve_scope_forget(hook);
        taken.callback(taken.arg);
        close_inner_scopes(scope);
    }
}

reeve_scope_hook *reeve_scope_on_end(void (*callback)(void *arg), void *arg)
{
    struct strand *strand = strand_current();
    reeve_scope_hook *hook;

    if (!strand)
        return NULL;
    hook = malloc(sizeof *hook);
    if (!hook) {
        errno = ENOMEM;
        return NULL;
    }
    hook->callback = callback;
    hook->arg = arg;
    LIST_INSERT_HEAD(&strand->scope->hooks, hook, entry);
    return hook;
}

/* Its tasks unwind before anything that they may use goes. */
static void scope_close(struct scope *scope)
{
    struct strand *strand = scope->strand;
    reeve_future *future;

    scope->is_ending = true;
    join_tasks(scope);
    run_hooks(scope);
    join_tasks(scope); /* that a hook has spawned */
    while ((future = LIST_FIRST(&scope->futures)))
        future_leave_scope(future);
    drop_limit(scope);
    if (strand->expired == scope) {
        strand->expired = NULL;
        coro_uninterrupt(strand->coro);
    }
    strand->scope = scope->outer;
}

/* Those that the application has left open in this one. */
static void close_inner_scopes(struct scope *scope)
{
    const struct strand *strand = scope->strand;
    struct scope *inner;

    while ((inner = strand->scope) != scope) {
        log_warnx("%s %llu: a scope was left open (reeve_scope_end)",
                  strand->generation->app->config->name,
                  (unsigned long long)strand->generation->number);
        scope_close(inner);
        free(inner);
    }
}

void scope_task_ended(struct scope *scope)
{
    if (scope->is_joining && LIST_EMPTY(&scope->tasks))
        coro_wake(scope->strand->coro, 0);
}

int reeve_scope_begin(reeve_scope *handle, double seconds)
{
    struct strand *strand = strand_current();
    uint64_t ns = strand_limit(seconds);
    struct scope *scope;

    handle->opaque[0] = NULL; /* no scope, until there is one */
    if (!strand)
        return -1;
    scope = malloc(sizeof *scope);
    if (!scope)
        return fail(ENOMEM);
    scope_open(scope, strand);
    if (ns != CORO_FOREVER && set_limit(scope, ns) == -1) {
        strand->scope = scope->outer;
        free(scope);
        return fail(ENOMEM);
    }
    handle->opaque[0] = scope;
    return 0;
}

int reeve_scope_end(reeve_scope *handle)
{
    struct strand *strand = strand_current();
    struct scope *scope = handle->opaque[0];
    int saved = errno;
    bool is_expired;

    if (!strand)
        return -1;
    if (strand->scope != scope || scope->is_ending)
        return fail(EINVAL);
    coro_note(CALL_SCOPE_END, __builtin_return_address(0));
    is_expired = scope->is_expired;
    scope_close(scope);
    free(scope);
    handle->opaque[0] = NULL;
    errno = saved;
    return is_expired ? fail(ETIMEDOUT) : 0;
}

/* ---- strands ---- */

void strand_open(struct strand *strand, struct coro *coro, struct generation *generation,
                 struct reeve_environ *request)
{
    *strand = (struct strand){.coro = coro, .generation = generation, .request = request};
    scope_open(&strand->root, strand);
}

void strand_close(struct strand *strand)
{
    close_inner_scopes(&strand->root);
    scope_close(&strand->root);
}

static struct strand *of_request(struct reeve_environ *request)
{
    if (request->strand)
        return request->strand;
    request->strand = arena_alloc(&request->arena, sizeof *request->strand);
    if (request->strand)
        strand_open(request->strand, coro_current(), request->generation, request);
    return request->strand;
}

struct strand *strand_current(void)
{
    const struct coro *coro = coro_current();
    struct strand *strand = NULL;
    void *owner;

    if (!coro) {
        errno = EDEADLK;
        return NULL;
    }
    if ((owner = coro_arg(coro, call_run)))
        strand = of_request(owner);
    else if ((owner = coro_arg(coro, task_run)))
        strand = task_strand(owner);
    else if ((owner = coro_arg(coro, duty_run)))
        strand = duty_strand(owner);
    else if ((owner = coro_arg(coro, generation_run_init)))
        strand = generation_strand(owner);
    if (!strand)
        errno = ENOMEM;
    return strand;
}

int reeve_is_cancelled(void)
{
    const struct coro *coro = coro_current();

    return coro ? coro_cancelled(coro) : 0;
}

reeve_module *reeve_current_module(void)
{
    const struct strand *strand = strand_current();

    return strand ? generation_module(strand->generation) : NULL;
}

reeve_environ *reeve_current_environ(void)
{
    const struct strand *strand = strand_current();

    return strand ? strand->request : NULL;
}
