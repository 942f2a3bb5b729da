/* deploy.c: one deployment at a time, as a state machine whose steps are what the preflight process
 * and the workers answer:
 *
 *     preflight -> prepare -> commit -> unload -> live
 *         |           `-> aborted (one refusal, death or time-out: nowhere)
 *         `-> rejected
 *
 * After the decision to commit nothing can make it fail; what follows is only waited for,
 * boundedly. A generation's number is used once, whatever became of it. */
#include "master/deploy.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "master/deploy_private.h"
#include "master/pool.h"
#include "master/preflight.h"
#include "master/timer.h"

/* ---- small things ---- */

static struct pool *pool_of(const struct deploys *deploys)
{
    return deploys->master->pool;
}

/* Ends the phase before: how long it took. */
static uint64_t enter(struct deploys *deploys, enum phase phase)
{
    uint64_t now = clock_ns(), took = now - deploys->phase_at;

    deploys->phase = phase;
    deploys->phase_at = now;
    return took;
}

static struct hold *candidate_of(const struct deploys *deploys, const struct worker *worker)
{
    return hold_of(&worker->holds, deploys->build);
}

static struct receipt_worker *entry_of(struct deploys *deploys, const struct worker *worker)
{
    return receipt_worker(deploys->receipt, worker->id, worker->incarnation);
}

static void send_about(struct worker *worker, enum message_type type, const struct build *build)
{
    pool_send(worker, &(struct message){.type = type,
                                        .app = build->app,
                                        .generation = build->generation,
                                        .text = type == MESSAGE_PREPARE ? build->path : NULL});
}

/* ---- the end of one deployment ---- */

static void count_outcome(struct deploys *deploys, enum outcome outcome)
{
    struct board_app *entry = board_app(deploys->master->board, deploys->app);

    if (outcome == OUTCOME_REJECTED || outcome == OUTCOME_ABORTED)
        board_add(&entry->refusals, 1);
    if (outcome > deploys->worst)
        deploys->worst = outcome;
}

/* `reason` NULL only for OUTCOME_LIVE. */
static void conclude(struct deploys *deploys, enum outcome outcome, const char *reason)
{
    struct receipt *receipt = deploys->receipt;

    event_del(&deploys->timer);
    deploys->phase = PHASE_IDLE;
    receipt->outcome = outcome;
    receipt->times.total = clock_ns() - deploys->begun_at;
    if (reason != NULL)
        receipt->reason = strdup(reason);
    count_outcome(deploys, outcome);
    deploy_account(deploys);
    receipt_free(receipt);
    deploys->receipt = NULL;
    build_unref(deploys->old);
    build_unref(deploys->build); /* the last reference, unless it is live: removes the file */
    deploys->old = deploys->build = NULL;
    timer_arm(&deploys->go_on, 0);
}

/* ---- after the commit ---- */

static bool is_held(const struct deploys *deploys, const struct worker *worker)
{
    const struct hold *hold = hold_of(&worker->holds, deploys->old);

    return hold != NULL && hold->state != HOLD_STUCK;
}

static void note_held(struct deploys *deploys)
{
    const struct build *old = deploys->old;

    for (struct worker *w = pool_first(pool_of(deploys)); w != NULL; w = pool_next(w)) {
        struct receipt_worker *entry;
        const struct board_cell *cell;

        if (hold_of(&w->holds, old) == NULL || (entry = entry_of(deploys, w)) == NULL)
            continue;
        entry->is_unloaded = false;
        cell = board_cell(deploys->master->board, w->id, deploys->app);
        if (board_get(&cell->latest[old->generation & 1].generation) == old->generation)
            entry->held = board_get(&cell->latest[old->generation & 1].held);
    }
}

static void finish(struct deploys *deploys)
{
    uint64_t *took = deploys->phase == PHASE_COMMIT ? &deploys->receipt->times.commit
                                                    : &deploys->receipt->times.unload;

    *took = enter(deploys, PHASE_IDLE);
    note_held(deploys);
    conclude(deploys, OUTCOME_LIVE, NULL);
}

