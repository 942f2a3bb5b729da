/* rest.c: out of rotation and back:
 *
 *     takes connections -> draining -> resting -> opening -> takes connections
 *            ^---- cancel ----'           ^--------' an address is taken, a worker is not ready
 *
 * Draining is what a graceful stop does to sockets and workers: who comes is refused at once, what
 * waits in the queues is taken, what runs is finished within drain_timeout. */
#include "master/rest.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"
#include "master/listeners.h"
#include "master/master.h"
#include "master/pool.h"
#include "master/relay.h"
#include "master/restart.h"
#include "master/sentence.h"
#include "master/timer.h"

#define TIMER_SLACK (20 * NS_PER_MS) /* a worker's own deadline may fire a little before ours */

#define OPENS_AGAIN "`reevectl resume` opens it again"

enum phase { REST_DRAINING, REST_RESTING, REST_OPENING };

struct rest {
    struct master *master;
    enum phase phase;
    bool is_shut;    /* the sockets are closed */
    bool is_late;    /* requests were cut at drain_timeout */
    bool has_failed; /* it rests because it could not be opened, for the reason below */
    char *reason;
    char *detail; /* of the latest refusal to be given up */
    struct event begin;
};

bool rest_is_on(const struct master *master)
{
    return master->rest != NULL && master->rest->phase != REST_OPENING;
}

bool rest_allows(const struct master *master, enum action_kind kind, const char **detail_out)
{
    bool is_on = rest_is_on(master);

    *detail_out = NULL;
    if (kind == ACTION_DRAIN && is_on)
        *detail_out = "the server is drained already; " OPENS_AGAIN;
    else if (kind == ACTION_RESUME && !is_on)
        *detail_out = "the server is not drained: it takes connections";
    else if (kind == ACTION_RESTART && is_on)
        *detail_out = "the server is drained and has no workers to replace; " OPENS_AGAIN;
    else if ((kind == ACTION_CONFIG || kind == ACTION_UPGRADE) && is_on)
        *detail_out = "the server is drained, and has no workers to prove this in; " OPENS_AGAIN;
    return *detail_out == NULL;
}

/* ---- telling ---- */

static void say(const struct rest *rest, const char *step, const struct worker *worker)
{
    cJSON *line = action_line(step);

    cJSON_AddNumberToObject(line, "worker", worker->id);
    cJSON_AddNumberToObject(line, "incarnation", (double)worker->incarnation);
    cJSON_AddNumberToObject(line, "pid", worker->pid);
    action_say(rest->master, line);
}

static void say_all(const struct rest *rest, const char *step)
{
    for (struct worker *w = pool_first(rest->master->pool); w != NULL; w = pool_next(w))
        if (pool_is_staying(w))
            say(rest, step, w);
}

static void note(const struct rest *rest, const struct worker *worker, const char *reason)
{
    struct receipt_worker *entry =
        receipt_worker(rest->master->action.receipt, worker->id, worker->incarnation);

    if (entry == NULL)
        return;
    entry->is_ok = entry->is_committed = reason == NULL;
    entry->prepare = clock_ns() - worker->spawned_at;
    if (reason != NULL)
        receipt_set(&entry->reason, reason);
}

/* ---- there ---- */

static void check_drained(struct rest *rest)
{
    struct master *master = rest->master;
    enum outcome outcome = rest->has_failed                        ? OUTCOME_FAILED
                           : rest->is_late || rest->reason != NULL ? OUTCOME_TIMED_OUT
                                                                   : OUTCOME_DONE;

    if (!pool_is_empty(master->pool))
        return;
    rest->phase = REST_RESTING;
    listeners_reserve(master->listening);
    if (!rest->has_failed)
        log_info("drained: the server takes no connections until it is told to resume");
    restart_end(master, outcome, rest->reason);
}

/* From now on until check_drained finds nobody left. */
static void close_down(struct rest *rest)
{
    struct master *master = rest->master;

    rest->phase = REST_DRAINING;
    rest->is_shut = true;
    listeners_rest(master->listening);
    pool_drain_all(master->pool);
    for (struct worker *w = pool_first(master->pool); w != NULL; w = pool_next(w))
        relay_offer(master, w); /* who drained before still thinks that others serve */
}

static bool took_all_its_time(const struct worker *worker)
{
    return worker->is_late ||
           (worker->drained_at != 0 &&
            clock_ns() - worker->drained_at + TIMER_SLACK >= worker->drain_limit);
}

static void on_drained(struct rest *rest, const struct worker *worker, const char *how)
{
    bool is_clean = WIFEXITED(worker->status) && WEXITSTATUS(worker->status) == 0;
    char name[POOL_NAME_MAX];

    say(rest, "gone", worker);
    if (took_all_its_time(worker))
        rest->is_late = true;
    else if (!is_clean && rest->reason == NULL)
        sentence_set(&rest->reason, "%s %s while it drained: what it was doing is lost",
                     pool_name(worker, name), how);
    check_drained(rest);
}

/* ---- and back ---- */

/* The rest ends. */
static void take_off(struct rest *rest)
{
    rest->master->rest = NULL;
    event_del(&rest->begin);
    free(rest->reason);
    free(rest->detail);
    free(rest);
}

/* Nobody serves: clients are refused rather than left waiting. */
static void give_up(struct rest *rest, const char *reason)
{
    rest->has_failed = true;
    sentence_set(&rest->reason, "%s; the server stays drained", reason);
    close_down(rest);
}

static void check_opened(struct rest *rest)
{
    struct master *master = rest->master;

    unsigned serving = pool_count(master->pool, SEAT_SERVING);
    bool is_stuck = rest->reason != NULL && pool_count(master->pool, SEAT_STARTING) == 0;
    char *reason;

    if (serving == 0 || (serving < pool_target(master->pool) && !is_stuck))
        return;
    reason = rest->reason;
    rest->reason = NULL;
    take_off(rest);
    restart_end(master, OUTCOME_DONE, reason);
    free(reason);
}

