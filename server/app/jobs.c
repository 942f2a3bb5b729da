/* jobs.c: periodic work of an application as a whole: this worker's side of base/job.h.
 *
 * Each worker that has a job looks when it is due, and the first one to come claims the run; which
 * one that is changes, since each comes a little late by chance. Only the live build takes part, and
 * not in a worker that drains. */
#include <ctype.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "app/background.h"
#include "app/generation.h"
#include "base/clock.h"
#include "base/job.h"
#include "base/log.h"

#define LATE_MOST   (50 * NS_PER_MS)
#define RETRY_MOST  NS_PER_SEC /* who runs it, or may, is looked at that often */
#define RETRY_LEAST (10 * NS_PER_MS)

/* Lifetime: its generation's, which it holds, until that is stopped and its run has ended. */
struct job {
    LIST_ENTRY(job) entry; /* until it was stopped */
    struct generation *generation;
    struct event event;
    struct job_claim claim; /* no row: it has not been found yet */
    char name[JOB_NAME];
    reeve_task *fn;
    void *arg;
    struct origin origin; /* its name is the job's */
    struct complaint complaint;
    bool is_running, is_stopped;
};

static void let_go(struct job *job)
{
    struct generation *generation = job->generation;

    free(job);
    generation_release(generation, HOLD_TIMER);
}

static void stop(struct job *job)
{
    job->is_stopped = true;
    LIST_REMOVE(job, entry);
    event_del(&job->event);
    if (!job->is_running)
        let_go(job);
}

/* ---- when to look ---- */

static void look_after(struct job *job, uint64_t ns)
{
    uint64_t most = job->claim.row ? JOB_SAY_EVERY : RETRY_MOST;
    const struct timeval wait = background_until(ns < most ? ns : most, 0);

    if (event_add(&job->event, &wait) == -1)
        background_complain(&job->complaint, job->generation, "job", &job->origin, ENOMEM);
}

static uint64_t by_chance(uint64_t most)
{
    uint64_t number;

    if (getrandom(&number, sizeof number, GRND_NONBLOCK) != sizeof number)
        number = clock_ns();
    return number % (most + 1);
}

/* A tenth of the period at most. */
static void look_when_due(struct job *job, uint64_t now)
{
    uint64_t due = job_due(&job->claim), late = job->claim.period / 10;

    look_after(job, (due > now ? due - now : 0) + by_chance(late < LATE_MOST ? late : LATE_MOST));
}

static void look_again(struct job *job)
{
    uint64_t period = job->claim.period;

    if (period > RETRY_MOST)
        period = RETRY_MOST;
    look_after(job, period < RETRY_LEAST ? RETRY_LEAST : period);
}

/* ---- a run ---- */

static void on_ended(void *arg, int error)
{
    struct job *job = arg;
    uint64_t now = clock_ns();

    job->is_running = false;
    job_end(&job->claim, now, error != 0);
    if (error && error != ECANCELED)
        background_complain(&job->complaint, job->generation, "job", &job->origin, error);
    if (job->is_stopped)
        let_go(job);
    else
        look_when_due(job, now);
}

static void run(struct job *job)
{
    struct task *task = background_spawn(job->generation, job->fn, job->arg, &job->origin);

    if (!task) {
        on_ended(job, errno);
        return;
    }
    job->is_running = true;
    task->on_ended = on_ended;
    task->on_ended_arg = job;
    task->future.is_seen = true; /* here */
    reeve_future_release(&task->future);
}

/* ---- its turn ---- */

/* 0, or -1: EAGAIN, ENOSPC. */
static int find_row(struct job *job, uint64_t now)
{
    const struct app *app = job->generation->app;
    struct job_claim *claim = &job->claim;

    claim->row = job_find(claim->board, &board_app(claim->board, app->index)->jobs, claim->worker,
                          job->name, claim->period, now);
    if (!claim->row)
        return -1;
    claim->turn = board_get(&claim->row->turn);
    return 0;
}

static bool may_run(const struct generation *generation)
{
    return generation->app->live == generation && !generation->background.is_draining;
}

static void take_turn(struct job *job, uint64_t now)
{
    job_say(&job->claim, now);
    if (!may_run(job->generation)) {
        look_again(job);
        return;
    }
    switch (job_begin(&job->claim, now)) {
    case JOB_BEGUN:
        run(job);
        break;
    case JOB_NOT_DUE:
        look_when_due(job, now);
        break;
    case JOB_LOST:
        job->claim.row = NULL;
        look_again(job);
        break;
    case JOB_TAKEN:
        look_again(job);
        break;
    }
}

static void on_time(evutil_socket_t fd, short what, void *arg)
{
    struct job *job = arg;
    uint64_t now = clock_ns();

    (void)fd, (void)what;
    if (job->claim.row || find_row(job, now) == 0) {
        take_turn(job, now);
        return;
    }
    if (errno != EAGAIN)
        background_complain(&job->complaint, job->generation, "job", &job->origin, errno);
    look_again(job);
}

/* ---- making one ---- */

static int fail(int error)
{
    errno = error;
    return -1;
}

static bool is_name(const char *name)
{
    size_t length = 0;

    for (; name[length] != '\0'; length++)
        if (length + 1 == JOB_NAME ||
            (!isalnum((unsigned char)name[length]) && name[length] != '-' && name[length] != '_'))
            return false;
    return length > 0;
}

/* 0, or the reason why this build can have no job of that name. */
static int check_others(const struct generation *generation, const char *name)
{
    const struct job *job;
    unsigned count = 0;

    LIST_FOREACH (job, &generation->background.jobs, entry) {
        if (strcmp(job->name, name) == 0)
            return EEXIST;
        count++;
    }
    return count == JOB_MOST ? ENOSPC : 0;
}

/* Where it may run, it is known to all from now on; it begins to look at its first beat. */
static int begin(struct job *job)
{
    const struct room *room = job->generation->app->room;
    uint64_t now = clock_ns();

    if (room->is_preflight)
        return 0;
    job->claim.board = room->board;
    job->claim.worker = job_worker(room->worker, board_get(&room->slot->incarnation));
    if (find_row(job, now) == -1 && errno != EAGAIN)
        return -1;
    if (job->claim.row)
        look_when_due(job, now);
    else
        look_again(job);
    return 0;
}

int reeve_job_new(reeve_module *module, const char *name, double seconds, reeve_task *fn, void *arg,
                  const char *file, int line)
{
    struct generation *generation = generation_of(module);
    int error = check_others(generation, name);
    struct job *job;

    if (!is_name(name) || !(seconds >= 0.001))
        return fail(EINVAL);
    if (generation->background.is_over)
        return fail(ECANCELED);
    if (error)
        return fail(error);
    job = calloc(1, sizeof *job);
    if (!job)
        return fail(ENOMEM);
    job->generation = generation;
    job->claim.period = strand_limit(seconds);
    strcpy(job->name, name);
    job->fn = fn;
    job->arg = arg;
    job->origin = (struct origin){.name = job->name, .file = file, .line = line};
    event_assign(&job->event, generation->app->room->net.base, -1, 0, on_time, job);
    if (begin(job) == -1) {
        free(job);
        return -1;
    }
    LIST_INSERT_HEAD(&generation->background.jobs, job, entry);
    generation_hold(generation, HOLD_TIMER);
    return 0;
}

void background_stop_jobs(struct generation *generation)
{
    struct job *job;

    while ((job = LIST_FIRST(&generation->background.jobs)))
        stop(job);
}
