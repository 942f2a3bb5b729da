/* life.c: one worker's life, from its fork until it was reaped and its last word read: each step a
 * state with a deadline. How many there are to be is pool.c's; here nothing waits. */
#include "master/pool_private.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bell.h"
#include "base/clock.h"
#include "base/log.h"
#include "master/bringup.h"
#include "master/deploy.h"
#include "master/incidents.h"
#include "master/master.h"
#include "master/relay.h"
#include "master/rest.h"
#include "master/roll.h"
#include "master/sentence.h"
#include "master/spawn.h"
#include "master/timer.h"
#include "master/watchdog.h"

#define STOP_GRACE (1 * NS_PER_SEC) /* after STOP */
/* Past a drain's deadline, when the worker tells its long-lived connections. */
#define DRAIN_GRACE (3 * NS_PER_SEC)
#define CUT_GRACE   (50 * NS_PER_MS) /* a closed link and the process's end come together */
#define EXIT_GRACE  (5 * NS_PER_SEC) /* a process whose link is closed: fini, a leak check */
#define REAP_GRACE  (20 * NS_PER_MS) /* a link that a grandchild still holds open */
#define LATE_GRACE  (3 * NS_PER_SEC) /* more than it takes to ask one that is late, and to kill it */

static struct board_seat *seat_of(const struct worker *worker)
{
    return board_seat(worker->pool->master->board, worker->id);
}

static void set_state(struct worker *worker, enum seat_state state)
{
    worker->state = state;
    board_set(&seat_of(worker)->state, state);
}

/* ---- how it is made to go ---- */

void life_kill(const struct worker *worker)
{
    if (!worker->is_reaped) /* else the pid may be somebody else's by now */
        kill(worker->pid, SIGKILL);
}

void life_kill_late(struct worker *worker)
{
    double seconds = (double)(clock_ns() - worker->spawned_at) / (double)NS_PER_SEC;
    char step[STARTING_STEP_MAX];

    worker->is_late = true;
    if (worker->state == SEAT_STARTING && worker->refusal == NULL && worker->is_hung)
        sentence_set(&worker->refusal, "it was not ready within %.1f s: %s%s", seconds,
                     sentence_or(worker->hang), starting_step(worker, step));
    else if (worker->state == SEAT_STARTING && worker->refusal == NULL)
        sentence_set(&worker->refusal, "it was not ready within %.1f s", seconds);
    life_kill(worker);
}

void life_stop(struct worker *worker)
{
    worker->is_asked = true;
    set_state(worker, SEAT_DRAINING);
    pool_send(worker, &(struct message){.type = MESSAGE_STOP});
    if (!worker->is_reaped)
        timer_arm(&worker->timer, STOP_GRACE);
}

/* From now on it is on its way out, whoever wanted that. */
static void begin_leaving(struct worker *worker, uint64_t limit)
{
    worker->drained_at = clock_ns();
    worker->drain_limit = limit;
    set_state(worker, SEAT_DRAINING);
    if (!worker->is_reaped)
        timer_arm(&worker->timer, limit + DRAIN_GRACE); /* at the deadline it ends by itself */
    deploy_on_leaving(worker->pool->master->deploys, worker);
}

void pool_drain(struct worker *worker)
{
    if (worker->state == SEAT_DRAINING)
        return;
    if (worker->state == SEAT_STARTING) { /* has nothing to finish */
        life_stop(worker);
        deploy_on_leaving(worker->pool->master->deploys, worker);
        return;
    }
    worker->is_asked = true;
    relay_drain(worker->pool->master, worker, worker->pool->master->config->drain_timeout);
    begin_leaving(worker, worker->pool->master->config->drain_timeout);
}

void pool_fail(struct worker *worker, const char *reason)
{
    if (worker->refusal == NULL)
        sentence_set(&worker->refusal, "%s", reason);
    pool_send(worker, &(struct message){.type = MESSAGE_STOP});
    timer_arm(&worker->timer, STOP_GRACE);
}

void pool_suspect(struct worker *worker)
{
    if (worker->state != SEAT_SERVING || worker->suspected_at != 0)
        return;
    worker->suspected_at = clock_ns();
    timer_arm(&worker->timer, POOL_SILENCE_MAX);
}

/* ---- its end ---- */

/* Before anything was ever ready: a refusal and an exit will be the same next time, a crash perhaps
 * not. */
