/* pools.c: gives rows to names, and adds up rows of one name. */
#include "base/pools.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/board.h"

#define WORDS (POOLS_NAME / sizeof(uint64_t))

/* A row that is being renamed is left out after so many looks: its writer may be dead. */
#define LOOKS 100

/* ---- names ---- */

static void put_name(struct pools_row *row, const uint64_t words[WORDS])
{
    for (size_t i = 0; i < WORDS; i++)
        board_set(&row->name[i], words[i]);
}

static void get_name(const struct pools_row *row, uint64_t words[WORDS])
{
    for (size_t i = 0; i < WORDS; i++)
        words[i] = board_get(&row->name[i]);
}

static void to_words(const char *name, uint64_t words[WORDS])
{
    char bytes[POOLS_NAME] = "";

    memcpy(bytes, name, strnlen(name, sizeof bytes - 1));
    memcpy(words, bytes, sizeof bytes);
}

static bool has_name(const struct pools_row *row, const uint64_t words[WORDS])
{
    uint64_t own[WORDS];

    get_name(row, own);
    return memcmp(own, words, sizeof own) == 0;
}

/* ---- taking a row ---- */

static void clear_counters(struct pools_row *row)
{
    board_set(&row->takes, 0);
    board_set(&row->waits, 0);
    board_set(&row->timeouts, 0);
    board_set(&row->failures, 0);
    board_set(&row->opens, 0);
    board_set(&row->open_failures, 0);
    board_set(&row->discarded, 0);
    board_set(&row->wait_sum, 0);
    board_set(&row->wait_max, 0);
}

static void rename_row(struct pools_row *row, const uint64_t words[WORDS])
{
    uint64_t turn = board_get(&row->turn) | 1; /* the one before may have died half-way */

    board_set(&row->turn, turn);
    atomic_thread_fence(memory_order_release);
    clear_counters(row);
    put_name(row, words);
    atomic_store_explicit(&row->turn, turn + 1, memory_order_release);
}

/* `words` NULL: one of a pool that is not there. */
static struct pools_row *find(struct pools_row rows[POOLS_ROWS], const uint64_t words[WORDS])
{
    for (size_t i = 0; i < POOLS_ROWS; i++)
        if (words ? has_name(&rows[i], words) : board_get(&rows[i].size) == 0)
            return &rows[i];
    return NULL;
}

struct pools_row *pools_claim(struct pools_row rows[POOLS_ROWS], const char *name)
{
    static const uint64_t nobody[WORDS];
    uint64_t words[WORDS];
    struct pools_row *row;

    to_words(name, words);
    row = find(rows, words);
    if (row && (board_get(&row->turn) & 1) == 0)
        return row;
    if (!row)
        row = find(rows, nobody);
    if (!row)
        row = find(rows, NULL);
    if (row)
        rename_row(row, words);
    return row;
}

void pools_settle(struct pools_row rows[POOLS_ROWS])
{
    for (size_t i = 0; i < POOLS_ROWS && board_get(&rows[i].turn) != 0; i++) {
        board_set(&rows[i].size, 0);
        board_set(&rows[i].open, 0);
        board_set(&rows[i].taken, 0);
        board_set(&rows[i].waiting, 0);
    }
}

/* ---- adding up ---- */

static void read_row(const struct pools_row *row, struct pools_sum *out)
{
    uint64_t words[WORDS];

    get_name(row, words);
    memcpy(out->name, words, sizeof out->name);
    out->name[sizeof out->name - 1] = '\0';
    out->size = board_get(&row->size);
    out->open = board_get(&row->open);
    out->taken = board_get(&row->taken);
    out->waiting = board_get(&row->waiting);
    out->takes = board_get(&row->takes);
    out->waits = board_get(&row->waits);
    out->timeouts = board_get(&row->timeouts);
    out->failures = board_get(&row->failures);
    out->opens = board_get(&row->opens);
    out->open_failures = board_get(&row->open_failures);
    out->discarded = board_get(&row->discarded);
    out->wait_sum = board_get(&row->wait_sum);
    out->wait_max = board_get(&row->wait_max);
}

/* False: it is nobody's, or does not come to rest. */
static bool read_stable(const struct pools_row *row, struct pools_sum *out)
{
    for (int i = 0; i < LOOKS; i++) {
        uint64_t turn = atomic_load_explicit(&row->turn, memory_order_acquire);

        if (turn == 0)
            return false;
        if (turn & 1)
            continue;
        read_row(row, out);
        atomic_thread_fence(memory_order_acquire);
        if (board_get(&row->turn) == turn)
            return true;
    }
    return false;
}

static void add(struct pools_sum *to, const struct pools_sum *from)
{
    to->size += from->size;
    to->open += from->open;
    to->taken += from->taken;
    to->waiting += from->waiting;
    to->takes += from->takes;
    to->waits += from->waits;
    to->timeouts += from->timeouts;
    to->failures += from->failures;
    to->opens += from->opens;
    to->open_failures += from->open_failures;
    to->discarded += from->discarded;
    to->wait_sum += from->wait_sum;
    if (from->wait_max > to->wait_max)
        to->wait_max = from->wait_max;
}

static int add_row(struct pools_list *list, const struct pools_sum *row)
{
    struct pools_sum *items;
    size_t i = 0;

    while (i < list->count && strcmp(list->items[i].name, row->name) < 0)
        i++;
    if (i < list->count && strcmp(list->items[i].name, row->name) == 0) {
        add(&list->items[i], row);
        return 0;
    }
    items = realloc(list->items, (list->count + 1) * sizeof *items);
    if (!items)
        return -1;
    list->items = items;
    memmove(items + i + 1, items + i, (list->count - i) * sizeof *items);
    items[i] = *row;
    list->count++;
    return 0;
}

int pools_gather(struct pools_list *list, const struct board *board, unsigned app)
{
    struct pools_sum row;

    for (unsigned worker = 0; worker < board->max_workers; worker++) {
        const struct board_cell *cell;

        if (board_get(&board_seat(board, worker)->incarnation) == 0)
            continue; /* even a look at a page allocates it */
        cell = board_cell(board, worker, app);
        for (size_t i = 0; i < POOLS_ROWS; i++)
            if (read_stable(&cell->pools[i], &row) && add_row(list, &row) == -1)
                return -1;
    }
    return 0;
}

void pools_free(struct pools_list *list)
{
    free(list->items);
    *list = (struct pools_list){0};
}
