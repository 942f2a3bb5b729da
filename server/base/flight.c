/* flight.c: see flight.h. What ended longest ago is the next row to be taken, so a server that is
 * not busy goes round in a few warm cache lines. */
#include "base/flight.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- writing ---- */

void flight_open(struct flight_recorder *recorder, struct flight_table *table, uint64_t incarnation)
{
    uint64_t high = board_get(&table->high);

    memset(recorder, 0, sizeof *recorder);
    recorder->table = table;
    board_set(&table->incarnation, 0);
    atomic_thread_fence(memory_order_release);
    for (uint64_t i = 0; i < high && i < FLIGHT_ROWS; i++)
        board_set(&table->rows[i].phase, FLIGHT_NONE);
    board_set(&table->high, 0);
    board_set(&table->unrecorded, 0);
    atomic_store_explicit(&table->incarnation, incarnation, memory_order_release);
}

struct flight_row *flight_new_row(struct flight_recorder *recorder)
{
    struct flight_table *table = recorder->table;

    if (recorder->high < FLIGHT_ROWS) {
        board_set(&table->high, recorder->high + 1);
        return &table->rows[recorder->high++];
    }
    if (recorder->tail != recorder->head)
        return &table->rows[recorder->ended[recorder->head++ % FLIGHT_ROWS]];
    board_set(&table->unrecorded, board_get(&table->unrecorded) + 1);
    return NULL;
}

void flight_put_query(struct flight_row *row, size_t length, const char *query, size_t query_length)
{
    size_t room = FLIGHT_PATH - 1 - length, more = query_length;

    if (more == 0 || room < 2)
        return;
    if (more > room - 1)
        more = room - 1;
    row->path[length] = '?';
    memcpy(row->path + length + 1, query, more);
    row->path[length + 1 + more] = '\0';
}

void flight_lend(struct flight_row *row, bool runs)
{
    if (row)
        board_set(&row->phase, runs ? FLIGHT_RUNNING : FLIGHT_WAITING);
}

void flight_wait(struct flight_row *row, uint64_t call, uint64_t site, uint64_t now)
{
    if (!row)
        return;
    board_set(&row->call, call);
    board_set(&row->site, site);
    board_set(&row->phase_at, now);
    atomic_store_explicit(&row->phase, FLIGHT_WAITING, memory_order_release);
}

void flight_resume(struct flight_row *row, uint64_t now)
{
    if (!row)
        return;
    board_set(&row->phase_at, now);
    board_set(&row->phase, FLIGHT_RUNNING);
}

/* ---- reading ---- */

#define READ_TRIES 100

/* What a row says of an earlier request is older than its begin, and left out. */
static void copy_row(const struct flight_row *row, struct flight *out)
{
    uint64_t phase = atomic_load_explicit(&row->phase, memory_order_acquire);
    uint64_t what = board_get(&row->what);

    *out = (struct flight){.id = board_get(&row->id),
                           .app = what & UINT32_MAX,
                           .generation = board_get(&row->generation),
                           .method = what >> 32,
                           .begun_at = board_get(&row->begun_at),
                           .phase = phase,
                           .phase_at = board_get(&row->phase_at)};
    if (out->phase_at < out->begun_at)
        out->phase_at = out->begun_at;
    else if (out->phase == FLIGHT_WAITING) {
        out->call = board_get(&row->call);
        out->site = board_get(&row->site);
    } else if (out->phase == FLIGHT_ENDED)
        out->status = board_get(&row->status);
    memcpy(out->path, row->path, sizeof out->path);
    out->path[sizeof out->path - 1] = '\0';
}

/* False: there is nothing in it, or its writer was stopped in the middle. */
static bool read_row(const struct flight_row *row, struct flight *out)
{
    for (int i = 0; i < READ_TRIES; i++) {
        uint64_t turn = atomic_load_explicit(&row->turn, memory_order_acquire);

        if (turn & 1)
            continue;
        copy_row(row, out);
        atomic_thread_fence(memory_order_acquire);
        if (board_get(&row->turn) == turn)
            return out->phase > FLIGHT_NONE && out->phase < FLIGHT_PHASES;
    }
    return false;
}

static int compare_times(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int compare(const void *one, const void *two)
{
    const struct flight *a = one, *b = two;

    if (a->phase == FLIGHT_ENDED && b->phase == FLIGHT_ENDED)
        return compare_times(b->phase_at, a->phase_at);
    if (a->phase != b->phase)
        return a->phase < b->phase ? -1 : 1;
    return compare_times(a->begun_at, b->begun_at);
}

int flight_list_read(struct flight_list *list, const struct flight_table *table,
                     uint64_t incarnation)
{
    uint64_t high = board_get(&table->high);

    memset(list, 0, sizeof *list);
    if (high > FLIGHT_ROWS || incarnation == 0 ||
        atomic_load_explicit(&table->incarnation, memory_order_acquire) != incarnation)
        high = 0;
    list->items = calloc(high + 1, sizeof list->items[0]);
    if (!list->items) {
        errno = ENOMEM;
        return -1;
    }
    for (uint64_t i = 0; i < high; i++) {
        struct flight *item = &list->items[list->count];

        if (!read_row(&table->rows[i], item))
            continue;
        list->in_flight += item->phase != FLIGHT_ENDED;
        list->count++;
    }
    list->unrecorded = high > 0 ? board_get(&table->unrecorded) : 0;
    qsort(list->items, list->count, sizeof list->items[0], compare);
    return 0;
}

void flight_list_free(struct flight_list *list)
{
    free(list->items);
    memset(list, 0, sizeof *list);
}

const char *flight_phase_name(uint64_t phase)
{
    static const char *const names[FLIGHT_PHASES] = {"none", "running", "waiting", "ended"};

    return phase < FLIGHT_PHASES ? names[phase] : names[FLIGHT_NONE];
}
