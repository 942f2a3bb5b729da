/* deploy.c: one deployment at a time, as a state machine whose steps are what the preflight process
 * and the workers answer:
 *
 *     trial -> prepare -> (canary -> prepare the rest ->) commit -> unload -> live
 *       |         |          `-> take back: rolled back
 *       |         `-> aborted (one refusal, death or time-out: nowhere)
 *       `-> rejected
 *
 * After the decision to commit nothing can make it fail; what follows is only waited for,
 * boundedly. A generation's number is used once, whatever became of it. */
#include "master/deploy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "master/deploy_private.h"
#include "master/history.h"
#include "master/sentence.h"
#include "master/timer.h"
#include "master/trial.h"

#define LAST_CHANCE (4 * NS_PER_SEC) /* a little more than one that hangs is given */

/* ---- small things ---- */

uint64_t deploy_enter(struct deploys *deploys, enum phase phase)
{
    uint64_t now = clock_ns(), took = now - deploys->phase_at;

    deploys->phase = phase;
    deploys->phase_at = now;
    return took;
}

struct hold *deploy_candidate(const struct change *change, const struct worker *worker)
{
    return hold_of(&worker->holds, change->build);
}

struct hold *deploy_former(const struct change *change, const struct worker *worker)
{
    return hold_of(&worker->holds, change->old);
}

struct receipt_worker *deploy_entry(struct deploys *deploys, const struct worker *worker)
{
    return receipt_worker(receipt_of(deploys), worker->id, worker->incarnation);
}

struct receipt_app *deploy_app_entry(struct deploys *deploys, const struct change *change)
{
    return receipt_app(receipt_of(deploys), catalog_name(&deploys->master->catalog, change->app));
}

void deploy_send(struct worker *worker, enum message_type type, const struct build *build,
                 uint64_t value)
{
    pool_send(worker, &(struct message){.type = type,
                                        .app = build->app,
                                        .generation = build->generation,
                                        .value = value,
                                        .text = type == MESSAGE_PREPARE ? build->path : NULL});
}

/* Of all changes; a worker that lacks one has not. */
bool deploy_has_reached(struct deploys *deploys, const struct worker *worker, enum hold_state state)
{
    EACH_CHANGE (deploys, change) {
        const struct hold *hold = deploy_candidate(change, worker);

        if (hold == NULL || hold->state < state)
            return false;
    }
    return true;
}

bool deploy_has_any(struct deploys *deploys, const struct worker *worker)
{
    EACH_CHANGE (deploys, change)
        if (deploy_candidate(change, worker) != NULL)
            return true;
    return false;
}

/* ---- the end of one deployment ---- */

static void settle_app(struct deploys *deploys, struct change *change, enum outcome outcome,
                       bool is_culprit, const char *reason)
{
    struct board_app *board = board_app(deploys->master->board, change->app);
    struct receipt_app *entry = deploy_app_entry(deploys, change);

    if (outcome == OUTCOME_REJECTED && !is_culprit)
        outcome = OUTCOME_ABORTED;
    if (outcome != OUTCOME_LIVE && outcome != OUTCOME_FAILED)
        board_add(&board->refusals, 1);
    if (entry == NULL)
        return;
    if (entry->outcome == OUTCOME_RUNNING) /* else a worker has refused it */
        entry->outcome = outcome;
    if (is_culprit)
        receipt_set(&entry->reason, reason);
}

static void settle(struct deploys *deploys, enum outcome outcome, const struct change *culprit,
                   const char *reason)
{
    event_del(&deploys->timer);
    deploys->phase = PHASE_IDLE;
    EACH_CHANGE (deploys, change)
        settle_app(deploys, change, outcome, change == culprit, reason);
    deploy_log_outcome(deploys, outcome, reason);
    deploy_canary_free(deploys);
    cJSON_Delete(deploys->unsaid);
    deploys->unsaid = NULL;
    deploys->has_suspected = false;
    free(deploys->why);
    deploys->why = NULL;
}

