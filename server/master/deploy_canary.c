/* deploy_canary.c: a while in which some workers run the new builds and the others the old ones,
 * both watched on the scoreboard. What is good enough is judge.c's; what follows from it is
 * deploy.c's. */
#include "master/deploy_canary.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "master/deploy_private.h"
#include "master/timer.h"

#define TICK        (250 * NS_PER_MS)
#define TICKS_A_SAY 4 /* a line of progress each second */

/* Of heartbeats, four a second, two are missing. */
#define HEARTBEAT_LATE (750 * NS_PER_MS)

struct member { /* a worker that runs the new builds */
    unsigned id;
    uint64_t incarnation;
    bool is_gone;
};

struct canary {
    struct deploys *deploys;
    struct canary_rules rules;
    unsigned wanted; /* how many workers */
    struct member *members;
    size_t count; /* 0: it is not live yet */
    bool is_closed;
    uint64_t live_at;
    unsigned ticks;
    uint64_t crashes, hangs;
    uint64_t killed;              /* of those that hung: they are gone already */
    struct judge_figures *before; /* the old builds' figures when it went live: one a change */
    struct event tick;
};

static void on_tick(evutil_socket_t fd, short what, void *arg);

int deploy_canary_new(struct deploys *deploys, unsigned workers, const struct canary_rules *rules)
{
    struct canary *canary = calloc(1, sizeof(*canary));

    if (canary == NULL)
        return -1;
    canary->deploys = deploys;
    canary->rules = *rules;
    canary->wanted = workers;
    evtimer_assign(&canary->tick, deploys->master->base, on_tick, canary);
    deploys->canary = canary;
    return 0;
}

void deploy_canary_free(struct deploys *deploys)
{
    struct canary *canary = deploys->canary;

    if (canary == NULL)
        return;
    event_del(&canary->tick);
    free(canary->members);
    free(canary->before);
    free(canary);
    deploys->canary = NULL;
}

bool deploy_canary_is_live(const struct deploys *deploys)
{
    return deploys->canary != NULL && deploys->canary->count > 0;
}

static struct member *find_member(const struct canary *canary, unsigned id, uint64_t incarnation)
{
    for (size_t i = 0; i < canary->count; i++)
        if (canary->members[i].id == id && canary->members[i].incarnation == incarnation)
            return &canary->members[i];
    return NULL;
}

/* ---- figures ---- */

/* Of all slots, whoever sits there now. In those of the canary the old build only ends what it had
 * begun. */
static void read_figures(const struct canary *canary, const struct change *change, bool is_new,
                         struct judge_figures *out)
{
    const struct build *build = is_new ? change->build : change->old;
    struct board *board = canary->deploys->master->board;

    *out = (struct judge_figures){.generation = build->generation};
    for (unsigned id = 0; id < board->max_workers; id++) {
        const struct board_column *column;
        const struct board_cell *cell;

        if (board_get(&board_seat(board, id)->incarnation) == 0)
            continue; /* never used: a look at its page would allocate it */
        cell = board_cell(board, id, change->app);
        column = board_column_of(cell, build->generation);
        if (column != NULL)
            judge_read(out, column);
    }
    out->crashes = is_new ? canary->crashes : 0;
    out->hangs = is_new ? canary->hangs : 0;
}

static void read_both(const struct canary *canary, size_t i, struct judge_figures *old_out,
                      struct judge_figures *new_out)
{
    const struct change *change = &canary->deploys->changes[i];

    *old_out = (struct judge_figures){.generation = 0};
    if (change->old != NULL) {
        read_figures(canary, change, false, old_out);
        judge_subtract(old_out, &canary->before[i]);
    }
    read_figures(canary, change, true, new_out);
}

static cJSON *figures_json(const struct judge_figures *figures)
{
    cJSON *json = cJSON_CreateObject();

    cJSON_AddNumberToObject(json, "generation", (double)figures->generation);
    cJSON_AddNumberToObject(json, "requests", (double)figures->requests);
    cJSON_AddNumberToObject(json, "errors", (double)figures->errors);
    cJSON_AddNumberToObject(json, "error_rate", judge_error_rate(figures));
    cJSON_AddNumberToObject(json, "crashes", (double)figures->crashes);
    cJSON_AddNumberToObject(json, "hangs", (double)figures->hangs);
    cJSON_AddNumberToObject(json, "p50", judge_quantile(figures, 0.5));
    cJSON_AddNumberToObject(json, "p95", judge_quantile(figures, 0.95));
    cJSON_AddNumberToObject(json, "p99", judge_quantile(figures, 0.99));
    return json;
}

