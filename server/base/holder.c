/* holder.c: names of what holds a generation, and sums over the workers. */
#include "base/holder.h"

#include <stdlib.h>

#include "base/board.h"

static const char *const kind_names[HOLD_KINDS] = {
    [HOLD_OTHERS] = "others",
    [HOLD_REQUEST] = "request",
    [HOLD_INIT] = "init",
    [HOLD_TASK] = "task",
    [HOLD_FUTURE] = "future",
    [HOLD_TIMER] = "timer",
    [HOLD_CONNECTION] = "connection",
    [HOLD_SUBSCRIPTION] = "subscription",
    [HOLD_STATE] = "state",
};

static const char *const call_names[CALL_COUNT] = {
    [CALL_SLEEP] = "reeve_sleep",
    [CALL_READ] = "reeve_read",
    [CALL_WRITE] = "reeve_write",
    [CALL_FLUSH] = "reeve_flush",
    [CALL_SEND_FILE] = "reeve_send_file",
    [CALL_AWAIT] = "reeve_await",
    [CALL_SCOPE_END] = "reeve_scope_end",
    [CALL_SEMAPHORE] = "reeve_semaphore_acquire",
    [CALL_MUTEX] = "reeve_mutex_lock",
    [CALL_CONDITION] = "reeve_condition_wait",
    [CALL_QUEUE] = "reeve_queue",
    [CALL_FD] = "reeve_wait_fd",
    [CALL_CONNECT] = "reeve_connect",
    [CALL_GETADDRINFO] = "reeve_getaddrinfo",
    [CALL_OFFLOAD] = "reeve_offload",
    [CALL_CLIENT] = "reeve_client",
    [CALL_POOL] = "reeve_pool_take",
    [CALL_CHAT_READ] = "reeve_chat_read",
    [CALL_CHAT_WRITE] = "reeve_chat_write",
    [CALL_WEBSOCKET_RECEIVE] = "reeve_websocket_receive",
    [CALL_WEBSOCKET_SEND] = "reeve_websocket_write",
    [CALL_SUBSCRIPTION] = "reeve_subscription_next",
};

const char *hold_kind_name(uint64_t kind)
{
    return kind_names[kind < HOLD_KINDS ? kind : HOLD_OTHERS];
}

const char *hold_call_name(uint64_t call)
{
    return call < CALL_COUNT ? call_names[call] : NULL;
}

static int compare(const void *a, const void *b)
{
    const struct holder *x = a, *y = b;

    if (x->generation != y->generation)
        return x->generation > y->generation ? -1 : 1;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return x->site < y->site ? -1 : x->site > y->site;
}

static struct holder *find(const struct holder_list *list, const struct holder *like)
{
    for (size_t i = 0; i < list->count; i++) {
        struct holder *item = &list->items[i];

        if (item->generation == like->generation && item->kind == like->kind &&
            item->waits_in == like->waits_in && item->site == like->site)
            return item;
    }
    return NULL;
}

static int add(struct holder_list *list, const struct holder *row)
{
    struct holder *item = find(list, row), *items;

    if (item) {
        item->count += row->count;
        return 0;
    }
    items = realloc(list->items, (list->count + 1) * sizeof *items);
    if (!items)
        return -1;
    items[list->count++] = *row;
    list->items = items;
    return 0;
}

/* What is not known in detail. `generation` 0: both that there are figures of, but for `live`. */
static int add_unread(struct holder_list *list, const struct board_cell *cell, uint64_t generation,
                      uint64_t live)
{
    for (size_t i = 0; i < 2; i++) {
        const struct board_column *column = &cell->latest[i];
        struct holder row = {.generation = board_get(&column->generation),
                             .kind = HOLD_OTHERS,
                             .count = board_get(&column->held)};

        if (row.count > 0 && row.generation != live &&
            (generation == 0 || row.generation == generation) && add(list, &row) == -1)
            return -1;
    }
    return 0;
}

static int add_rows(struct holder_list *list, const struct board_cell *cell, uint64_t generation,
                    uint64_t live)
{
    struct holder rows[BOARD_HOLDERS];
    int count = board_read_holders(cell, rows);

    if (count == -1)
        return add_unread(list, cell, generation, live);
    for (int i = 0; i < count; i++)
        if ((generation == 0 || rows[i].generation == generation) && add(list, &rows[i]) == -1)
            return -1;
    return 0;
}

static void sort(struct holder_list *list)
{
    if (list->count > 1)
        qsort(list->items, list->count, sizeof list->items[0], compare);
}

int holder_list_add(struct holder_list *list, const struct board_cell *cell, uint64_t generation)
{
    int result = add_rows(list, cell, generation, 0);

    sort(list);
    return result;
}

int holder_list_gather(struct holder_list *list, const struct board *board, unsigned app)
{
    uint64_t live = board_get(&board_app(board, app)->generation);
    int result = 0;

    for (unsigned i = 0; i < board->max_workers && result == 0; i++) {
        /* Even a look at a page allocates it: keep off cells that no worker ever had. */
        if (board_get(&board_seat(board, i)->incarnation) != 0)
            result = add_rows(list, board_cell(board, i, app), 0, live);
    }
    sort(list);
    return result;
}

void holder_list_free(struct holder_list *list)
{
    free(list->items);
    *list = (struct holder_list){0};
}

uint64_t holder_list_count(const struct holder_list *list, uint64_t generation)
{
    uint64_t count = 0;

    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].generation == generation)
            count += list->items[i].count;
    return count;
}
