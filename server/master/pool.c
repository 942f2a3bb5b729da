/* pool.c: keeps as many workers as are wanted. Every process it made is in its list until it was
 * reaped, and each step of a worker's life is a state with a deadline; nothing here waits. */
#include "master/pool.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "master/bringup.h"
#include "master/deploy.h"
#include "master/master.h"
#include "master/policy.h"
#include "master/roll.h"
#include "master/sentence.h"
#include "master/spawn.h"

#define STOP_GRACE    (1 * NS_PER_SEC)   /* after STOP, and past a drain's deadline */
#define CUT_GRACE     (50 * NS_PER_MS)   /* a closed link and the process's end come together */
#define EXIT_GRACE    (5 * NS_PER_SEC)   /* a process whose link is closed: fini, a leak check */
#define SUSPECT_GRACE (2500 * NS_PER_MS) /* more than two heartbeats */
#define REAP_GRACE    (20 * NS_PER_MS)   /* a link that a grandchild still holds open */

TAILQ_HEAD(worker_list, worker);

struct pool {
    struct master *master;
    struct worker_list workers; /* oldest first */
    unsigned target;            /* 0 until pool_start */
    struct backoff backoff;
    unsigned held_back; /* of the missing ones: spawned when `retry` fires, not before */
    struct event retry; /* pending exactly while held_back > 0 */
    unsigned owed;      /* spawns to come that replace one which ended unasked */
    bool was_ready;     /* some worker was, once */
};

static void balance(struct pool *pool);

/* ---- looking ---- */

const char *pool_name(const struct worker *worker, char name[POOL_NAME_MAX])
{
    snprintf(name, POOL_NAME_MAX, "worker %u.%" PRIu64, worker->id, worker->incarnation);
    return name;
}

struct worker *pool_first(const struct pool *pool)
{
    return TAILQ_FIRST(&pool->workers);
}

struct worker *pool_next(const struct worker *worker)
{
    return TAILQ_NEXT(worker, link);
}

bool pool_is_empty(const struct pool *pool)
{
    return TAILQ_EMPTY(&pool->workers);
}

bool pool_is_staying(const struct worker *worker)
{
    return worker->state == SEAT_STARTING || worker->state == SEAT_SERVING;
}

unsigned pool_target(const struct pool *pool)
{
    return pool->target;
}

unsigned pool_count(const struct pool *pool, unsigned state)
{
    const struct worker *worker;
    unsigned count = 0;

    TAILQ_FOREACH (worker, &pool->workers, link)
        count += worker->state == state;
    return count;
}

/* Those that count against the target. */
static unsigned count_staying(const struct pool *pool)
{
    const struct worker *worker;
    unsigned count = 0;

    TAILQ_FOREACH (worker, &pool->workers, link)
        count += pool_is_staying(worker) && !worker->is_extra;
    return count;
}

static bool is_taken(const struct pool *pool, unsigned id)
{
    const struct worker *worker;

    TAILQ_FOREACH (worker, &pool->workers, link)
        if (worker->id == id)
            return true;
    return false;
}

/* The lowest free slot; max_workers: there is none. */
static unsigned free_slot(const struct pool *pool)
{
    unsigned id = 0;

    while (id < pool->master->board->max_workers && is_taken(pool, id))
        id++;
    return id;
}

bool pool_has_free_slot(const struct pool *pool)
{
    return free_slot(pool) < pool->master->board->max_workers;
}

/* ---- telling ---- */

int pool_send(struct worker *worker, const struct message *message)
{
    if (worker->channel == NULL) {
        errno = EPIPE;
        return -1;
    }
    return channel_send(worker->channel, message);
}

void pool_send_all(struct pool *pool, const struct message *message)
{
    struct worker *worker;

    TAILQ_FOREACH (worker, &pool->workers, link)
        pool_send(worker, message);
}

static struct board_seat *seat_of(const struct worker *worker)
{
    return board_seat(worker->pool->master->board, worker->id);
}

static void set_state(struct worker *worker, enum seat_state state)
{
    worker->state = state;
    board_set(&seat_of(worker)->state, state);
}