void deploy_conclude(struct deploys *deploys, enum outcome outcome, const struct change *culprit,
                     const char *reason)
{
    char *copy = reason != NULL ? strdup(reason) : NULL; /* it may lie in what goes now */
    struct change *changes = deploys->changes;
    size_t count = deploys->count;

    settle(deploys, outcome, culprit, copy);
    deploys->changes = NULL; /* whoever hears of the end may begin the next one */
    deploys->count = 0;
    deploy_end(deploys, outcome, copy);
    for (size_t i = 0; i < count && outcome == OUTCOME_LIVE; i++)
        change_keep(&changes[i], deploys->master);
    changes_free(changes, count);
    free(copy);
}

/* ---- the decision ---- */

void deploy_forget(struct change *change, struct worker *worker)
{
    struct hold *hold = deploy_candidate(change, worker);

    if (hold == NULL)
        return;
    deploy_send(worker, MESSAGE_ABORT, change->build, 0);
    hold_drop(hold);
}

static void abort_all(struct deploys *deploys, enum outcome outcome, const char *reason)
{
    if (deploy_canary_is_live(deploys)) {
        deploy_take_back(deploys, reason);
        return;
    }
    receipt_of(deploys)->times.prepare += deploy_enter(deploys, PHASE_IDLE);
    EACH_WORKER (deploys, w)
        EACH_CHANGE (deploys, change)
            deploy_forget(change, w);
    deploy_conclude(deploys, outcome, NULL, reason);
}

/* Decided when every worker that will take requests has it ready. */
static void check_decision(struct deploys *deploys)
{
    if (deploys->phase != PHASE_PREPARE)
        return;
    EACH_WORKER (deploys, w)
        if (pool_is_staying(w) && !deploy_has_reached(deploys, w, HOLD_PREPARED))
            return;
    if (deploys->canary == NULL || deploy_canary_is_live(deploys))
        deploy_commit(deploys);
    else if (deploy_canary_begin(deploys) != 0)
        abort_all(deploys, OUTCOME_FAILED, "no worker is there to try it in");
}

/* ---- prepare ---- */

static void ask(struct deploys *deploys, struct worker *worker)
{
    EACH_CHANGE (deploys, change) {
        if (deploys->phase != PHASE_PREPARE || deploy_candidate(change, worker) != NULL)
            continue;
        if (hold_add(&worker->holds, change->build) == NULL) {
            abort_all(deploys, OUTCOME_FAILED, "memory has run out");
            return;
        }
        deploy_send(worker, MESSAGE_PREPARE, change->build, 0);
    }
    timer_arm(&deploys->timer, deploys->master->config->prepare_timeout);
}

void deploy_begin_prepare(struct deploys *deploys)
{
    /* One that is still being brought up is asked when it is current, and waited for: its boot has
     * a deadline of its own. */
    EACH_WORKER (deploys, w)
        if (deploys->phase == PHASE_PREPARE && pool_is_staying(w) && w->is_current)
            ask(deploys, w);
    check_decision(deploys);
}

void deploy_promote(struct deploys *deploys)
{
    deploy_enter(deploys, PHASE_PREPARE);
    deploy_begin_prepare(deploys);
}

void deploy_on_current(struct deploys *deploys, struct worker *worker)
{
    if (deploys->phase == PHASE_PREPARE)
        ask(deploys, worker);
}

/* The hold that this answer is about, if it is about a build that is being prepared. */
static struct hold *awaited(struct deploys *deploys, const struct worker *worker,
                            const struct message *message)
{
    struct hold *hold = hold_find(&worker->holds, message->app, message->generation);

    if (deploys->phase != PHASE_PREPARE || hold == NULL || hold->state != HOLD_ASKED)
        return NULL;
    EACH_CHANGE (deploys, change)
        if (hold->build == change->build)
            return hold;
    return NULL;
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
    entry = deploy_entry(deploys, worker);
    if (entry != NULL) {
        entry->prepare += message->value;
        entry->is_ok = deploy_has_reached(deploys, worker, HOLD_PREPARED);
    }
    line = deploy_line(deploys->master, "prepare", hold->build);
    cJSON_AddNumberToObject(line, "seconds", receipt_seconds(message->value));
    deploy_say_worker(deploys, line, worker, NULL);
    check_decision(deploys);
}

