/* board.c: where things lie on the scoreboard, and the few things done to it as a whole.
 *
 * In order: the head, the apps, the seats, the slots, the cells (a worker's side by side), the
 * rings' heads, each at a multiple of 128 bytes so that no two writers share a cache line or its
 * neighbour; from a page's beginning on the rings. It never zeroes what a worker counted, except
 * for a column that passes to a newer generation. */
#include "base/board.h"

#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

#define BOARD_MAGIC  0x72656576u /* "reev" */
#define BOARD_LAYOUT 5u /* to be raised when a field changes its meaning but not its size */
#define ALIGNMENT    128u

#define ROUND_UP(size) (((size) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT)
#define HEAD_SIZE      ROUND_UP(sizeof(struct board))
#define APP_STRIDE     ROUND_UP(sizeof(struct board_app))
#define SEAT_STRIDE    ROUND_UP(sizeof(struct board_seat))
#define SLOT_STRIDE    ROUND_UP(sizeof(struct board_slot))
#define CELL_STRIDE    ROUND_UP(sizeof(struct board_cell))
#define RING_STRIDE    sizeof(struct ring_head) /* aligned by itself: they are an array */
#define PAGE_MOST      65536u /* rings begin with a page, however large these are */

/* A number that differs as soon as any struct's size does: builds that disagree share no board. */
static uint32_t layout_number(void)
{
    const size_t sizes[] = {
        sizeof(struct board),
        sizeof(struct board_app),
        sizeof(struct board_seat),
        sizeof(struct board_slot),
        sizeof(struct board_column),
        sizeof(struct board_cell),
        sizeof(struct histogram),
        HISTOGRAM_BUCKETS,
        HISTOGRAM_SHIFT,
        BOARD_HOLDERS,
        sizeof(struct board_holder),
        sizeof(struct flight_row),
        sizeof(struct trace),
        sizeof(struct job_row),
        offsetof(struct board_app, jobs),
        offsetof(struct board_slot, flights),
        offsetof(struct board_cell, total),
        sizeof(struct pools_row),
        offsetof(struct board_cell, pools),
        sizeof(struct ring_head),
        offsetof(struct ring_head, wanted),
    };
    uint32_t number = BOARD_LAYOUT;

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        number = number * 16777619u ^ (uint32_t)sizes[i];
    return number;
}

/* *size_out += count * stride. 0, or -1 when that is too much. */
static int add_area(uint64_t *size_out, uint64_t count, uint64_t stride)
{
    uint64_t area;

    if (__builtin_mul_overflow(count, stride, &area))
        return -1;
    return __builtin_add_overflow(*size_out, area, size_out) ? -1 : 0;
}

static bool is_ring_size(uint64_t size)
{
    return size >= RING_LEAST && size <= RING_MOST && (size & (size - 1)) == 0;
}

static int board_size(unsigned max_workers, unsigned max_apps, uint64_t ring_size,
                      uint64_t *size_out)
{
    uint64_t cells = (uint64_t)max_workers * max_apps;

    *size_out = HEAD_SIZE;
    if (max_workers == 0 || max_apps == 0 || !is_ring_size(ring_size) ||
        add_area(size_out, max_apps, APP_STRIDE) == -1 ||
        add_area(size_out, max_workers, SEAT_STRIDE + SLOT_STRIDE + RING_STRIDE) == -1 ||
        add_area(size_out, cells, CELL_STRIDE) == -1 || add_area(size_out, 1, PAGE_MOST) == -1 ||
        add_area(size_out, max_workers, ring_size) == -1 || *size_out > PTRDIFF_MAX) {
        errno = EINVAL;
        return -1;
    }
    return 0;
}

static void *map_board(int fd, size_t size)
{
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    return map == MAP_FAILED ? NULL : map;
}

/* Not const on the way out: who may write what is a rule between processes, which no qualifier can
 * express. */
static void *at(const struct board *board, size_t offset)
{
    return (void *)((uintptr_t)board + offset);
}

static size_t seats_at(const struct board *board)
{
    return HEAD_SIZE + board->max_apps * APP_STRIDE;
}

static size_t slots_at(const struct board *board)
{
    return seats_at(board) + board->max_workers * SEAT_STRIDE;
}

static size_t cells_at(const struct board *board)
{
    return slots_at(board) + board->max_workers * SLOT_STRIDE;
}

static size_t ring_heads_at(const struct board *board)
{
    return cells_at(board) + (size_t)board->max_workers * board->max_apps * CELL_STRIDE;
}

static size_t rings_at(const struct board *board)
{
    size_t end = ring_heads_at(board) + board->max_workers * RING_STRIDE;

    return (end + PAGE_MOST - 1) / PAGE_MOST * PAGE_MOST;
}

/* For a core dump the kernel would make every page of them, also those that nobody ever touched. */
static void leave_rings_out_of_dumps(const struct board *board)
{
    madvise(at(board, rings_at(board)), board->max_workers * board->ring_size, MADV_DONTDUMP);
}