static void add_members(cJSON *json, const struct canary *canary)
{
    cJSON *array = cJSON_AddArrayToObject(json, "workers");

    for (size_t i = 0; i < canary->count; i++)
        cJSON_AddItemToArray(array, cJSON_CreateNumber(canary->members[i].id));
}

/* Of one app its two columns; of several an object with both for each. */
static void add_figures(cJSON *json, const struct canary *canary)
{
    struct deploys *deploys = canary->deploys;
    cJSON *apps = deploys->count > 1 ? cJSON_AddObjectToObject(json, "apps") : NULL;

    for (size_t i = 0; i < deploys->count; i++) {
        struct judge_figures old, new;
        cJSON *at = json;

        if (apps != NULL)
            at = cJSON_AddObjectToObject(
                apps, catalog_name(&deploys->master->catalog, deploys->changes[i].app));
        read_both(canary, i, &old, &new);
        if (deploys->changes[i].old != NULL)
            cJSON_AddItemToObject(at, "old", figures_json(&old));
        cJSON_AddItemToObject(at, "new", figures_json(&new));
    }
}

/* It was promoted, but not every worker could follow. */
static void overrule(cJSON *json, const char *reason)
{
    cJSON_ReplaceItemInObjectCaseSensitive(json, "verdict", cJSON_CreateString("taken back"));
    cJSON_ReplaceItemInObjectCaseSensitive(json, "reason", cJSON_CreateString(reason));
}

void deploy_canary_close(struct deploys *deploys, bool is_promoted, const char *reason)
{
    struct canary *canary = deploys->canary;
    struct receipt *receipt = receipt_of(deploys);
    cJSON *json;

    if (canary->is_closed) {
        if (!is_promoted && receipt->canary != NULL)
            overrule(receipt->canary, reason);
        return;
    }
    canary->is_closed = true;
    event_del(&canary->tick);
    receipt->times.canary = clock_ns() - canary->live_at;
    json = cJSON_CreateObject();
    add_members(json, canary);
    cJSON_AddNumberToObject(json, "seconds", receipt_seconds(receipt->times.canary));
    cJSON_AddStringToObject(json, "verdict", is_promoted ? "promoted" : "taken back");
    cJSON_AddStringToObject(json, "reason", reason);
    add_figures(json, canary);
    receipt->canary = json;
}

/* ---- watching ---- */

static void say(const struct canary *canary, uint64_t elapsed)
{
    cJSON *line = action_line("canary");
    uint64_t left = elapsed < canary->rules.period ? canary->rules.period - elapsed : 0;

    add_members(line, canary);
    cJSON_AddNumberToObject(line, "seconds_left", receipt_seconds(left));
    add_figures(line, canary);
    action_say(canary->deploys->master, line);
}

static void promote(struct canary *canary, const char *reason)
{
    struct deploys *deploys = canary->deploys;
    cJSON *line = action_line("promote");

    log_info("the canary is promoted: %s", reason);
    cJSON_AddStringToObject(line, "reason", reason);
    action_say(deploys->master, line);
    deploy_canary_close(deploys, true, reason);
    deploy_promote(deploys);
}

bool deploy_is_stale(const struct deploys *deploys, unsigned worker)
{
    uint64_t limit = deploys->master->config->hang_timeout;

    return pool_silence(deploys->master->pool, worker) >
           (limit < POOL_SILENCE_MAX ? limit : POOL_SILENCE_MAX);
}

/* None of them may have begun to hang just now. */
static bool are_all_alive(const struct canary *canary)
{
    for (size_t i = 0; i < canary->count; i++)
        if (!canary->members[i].is_gone &&
            pool_silence(canary->deploys->master->pool, canary->members[i].id) > HEARTBEAT_LATE)
            return false;
    return true;
}