static bool is_start_failed(const struct pool *pool, const struct worker *worker)
{
    if (pool->was_ready)
        return false;
    return worker->refusal != NULL || WIFEXITED(worker->status) ||
           policy_is_hopeless(&pool->backoff);
}

static void log_end(const struct worker *worker, const char *how)
{
    char name[POOL_NAME_MAX];
    bool is_clean = WIFEXITED(worker->status) && WEXITSTATUS(worker->status) == 0;
    double seconds = (double)(clock_ns() - worker->spawned_at) / (double)NS_PER_SEC;

    pool_name(worker, name);
    if (worker->is_late && worker->state == SEAT_DRAINING)
        log_warnx("%s pid %d did not end in time and was killed", name, (int)worker->pid);
    else if (is_clean && worker->state == SEAT_DRAINING)
        log_info("%s pid %d ended after %.1f s", name, (int)worker->pid, seconds);
    else if (worker->is_asked)
        log_info("%s pid %d %s", name, (int)worker->pid, how);
    else if (worker->refusal != NULL && worker->pool->was_ready) /* else master_fail says it */
        log_warnx("%s pid %d was not ready: %s", name, (int)worker->pid, worker->refusal);
    else if (worker->refusal != NULL)
        log_debug("%s pid %d %s", name, (int)worker->pid, how);
    else
        log_warnx("%s pid %d %s%s", name, (int)worker->pid, how,
                  worker->was_ready ? "" : " before it was ready");
}

void life_free(struct worker *worker)
{
    event_del(&worker->timer);
    channel_free(worker->channel);
    hold_drop_all(&worker->holds);
    edition_unref(worker->edition);
    free(worker->refusal);
    free(worker->hang);
    free(worker);
}

static void leave_seat(const struct worker *worker)
{
    struct board_seat *seat = seat_of(worker);

    board_set(&seat->last_status, (uint64_t)(unsigned)worker->status);
    board_set(&seat->last_exit, clock_ns());
    board_set(&seat->pid, 0);
    board_set(&seat->state, SEAT_EMPTY);
    board_settle(worker->pool->master->board, worker->id);
    bells_rouse(worker->pool->master->board, worker->pool->master->bells);
}

static void respond_to_end(struct pool *pool, struct worker *worker, const char *last)
{
    if (pool->master->is_stopping || worker->is_asked || worker->is_extra || worker->is_replaced)
        return;
    if (is_start_failed(pool, worker)) {
        master_fail(pool->master, last);
        return;
    }
    starting_on_end(worker, last);
    pool_plan_successor(pool, worker);
}

/* Reaped, and its last word read. */
static void bury(struct worker *worker)
{
    struct pool *pool = worker->pool;
    struct master *master = pool->master;
    char how[160], last[STARTING_LAST_MAX];

    if (worker->is_hung && WIFSIGNALED(worker->status) && WTERMSIG(worker->status) == SIGKILL)
        snprintf(how, sizeof(how), "hung and was killed");
    else
        policy_describe_end(worker->status, how, sizeof(how));
    starting_describe(worker, how, last); /* before its account is settled */
    if (!incidents_on_end(master, worker, how))
        log_end(worker, how);
    leave_seat(worker);
    TAILQ_REMOVE(&pool->workers, worker, link);
    inquiry_on_gone(master, worker);
    deploy_on_gone(master->deploys, worker, how);
    if (roll_on_gone(master, worker, how))
        worker->is_replaced = true;
    if (rest_on_gone(master, worker, how))
        worker->is_replaced = true;
    respond_to_end(pool, worker, last);
    life_free(worker);
    pool_balance(pool);
    master_on_gone(master);
}

/* Its successor, where it is to have one. */
static void replace_deserted(struct worker *worker, const char *how, const char *last)
{
    struct pool *pool = worker->pool;

    if (!pool->was_ready && worker->is_late) { /* the next one will not fare better */
        worker->is_replaced = true;
        master_fail(pool->master, last);
    } else if (worker->is_extra && worker->is_late) {
        roll_on_gone(pool->master, worker, how); /* it waits for nobody else */
    } else if (roll_on_leaving(pool->master, worker)) {
        worker->is_replaced = true;
    } else if (!worker->is_extra) {
        starting_on_end(worker, last);
        pool_plan_successor(pool, worker);
    }
}