static void close_keeping_errno(int fd)
{
    int saved = errno;

    close(fd);
    errno = saved;
}

struct board *board_create(unsigned max_workers, unsigned max_apps, int *fd_out)
{
    return board_create_with(max_workers, max_apps, RING_DEFAULT, fd_out);
}

struct board *board_create_with(unsigned max_workers, unsigned max_apps, uint64_t ring_size,
                                int *fd_out)
{
    struct board *board = NULL;
    uint64_t size;
    int fd;

    if (board_size(max_workers, max_apps, ring_size, &size) == -1)
        return NULL;
    fd = memfd_create("reeve-board", MFD_CLOEXEC);
    if (fd == -1)
        return NULL;
    if (ftruncate(fd, (off_t)size) == 0)
        board = map_board(fd, size);
    if (board == NULL) {
        close_keeping_errno(fd);
        return NULL;
    }
    board->magic = BOARD_MAGIC;
    board->layout = layout_number();
    board->size = size;
    board->max_workers = max_workers;
    board->max_apps = max_apps;
    board->ring_size = ring_size;
    leave_rings_out_of_dumps(board);
    board->started_at = clock_ns();
    board->started_wall = clock_wall_ns();
    *fd_out = fd;
    return board;
}

static bool is_ours(const struct board *board, uint64_t mapped)
{
    uint64_t size;

    if (board->magic != BOARD_MAGIC || board->layout != layout_number() || board->size != mapped)
        return false;
    return board_size(board->max_workers, board->max_apps, board->ring_size, &size) == 0 &&
           size == mapped;
}

struct board *board_attach(int fd)
{
    struct stat st;
    struct board *board;

    if (fstat(fd, &st) == -1)
        return NULL;
    if (st.st_size < (off_t)HEAD_SIZE) { /* reading the head would be SIGBUS */
        errno = EPROTO;
        return NULL;
    }
    board = map_board(fd, (size_t)st.st_size);
    if (board == NULL)
        return NULL;
    if (!is_ours(board, (uint64_t)st.st_size)) {
        munmap(board, (size_t)st.st_size);
        errno = EPROTO;
        return NULL;
    }
    leave_rings_out_of_dumps(board);
    return board;
}

void board_detach(struct board *board)
{
    if (board != NULL)
        munmap(board, board->size);
}

struct board_app *board_app(const struct board *board, unsigned app)
{
    return at(board, HEAD_SIZE + app * APP_STRIDE);
}

struct board_seat *board_seat(const struct board *board, unsigned worker)
{
    return at(board, seats_at(board) + worker * SEAT_STRIDE);
}

struct board_slot *board_slot(const struct board *board, unsigned worker)
{
    return at(board, slots_at(board) + worker * SLOT_STRIDE);
}

struct board_cell *board_cell(const struct board *board, unsigned worker, unsigned app)
{
    return at(board, cells_at(board) + ((size_t)worker * board->max_apps + app) * CELL_STRIDE);
}

struct ring board_ring(const struct board *board, unsigned worker)
{
    return (struct ring){.head = at(board, ring_heads_at(board) + worker * RING_STRIDE),
                         .words = at(board, rings_at(board) + worker * board->ring_size),
                         .size = board->ring_size};
}

static void clear_histogram(struct histogram *h)
{
    board_set(&h->sum, 0);
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        board_set(&h->buckets[i], 0);
}

static void clear_column(struct board_column *column)
{
    board_set(&column->requests, 0);
    board_set(&column->active, 0);
    board_set(&column->held, 0);
    board_set(&column->exceptions, 0);
    board_set(&column->cut, 0);
    board_set(&column->overdue, 0);
    for (unsigned i = 0; i < sizeof(column->answers) / sizeof(column->answers[0]); i++)
        board_set(&column->answers[i], 0);
    board_set(&column->bytes_in, 0);
    board_set(&column->bytes_out, 0);
    board_set(&column->connections, 0);
    board_set(&column->opened, 0);
    board_set(&column->moved, 0);
    board_set(&column->messages_in, 0);
    board_set(&column->messages_out, 0);
    board_set(&column->cut_off, 0);
    clear_histogram(&column->latency);
}

struct board_column *board_column_of(const struct board_cell *cell, uint64_t generation)
{
    for (size_t i = 0; i < 2; i++)
        if (board_get(&cell->latest[i].generation) == generation)
            return (struct board_column *)(uintptr_t)&cell->latest[i];
    return NULL;
}

/* Not by odd and even: generations that were refused leave gaps. Nor by age alone: the one that was
 * taken back is younger than the one that is live again. */
static struct board_column *column_to_take(struct board_cell *cell, uint64_t former)
{
    struct board_column *one = &cell->latest[0], *two = &cell->latest[1];
    struct board_column *of_former = former != 0 ? board_column_of(cell, former) : NULL;

    if (of_former)
        return of_former == one ? two : one;
    return board_get(&one->generation) <= board_get(&two->generation) ? one : two;
}