static void arm(struct event *timer, uint64_t ns)
{
    struct timeval t = {.tv_sec = (time_t)(ns / NS_PER_SEC),
                        .tv_usec = (suseconds_t)(ns % NS_PER_SEC / 1000)};

    event_add(timer, &t);
}

static void kill_worker(struct worker *worker)
{
    if (!worker->is_reaped) /* else the pid may be somebody else's by now */
        kill(worker->pid, SIGKILL);
}

static void stop_worker(struct worker *worker)
{
    worker->is_asked = true;
    set_state(worker, SEAT_DRAINING);
    pool_send(worker, &(struct message){.type = MESSAGE_STOP});
    if (!worker->is_reaped)
        arm(&worker->timer, STOP_GRACE);
}

/* From now on it is on its way out, whoever wanted that. */
static void begin_leaving(struct worker *worker)
{
    uint64_t deadline = worker->pool->master->config->drain_timeout;

    worker->drained_at = clock_ns();
    set_state(worker, SEAT_DRAINING);
    if (!worker->is_reaped)
        arm(&worker->timer,
            deadline + STOP_GRACE); /* at the deadline it cuts, and ends by itself */
    deploy_on_leaving(worker->pool->master->deploys, worker);
}

void pool_drain(struct worker *worker)
{
    if (worker->state == SEAT_DRAINING)
        return;
    if (worker->state == SEAT_STARTING) { /* has nothing to finish */
        stop_worker(worker);
        deploy_on_leaving(worker->pool->master->deploys, worker);
        return;
    }
    worker->is_asked = true;
    pool_send(worker, &(struct message){.type = MESSAGE_DRAIN,
                                        .value = worker->pool->master->config->drain_timeout});
    begin_leaving(worker);
}

void pool_drain_all(struct pool *pool)
{
    struct worker *worker;

    pool_send_all(pool, &(struct message){.type = MESSAGE_LAST_CALL});
    TAILQ_FOREACH (worker, &pool->workers, link)
        pool_drain(worker);
}

void pool_stop_all(struct pool *pool)
{
    struct worker *worker;

    TAILQ_FOREACH (worker, &pool->workers, link)
        stop_worker(worker);
}

void pool_kill_all(struct pool *pool)
{
    struct worker *worker;

    TAILQ_FOREACH (worker, &pool->workers, link) {
        worker->is_asked = true;
        kill_worker(worker);
    }
}

void pool_fail(struct worker *worker, const char *reason)
{
    if (worker->refusal == NULL)
        sentence_set(&worker->refusal, "%s", reason);
    pool_send(worker, &(struct message){.type = MESSAGE_STOP});
    arm(&worker->timer, STOP_GRACE);
}

/* ---- the end of a worker ---- */

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

/* Its successor is spawned now, or when the delay is over. */
static void plan_successor(struct pool *pool, struct worker *worker)
{
    uint64_t now = clock_ns(), delay;
    struct unasked_end end = {.was_ready = worker->was_ready,
                              .up = worker->was_ready ? now - worker->ready_at : 0};

    worker->is_replaced = true;
    pool->owed++;
    if (!worker->was_ready && pool->held_back > 0) { /* one delay for all that end together */
        pool->held_back++;
        return;
    }
    delay = policy_respawn_delay(&pool->backoff, &end, now);
    if (delay == 0)
        return;
    pool->held_back++;
    arm(&pool->retry, delay);
    log_info("the next worker is started in %g s", (double)delay / (double)NS_PER_SEC);
}

static void free_worker(struct worker *worker)
{
    event_del(&worker->timer);
    channel_free(worker->channel);
    hold_drop_all(&worker->holds);
    free(worker->refusal);
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
}

static void respond_to_end(struct pool *pool, struct worker *worker, const char *how)
{
    if (pool->master->is_stopping || worker->is_asked || worker->is_extra || worker->is_replaced)
        return;
    if (is_start_failed(pool, worker))
        master_fail(pool->master, worker->refusal != NULL ? worker->refusal : how);
    else
        plan_successor(pool, worker);
}

