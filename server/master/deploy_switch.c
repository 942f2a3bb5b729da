/* deploy_switch.c: what follows a deployment's decision: the messages by which workers go to the
 * new builds, or come back from them, and what they answer. Nothing here can make it fail; it is
 * waited for, boundedly. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "master/deploy_private.h"
#include "master/sentence.h"
#include "master/timer.h"

/* A loop that does not turn for so long is looked at. */
#define COMMIT_WAIT NS_PER_SEC

/* ---- the switch ---- */

void deploy_switch(struct deploys *deploys, struct worker *worker, bool is_kept)
{
    EACH_CHANGE (deploys, change) {
        struct hold *candidate = deploy_candidate(change, worker);
        struct hold *former = deploy_former(change, worker);

        if (candidate == NULL)
            continue;
        if (former != NULL && former->state == HOLD_KEPT)
            deploy_send(worker, MESSAGE_ABORT, change->old, 0); /* the canary has the new one */
        else
            deploy_send(worker, MESSAGE_COMMIT, change->build, is_kept ? COMMIT_KEEP : 0);
        if (former != NULL)
            former->state = is_kept ? HOLD_KEPT : HOLD_OLD;
        if (former != NULL && !is_kept)
            former->asked_at = clock_ns();
    }
}

/* From here on the new code is the app's: a worker spawned from now on gets nothing else. */
static void make_current(struct deploys *deploys, struct change *change)
{
    struct board_app *entry = board_app(deploys->master->board, change->app);
    struct build *former = catalog_replace(&deploys->master->catalog, change->app, change->build);

    if (former != NULL)
        board_add(&entry->reloads, 1);
    build_unref(former); /* the deployment has a reference of its own */
}

void deploy_commit(struct deploys *deploys)
{
    receipt_of(deploys)->times.prepare += deploy_enter(deploys, PHASE_COMMIT);
    EACH_CHANGE (deploys, change)
        make_current(deploys, change);
    timer_arm(&deploys->timer, COMMIT_WAIT);
    EACH_WORKER (deploys, w)
        deploy_switch(deploys, w, false);
    deploy_check_progress(deploys);
}

/* ---- after the commit ---- */

static bool is_held(struct deploys *deploys, const struct worker *worker)
{
    EACH_CHANGE (deploys, change) {
        const struct hold *hold = deploy_former(change, worker);

        if (hold != NULL && hold->state != HOLD_STUCK)
            return true;
    }
    return false;
}

void deploy_finish(struct deploys *deploys)
{
    struct receipt_times *times = &receipt_of(deploys)->times;

    if (deploys->is_first) {
        event_del(&deploys->timer);
        deploy_enter(deploys, PHASE_START);
        master_on_deployed(deploys->master);
        return;
    }
    *(deploys->phase == PHASE_COMMIT ? &times->commit : &times->unload) =
        deploy_enter(deploys, PHASE_IDLE);
    deploy_note_held(deploys);
    deploy_conclude(deploys, OUTCOME_LIVE, NULL, NULL);
}

static void say_committed(struct deploys *deploys)
{
    cJSON *line = action_line("commit");

    cJSON_AddNumberToObject(line, "seconds", receipt_seconds(receipt_of(deploys)->times.commit));
    action_say(deploys->master, line);
    while (deploys->unsaid != NULL && deploys->unsaid->child != NULL)
        action_say(deploys->master, cJSON_DetachItemFromArray(deploys->unsaid, 0));
}

/* Goes through commit and unload as far as the workers have come. */
void deploy_check_progress(struct deploys *deploys)
{
    if (deploys->phase == PHASE_COMMIT) {
        EACH_WORKER (deploys, w)
            if (pool_is_staying(w) && deploy_has_any(deploys, w) &&
                !deploy_has_reached(deploys, w, HOLD_COMMITTED))
                return;
        receipt_of(deploys)->times.commit = deploy_enter(deploys, PHASE_UNLOAD);
        say_committed(deploys);
        timer_arm(&deploys->timer, deploys->master->config->unload_wait);
    }
    if (deploys->phase == PHASE_UNLOAD) {
        EACH_WORKER (deploys, w)
            if (is_held(deploys, w))
                return;
        deploy_finish(deploys);
    }
}

/* All that were to come back to the old builds have. */
void deploy_check_taken_back(struct deploys *deploys)
{
    if (deploys->phase != PHASE_TAKE_BACK)
        return;
    EACH_WORKER (deploys, w) {
        EACH_CHANGE (deploys, change) {
            const struct hold *former = deploy_former(change, w);

            if (pool_is_staying(w) && former != NULL && former->state == HOLD_PREPARED)
                return;
        }
    }
    deploy_conclude(deploys, OUTCOME_ROLLED_BACK, NULL, deploys->why);
}

