/* watchdog.c: see watchdog.h. One timer looks at all workers; while a question waits for its answer
 * it looks more often. */
#include "master/watchdog.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/trace.h"
#include "master/master.h"
#include "master/pool_private.h"
#include "master/process.h"
#include "master/sentence.h"
#include "master/timer.h"
#include "master/verdict.h"

#define LOOK        (250 * NS_PER_MS)
#define LOOK_ASKING (20 * NS_PER_MS)
/* A look that came later was held up with the whole master. */
#define LOOK_MOST (2 * LOOK)

/* One that is not gone by then is replaced as it is: the kernel may hold on to it for long. */
#define DEATH_WAIT (5 * NS_PER_SEC)

/* Of heartbeats, four a second, two are missing: its loop may be blocked. */
#define SILENT (500 * NS_PER_MS)

struct watchdog {
    struct master *master;
    struct vigil vigil;
    struct event look;
};

static struct watchdog *watchdog_of(const struct worker *worker)
{
    return worker->pool->master->watchdog;
}

static struct board_slot *slot_of(const struct worker *worker)
{
    return board_slot(worker->pool->master->board, worker->id);
}

/* Its own: heartbeats before its fork were those of the incarnation before. */
static uint64_t last_sign(const struct worker *worker)
{
    uint64_t beat = board_get(&slot_of(worker)->heartbeat_at);

    return beat > worker->spawned_at ? beat : worker->spawned_at;
}

static double seconds_since(uint64_t since)
{
    uint64_t now = clock_ns();

    return now > since ? (double)(now - since) / (double)NS_PER_SEC : 0;
}

/* ---- the verdict ---- */

/* What one says of a worker that hangs. */
static void describe(struct worker *worker)
{
    const struct watch *watch = &worker->watch;
    const char *more = "";

    if (worker->hang_state == 'T')
        more = ", and the process is stopped (SIGSTOP)";
    else if (worker->hang_state == 'D')
        more = ", and the process is in uninterruptible sleep in the kernel";
    else if (watch->can_answer && !watch->has_answered)
        more = ", and it did not answer a signal either";
    sentence_set(&worker->hang, "its loop has not turned for %.1f s%s",
                 seconds_since(last_sign(worker)), more);
}

static void kill_hung(struct worker *worker)
{
    life_kill(worker);
    if (worker->state == SEAT_SERVING) /* else a deadline is set already */
        timer_arm(&worker->timer, DEATH_WAIT);
}

/* `process` NULL: its loop turns, but its time is over. */
static void put_down(struct worker *worker, const struct process *process)
{
    char name[POOL_NAME_MAX];

    worker->watch.is_asked = false;
    if (process != NULL) {
        worker->is_hung = true;
        worker->hang_state = verdict_state(process, worker->watch.has_answered);
        describe(worker);
        /* Now, not only with its story when it has ended: some do not even die. */
        log_info("%s pid %d hangs and is killed: %s", pool_name(worker, name), (int)worker->pid,
                 sentence_or(worker->hang));
    }
    if (worker->watch.reason == WATCHDOG_LATE && worker->state != SEAT_SERVING)
        life_kill_late(worker);
    else
        kill_hung(worker);
}

static void spare(struct worker *worker, const struct process *process)
{
    struct watch *watch = &worker->watch;
    char name[POOL_NAME_MAX];

    watch->is_asked = false;
    vigil_excuse(&watchdog_of(worker)->vigil, &watch->silence);
    if (watch->is_spared)
        return;
    watch->is_spared = true;
    if (process->is_dumping)
        log_warnx("%s pid %d dumps its core, and is left alone until that is done",
                  pool_name(worker, name), (int)worker->pid);
    else
        log_warnx("%s pid %d hangs and is left alone, since process %d debugs it",
                  pool_name(worker, name), (int)worker->pid, (int)process->tracer);
}

static void let_go_on(struct worker *worker)
{
    struct watch *watch = &worker->watch;
    char name[POOL_NAME_MAX];

    watch->is_asked = false;
    log_warnx("%s had hung for %.1f s and goes on", pool_name(worker, name),
              seconds_since(watch->beat));
}

/* ---- the question ---- */

static void ask(struct worker *worker, const struct process *process)
{
    struct watch *watch = &worker->watch;
    char name[POOL_NAME_MAX];

    watch->turn = atomic_load(&slot_of(worker)->trace.turn);
    watch->can_answer = process_catches(process, TRACE_SIGNAL);
    watch->has_answered = false;
    watch->asked_at = watchdog_of(worker)->vigil.now;
    watch->is_asked = true;
    log_debug("%s pid %d is silent and is asked what it does", pool_name(worker, name),
              (int)worker->pid);
    if (watch->can_answer) /* else it would kill, or be lost */
        syscall(SYS_tgkill, worker->pid, worker->pid, TRACE_SIGNAL);
}

static void hear_answer(struct worker *worker)
{
    const struct trace *trace = &slot_of(worker)->trace;
    struct watch *watch = &worker->watch;
    uint64_t turn = atomic_load(&trace->turn);

    if (watch->has_answered || turn == watch->turn || turn % 2 != 0 ||
        atomic_load(&trace->kind) != TRACE_ANSWER)
        return;
    watch->has_answered = true;
    watch->answered_at = watchdog_of(worker)->vigil.now;
}

