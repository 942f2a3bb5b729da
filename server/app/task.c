/* task.c: tasks: begun in a scope or as background work, run on a coroutine each, settled with what
 * they return. */
#include "app/task.h"

#include <errno.h>
#include <string.h>

#include "app/background.h"
#include "app/generation.h"
#include "app/request.h"
#include "base/log.h"
#include "runtime/coro.h"

/* ---- one ---- */

struct strand *task_strand(void *task)
{
    return &((struct task *)task)->strand;
}

/* One that was cancelled before it began does not begin. */
void task_run(void *arg)
{
    struct task *task = arg;
    void *value = NULL;
    int error = coro_cancelled(task->strand.coro);

    if (!error && task->fn(task->arg, &value) != 0)
        error = errno ? errno : EIO;
    strand_close(&task->strand);
    future_done(&task->future, error, value);
}

/* While it runs, what goes wrong is its request's doing. */
static void show_phase(const struct task *task, bool runs)
{
    const struct strand *strand = &task->strand;

    if (strand->request)
        flight_lend(strand->request->flight, runs);
    else
        room_do(strand->generation->app->room, runs ? STEP_TASK : STEP_NONE, strand->generation);
}

static void ended(struct task *task)
{
    struct generation *generation = task->strand.generation;
    struct scope *scope = task->scope;

    LIST_REMOVE(task, entry);
    if (scope)
        scope_task_ended(scope);
    if (task->on_ended)
        task->on_ended(task->on_ended_arg, task->future.future.error);
    if (!scope)
        background_ended(generation);
    generation_rehold(generation, HOLD_TASK, HOLD_FUTURE);
    reeve_future_release(&task->future);
}

static void on_coro(enum coro_event event, struct coro *coro, void *arg)
{
    (void)coro;
    show_phase(arg, event == CORO_RESUMES);
    if (event == CORO_ENDED)
        ended(arg);
}

/* What failed unseen would fail for ever. */
static void report(reeve_future *future)
{
    const struct task *task = future->task;
    int error = future->future.error;

    if (error == 0 || error == ECANCELED || future->is_seen)
        return;
    log_warnx("%s %llu: a task failed, and nobody awaited it: %s (%s:%d): %s",
              future->generation->app->config->name, (unsigned long long)future->generation->number,
              task->origin.name, task->origin.file, task->origin.line, strerror(error));
}

struct task *task_start(struct generation *generation, struct scope *scope, reeve_task *fn,
                        void *arg, const struct origin *origin)
{
    struct task *task = (struct task *)future_new(generation, scope, sizeof *task);
    struct coro *coro;

    if (!task)
        return NULL;
    coro = coro_start(task_run, on_coro, task, generation->descriptor->stack_size);
    if (!coro) {
        if (scope)
            future_leave_scope(&task->future);
        else
            reeve_future_release(&task->future);
        errno = ENOMEM;
        return NULL;
    }
    strand_open(&task->strand, coro, generation, scope ? scope->strand->request : NULL);
    task->scope = scope;
    task->fn = fn;
    task->arg = arg;
    task->origin = *origin;
    task->future.task = task;
    task->future.fini = report;
    reeve_future_hold(&task->future);
    generation_rehold(generation, HOLD_FUTURE, HOLD_TASK);
    if (scope)
        LIST_INSERT_HEAD(&scope->tasks, task, entry);
    return task;
}

/* ---- cancelling ---- */

bool task_cancel(struct task *task)
{
    return coro_cancel(task->strand.coro, ECANCELED);
}

void task_cancel_all(struct scope *scope)
{
    struct task *task;

    LIST_FOREACH (task, &scope->tasks, entry)
        task_cancel(task);
}

/* ---- what applications call ---- */

reeve_future *reeve_spawn_named(reeve_task *fn, void *arg, const char *name, const char *file,
                                int line)
{
    const struct strand *strand = strand_current();
    const struct origin origin = {.name = name, .file = file, .line = line};
    struct task *task;

    if (!strand)
        return NULL;
    task = task_start(strand->generation, strand->scope, fn, arg, &origin);
    return task ? &task->future : NULL;
}