/* The change that the worker still works at; NULL: there are several, or none. */
static const struct change *find_culprit(struct deploys *deploys, const struct worker *worker)
{
    const struct change *culprit = NULL;
    unsigned asked = 0;

    EACH_CHANGE (deploys, change) {
        const struct hold *hold = deploy_candidate(change, worker);

        if (hold == NULL || hold->state != HOLD_ASKED)
            continue;
        culprit = change;
        asked++;
    }
    return asked == 1 ? culprit : NULL;
}

/* `culprit` NULL: no app's in particular. It `is_said` when the worker itself gives the reason. */
static void abort_by(struct deploys *deploys, const struct worker *worker,
                     const struct change *culprit, bool is_said, const char *why)
{
    struct receipt_worker *entry = deploy_entry(deploys, worker);
    struct receipt_app *app = culprit != NULL ? deploy_app_entry(deploys, culprit) : NULL;
    const struct build *build = culprit != NULL ? culprit->build : deploys->changes[0].build;
    char reason[CHANNEL_TEXT_MAX + POOL_NAME_MAX + 8], name[POOL_NAME_MAX];

    snprintf(reason, sizeof(reason), "%s: %s", pool_name(worker, name), why);
    if (entry != NULL) {
        entry->is_ok = false;
        receipt_set(&entry->reason, why);
    }
    if (app != NULL)
        receipt_set(&app->reason, reason);
    if (app != NULL && is_said)
        app->outcome = OUTCOME_REJECTED;
    deploy_say_worker(deploys, deploy_line(deploys->master, "prepare", build), worker, why);
    abort_all(deploys, OUTCOME_ABORTED, reason);
}

void deploy_on_refused(struct deploys *deploys, struct worker *worker,
                       const struct message *message)
{
    struct hold *hold = awaited(deploys, worker, message);
    const struct change *culprit = NULL;

    if (hold == NULL)
        return;
    EACH_CHANGE (deploys, change)
        if (change->build == hold->build)
            culprit = change;
    hold_drop(hold); /* it has nothing to forget */
    abort_by(deploys, worker, culprit, true, message->text);
}

/* ---- workers that go ---- */

void deploy_on_leaving(struct deploys *deploys, struct worker *worker)
{
    if (deploys->phase == PHASE_PREPARE && !deploy_canary_is_live(deploys))
        EACH_CHANGE (deploys, change)
            deploy_forget(change, worker);
    if (deploys->phase == PHASE_CANARY)
        deploy_canary_on_gone(deploys, worker, NULL);
    check_decision(deploys);
    deploy_check_progress(deploys);
    deploy_check_taken_back(deploys);
}

void deploy_on_gone(struct deploys *deploys, struct worker *worker, const char *how)
{
    /* One that was on its way out already took nothing with it that was still to be decided. */
    bool was_preparing = deploys->phase == PHASE_PREPARE && worker->drained_at == 0 &&
                         deploy_has_any(deploys, worker);
    const struct change *culprit = was_preparing ? find_culprit(deploys, worker) : NULL;
    char why[256];

    hold_drop_all(&worker->holds);
    if (was_preparing && !worker->is_asked) {
        snprintf(why, sizeof(why), "it %s while the new generation was being prepared", how);
        abort_by(deploys, worker, culprit, false, why);
        return;
    }
    if (deploys->phase == PHASE_CANARY)
        deploy_canary_on_gone(deploys, worker, worker->is_asked ? NULL : how);
    check_decision(deploys);
    deploy_check_progress(deploys);
    deploy_check_taken_back(deploys);
}