/* A question is open: has it been answered, or the time for it run out? */
static void judge(struct worker *worker)
{
    const struct watch *watch = &worker->watch;
    struct process process;
    struct suspicion of;

    hear_answer(worker);
    process_read(worker->pid, &process);
    of = (struct suspicion){
        .reason = watch->reason,
        .is_serving = worker->state == SEAT_SERVING,
        .is_stopping = worker->pool->master->is_stopping,
        .has_beaten = last_sign(worker) != watch->beat,
        .has_answered = watch->has_answered,
        .waited = watchdog_of(worker)->vigil.now -
                  (watch->has_answered ? watch->answered_at : watch->asked_at),
    };
    switch (verdict_of(&of, &process)) {
    case VERDICT_WAIT:
        break;
    case VERDICT_GOES_ON:
        let_go_on(worker);
        break;
    case VERDICT_SPARED:
        spare(worker, &process);
        break;
    case VERDICT_LATE:
        put_down(worker, NULL);
        break;
    case VERDICT_HANGS:
        put_down(worker, &process);
        break;
    }
}

void watchdog_question(struct worker *worker, enum watchdog_reason reason)
{
    struct watch *watch = &worker->watch;
    struct process process;

    if (worker->is_reaped)
        return;
    if (watch->is_asked) {
        if (reason == WATCHDOG_LATE)
            watch->reason = reason;
        return;
    }
    watch->reason = reason;
    watch->has_answered = false;
    watch->beat = last_sign(worker);
    process_read(worker->pid, &process);
    if (verdict_is_held(&process) && !worker->pool->master->is_stopping) {
        spare(worker, &process);
        return;
    }
    if (reason == WATCHDOG_LATE && clock_ns() < watch->beat + SILENT) {
        put_down(worker, NULL);
        return;
    }
    ask(worker, &process);
    timer_arm(&watchdog_of(worker)->look, LOOK_ASKING);
}

/* ---- looking ---- */

/* One that drains and has no connection left is ending: what it does then its drain's deadline
 * limits, and nobody waits for it. */
static bool is_watched(const struct worker *worker)
{
    const struct board *board = worker->pool->master->board;

    if (worker->is_reaped || worker->is_hung || worker->channel == NULL || !worker->was_ready)
        return false;
    return worker->state == SEAT_SERVING || board_connections(board, worker->id) > 0;
}

/* It takes no more requests, but lives for as long as its memory is being written: minutes, may be.
 * A fatal signal's handler has told before. */
static bool is_lost_to_its_core(const struct worker *worker)
{
    struct board_slot *slot = slot_of(worker);
    struct process process;

    if (worker->is_reaped || worker->is_asked || worker->state != SEAT_SERVING ||
        worker->pool->master->is_stopping || board_get(&slot->incarnation) != worker->incarnation ||
        atomic_load(&slot->trace.kind) != TRACE_CRASH)
        return false;
    process_read(worker->pid, &process);
    return process.is_dumping;
}

static void look_at(struct watchdog *watchdog, struct worker *worker)
{
    struct watch *watch = &worker->watch;
    uint64_t silent;

    if (is_lost_to_its_core(worker)) {
        watch->is_asked = false;
        watch->is_spared = true; /* who finds it dumping later has nothing new to say */
        vigil_silence(&watchdog->vigil, &watch->silence, last_sign(worker));
        life_give_up(worker, "crashed and dumps its core");
        return;
    }
    if (watch->is_asked && worker->is_reaped)
        watch->is_asked = false;
    if (watch->is_asked) {
        judge(worker);
        return;
    }
    if (!is_watched(worker))
        return;
    silent = vigil_silence(&watchdog->vigil, &watch->silence, last_sign(worker));
    /* Its own configuration's: that of the master may be a newer one. */
    if (silent > worker->edition->config->hang_timeout)
        watchdog_question(worker, WATCHDOG_SILENT);
    else if (silent == 0)
        watch->is_spared = false;
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
    struct watchdog *watchdog = arg;
    bool is_asking = false;

    (void)fd;
    (void)what;
    vigil_look(&watchdog->vigil, clock_ns(), LOOK_MOST);
    for (struct worker *w = pool_first(watchdog->master->pool); w != NULL; w = pool_next(w)) {
        look_at(watchdog, w);
        is_asking = is_asking || w->watch.is_asked;
    }
    timer_arm(&watchdog->look, is_asking ? LOOK_ASKING : LOOK);
}

struct watchdog *watchdog_new(struct master *master)
{
    struct watchdog *watchdog = calloc(1, sizeof(*watchdog));

    if (watchdog == NULL)
        return NULL;
    watchdog->master = master;
    evtimer_assign(&watchdog->look, master->base, on_look, watchdog);
    timer_arm(&watchdog->look, LOOK);
    return watchdog;
}

void watchdog_free(struct watchdog *watchdog)
{
    if (watchdog == NULL)
        return;
    event_del(&watchdog->look);
    free(watchdog);
}