/* The worst judgement of all apps decides; it takes all of them to be promoted. */
static void decide(struct canary *canary)
{
    struct deploys *deploys = canary->deploys;
    uint64_t elapsed = clock_ns() - canary->live_at;
    char reason[JUDGE_REASON_SIZE] = "", last[JUDGE_REASON_SIZE] = "";
    bool is_waiting = false;

    for (size_t i = 0; i < deploys->count; i++) {
        struct judge_figures old, new;
        enum judgement judgement;

        read_both(canary, i, &old, &new);
        judgement = judge(&old, &new, &canary->rules, elapsed, reason);
        if (judgement == JUDGE_TAKE_BACK) {
            deploy_take_back(deploys, reason);
            return;
        }
        is_waiting = is_waiting || judgement == JUDGE_WAIT;
        if (judgement == JUDGE_PROMOTE)
            snprintf(last, sizeof(last), "%s", reason);
    }
    if (!is_waiting && are_all_alive(canary))
        promote(canary, last);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct canary *canary = arg;

    (void)fd;
    (void)what;
    canary->hangs = canary->killed;
    for (size_t i = 0; i < canary->count; i++)
        canary->hangs +=
            !canary->members[i].is_gone && deploy_is_stale(canary->deploys, canary->members[i].id);
    if (++canary->ticks % TICKS_A_SAY == 0)
        say(canary, clock_ns() - canary->live_at);
    timer_arm(&canary->tick, TICK); /* before the decision, which may be the canary's end */
    decide(canary);
}

static bool is_fit(const struct canary *canary, const struct worker *worker)
{
    return worker->state == SEAT_SERVING && worker->is_current &&
           deploy_has_reached(canary->deploys, worker, HOLD_PREPARED) &&
           find_member(canary, worker->id, worker->incarnation) == NULL;
}

/* Makes members of workers that have it prepared, until so many run it as were wanted. */
static void fill_up(struct canary *canary, size_t running)
{
    struct pool *pool = canary->deploys->master->pool;

    for (struct worker *w = pool_first(pool); w != NULL && running < canary->wanted;
         w = pool_next(w)) {
        struct member *more;

        if (!is_fit(canary, w))
            continue;
        more = reallocarray(canary->members, canary->count + 1, sizeof(*more));
        if (more == NULL)
            return;
        canary->members = more;
        canary->members[canary->count++] =
            (struct member){.id = w->id, .incarnation = w->incarnation};
        deploy_switch(canary->deploys, w, true);
        running++;
    }
}

void deploy_canary_on_gone(struct deploys *deploys, const struct worker *worker, const char *how)
{
    struct canary *canary = deploys->canary;
    struct member *member = find_member(canary, worker->id, worker->incarnation);
    size_t left = 0;

    if (member == NULL || member->is_gone)
        return;
    member->is_gone = true;
    if (how != NULL && worker->is_hung)
        canary->hangs = ++canary->killed;
    else if (how != NULL)
        canary->crashes++;
    for (size_t i = 0; i < canary->count; i++)
        left += !canary->members[i].is_gone;
    if (how != NULL) {
        decide(canary);
        return;
    }
    fill_up(canary, left); /* it left for reasons of its own */
    if (left == 0 && canary->members[canary->count - 1].is_gone)
        deploy_take_back(deploys, "no worker is left to run it");
}

/* ---- its beginning ---- */

int deploy_canary_begin(struct deploys *deploys)
{
    struct canary *canary = deploys->canary;

    canary->before = calloc(deploys->count, sizeof(*canary->before));
    if (canary->before == NULL)
        return -1;
    fill_up(canary, 0);
    if (canary->count == 0)
        return -1;
    receipt_of(deploys)->times.prepare = deploy_enter(deploys, PHASE_CANARY);
    event_del(&deploys->timer);
    canary->live_at = clock_ns();
    for (size_t i = 0; i < deploys->count; i++)
        if (deploys->changes[i].old != NULL)
            read_figures(canary, &deploys->changes[i], false, &canary->before[i]);
    log_info("a canary in %zu worker%s for %g s", canary->count, canary->count == 1 ? "" : "s",
             (double)canary->rules.period / (double)NS_PER_SEC);
    say(canary, 0);
    timer_arm(&canary->tick, TICK);
    return 0;
}