/* Goes through commit and unload as far as the workers have come. */
static void check_progress(struct deploys *deploys)
{
    struct worker *w;

    if (deploys->phase == PHASE_COMMIT) {
        for (w = pool_first(pool_of(deploys)); w != NULL; w = pool_next(w)) {
            const struct hold *hold = candidate_of(deploys, w);

            if (hold != NULL && hold->state == HOLD_PREPARED && pool_is_staying(w))
                return;
        }
        deploys->receipt->times.commit = enter(deploys, PHASE_UNLOAD);
        if (!deploys->is_first) {
            cJSON *line = deploy_line(deploys, "commit", deploys->build->generation);

            cJSON_AddNumberToObject(line, "seconds",
                                    receipt_seconds(deploys->receipt->times.commit));
            action_say(deploys->master, line);
        }
    }
    if (deploys->phase == PHASE_UNLOAD) {
        for (w = pool_first(pool_of(deploys)); w != NULL; w = pool_next(w))
            if (is_held(deploys, w))
                return;
        finish(deploys);
    }
}

void deploy_on_committed(struct deploys *deploys, struct worker *worker,
                         const struct message *message)
{
    struct hold *hold = hold_find(&worker->holds, message->app, message->generation);
    struct receipt_worker *entry;

    if (hold == NULL || hold->state != HOLD_PREPARED)
        return;
    hold->state = HOLD_COMMITTED;
    if (hold->build != deploys->build)
        return;
    entry = entry_of(deploys, worker);
    if (entry != NULL)
        entry->is_committed = true;
    check_progress(deploys);
}

void deploy_on_unloaded(struct deploys *deploys, struct worker *worker,
                        const struct message *message)
{
    struct hold *hold = hold_find(&worker->holds, message->app, message->generation);
    const char *problem = message->value == 1 ? NULL : message->text;
    char name[POOL_NAME_MAX];
    bool is_awaited;

    if (hold == NULL || hold->state != HOLD_OLD)
        return; /* one that was aborted */
    is_awaited = deploys->old != NULL && hold->build == deploys->old;
    if (problem == NULL) {
        hold_drop(hold);
    } else {
        hold->state = HOLD_STUCK;
        log_warnx("%s: app %s: generation %" PRIu64 " could not be unloaded: %s",
                  pool_name(worker, name), deploys->master->config->apps[message->app].name,
                  message->generation, problem);
    }
    if (is_awaited) {
        struct receipt_worker *entry = entry_of(deploys, worker);

        if (entry != NULL && problem != NULL && entry->reason == NULL)
            entry->reason = strdup(problem);
        deploy_say_worker(deploys, deploy_line(deploys, "unload", message->generation), worker,
                          problem);
        check_progress(deploys);
    }
}

/* ---- the decision ---- */

static void forget_everywhere(struct deploys *deploys)
{
    for (struct worker *w = pool_first(pool_of(deploys)); w != NULL; w = pool_next(w)) {
        struct hold *hold = candidate_of(deploys, w);

        if (hold == NULL)
            continue;
        send_about(w, MESSAGE_ABORT, deploys->build);
        hold_drop(hold);
    }
}

static void abort_all(struct deploys *deploys, enum outcome outcome, const char *reason)
{
    deploys->receipt->times.prepare = enter(deploys, PHASE_IDLE);
    forget_everywhere(deploys);
    conclude(deploys, outcome, reason);
}

/* From here on the new code is the app's: a worker spawned from now on gets nothing else. */
static void make_current(struct deploys *deploys)
{
    struct deploy_app *app = &deploys->apps[deploys->app];
    struct board_app *entry = board_app(deploys->master->board, deploys->app);

    if (app->current != NULL)
        board_add(&entry->reloads, 1);
    deploys->old = app->current; /* the app's reference becomes the deployment's */
    app->current = build_ref(deploys->build);
    board_set(&entry->generation, deploys->build->generation);
}

static void commit(struct deploys *deploys)
{
    deploys->receipt->times.prepare = enter(deploys, PHASE_COMMIT);
    make_current(deploys);
    timer_arm(&deploys->timer, deploys->master->config->unload_wait);
    for (struct worker *w = pool_first(pool_of(deploys)); w != NULL; w = pool_next(w)) {
        struct hold *old = hold_of(&w->holds, deploys->old);

        if (candidate_of(deploys, w) == NULL)
            continue;
        if (old != NULL)
            old->state = HOLD_OLD;
        send_about(w, MESSAGE_COMMIT, deploys->build);
    }
    check_progress(deploys);
}

/* Decided when every worker that will take requests has it ready. */
static void check_decision(struct deploys *deploys)
{
    if (deploys->phase != PHASE_PREPARE)
        return;
    for (struct worker *w = pool_first(pool_of(deploys)); w != NULL; w = pool_next(w)) {
        const struct hold *hold = candidate_of(deploys, w);

        if (pool_is_staying(w) && (hold == NULL || hold->state != HOLD_PREPARED))
            return;
    }
    commit(deploys);
}

