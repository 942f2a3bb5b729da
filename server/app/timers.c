/* timers.c: background work by the clock in one worker: each call is a task of its own, and never
 * two of one timer at a time.
 *
 * Beats stay where the first one put them, however late a call begins or ends. */
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>

#include "app/background.h"
#include "app/generation.h"
#include "base/clock.h"

/* Lifetime: until it was stopped, or its only beat is over; and its call has ended. It holds its
 * generation until then. One that the build's end has stopped stays as it is until that is unloaded:
 * the application may stop it once more. */
struct reeve_timer {
    LIST_ENTRY(reeve_timer)
    entry; /* of the generation's timers; once stopped, of its former ones */
    struct generation *generation;
    struct event event;
    uint64_t beat_at; /* clock_ns(): the next one */
    uint64_t period;  /* ns; 0: there is one only */
    reeve_task *fn;
    void *arg;
    struct origin origin;
    struct complaint complaint;
    bool is_running, is_stopped;
};

/* The module may go with it. */
static void let_go(reeve_timer *timer)
{
    struct generation *generation = timer->generation;

    if (generation->background.is_over)
        LIST_INSERT_HEAD(&generation->background.former, timer, entry);
    else
        free(timer);
    generation_release(generation, HOLD_TIMER);
}

void reeve_timer_stop(reeve_timer *timer)
{
    if (!timer || timer->is_stopped)
        return;
    timer->is_stopped = true;
    LIST_REMOVE(timer, entry);
    event_del(&timer->event);
    if (!timer->is_running)
        let_go(timer);
}

static int wait_for_beat(reeve_timer *timer, uint64_t now)
{
    const struct timeval wait = background_until(timer->beat_at, now);

    return event_add(&timer->event, &wait);
}

static void go_on(reeve_timer *timer)
{
    uint64_t now = clock_ns();

    if (timer->period && now >= timer->beat_at)
        timer->beat_at += ((now - timer->beat_at) / timer->period + 1) * timer->period;
    if (timer->period && wait_for_beat(timer, now) == 0)
        return;
    if (timer->period)
        background_complain(&timer->complaint, timer->generation, "timer", &timer->origin, ENOMEM);
    reeve_timer_stop(timer);
}

static void on_ended(void *arg, int error)
{
    reeve_timer *timer = arg;

    timer->is_running = false;
    if (error && error != ECANCELED)
        background_complain(&timer->complaint, timer->generation, "timer", &timer->origin, error);
    if (timer->is_stopped)
        let_go(timer);
    else
        go_on(timer);
}

static void call(reeve_timer *timer)
{
    struct task *task = background_spawn(timer->generation, timer->fn, timer->arg, &timer->origin);

    if (!task) {
        background_complain(&timer->complaint, timer->generation, "timer", &timer->origin, errno);
        go_on(timer);
        return;
    }
    timer->is_running = true;
    task->on_ended = on_ended;
    task->on_ended_arg = timer;
    task->future.is_seen = true; /* here */
    reeve_future_release(&task->future);
}

/* libevent counts from the start of the loop's round: it may be early. */
static void on_time(evutil_socket_t fd, short what, void *arg)
{
    reeve_timer *timer = arg;
    uint64_t now = clock_ns();

    (void)fd, (void)what;
    if (now >= timer->beat_at || wait_for_beat(timer, now) == -1)
        call(timer);
}

static reeve_timer *fail(int error)
{
    errno = error;
    return NULL;
}

reeve_timer *reeve_timer_new(reeve_module *module, double first, double period, reeve_task *fn,
                             void *arg, const char *name, const char *file, int line)
{
    struct generation *generation = generation_of(module);
    uint64_t now = clock_ns();
    reeve_timer *timer;

    if (!(first >= 0) || (period != 0 && !(period >= 0.001)))
        return fail(EINVAL);
    if (generation->background.is_over)
        return fail(ECANCELED);
    timer = calloc(1, sizeof *timer);
    if (!timer)
        return fail(ENOMEM);
    *timer = (reeve_timer){.generation = generation,
                           .beat_at = now + strand_limit(first),
                           .period = strand_limit(period),
                           .fn = fn,
                           .arg = arg,
                           .origin = {.name = name, .file = file, .line = line}};
    event_assign(&timer->event, generation->app->room->net.base, -1, 0, on_time, timer);
    if (wait_for_beat(timer, now) == -1) {
        free(timer);
        return fail(ENOMEM);
    }
    LIST_INSERT_HEAD(&generation->background.timers, timer, entry);
    generation_hold(generation, HOLD_TIMER);
    return timer;
}

void background_stop_timers(struct generation *generation)
{
    reeve_timer *timer;

    while ((timer = LIST_FIRST(&generation->background.timers)))
        reeve_timer_stop(timer);
}

void background_free_timers(struct generation *generation)
{
    reeve_timer *timer;

    while ((timer = LIST_FIRST(&generation->background.former))) {
        LIST_REMOVE(timer, entry);
        free(timer);
    }
}
