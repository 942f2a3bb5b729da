/* state.c: the handover of an app's state: give, handover, and who owns it afterwards.
 *
 * The owner frees it in its fini: not before all have ended who were shown it. So a generation's
 * life is divided into tenures. When it hands its state over its tenure ends, and while requests
 * run that began in it (or others who were shown the same state earlier, in other builds) the
 * ended tenure holds the heir's: from build to build, and back again when a canary is taken back.
 * Generations may hand over to and fro, tenures never form a circle. Nobody counts while all is
 * well: a tenure's requests are counted when it ends. Nothing here suspends.
 *
 * What a generation does in the background (its on_drain, too) goes on after the handover, and is
 * not counted one by one: the generation itself holds the heir's tenure, until it goes or has its
 * state again.
 *
 * A coroutine never moves: its stack holds addresses of the code it came from. */
#include "app/state.h"

#include <stdio.h>
#include <stdlib.h>

#include "app/generation.h"

/* ---- tenures ---- */

struct tenure {
    struct generation *generation;
    unsigned users; /* ended ones and generations that hold it; from its own end on its requests,
                       too */
    bool has_ended;
    struct tenure *heir; /* held: of the one that took the state over */
    struct tenure *next; /* held: of the same generation, whose state its requests can ask for */
};

static struct tenure *tenure_new(struct generation *generation)
{
    struct tenure *tenure = calloc(1, sizeof *tenure);

    if (tenure)
        tenure->generation = generation;
    return tenure;
}

static struct tenure *hold(struct tenure *tenure)
{
    if (!tenure)
        return NULL;
    tenure->users++;
    generation_hold(tenure->generation, HOLD_STATE);
    return tenure;
}

static void release(struct tenure *tenure)
{
    struct generation *generation;

    if (!tenure)
        return;
    generation = tenure->generation;
    if (!tenure->has_ended) { /* it goes with its generation */
        tenure->users--;
        generation_release(generation, HOLD_STATE);
        return;
    }
    /* Its fini comes before those of its heirs: it may look at what it handed over. */
    generation_release(generation, HOLD_STATE);
    state_leave(tenure);
}

void state_leave(struct tenure *tenure)
{
    struct tenure *heir = tenure->heir, *next = tenure->next;

    if (--tenure->users > 0 || !tenure->has_ended)
        return;
    free(tenure);
    release(next);
    release(heir);
}

void state_release(struct tenure *heir)
{
    release(heir);
}

static void set_heir(struct generation *generation, struct tenure *heir)
{
    struct tenure *former = generation->heir;

    generation->heir = hold(heir);
    release(former);
}

/* All requests that `from` has are of the past now. */
static void end_tenure(struct generation *from, struct tenure *heir, struct tenure *next)
{
    struct tenure *ended = from->tenure;
    unsigned requests = from->held_for[HOLD_REQUEST];

    ended->users += requests - from->bygone;
    ended->has_ended = true;
    from->bygone = requests;
    from->tenure = next;
    set_heir(from, heir);
    if (ended->users == 0) {
        free(ended);
        return;
    }
    ended->heir = hold(heir);
    ended->next = hold(next);
}

/* ---- the two sides ---- */

static const char *reason_of(const struct generation *generation, const char *otherwise)
{
    return generation->refusal[0] ? generation->refusal : otherwise;
}

static enum handover refuse(enum handover how, const char *reason, char *why, size_t size)
{
    snprintf(why, size, "%s", reason);
    return how;
}

/* The one that has it may say no, or may have to. */
static enum handover ask_to_give(struct generation *from, const struct generation *to, bool is_kept,
                                 char *why, size_t size)
{
    const reeve_app *app = from->descriptor;

    if (is_kept && !app->handover)
        return refuse(HANDOVER_REFUSED_BY_OLD,
                      "it may become live again, and could not take its state back: it has no "
                      "handover",
                      why, size);
    from->refusal[0] = '\0';
    if (app->give && app->give(generation_module(from), to->descriptor->state_version) != 0)
        return refuse(HANDOVER_REFUSED_BY_OLD,
                      reason_of(from, "its give declined without a reason (reeve_refuse)"), why,
                      size);
    return HANDOVER_DONE;
}

static enum handover ask_to_take(const struct generation *from, struct generation *to, char *why,
                                 size_t size)
{
    uint32_t version = from->descriptor->state_version, own = to->descriptor->state_version;
    char otherwise[128];

    to->refusal[0] = '\0';
    to->has_set_data = false;
    if (to->descriptor->handover(generation_module(to), from->data, version) == 0)
        return HANDOVER_DONE;
    if (version == own)
        return refuse(HANDOVER_REFUSED_BY_NEW,
                      reason_of(to, "its handover declined without a reason (reeve_refuse)"), why,
                      size);
    snprintf(otherwise, sizeof otherwise,
             "it has version %u of the state and does not take version %u", own, version);
    return refuse(HANDOVER_OTHER_VERSION, reason_of(to, otherwise), why, size);
}

static enum handover ask(struct generation *from, struct generation *to, bool is_kept, char *why,
                         size_t size)
{
    enum handover how;

    if (!to->descriptor->handover)
        return refuse(HANDOVER_REFUSED_BY_NEW, "it has no handover", why, size);
    how = ask_to_give(from, to, is_kept, why, size);
    return how == HANDOVER_DONE ? ask_to_take(from, to, why, size) : how;
}

static void move(struct generation *from, struct generation *to, struct tenure *next)
{
    if (!to->has_set_data)
        to->data = from->data;
    from->is_handed_over = true;
    end_tenure(from, to->tenure, next);
}

int state_open(struct generation *generation)
{
    generation->tenure = tenure_new(generation);
    return generation->tenure ? 0 : -1;
}

void state_close(struct generation *generation)
{
    free(generation->tenure);
}

static enum handover hand_over(struct generation *from, struct generation *to, bool is_kept,
                               char *why, size_t size)
{
    struct tenure *next = NULL;
    enum handover how;

    if (to->was_live && !to->is_handed_over)
        return HANDOVER_NONE; /* it is back, and gave nothing away */
    /* What one that is back gave away is no longer its own, so that its handover may free what it
     * has, as any other's. */
    if (to->is_handed_over)
        to->data = NULL;
    to->is_handed_over = false;
    if (!from->descriptor->state_version || !from->data)
        return HANDOVER_NONE;
    /* Made now, when it can still be declined without a loss, and not on the way back. */
    if (is_kept && !(next = tenure_new(from)))
        return refuse(HANDOVER_REFUSED_BY_OLD, "memory has run out", why, size);
    how = ask(from, to, is_kept, why, size);
    if (how == HANDOVER_DONE)
        move(from, to, next);
    else
        free(next);
    return how;
}

/* A task or a connection of one that is back without its state may still use that. */
enum handover state_hand_over(struct generation *from, struct generation *to, bool is_kept,
                              char *why, size_t size)
{
    enum handover how = hand_over(from, to, is_kept, why, size);

    if (how == HANDOVER_DONE ||
        (LIST_EMPTY(&to->background.tasks) && to->held_for[HOLD_CONNECTION] == 0))
        set_heir(to, NULL);
    return how;
}