/* Reaped, and its last word read. */
static void bury(struct worker *worker)
{
    struct pool *pool = worker->pool;
    struct master *master = pool->master;
    char how[160];

    policy_describe_end(worker->status, how, sizeof(how));
    log_end(worker, how);
    leave_seat(worker);
    TAILQ_REMOVE(&pool->workers, worker, link);
    deploy_on_gone(master->deploys, worker, how);
    if (roll_on_gone(master, worker, how))
        worker->is_replaced = true;
    respond_to_end(pool, worker, how);
    free_worker(worker);
    balance(pool);
    master_on_gone(master);
}

bool pool_reap(struct pool *pool, pid_t pid, int status)
{
    struct worker *worker;

    TAILQ_FOREACH (worker, &pool->workers, link)
        if (worker->pid == pid && !worker->is_reaped)
            break;
    if (worker == NULL)
        return false;
    worker->is_reaped = true;
    worker->status = status;
    if (worker->channel == NULL)
        bury(worker);
    else
        arm(&worker->timer, REAP_GRACE);
    return true;
}

/* Its link is closed, but the process goes on: it can be told nothing any more. */
static void on_deserted(struct worker *worker)
{
    char name[POOL_NAME_MAX];

    log_warnx("%s pid %d closed its link", pool_name(worker, name), (int)worker->pid);
    set_state(worker, SEAT_DRAINING);
    arm(&worker->timer, EXIT_GRACE);
    deploy_on_gone(worker->pool->master->deploys, worker, "closed its link");
    if (!worker->is_extra)
        plan_successor(worker->pool, worker);
    balance(worker->pool);
}

void pool_suspect(struct worker *worker)
{
    if (worker->state != SEAT_SERVING || worker->suspected_at != 0)
        return;
    worker->suspected_at = clock_ns();
    arm(&worker->timer, SUSPECT_GRACE);
}

static void check_suspect(struct worker *worker)
{
    const struct board_slot *slot = board_slot(worker->pool->master->board, worker->id);
    uint64_t since = worker->suspected_at;
    char name[POOL_NAME_MAX];

    worker->suspected_at = 0;
    if (board_get(&slot->heartbeat_at) >= since)
        return;
    log_warnx("%s pid %d hangs and is killed", pool_name(worker, name), (int)worker->pid);
    kill_worker(worker);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct worker *worker = arg;
    double seconds;

    (void)fd;
    (void)what;
    if (worker->is_reaped) {
        bury(worker);
    } else if (worker->channel == NULL && worker->state != SEAT_DRAINING) {
        on_deserted(worker);
    } else if (worker->state == SEAT_SERVING) {
        check_suspect(worker);
    } else {
        seconds = (double)(clock_ns() - worker->spawned_at) / (double)NS_PER_SEC;
        if (worker->state == SEAT_STARTING && worker->refusal == NULL)
            sentence_set(&worker->refusal, "it was not ready within %.1f s", seconds);
        worker->is_late = true;
        kill_worker(worker);
    }
}

/* ---- what a worker says ---- */

static void on_ready(struct worker *worker)
{
    struct pool *pool = worker->pool;
    char name[POOL_NAME_MAX];

    if (worker->state != SEAT_STARTING)
        return;
    worker->was_ready = pool->was_ready = true;
    worker->ready_at = clock_ns();
    set_state(worker, SEAT_SERVING);
    event_del(&worker->timer);
    log_debug("%s pid %d is ready after %.3f s", pool_name(worker, name), (int)worker->pid,
              (double)(worker->ready_at - worker->spawned_at) / (double)NS_PER_SEC);
    roll_on_ready(pool->master, worker);
    master_on_ready(pool->master);
}

/* Sent for every drain; news only when the worker began it by itself. */
static void on_left(struct worker *worker)
{
    char name[POOL_NAME_MAX];

    if (worker->state == SEAT_DRAINING)
        return;
    log_info("%s pid %d drains unasked", pool_name(worker, name), (int)worker->pid);
    begin_leaving(worker);
    if (roll_on_leaving(worker->pool->master, worker))
        worker->is_replaced = true;
    else if (!worker->is_extra)
        plan_successor(worker->pool, worker);
    balance(worker->pool);
}

static void on_cut(struct worker *worker)
{
    channel_free(worker->channel);
    worker->channel = NULL;
    if (worker->is_reaped)
        bury(worker);
    else if (worker->state == SEAT_DRAINING)
        arm(&worker->timer, EXIT_GRACE);
    else
        arm(&worker->timer, CUT_GRACE);
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
    if (message->app >= master->config->app_count)
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
        on_left(worker);
        break;
    default:
        break;
    }
}

