/* holders.c: goes through the coroutines that wait, and counts those of old generations by what
 * they wait in and where.
 *
 * Nobody keeps these counts up to date: they are made when somebody may look, once a second. What a
 * hold is for is known exactly (generation_hold); where it waits only for what has a coroutine. */
#include "app/holders.h"

#include <string.h>

#include "app/generation.h"
#include "app/place.h"
#include "app/request.h"
#include "app/task.h"
#include "base/board.h"
#include "runtime/coro.h"

/* Rows of one generation; the last is for what has no row of its own. */
#define ROWS 8

struct count {
    struct generation *generation;
    struct holder rows[ROWS];
    size_t row_count;
    unsigned seen[HOLD_KINDS];
};

/* ---- one generation ---- */

static bool is_like(const struct holder *a, const struct holder *b)
{
    return a->kind == b->kind && a->waits_in == b->waits_in && a->site == b->site;
}

/* The last two become one. */
static void merge_last(struct count *count)
{
    struct holder *into = &count->rows[count->row_count - 2];

    *into = (struct holder){
        .generation = into->generation, .kind = HOLD_OTHERS, .count = into->count + into[1].count};
    count->row_count--;
}

static void add(struct count *count, struct holder row)
{
    size_t i = 0;

    row.generation = count->generation->number;
    while (i < count->row_count && !is_like(&count->rows[i], &row))
        i++;
    if (i == ROWS) {
        if (count->rows[ROWS - 1].kind != HOLD_OTHERS)
            count->rows[ROWS - 1] = (struct holder){.generation = row.generation,
                                                    .kind = HOLD_OTHERS,
                                                    .count = count->rows[ROWS - 1].count};
        i = ROWS - 1;
    }
    if (i == count->row_count)
        count->rows[count->row_count++] = row;
    else
        count->rows[i].count += row.count;
}

static void add_waiting(struct count *count, enum hold_kind kind, unsigned call, uint64_t site)
{
    count->seen[kind]++;
    add(count, (struct holder){.kind = kind, .waits_in = call, .site = site, .count = 1});
}

static void on_request(void *coro_arg, unsigned call, const void *site, void *arg)
{
    const struct reeve_environ *request = coro_arg;
    struct count *count = arg;

    if (request->generation == count->generation)
        add_waiting(
            count, HOLD_REQUEST, call,
            place_in(count->generation, site,
                     (const void *)(uintptr_t)request->generation->descriptor->application));
}

static void on_task(void *coro_arg, unsigned call, const void *site, void *arg)
{
    const struct task *task = coro_arg;
    struct count *count = arg;

    if (task->strand.generation == count->generation)
        add_waiting(count, HOLD_TASK, call,
                    place_in(count->generation, site, (const void *)(uintptr_t)task->fn));
}

static void on_init(void *coro_arg, unsigned call, const void *site, void *arg)
{
    const struct generation *generation = coro_arg;
    struct count *count = arg;

    if (generation == count->generation)
        add_waiting(
            count, HOLD_INIT, call,
            place_in(generation, site, (const void *)(uintptr_t)generation->descriptor->init));
}

static void on_duty(void *coro_arg, unsigned call, const void *site, void *arg)
{
    const struct duty *duty = coro_arg;
    struct count *count = arg;

    if (duty->member->generation == count->generation)
        add_waiting(count, HOLD_CONNECTION, call, place_in(count->generation, site, NULL));
}

static void count_generation(struct count *count, struct generation *generation)
{
    memset(count, 0, sizeof *count);
    count->generation = generation;
    coro_each(call_run, on_request, count);
    coro_each(generation_run_init, on_init, count);
    coro_each(task_run, on_task, count);
    coro_each(duty_run, on_duty, count);
    for (unsigned kind = 0; kind < HOLD_KINDS; kind++)
        if (generation->held_for[kind] > count->seen[kind])
            add(count, (struct holder){.kind = kind,
                                       .count = generation->held_for[kind] - count->seen[kind]});
}

/* ---- an app ---- */

static bool is_shown(const struct generation *generation)
{
    return generation != generation->app->live && generation->holds > 0 &&
           (generation->is_retired || generation->was_live);
}

static size_t count_shown(const struct app *app)
{
    const struct generation *generation;
    size_t n = 0;

    LIST_FOREACH (generation, &app->generations, entry)
        n += is_shown(generation);
    return n;
}

/* Each gets a row at least, as long as there are enough; the newest come first. */
static size_t put(struct holder *rows, size_t room, size_t still_to_come, struct count *count)
{
    size_t most = room > still_to_come ? room - still_to_come : 0;

    while (count->row_count > most && count->row_count > 1)
        merge_last(count);
    if (count->row_count > room)
        return 0;
    memcpy(rows, count->rows, count->row_count * sizeof rows[0]);
    return count->row_count;
}

void holders_show(struct app *app)
{
    struct holder rows[BOARD_HOLDERS];
    struct generation *generation;
    struct count count;
    size_t shown = count_shown(app), n = 0;

    if (shown == 0 && !app->shows_holders)
        return;
    app->shows_holders = shown > 0;
    LIST_FOREACH (generation, &app->generations, entry) {
        if (!is_shown(generation))
            continue;
        count_generation(&count, generation);
        n += put(rows + n, BOARD_HOLDERS - n, --shown, &count);
    }
    board_show_holders(app->cell, rows, n);
}

void holders_show_all(struct room *room)
{
    for (unsigned i = 0; i < room->app_count; i++)
        holders_show(&room->apps[i]);
}