static bool has_hold_in(struct deploys *deploys, const struct worker *worker, enum hold_state state)
{
    EACH_CHANGE (deploys, change) {
        const struct hold *candidate = deploy_candidate(change, worker);
        const struct hold *former = deploy_former(change, worker);

        if (candidate != NULL && candidate->state == state)
            return true;
        if (deploys->phase == PHASE_TAKE_BACK && former != NULL && former->state == state)
            return true;
    }
    return false;
}

struct worker *deploy_suspect_silent(struct deploys *deploys, enum hold_state asked)
{
    struct worker *first = NULL;

    EACH_WORKER (deploys, w) {
        if (!has_hold_in(deploys, w, asked))
            continue;
        pool_suspect(w);
        if (first == NULL)
            first = w;
    }
    return first;
}

void deploy_suspect_stale(struct deploys *deploys)
{
    EACH_WORKER (deploys, w)
        if (has_hold_in(deploys, w, HOLD_PREPARED) && deploy_is_stale(deploys, w->id))
            pool_suspect(w);
}

/* What was decided is not true before those that hang are gone: their successors get it. False: it
 * has been waited for them. */
static bool give_last_chance(struct deploys *deploys)
{
    struct worker *silent =
        deploys->has_suspected ? NULL : deploy_suspect_silent(deploys, HOLD_PREPARED);

    if (silent == NULL || !pool_is_staying(silent))
        return false;
    deploys->has_suspected = true;
    timer_arm(&deploys->timer, LAST_CHANCE);
    return true;
}

void deploy_on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct deploys *deploys = arg;
    struct worker *silent;
    char why[64];

    (void)fd;
    (void)what;
    if (deploys->phase == PHASE_COMMIT || deploys->phase == PHASE_UNLOAD) {
        if (!give_last_chance(deploys))
            deploy_finish(deploys);
    } else if (deploys->phase == PHASE_TAKE_BACK) {
        if (!give_last_chance(deploys))
            deploy_conclude(deploys, OUTCOME_ROLLED_BACK, NULL, deploys->why);
    } else if (deploys->phase == PHASE_PREPARE) {
        snprintf(why, sizeof(why), "it was not prepared within %g s",
                 (double)deploys->master->config->prepare_timeout / (double)NS_PER_SEC);
        silent = deploy_suspect_silent(deploys, HOLD_ASKED);
        if (silent != NULL)
            abort_by(deploys, silent, find_culprit(deploys, silent), false, why);
    }
}

static void give_trial_up(struct deploys *deploys)
{
    deploys->is_given_up = true;
    if (deploys->master->trial != NULL)
        trial_cancel(deploys->master->trial);
}

bool deploy_cancel(struct deploys *deploys, const char **detail_out)
{
    static const char reason[] = "it was given up";

    switch (deploys->phase) {
    case PHASE_TRIAL:
        give_trial_up(deploys);
        return true;
    case PHASE_PREPARE:
        abort_all(deploys, OUTCOME_FAILED, reason);
        return true;
    case PHASE_CANARY:
        deploy_take_back(deploys, reason);
        return true;
    default:
        *detail_out = "it is too late: what the deployment decided is being carried out";
        return false;
    }
}

/* The workers are on their way out: nothing is sent to them any more. */
void deploy_stop(struct deploys *deploys)
{
    static const char reason[] = "the server is stopping";

    switch (deploys->phase) {
    case PHASE_IDLE:
        break;
    case PHASE_TRIAL:
        give_trial_up(deploys);
        break;
    case PHASE_START:
        deploy_conclude(deploys, OUTCOME_FAILED, NULL, reason);
        break;
    case PHASE_PREPARE:
        if (!deploy_canary_is_live(deploys)) {
            abort_all(deploys, OUTCOME_FAILED, reason);
            break;
        }
        /* fall through */
    case PHASE_CANARY:
        deploy_canary_close(deploys, false, reason);
        /* fall through */
    case PHASE_TAKE_BACK:
        deploy_conclude(deploys, OUTCOME_ROLLED_BACK, NULL,
                        deploys->why != NULL ? deploys->why : reason);
        break;
    case PHASE_COMMIT:
    case PHASE_UNLOAD:
        deploy_finish(deploys);
        break;
    }
}