/* ---- spawning ---- */

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
        .config = master->config,
        .listeners = master->listeners,
        .board = master->board,
        .link = link[1],
        .id = worker->id,
        .incarnation = worker->incarnation,
    };
    worker->spawned_at = clock_ns();
    worker->pid = spawn_child(&spawn);
    close(link[1]);
    return worker->pid == -1 ? -1 : 0;
}

static struct worker *spawn_worker(struct pool *pool, bool is_extra)
{
    struct worker *worker = calloc(1, sizeof(*worker));
    char name[POOL_NAME_MAX];

    if (worker == NULL)
        return NULL;
    LIST_INIT(&worker->holds);
    worker->pool = pool;
    worker->is_extra = is_extra;
    worker->id = free_slot(pool);
    worker->incarnation = board_get(&seat_of(worker)->incarnation) + 1;
    evtimer_assign(&worker->timer, pool->master->base, on_timer, worker);
    if (start_process(worker) != 0) {
        log_warn("%s could not be started", pool_name(worker, name));
        free_worker(worker);
        return NULL;
    }
    TAILQ_INSERT_TAIL(&pool->workers, worker, link);
    take_seat(worker);
    arm(&worker->timer, pool->master->config->boot_timeout);
    log_debug("%s pid %d started", pool_name(worker, name), (int)worker->pid);
    bringup_begin(pool->master, worker);
    return worker;
}

struct worker *pool_spawn_extra(struct pool *pool)
{
    return pool_has_free_slot(pool) ? spawn_worker(pool, true) : NULL;
}

/* ---- how many ---- */

/* One that is not ready yet is missed least, then the one in the highest slot. */
static struct worker *most_dispensable(const struct pool *pool)
{
    struct worker *worker, *best = NULL;

    TAILQ_FOREACH (worker, &pool->workers, link) {
        if (!pool_is_staying(worker) || worker->is_extra)
            continue;
        if (best == NULL || worker->state < best->state ||
            (worker->state == best->state && worker->id > best->id))
            best = worker;
    }
    return best;
}

/* No process to be had: that passes, but not by trying at once. */
static void hold_back(struct pool *pool, unsigned count)
{
    pool->held_back += count;
    if (!evtimer_pending(&pool->retry, NULL))
        arm(&pool->retry, POLICY_DELAY_MAX / 10);
}

static void balance(struct pool *pool)
{
    unsigned staying;

    if (pool->master->is_stopping || pool->target == 0)
        return;
    for (staying = count_staying(pool); staying > pool->target; staying--)
        pool_drain(most_dispensable(pool));
    for (; staying + pool->held_back < pool->target && pool_has_free_slot(pool); staying++) {
        if (spawn_worker(pool, false) == NULL) {
            hold_back(pool, pool->target - staying - pool->held_back);
            return;
        }
    }
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    struct pool *pool = arg;

    (void)fd;
    (void)what;
    pool->held_back = 0;
    balance(pool);
}

bool pool_set_target(struct pool *pool, unsigned target)
{
    if (target < 1 || target > pool->master->board->max_workers)
        return false;
    if (target != pool->target)
        log_info("workers wanted: %u, before: %u", target, pool->target);
    pool->target = target;
    balance(pool);
    return true;
}

void pool_start(struct pool *pool, unsigned target)
{
    pool->target = target;
    balance(pool);
}

struct pool *pool_new(struct master *master)
{
    struct pool *pool = calloc(1, sizeof(*pool));

    if (pool == NULL)
        return NULL;
    pool->master = master;
    TAILQ_INIT(&pool->workers);
    evtimer_assign(&pool->retry, master->base, on_retry, pool);
    return pool;
}

void pool_free(struct pool *pool)
{
    struct worker *worker;

    if (pool == NULL)
        return;
    while ((worker = TAILQ_FIRST(&pool->workers)) != NULL) { /* only when the loop has failed */
        kill_worker(worker);
        TAILQ_REMOVE(&pool->workers, worker, link);
        free_worker(worker);
    }
    event_del(&pool->retry);
    free(pool);
}