void life_give_up(struct worker *worker, const char *how)
{
    struct board_slot *slot = board_slot(worker->pool->master->board, worker->id);
    char name[POOL_NAME_MAX], last[STARTING_LAST_MAX];

    log_warnx("%s pid %d %s", pool_name(worker, name), (int)worker->pid, how);
    starting_describe(worker, how, last);
    set_state(worker, SEAT_DRAINING);
    if (board_get(&slot->incarnation) == worker->incarnation)
        board_set(&slot->is_accepting, 0); /* it does not come to say so itself */
    timer_arm(&worker->timer, EXIT_GRACE);
    deploy_on_gone(worker->pool->master->deploys, worker, how);
    replace_deserted(worker, how, last);
    pool_balance(worker->pool);
}

static void check_suspect(struct worker *worker)
{
    const struct board_slot *slot = board_slot(worker->pool->master->board, worker->id);
    uint64_t since = worker->suspected_at;

    worker->suspected_at = 0;
    if (since != 0 && board_get(&slot->heartbeat_at) < since)
        watchdog_question(worker, WATCHDOG_SUSPECT);
}

/* Its time is over. Who wants an end at once does not want to know why it takes so long. */
static void on_late(struct worker *worker)
{
    if (worker->pool->master->urgency >= URGENCY_QUICK) {
        life_kill_late(worker);
        return;
    }
    watchdog_question(worker, WATCHDOG_LATE);
    timer_arm(&worker->timer, LATE_GRACE); /* one that was spared is looked at again */
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct worker *worker = arg;

    (void)fd;
    (void)what;
    if (worker->is_reaped && worker->channel != NULL && channel_has_input(worker->channel)) {
        /* Its last words, and connections that it has handed over, take their time. */
        timer_arm(&worker->timer, REAP_GRACE);
    } else if (worker->is_reaped) {
        bury(worker);
    } else if (worker->channel == NULL && worker->state != SEAT_DRAINING) {
        life_give_up(worker, "closed its link");
    } else if (worker->state != SEAT_DRAINING && (worker->is_hung || worker->is_late)) {
        life_give_up(worker, "was killed but does not die");
    } else if (worker->state == SEAT_SERVING) {
        check_suspect(worker);
    } else if (!worker->is_hung && !worker->is_late) { /* killing it once more changes nothing */
        on_late(worker);
    }
}

void life_on_reaped(struct worker *worker, int status)
{
    worker->is_reaped = true;
    worker->status = status;
    if (worker->channel == NULL)
        bury(worker);
    else
        timer_arm(&worker->timer, REAP_GRACE);
}

/* ---- what it says ---- */

static void on_ready(struct worker *worker)
{
    struct pool *pool = worker->pool;
    char name[POOL_NAME_MAX];

    if (worker->state != SEAT_STARTING || worker->is_late) /* killed: its word came too late */
        return;
    worker->watch.is_asked = false; /* what it was late with is done */
    worker->was_ready = pool->was_ready = true;
    worker->ready_at = clock_ns();
    set_state(worker, SEAT_SERVING);
    event_del(&worker->timer);
    log_debug("%s pid %d is ready after %.3f s", pool_name(worker, name), (int)worker->pid,
              (double)(worker->ready_at - worker->spawned_at) / (double)NS_PER_SEC);
    relay_on_ready(pool->master);
    roll_on_ready(pool->master, worker);
    rest_on_ready(pool->master, worker);
    master_on_ready(pool->master);
}

/* Sent for every drain; news only when the worker began it by itself. */
static void on_left(struct worker *worker)
{
    char name[POOL_NAME_MAX];

    if (worker->state == SEAT_DRAINING)
        return;
    log_info("%s pid %d drains unasked", pool_name(worker, name), (int)worker->pid);
    begin_leaving(worker, worker->edition->config->drain_timeout); /* as it does itself */
    relay_offer(worker->pool->master, worker);
    if (roll_on_leaving(worker->pool->master, worker))
        worker->is_replaced = true;
    else if (!worker->is_extra)
        pool_plan_successor(worker->pool, worker);
    pool_balance(worker->pool);
}

static void on_cut(struct worker *worker)
{
    channel_free(worker->channel);
    worker->channel = NULL;
    if (worker->is_reaped)
        bury(worker);
    else if (worker->state == SEAT_DRAINING)
        timer_arm(&worker->timer, EXIT_GRACE);
    else
        timer_arm(&worker->timer, CUT_GRACE);
}