struct board_column *board_claim(struct board_cell *cell, uint64_t generation, uint64_t former)
{
    struct board_column *column = board_column_of(cell, generation);

    if (column)
        return column;
    column = column_to_take(cell, former);
    if (board_get(&column->generation) != 0) { /* else it is all zeros: leave its pages alone */
        board_set(&column->generation, 0);
        /* Nobody shall take half-cleared figures for the former owner's. */
        atomic_thread_fence(memory_order_release);
        clear_column(column);
    }
    atomic_store_explicit(&column->generation, generation, memory_order_release);
    return column;
}

/* ---- holders ---- */

/* A reader lets the writer go on after so many tries, and gives up after so many more: it may have
 * been stopped or have died half-way. */
#define READ_TRIES 100
#define READ_WAITS 1000

static void begin_turn(struct board_cell *cell)
{
    board_set(&cell->holders_turn, board_get(&cell->holders_turn) | 1);
    atomic_thread_fence(memory_order_release);
}

static void end_turn(struct board_cell *cell)
{
    atomic_store_explicit(&cell->holders_turn, board_get(&cell->holders_turn) + 1,
                          memory_order_release);
}

static void put_holder(struct board_holder *to, const struct holder *from)
{
    board_set(&to->generation, from->generation);
    board_set(&to->kind, from->kind);
    board_set(&to->waits_in, from->waits_in);
    board_set(&to->site, from->site);
    board_set(&to->count, from->count);
}

void board_show_holders(struct board_cell *cell, const struct holder *rows, size_t count)
{
    static const struct holder nothing;

    begin_turn(cell);
    for (size_t i = 0; i < BOARD_HOLDERS; i++)
        put_holder(&cell->holders[i], i < count ? &rows[i] : &nothing);
    end_turn(cell);
}

static int copy_holders(const struct board_cell *cell, struct holder out[BOARD_HOLDERS])
{
    int count = 0;

    for (; count < BOARD_HOLDERS && board_get(&cell->holders[count].count) > 0; count++) {
        const struct board_holder *from = &cell->holders[count];

        out[count] = (struct holder){.generation = board_get(&from->generation),
                                     .kind = board_get(&from->kind),
                                     .waits_in = board_get(&from->waits_in),
                                     .site = board_get(&from->site),
                                     .count = board_get(&from->count)};
    }
    return count;
}

int board_read_holders(const struct board_cell *cell, struct holder rows_out[BOARD_HOLDERS])
{
    for (int i = 0; i < READ_TRIES + READ_WAITS; i++) {
        uint64_t turn = atomic_load_explicit(&cell->holders_turn, memory_order_acquire);
        int count;

        if (i >= READ_TRIES)
            sched_yield();
        if (turn & 1)
            continue;
        count = copy_holders(cell, rows_out);
        atomic_thread_fence(memory_order_acquire);
        if (board_get(&cell->holders_turn) == turn)
            return count;
    }
    return -1;
}

static void settle_column(struct board_column *column)
{
    board_set(&column->active, 0);
    board_set(&column->held, 0);
    board_set(&column->connections, 0);
}

uint64_t board_connections(const struct board *board, unsigned worker)
{
    const struct board_seat *seat = board_seat(board, worker);
    const struct board_slot *slot = board_slot(board, worker);
    /* What is taken off is read first, so that nothing looks as if it had gone before it came. */
    uint64_t gone = board_get(&slot->closed) + board_get(&seat->handed_out);
    uint64_t come = board_get(&slot->accepted) + board_get(&seat->handed_in);

    return come > gone ? come - gone : 0;
}

/* Those that died with the worker are closed: also those that were handed to it and that it never
 * looked at, and those that it had handed on and the master never got. */
static void settle_connections(const struct board *board, unsigned worker)
{
    board_add(&board_slot(board, worker)->closed, board_connections(board, worker));
}

static void settle_slot(struct board_slot *slot)
{
    board_set(&slot->pid, 0);
    board_set(&slot->booted_at, 0);
    board_set(&slot->is_accepting, 0);
    board_set(&slot->is_draining, 0);
    board_set(&slot->rss, 0);
    board_set(&slot->idle, 0);
    board_set(&slot->active, 0);
    board_set(&slot->chats, 0);
    board_set(&slot->websockets, 0);
    board_set(&slot->step, STEP_NONE);
}

void board_settle(const struct board *board, unsigned worker)
{
    /* Even a look at a page allocates it: keep off cells that no app ever had. */
    uint64_t apps = board_get(&board->app_count);

    settle_connections(board, worker);
    settle_slot(board_slot(board, worker));
    ring_head_settle(board_ring(board, worker).head);
    for (unsigned app = 0; app < apps && app < board->max_apps; app++) {
        struct board_cell *cell = board_cell(board, worker, app);

        if (board_get(&cell->holders_turn) != 0)
            board_show_holders(cell, NULL, 0);
        settle_column(&cell->total);
        settle_column(&cell->latest[0]);
        settle_column(&cell->latest[1]);
        pools_settle(cell->pools);
    }
}
