/* roll.c: see roll.h. A replacement that does not get ready ends the roll, and the old workers that
 * are left go on serving. */
#include "master/roll.h"

#include <event2/event_struct.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "master/action.h"
#include "master/master.h"
#include "master/pool.h"
#include "master/timer.h"

struct old { /* one that is to go */
    unsigned id;
    uint64_t incarnation;
    struct worker *replacement; /* starting; NULL: not yet, or not any more */
    bool is_handled;            /* its replacement is ready, or it needs none */
    bool is_gone;
    bool is_nobody; /* there is none: the replacement only proves that the edition is good */
};

struct roll {
    struct master *master;
    struct roll_order order;
    struct old *olds;
    size_t count, room; /* of olds */
    bool is_listed;     /* those that were there when it began are in olds */
    bool has_first;
    bool is_late; /* an old one had to be cut off */
    struct event begin;
};

static void say(const struct roll *roll, const char *step, const struct worker *worker)
{
    cJSON *line = action_line(step);

    cJSON_AddNumberToObject(line, "worker", worker->id);
    cJSON_AddNumberToObject(line, "incarnation", (double)worker->incarnation);
    cJSON_AddNumberToObject(line, "pid", worker->pid);
    action_say(roll->master, line);
}

/* In the receipt: what became of a replacement. */
static void note(const struct roll *roll, const struct worker *worker, const char *reason)
{
    struct receipt *receipt = roll->master->action.receipt;
    struct receipt_worker *entry =
        receipt != NULL ? receipt_worker(receipt, worker->id, worker->incarnation) : NULL;

    if (entry == NULL)
        return;
    entry->is_ok = reason == NULL;
    entry->is_committed = reason == NULL;
    entry->prepare = clock_ns() - worker->spawned_at;
    if (reason != NULL)
        receipt_set(&entry->reason, reason);
}

/* Frees the roll, then tells of its end. */
static void end(struct roll *roll, enum roll_end how, const char *reason)
{
    struct master *master = roll->master;
    struct roll_order order = roll->order;

    master->roll = NULL;
    for (size_t i = 0; i < roll->count; i++)
        if (roll->olds[i].replacement != NULL && roll->olds[i].replacement->is_extra)
            pool_drain(roll->olds[i].replacement); /* else it has the place of one that died */
    event_del(&roll->begin);
    free(roll->olds);
    free(roll);
    order.on_end(how, reason, order.arg);
    edition_unref(order.edition);
}

static struct worker *find(const struct roll *roll, const struct old *old)
{
    struct worker *w = pool_first(roll->master->pool);

    while (w != NULL && !(w->id == old->id && w->incarnation == old->incarnation))
        w = pool_next(w);
    return w;
}

static struct old *find_old(const struct roll *roll, const struct worker *worker)
{
    for (size_t i = 0; i < roll->count; i++)
        if (roll->olds[i].id == worker->id && roll->olds[i].incarnation == worker->incarnation)
            return &roll->olds[i];
    return NULL;
}

static struct old *find_replaced(const struct roll *roll, const struct worker *replacement)
{
    for (size_t i = 0; i < roll->count; i++)
        if (roll->olds[i].replacement == replacement)
            return &roll->olds[i];
    return NULL;
}

static unsigned count_starting(const struct roll *roll)
{
    unsigned count = 0;

    for (size_t i = 0; i < roll->count; i++)
        count += roll->olds[i].replacement != NULL;
    return count;
}

/* The next one whose turn it is; those that went by themselves are skipped. NULL: all had
 * theirs. */
static struct old *next_old(struct roll *roll)
{
    for (size_t i = 0; i < roll->count; i++) {
        struct old *old = &roll->olds[i];
        const struct worker *worker = find(roll, old);

        if (!old->is_nobody && (worker == NULL || !pool_is_staying(worker)))
            old->is_handled = true;
        if (!old->is_handled && old->replacement == NULL)
            return old;
    }
    return NULL;
}

static bool are_all_gone(const struct roll *roll)
{
    for (size_t i = 0; i < roll->count; i++)
        if (!roll->olds[i].is_gone)
            return false;
    return true;
}

static struct old *add_old(struct roll *roll)
{
    struct old *more;

    if (roll->count == roll->room) {
        more = reallocarray(roll->olds, roll->room + 16, sizeof(*more));
        if (more == NULL)
            return NULL;
        roll->olds = more;
        roll->room += 16;
    }
    more = &roll->olds[roll->count++];
    *more = (struct old){.id = 0};
    return more;
}

/* Also those that were spawned since, for one that died, say: they are of the former edition until
 * the new one has proved itself. 0, or -1 with ENOMEM. */
static int list_olds(struct roll *roll)
{
    const struct roll_order *order = &roll->order;

    for (struct worker *w = pool_first(roll->master->pool); w != NULL; w = pool_next(w)) {
        struct old *old;

        if (!pool_is_staying(w) || w->is_extra || find_old(roll, w) != NULL ||
            (order->concerns != NULL && !order->concerns(w, order->arg)))
            continue;
        if (roll->is_listed && w->edition == order->edition)
            continue; /* a replacement, or a successor that is up to date */
        old = add_old(roll);
        if (old == NULL)
            return -1;
        old->id = w->id;
        old->incarnation = w->incarnation;
    }
    roll->is_listed = true;
    return 0;
}

/* Nobody is there to be replaced, but somebody waits for the first to be ready. */
static int list_nobody(struct roll *roll)
{
    struct old *old;

    if (roll->count > 0 || roll->order.on_first == NULL)
        return 0;
    old = add_old(roll);
    if (old == NULL)
        return -1;
    old->is_nobody = old->is_gone = true;
    return 0;
}