/* ---- prepare ---- */

static void ask(struct deploys *deploys, struct worker *worker)
{
    if (hold_add(&worker->holds, deploys->build) == NULL) {
        abort_all(deploys, OUTCOME_FAILED, "memory has run out");
        return;
    }
    send_about(worker, MESSAGE_PREPARE, deploys->build);
    timer_arm(&deploys->timer, deploys->master->config->prepare_timeout);
}

static void begin_prepare(struct deploys *deploys)
{
    deploys->receipt->times.preflight = enter(deploys, PHASE_PREPARE);
    /* One that is still being brought up is asked when it is current, and waited for: its boot has
     * a deadline of its own. */
    for (struct worker *w = pool_first(pool_of(deploys)); w != NULL; w = pool_next(w))
        if (deploys->phase == PHASE_PREPARE && pool_is_staying(w) && w->is_current)
            ask(deploys, w);
    check_decision(deploys);
}

void deploy_on_current(struct deploys *deploys, struct worker *worker)
{
    if (deploys->phase == PHASE_PREPARE)
        ask(deploys, worker);
}

/* The hold that this answer is about, if it is about the build that is being prepared. */
static struct hold *awaited(struct deploys *deploys, const struct worker *worker,
                            const struct message *message)
{
    struct hold *hold = hold_find(&worker->holds, message->app, message->generation);

    if (deploys->phase != PHASE_PREPARE || hold == NULL || hold->build != deploys->build ||
        hold->state != HOLD_ASKED)
        return NULL;
    return hold;
}

void deploy_on_prepared(struct deploys *deploys, struct worker *worker,
                        const struct message *message)
{
    struct hold *hold = awaited(deploys, worker, message);
    struct receipt_worker *entry;
    cJSON *line;

    if (hold == NULL)
        return;
    hold->state = HOLD_PREPARED;
    entry = entry_of(deploys, worker);
    if (entry != NULL)
        *entry = (struct receipt_worker){.id = worker->id,
                                         .incarnation = worker->incarnation,
                                         .is_ok = true,
                                         .is_unloaded = true, /* note_held knows better */
                                         .prepare = message->value};
    line = deploy_line(deploys, "prepare", message->generation);
    cJSON_AddNumberToObject(line, "seconds", receipt_seconds(message->value));
    deploy_say_worker(deploys, line, worker, NULL);
    check_decision(deploys);
}

/* One worker's no is everybody's. */
static void abort_by(struct deploys *deploys, const struct worker *worker, const char *why)
{
    struct receipt_worker *entry = entry_of(deploys, worker);
    char reason[CHANNEL_TEXT_MAX + POOL_NAME_MAX + 8], name[POOL_NAME_MAX];

    snprintf(reason, sizeof(reason), "%s: %s", pool_name(worker, name), why);
    if (entry != NULL) {
        entry->is_ok = false;
        entry->reason = strdup(why);
    }
    deploy_say_worker(deploys, deploy_line(deploys, "prepare", deploys->build->generation), worker,
                      why);
    abort_all(deploys, OUTCOME_ABORTED, reason);
}

void deploy_on_refused(struct deploys *deploys, struct worker *worker,
                       const struct message *message)
{
    struct hold *hold = awaited(deploys, worker, message);

    if (hold == NULL)
        return;
    hold_drop(hold); /* it has nothing to forget */
    abort_by(deploys, worker, message->text);
}

/* ---- workers that go ---- */

void deploy_on_leaving(struct deploys *deploys, struct worker *worker)
{
    struct hold *hold = deploys->phase == PHASE_PREPARE ? candidate_of(deploys, worker) : NULL;

    if (hold != NULL) {
        send_about(worker, MESSAGE_ABORT, deploys->build);
        hold_drop(hold);
    }
    check_decision(deploys);
    check_progress(deploys);
}

void deploy_on_gone(struct deploys *deploys, struct worker *worker, const char *how)
{
    bool was_preparing = deploys->phase == PHASE_PREPARE && candidate_of(deploys, worker) != NULL;
    char why[256];

    hold_drop_all(&worker->holds);
    if (was_preparing) {
        snprintf(why, sizeof(why), "it %s while the new generation was being prepared", how);
        abort_by(deploys, worker, why);
        return;
    }
    check_decision(deploys);
    check_progress(deploys);
}