static void on_message(struct channel *channel, const struct message *message, void *arg)
{
    struct worker *worker = arg;
    struct master *master = worker->pool->master;

    (void)channel;
    if (message == NULL) {
        on_cut(worker);
        return;
    }
    if (message->app >= master->board->max_apps)
        return; /* only a worker that has gone mad */
    switch ((enum message_type)message->type) {
    case MESSAGE_PREPARED:
        if (worker->is_current)
            deploy_on_prepared(master->deploys, worker, message);
        else
            bringup_on_prepared(master, worker, message);
        break;
    case MESSAGE_REFUSED:
        if (worker->is_current)
            deploy_on_refused(master->deploys, worker, message);
        else
            bringup_on_refused(master, worker, message);
        break;
    case MESSAGE_COMMITTED:
        deploy_on_committed(master->deploys, worker, message);
        break;
    case MESSAGE_UNLOADED:
        deploy_on_unloaded(master->deploys, worker, message);
        break;
    case MESSAGE_READY:
        on_ready(worker);
        break;
    case MESSAGE_LEAVING:
        worker->has_cut |= message->value == LEAVING_CUT;
        on_left(worker);
        break;
    case MESSAGE_CONNECTION:
        relay_pass(master, worker, message);
        break;
    case MESSAGE_STACKS:
        inquiry_on_answer(master, worker, message);
        break;
    default:
        break;
    }
}

/* ---- its beginning ---- */

static void take_seat(struct worker *worker)
{
    struct pool *pool = worker->pool;
    struct board_seat *seat = seat_of(worker);

    board_set(&seat->incarnation, worker->incarnation);
    board_set(&seat->pid, (uint64_t)worker->pid);
    board_set(&seat->last_spawn, worker->spawned_at);
    if (pool->owed > 0 && !worker->is_extra) {
        pool->owed--;
        board_add(&seat->respawns, 1);
    }
    set_state(worker, SEAT_STARTING);
}

/* Forks the process of a worker that has its slot, and connects with it. */
static int start_process(struct worker *worker)
{
    struct master *master = worker->pool->master;
    char role[POOL_NAME_MAX], title[16];
    struct spawn spawn = {.role = pool_name(worker, role), .title = title, .output = -1};
    int link[2];

    if (channel_pair(link) != 0)
        return -1;
    worker->channel = channel_new(master->base, link[0], on_message, worker);
    if (worker->channel == NULL) {
        close(link[0]);
        close(link[1]);
        return -1;
    }
    snprintf(title, sizeof(title), "reeve worker %u", worker->id);
    spawn.heritage = (struct heritage){
        .config = worker->edition->config,
        .listeners = worker->edition->listeners,
        .master = getpid(),
        .board = master->board,
        .bells = master->bells,
        .link = link[1],
        .id = worker->id,
        .incarnation = worker->incarnation,
    };
    worker->spawned_at = clock_ns();
    worker->pid = spawn_child(&spawn);
    close(link[1]);
    return worker->pid == -1 ? -1 : 0;
}

struct worker *life_spawn(struct pool *pool, struct edition *edition, bool is_extra)
{
    struct worker *worker = calloc(1, sizeof(*worker));
    char name[POOL_NAME_MAX];

    if (worker == NULL)
        return NULL;
    LIST_INIT(&worker->holds);
    worker->pool = pool;
    worker->edition = edition_ref(edition);
    worker->is_extra = is_extra;
    worker->id = pool_free_slot(pool);
    worker->incarnation = board_get(&seat_of(worker)->incarnation) + 1;
    evtimer_assign(&worker->timer, pool->master->base, on_timer, worker);
    if (start_process(worker) != 0) {
        log_warn("%s could not be started", pool_name(worker, name));
        life_free(worker);
        return NULL;
    }
    TAILQ_INSERT_TAIL(&pool->workers, worker, link);
    take_seat(worker);
    timer_arm(&worker->timer, edition->config->boot_timeout);
    log_debug("%s pid %d started", pool_name(worker, name), (int)worker->pid);
    bringup_begin(pool->master, worker);
    return worker;
}

int life_adopt(struct pool *pool, struct worker *worker, int link)
{
    worker->pool = pool;
    evtimer_assign(&worker->timer, pool->master->base, on_timer, worker);
    TAILQ_INSERT_TAIL(&pool->workers, worker, link);
    if (link == -1)
        return 0;
    worker->channel = channel_new(pool->master->base, link, on_message, worker);
    return worker->channel != NULL ? 0 : -1;
}