static bool spawn(struct roll *roll, struct old *old)
{
    old->replacement = pool_spawn_extra(roll->master->pool, roll->order.edition);
    if (old->replacement == NULL)
        return false;
    say(roll, "spawned", old->replacement);
    return true;
}

/* Goes on as far as it can now: replacements are started, or it waits for the slots of those that
 * drain, or for the last ones to be gone. May end the roll. */
static void step(struct roll *roll)
{
    struct pool *pool = roll->master->pool;
    struct old *old;

    if (list_olds(roll) != 0 || list_nobody(roll) != 0) {
        end(roll, ROLL_FAILED, "memory has run out");
        return;
    }
    while (count_starting(roll) < roll->order.at_once && (old = next_old(roll)) != NULL) {
        if (!pool_has_free_slot(pool)) {
            if (count_starting(roll) == 0 && pool_count(pool, SEAT_DRAINING) == 0)
                end(roll, ROLL_FAILED,
                    "there is no slot for a replacement: max_workers is reached");
            return;
        }
        if (!spawn(roll, old)) {
            end(roll, ROLL_FAILED, "a replacement could not be started");
            return;
        }
    }
    if (count_starting(roll) == 0 && next_old(roll) == NULL &&
        (roll->order.is_brief || are_all_gone(roll)))
        end(roll, roll->is_late ? ROLL_LATE : ROLL_DONE, NULL);
}

/* The connections that wait in a socket which nobody will accept from any more are taken by the
 * last one that can. */
static bool is_last_of_its_edition(const struct worker *worker)
{
    for (struct worker *w = pool_first(worker->pool); w != NULL; w = pool_next(w))
        if (w != worker && w->edition == worker->edition && pool_is_staying(w))
            return false;
    return true;
}

static void drain(struct roll *roll, struct worker *worker)
{
    if (worker->edition != roll->order.edition && is_last_of_its_edition(worker)) {
        if (roll->order.on_last != NULL && count_starting(roll) == 0)
            roll->order.on_last(roll->order.arg);
        pool_send(worker, &(struct message){.type = MESSAGE_LAST_CALL});
    }
    if (roll->order.on_drain != NULL)
        roll->order.on_drain(worker, roll->order.arg);
    pool_drain(worker);
    say(roll, "draining", worker);
}

void roll_on_ready(struct master *master, struct worker *worker)
{
    struct roll *roll = master->roll;
    struct old *old = roll != NULL ? find_replaced(roll, worker) : NULL;
    struct worker *former;

    if (old == NULL)
        return;
    say(roll, "ready", worker);
    note(roll, worker, NULL);
    worker->is_extra = false;
    old->replacement = NULL;
    old->is_handled = true;
    if (!roll->has_first && roll->order.on_first != NULL)
        roll->order.on_first(roll->order.arg);
    roll->has_first = true;
    former = find(roll, old);
    if (former != NULL && pool_is_staying(former))
        drain(roll, former);
    step(roll);
    pool_balance(master->pool);
}

const struct edition *roll_edition(const struct master *master)
{
    return master->roll != NULL ? master->roll->order.edition : master->edition;
}

bool roll_on_leaving(struct master *master, const struct worker *worker)
{
    struct old *old = master->roll != NULL ? find_old(master->roll, worker) : NULL;

    if (old == NULL || old->replacement == NULL)
        return false;
    old->replacement->is_extra = false; /* it takes the place now */
    return true;
}

bool roll_on_gone(struct master *master, const struct worker *worker, const char *how)
{
    struct roll *roll = master->roll;
    struct old *old;
    bool is_replaced;

    if (roll == NULL)
        return false;
    old = find_replaced(roll, worker);
    if (old != NULL && worker->is_asked) { /* somebody scaled down: that is no fault of its */
        old->replacement = NULL;
        step(roll);
        return false;
    }
    if (old != NULL) {
        const char *why = worker->refusal != NULL ? worker->refusal : how;
        char reason[CHANNEL_TEXT_MAX + 64];

        snprintf(reason, sizeof(reason), "the replacement, worker %u.%" PRIu64 ", %s", worker->id,
                 worker->incarnation, why);
        note(roll, worker, why);
        old->replacement = NULL;
        end(roll, ROLL_FAILED, reason);
        return false;
    }
    is_replaced = roll_on_leaving(master, worker);
    old = find_old(roll, worker);
    if (old != NULL) {
        old->is_gone = true;
        if (worker->is_late || worker->has_cut)
            roll->is_late = true;
        say(roll, "gone", worker);
    }
    step(roll);
    return is_replaced;
}

/* What holds one without an action is routine, and gives way to actions. */
bool roll_has_slot(const struct master *master)
{
    return pool_has_free_slot(master->pool) || pool_count(master->pool, SEAT_DRAINING) > 0 ||
           master->roll != NULL;
}

void roll_stop(struct master *master, const char *reason)
{
    if (master->roll == NULL)
        return;
    end(master->roll, ROLL_FAILED, reason);
    pool_balance(master->pool);
}

/* From the loop, so that nobody is told of progress before the start has been answered. */
static void on_begin(evutil_socket_t fd, short what, void *arg)
{
    struct roll *roll = arg;
    struct master *master = roll->master;

    (void)fd;
    (void)what;
    if (roll->order.on_begin != NULL)
        roll->order.on_begin(roll->order.arg);
    step(roll);
    pool_balance(master->pool);
}

int roll_begin(struct master *master, const struct roll_order *order)
{
    struct roll *roll = calloc(1, sizeof(*roll));

    if (roll == NULL)
        return -1;
    roll->master = master;
    roll->order = *order;
    edition_ref(order->edition);
    evtimer_assign(&roll->begin, master->base, on_begin, roll);
    timer_arm(&roll->begin, 0);
    master->roll = roll;
    return 0;
}