/* The first of those that have not answered what they were asked; all of them may hang. */
static struct worker *suspect_silent(struct deploys *deploys, enum hold_state asked)
{
    struct worker *first = NULL;

    for (struct worker *w = pool_first(pool_of(deploys)); w != NULL; w = pool_next(w)) {
        const struct hold *hold = candidate_of(deploys, w);

        if (hold == NULL || hold->state != asked)
            continue;
        pool_suspect(w);
        if (first == NULL)
            first = w;
    }
    return first;
}

void deploy_on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct deploys *deploys = arg;
    struct worker *silent;
    char why[64];

    (void)fd;
    (void)what;
    if (deploys->phase == PHASE_COMMIT || deploys->phase == PHASE_UNLOAD) {
        suspect_silent(deploys, HOLD_PREPARED); /* its successor gets the new code */
        finish(deploys);
        return;
    }
    snprintf(why, sizeof(why), "it was not prepared within %g s",
             (double)deploys->master->config->prepare_timeout / (double)NS_PER_SEC);
    silent = suspect_silent(deploys, HOLD_ASKED);
    if (silent != NULL)
        abort_by(deploys, silent, why);
}

/* ---- preflight ---- */

static void copy_text(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text);
}

static void on_preflight_end(const struct preflight_result *result, void *arg)
{
    struct deploys *deploys = arg;

    deploys->preflight = NULL;
    if (deploys->receipt == NULL) { /* deploy_stop was quicker */
        master_on_gone(deploys->master);
        return;
    }
    copy_text(deploys->build->version, sizeof(deploys->build->version), result->version);
    copy_text(deploys->build->build_id, sizeof(deploys->build->build_id), result->build_id);
    deploys->receipt->version = strdup(result->version);
    deploys->receipt->build_id = strdup(result->build_id);
    deploys->receipt->output = strdup(result->output);
    if (result->refusal == NULL) {
        begin_prepare(deploys);
        return;
    }
    deploys->receipt->times.preflight = enter(deploys, PHASE_IDLE);
    conclude(deploys, OUTCOME_REJECTED, result->refusal);
}

static int open_deployment(struct deploys *deploys, unsigned app)
{
    struct master *master = deploys->master;
    uint64_t generation = ++deploys->apps[app].last;

    deploys->app = app;
    deploys->build = build_new(master->spool, deploy_app_of(deploys)->name, app, generation);
    if (deploys->build == NULL)
        return -1;
    board_add(&master->board->deployments, 1);
    deploys->receipt = receipt_new(deploy_app_of(deploys)->name, generation,
                                   board_get(&master->board->deployments));
    if (deploys->receipt == NULL) {
        build_unref(deploys->build);
        deploys->build = NULL;
        return -1;
    }
    deploys->begun_at = deploys->phase_at = clock_ns();
    deploys->phase = PHASE_PREFLIGHT;
    return 0;
}

void deploy_begin(struct deploys *deploys, unsigned app)
{
    struct master *master = deploys->master;
    struct preflight_order order = {.base = master->base, .config = master->config, .app = app};

    if (open_deployment(deploys, app) != 0) {
        log_warn("app %s could not be deployed", master->config->apps[app].name);
        deploys->worst = OUTCOME_FAILED;
        timer_arm(&deploys->go_on, 0);
        return;
    }
    order.generation = deploys->build->generation;
    order.path = deploys->build->path;
    action_say(master, deploy_line(deploys, "preflight", order.generation));
    deploys->preflight = preflight_start(&order, on_preflight_end, deploys);
    if (deploys->preflight == NULL)
        conclude(deploys, OUTCOME_FAILED, strerror(errno));
}

bool deploy_reap(struct deploys *deploys, pid_t pid, int status)
{
    return preflight_reap(deploys->preflight, pid, status);
}

bool deploy_is_busy(const struct deploys *deploys)
{
    return deploys->preflight != NULL;
}

struct build *deploy_current(const struct deploys *deploys, unsigned app)
{
    return deploys->apps[app].current;
}

void deploy_cut_short(struct deploys *deploys, const char *reason)
{
    if (deploys->preflight != NULL)
        preflight_cancel(deploys->preflight);
    if (deploys->phase == PHASE_PREFLIGHT)
        conclude(deploys, OUTCOME_FAILED, reason);
    else if (deploys->phase == PHASE_PREPARE)
        abort_all(deploys, OUTCOME_FAILED, reason);
    else if (deploys->phase != PHASE_IDLE)
        finish(deploys);
}
