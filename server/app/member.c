/* member.c: see member.h. */
#include "app/member.h"

#include <errno.h>
#include <stdlib.h>

#include "app/generation.h"
#include "app/strand.h"
#include "net/net.h"
#include "runtime/coro.h"

/* ---- duties ---- */

static void show(const struct duty *duty, bool runs)
{
    const struct generation *generation = duty->member->generation;

    room_do(generation->app->room, runs ? STEP_CONNECTION : STEP_NONE, generation);
}

static void on_coro(enum coro_event event, struct coro *coro, void *arg)
{
    struct duty *duty = arg;

    show(duty, event == CORO_RESUMES);
    if (event == CORO_RESUMES)
        return;
    duty->coro = coro;
    duty->is_working = event == CORO_WAITS;
    duty->rest(duty);
}

void duty_run(void *arg)
{
    struct duty *duty = arg;

    duty->work(duty);
    duty_end_call(duty);
}

/* Every wait fails, so that what cannot do without one fails, and the connection ends. */
static void run_on_loop(struct duty *duty)
{
    duty_run(duty);
    show(duty, false);
    duty->is_working = false;
    duty->rest(duty);
}

static void begin(void *arg)
{
    struct duty *duty = arg;
    const reeve_app *app = duty->member->generation->descriptor;

    if (duty->is_working)
        return;
    duty->is_working = true;
    show(duty, true);
    if (app->on_loop || coro_run(duty_run, on_coro, duty, app->stack_size) == -1)
        run_on_loop(duty);
}

void duty_init(struct duty *duty, struct member *member, void (*work)(struct duty *duty),
               void (*rest)(struct duty *duty))
{
    *duty = (struct duty){.member = member, .work = work, .rest = rest};
}

void duty_begin(struct duty *duty)
{
    if (duty->is_working)
        return;
    if (coro_current()) {
        soon_call(&duty->soon, begin, duty);
        return;
    }
    soon_cancel(&duty->soon);
    begin(duty);
}

struct strand *duty_strand(struct duty *duty)
{
    if (duty->strand)
        return duty->strand;
    duty->strand = malloc(sizeof *duty->strand);
    if (duty->strand)
        strand_open(duty->strand, coro_current(), duty->member->generation, NULL);
    return duty->strand;
}

void duty_end_call(struct duty *duty)
{
    if (!duty->strand)
        return;
    strand_close(duty->strand);
    free(duty->strand);
    duty->strand = NULL;
}

void duty_cancel(struct duty *duty)
{
    if (duty->coro)
        coro_cancel(duty->coro, ECANCELED);
}

void duty_fini(struct duty *duty)
{
    soon_cancel(&duty->soon);
}

/* ---- membership ---- */

static struct board_column *totals(const struct generation *generation)
{
    return &generation->app->cell->total;
}

static void enter(struct member *member, struct generation *generation)
{
    struct board_column *column = generation_column(generation);

    member->generation = generation;
    LIST_INSERT_HEAD(&generation->members, member, entry);
    generation->made += member->is_made;
    generation_hold(generation, HOLD_CONNECTION);
    if (column)
        board_add(&column->connections, 1);
}

static void leave(struct member *member)
{
    struct generation *generation = member->generation;
    struct board_column *column = generation_column(generation);

    LIST_REMOVE(member, entry);
    generation->made -= member->is_made;
    if (column)
        board_sub(&column->connections, 1);
    generation_release(generation, HOLD_CONNECTION);
}

void member_count_at(const struct member *member, size_t figure)
{
    struct board_column *column = generation_column(member->generation);

    board_add((board_count *)(void *)((char *)totals(member->generation) + figure), 1);
    if (column)
        board_add((board_count *)(void *)((char *)column + figure), 1);
}

void member_join(struct member *member, const struct member_kind *kind,
                 struct generation *generation, bool is_made)
{
    member->kind = kind;
    member->is_made = is_made;
    enter(member, generation);
    board_add(&totals(generation)->connections, 1);
    member_count(member, opened);
}

void member_leave(struct member *member)
{
    const struct net *net = &member->generation->app->room->net;

    board_sub(&totals(member->generation)->connections, 1);
    leave(member);
    net_look_empty(net); /* its socket may have gone before it */
}

void member_failed(const struct member *member)
{
    board_add(&member->generation->app->room->slot->exceptions, 1);
    member_count(member, exceptions);
}

/* ---- from one generation to the next ---- */

void member_settle(struct member *member)
{
    struct generation *from = member->generation, *to = from->app->live;

    if (!from->is_retired || !to || to == from || member->duty.is_working ||
        !member->kind->adopt(member, to))
        return;
    generation_hold(from, HOLD_CONNECTION); /* it goes last */
    leave(member);
    enter(member, to);
    member_count(member, moved);
    generation_release(from, HOLD_CONNECTION);
}

void members_move(struct generation *generation)
{
    struct member *member, *next;

    for (member = LIST_FIRST(&generation->members); member; member = next) {
        next = LIST_NEXT(member, entry);
        member_settle(member);
    }
}

/* ---- the end ---- */

static void bid_farewell(struct member *member)
{
    const struct generation *generation = member->generation;

    room_do(generation->app->room, STEP_CONNECTION, generation);
    member->kind->farewell(member);
    room_do(generation->app->room, STEP_NONE, generation);
}

void members_end_made(struct generation *generation)
{
    struct member *member, *next;

    for (member = LIST_FIRST(&generation->members); member; member = next) {
        next = LIST_NEXT(member, entry);
        if (member->is_made)
            bid_farewell(member);
    }
}

void members_farewell(const struct room *room)
{
    struct generation *generation;
    struct member *member, *next;

    for (unsigned i = 0; i < room->app_count; i++)
        LIST_FOREACH (generation, &room->apps[i].generations, entry)
            for (member = LIST_FIRST(&generation->members); member; member = next) {
                next = LIST_NEXT(member, entry);
                bid_farewell(member);
            }
}

unsigned members_accepted(const struct room *room)
{
    const struct generation *generation;
    unsigned count = 0;

    for (unsigned i = 0; i < room->app_count; i++)
        LIST_FOREACH (generation, &room->apps[i].generations, entry)
            count += generation->held_for[HOLD_CONNECTION] - generation->made;
    return count;
}

static void count_duty(void *duty, unsigned call, const void *site, void *count)
{
    (void)duty, (void)call, (void)site;
    ++*(unsigned *)count;
}

unsigned duties_waiting(void)
{
    unsigned count = 0;

    coro_each(duty_run, count_duty, &count);
    return count;
}