static void note_handover(struct deploys *deploys, const struct change *change,
                          const struct message *message)
{
    static const char *const words[] = {
        [HANDOVER_REFUSED_BY_OLD] = "the old build would not give it",
        [HANDOVER_REFUSED_BY_NEW] = "the new build would not take it",
        [HANDOVER_OTHER_VERSION] = "its version is another one",
    };
    struct receipt_app *entry = deploy_app_entry(deploys, change);

    if (entry == NULL || message->value == HANDOVER_NONE)
        return;
    if (message->value == HANDOVER_DONE) {
        entry->handed_over++;
        return;
    }
    entry->declined++;
    if (message->text[0] != '\0')
        receipt_set(&entry->decline, message->text);
    else if (message->value < sizeof(words) / sizeof(words[0]))
        receipt_set(&entry->decline, words[message->value]);
}

void deploy_on_committed(struct deploys *deploys, struct worker *worker,
                         const struct message *message)
{
    struct hold *hold = hold_find(&worker->holds, message->app, message->generation);
    struct receipt_worker *entry;

    if (hold == NULL || hold->state != HOLD_PREPARED)
        return;
    hold->state = HOLD_COMMITTED;
    EACH_CHANGE (deploys, change) {
        if (hold->build != change->build || deploys->phase == PHASE_START)
            continue;
        note_handover(deploys, change, message);
        entry = deploy_entry(deploys, worker);
        if (entry != NULL)
            entry->is_committed = true;
    }
    deploy_check_progress(deploys);
    deploy_check_taken_back(deploys);
}

static void tell_unloaded(struct deploys *deploys, struct worker *worker, const struct build *build,
                          const char *problem)
{
    struct receipt_worker *entry = deploy_entry(deploys, worker);

    cJSON *line =
        deploy_worker_line(deploy_line(deploys->master, "unload", build), worker, problem);

    if (entry != NULL && problem != NULL && entry->reason == NULL)
        receipt_set(&entry->reason, problem);
    if (deploys->phase != PHASE_COMMIT) {
        action_say(deploys->master, line);
        return;
    }
    if (deploys->unsaid == NULL) /* until the commit is told, which slower workers hold up */
        deploys->unsaid = cJSON_CreateArray();
    if (!cJSON_AddItemToArray(deploys->unsaid, line))
        cJSON_Delete(line);
}

void deploy_on_unloaded(struct deploys *deploys, struct worker *worker,
                        const struct message *message)
{
    struct hold *hold = hold_find(&worker->holds, message->app, message->generation);
    const char *problem = message->value == 1 ? NULL : message->text;
    char name[POOL_NAME_MAX];

    if (hold == NULL || hold->state != HOLD_OLD)
        return; /* one that was aborted */
    EACH_CHANGE (deploys, change)
        if (hold->build == change->old)
            tell_unloaded(deploys, worker, hold->build, problem);
    if (problem == NULL) {
        hold_drop(hold);
    } else {
        hold->state = HOLD_STUCK;
        log_warnx("%s: app %s: generation %" PRIu64 " could not be unloaded: %s",
                  pool_name(worker, name), catalog_name(&deploys->master->catalog, message->app),
                  message->generation, problem);
    }
    deploy_check_progress(deploys);
}

/* ---- taking a canary back ---- */

static void switch_back(struct deploys *deploys, struct worker *worker)
{
    EACH_CHANGE (deploys, change) {
        struct hold *candidate = deploy_candidate(change, worker);
        struct hold *former = deploy_former(change, worker);

        if (former == NULL || former->state != HOLD_KEPT || candidate == NULL) {
            deploy_forget(change, worker);
            continue;
        }
        former->state = HOLD_PREPARED; /* until it says COMMITTED again */
        candidate->state = HOLD_OLD;
        candidate->asked_at = clock_ns();
        deploy_send(worker, MESSAGE_COMMIT, change->old, 0);
    }
}

void deploy_take_back(struct deploys *deploys, const char *reason)
{
    cJSON *line = action_line("take back");

    sentence_set(&deploys->why, "%s", reason);
    deploy_canary_close(deploys, false, sentence_or(deploys->why));
    deploy_enter(deploys, PHASE_TAKE_BACK);
    cJSON_AddStringToObject(line, "reason", sentence_or(deploys->why));
    action_say(deploys->master, line);
    timer_arm(&deploys->timer, deploys->master->config->unload_wait);
    EACH_WORKER (deploys, w)
        switch_back(deploys, w);
    deploy_suspect_stale(deploys);
    deploy_check_taken_back(deploys);
}