static void open_again(struct rest *rest)
{
    struct master *master = rest->master;
    char *error = NULL;

    free(rest->reason); /* of the drain */
    rest->reason = NULL;
    rest->is_late = rest->has_failed = false;
    if (listeners_reopen(master->listening, &error) != 0) {
        give_up(rest, sentence_or(error));
        check_drained(rest);
        free(error);
        return;
    }
    rest->phase = REST_OPENING;
    rest->is_shut = false;
    pool_hurry(master->pool);
    say_all(rest, "spawned");
    if (pool_is_empty(master->pool)) {
        give_up(rest, "no worker could be started");
        check_drained(rest);
    }
}

void rest_on_ready(struct master *master, const struct worker *worker)
{
    struct rest *rest = master->rest;

    if (rest == NULL || rest->phase != REST_OPENING)
        return;
    say(rest, "ready", worker);
    note(rest, worker, NULL);
    check_opened(rest);
}

/* While it opens. One that is missed when others serve is the pool's concern, as always. */
static bool on_lost(struct rest *rest, const struct worker *worker, const char *how)
{
    const char *why = worker->refusal != NULL ? worker->refusal : how;
    char name[POOL_NAME_MAX], reason[CHANNEL_TEXT_MAX + 64];

    if (worker->was_ready || worker->is_asked) {
        check_opened(rest);
        return false;
    }
    note(rest, worker, why);
    snprintf(reason, sizeof(reason),
             worker->refusal != NULL ? "%s was not ready: %s" : "%s %s before it was ready",
             pool_name(worker, name), why);
    if (pool_count(rest->master->pool, SEAT_SERVING) > 0) {
        sentence_set(&rest->reason, "%s; the server goes on trying", reason);
        check_opened(rest);
        return false;
    }
    give_up(rest, reason);
    check_drained(rest);
    return true;
}

bool rest_on_gone(struct master *master, const struct worker *worker, const char *how)
{
    struct rest *rest = master->rest;

    if (rest == NULL || rest->phase == REST_RESTING || master->is_stopping)
        return false;
    if (rest->phase == REST_OPENING)
        return on_lost(rest, worker, how);
    on_drained(rest, worker, how);
    return true;
}

/* ---- the orders ---- */

/* From the loop, so that nobody is told of progress before the start has been answered. */
static void on_begin(evutil_socket_t fd, short what, void *arg)
{
    struct rest *rest = arg;

    (void)fd;
    (void)what;
    action_say_begin(rest->master);
    if (rest->phase == REST_RESTING) {
        open_again(rest);
        return;
    }
    say_all(rest, "draining");
    close_down(rest);
    check_drained(rest);
}

static const char *obstacle(const struct master *master)
{
    const char *passed = listeners_passed(master->listening);

    if (!master->is_ready)
        return "the server is starting";
    if (passed != NULL)
        return "a socket that was passed by the service manager stays open there, and clients "
               "would "
               "wait in its queue: stop that socket's unit and the server instead";
    return NULL;
}

enum action_start action_drain(struct master *master, const struct action_listener *listener,
                               const char **detail_out)
{
    enum action_start begun;
    struct rest *rest;

    if (!master->is_stopping && master->rest == NULL && master->action.receipt == NULL &&
        (*detail_out = obstacle(master)) != NULL)
        return ACTION_NOT_NOW;
    begun = action_begin(master, ACTION_DRAIN, listener, detail_out, "a drain of the server");
    if (begun != ACTION_BEGUN)
        return begun;
    rest = calloc(1, sizeof(*rest));
    if (rest == NULL) {
        action_abandon(master);
        *detail_out = "memory has run out";
        return ACTION_FAILED;
    }
    rest->master = master;
    evtimer_assign(&rest->begin, master->base, on_begin, rest);
    timer_arm(&rest->begin, 0);
    master->rest = rest;
    return ACTION_BEGUN;
}

enum action_start action_resume(struct master *master, const struct action_listener *listener,
                                const char **detail_out)
{
    enum action_start begun =
        action_begin(master, ACTION_RESUME, listener, detail_out, "a resume of the server");

    if (begun == ACTION_BEGUN)
        timer_arm(&master->rest->begin, 0);
    return begun;
}

bool rest_cancel(struct master *master, const char **detail_out)
{
    struct rest *rest = master->rest;

    if (rest == NULL || rest->phase != REST_DRAINING || rest->has_failed || !rest->is_shut) {
        *detail_out = "a resume cannot be given up";
        return false;
    }
    free(rest->detail);
    rest->detail = NULL;
    if (listeners_reopen(master->listening, &rest->detail) != 0) {
        if (!pool_is_empty(master->pool)) /* which may not have come to close theirs */
            sentence_set(&rest->detail, "a worker that drains still holds its sockets; try again "
                                        "when it has gone (`reevectl workers`)");
        *detail_out = sentence_or(rest->detail);
        return false;
    }
    take_off(rest);
    pool_hurry(master->pool);
    restart_end(master, OUTCOME_FAILED, "it was given up: the server takes connections again");
    return true;
}

void rest_stop(struct master *master)
{
    struct rest *rest = master->rest;

    if (rest == NULL || master->action.receipt == NULL ||
        (master->action.receipt->kind != ACTION_DRAIN &&
         master->action.receipt->kind != ACTION_RESUME))
        return;
    event_del(&rest->begin);
    rest->phase = REST_RESTING;
    restart_end(master, OUTCOME_FAILED, "the server is stopping");
}

void rest_free(struct master *master)
{
    if (master->rest != NULL)
        take_off(master->rest);
}
