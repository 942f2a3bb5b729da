/* flight.h: the flight recorder: on the scoreboard, what each worker's requests do, and what the
 * last ones that ended did.
 *
 * The worker writes a row as its request goes on; whoever reads it does so at any time, also after
 * the worker was killed in the middle. A row that ended stays until its place is needed. There are
 * no header values in it, and no query string unless record_queries says so. */
#ifndef BASE_FLIGHT_H
#define BASE_FLIGHT_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/count.h"

#define FLIGHT_ROWS \
    4096u                /* a power of two; more requests in flight are not recorded, but counted */
#define FLIGHT_KEPT 32u  /* of them for those that ended last, at least */
#define FLIGHT_PATH 160u /* bytes of a path, its end included; longer ones are cut */

enum flight_phase {
    FLIGHT_NONE,
    FLIGHT_RUNNING, /* its application has the processor: one in a worker at most */
    FLIGHT_WAITING, /* suspended */
    FLIGHT_ENDED,
    FLIGHT_PHASES
};

/* As it stands on the board. Times are clock_ns(). */
struct flight_row {
    alignas(64) _Atomic uint64_t turn; /* odd: it is being given to another request */
    _Atomic uint64_t id;               /* of the request */
    _Atomic uint64_t what;             /* its app's column, and enum http_method above */
    _Atomic uint64_t generation;
    _Atomic uint64_t begun_at;
    _Atomic uint64_t phase;
    /* Not set before the first wait: */
    _Atomic uint64_t phase_at; /* since when it is in its phase */
    _Atomic uint64_t call;     /* enum hold_call: what it waits in */
    _Atomic uint64_t site;     /* where in the module that call was made, as in a holder */
    /* Once it has ended: */
    _Atomic uint64_t status; /* of the answer; 0: cut before one was sent */
    char path[FLIGHT_PATH];  /* as it came, so without control bytes; then "?" and the
                                         query, if that is recorded */
};

struct flight_table {
    alignas(128) _Atomic uint64_t incarnation; /* whose rows these are */
    _Atomic uint64_t high;                     /* rows from here on were never used */
    _Atomic uint64_t unrecorded;               /* counter: there was no row for them */
    struct flight_row rows[FLIGHT_ROWS];
};

/* ---- for the worker ---- */

/* Which rows are free: the worker's own, as long as it lives. */
struct flight_recorder {
    struct flight_table *table;
    uint32_t high;
    uint32_t head, tail;         /* of `ended`: the oldest, and behind the latest */
    uint32_t ended[FLIGHT_ROWS]; /* rows of requests that ended, a ring */
};

struct flight_start {
    uint64_t id, app, generation, method, begun_at;
    const char *path, *query; /* query NULL: not recorded */
    size_t path_length, query_length;
};

/* The table is this worker's from now on; what the incarnation before left is gone. */
void flight_open(struct flight_recorder *recorder, struct flight_table *table,
                 uint64_t incarnation);

/* A row for a request that runs from now on; NULL: there is none left, which the calls below take
 * too. Inline, as flight_end: what every request pays. */
static inline struct flight_row *flight_begin(struct flight_recorder *recorder,
                                              const struct flight_start *start);
void flight_wait(struct flight_row *row, uint64_t call, uint64_t site, uint64_t now);
void flight_resume(struct flight_row *row, uint64_t now);
static inline void flight_end(struct flight_recorder *recorder, struct flight_row *row,
                              uint64_t status, uint64_t now);
/* While the request waits, something that it began runs, or does so no more. */
void flight_lend(struct flight_row *row, bool runs);

/* ---- for whoever reports ---- */

struct flight {
    uint64_t id, app, generation, method, begun_at, phase, phase_at, call, site, status;
    char path[FLIGHT_PATH];
};

struct flight_list {
    struct flight *items; /* in flight, the one that runs first, then the oldest; then those that
                             ended, the latest first */
    size_t count, in_flight;
    uint64_t unrecorded; /* see the table */
};

/* The rows of one worker, alive or dead; of another incarnation than `incarnation` none. 0, or -1
 * with ENOMEM. */
int flight_list_read(struct flight_list *list, const struct flight_table *table,
                     uint64_t incarnation);
void flight_list_free(struct flight_list *list);

const char *flight_phase_name(uint64_t phase); /* "running" */

/* ---- the inline part ---- */

/* One that was never used, or as the last resort the one that ended longest ago; NULL. */
struct flight_row *flight_new_row(struct flight_recorder *recorder);
/* Behind the path, which has `length` bytes. */
void flight_put_query(struct flight_row *row, size_t length, const char *query,
                      size_t query_length);

static inline struct flight_row *flight_begin(struct flight_recorder *recorder,
                                              const struct flight_start *start)
{
    size_t length = start->path_length < FLIGHT_PATH ? start->path_length : FLIGHT_PATH - 1;
    struct flight_row *row;
    uint64_t turn;

    if (recorder->tail - recorder->head > FLIGHT_KEPT)
        row = &recorder->table->rows[recorder->ended[recorder->head++ % FLIGHT_ROWS]];
    else
        row = flight_new_row(recorder);
    if (!row)
        return NULL;
    turn = atomic_load_explicit(&row->turn, memory_order_relaxed) | 1;
    board_set(&row->turn, turn);
    atomic_thread_fence(memory_order_release);
    board_set(&row->id, start->id);
    board_set(&row->what, start->method << 32 | start->app);
    board_set(&row->generation, start->generation);
    board_set(&row->begun_at, start->begun_at);
    board_set(&row->phase, FLIGHT_RUNNING);
    /* A compiler that knows how long it can be would write a copy in place, which is slower. */
    __asm__("" : "+r"(length));
    memcpy(row->path, start->path, length);
    row->path[length] = '\0';
    if (start->query)
        flight_put_query(row, length, start->query, start->query_length);
    atomic_store_explicit(&row->turn, turn + 1, memory_order_release);
    return row;
}

static inline void flight_end(struct flight_recorder *recorder, struct flight_row *row,
                              uint64_t status, uint64_t now)
{
    if (!row)
        return;
    board_set(&row->status, status);
    board_set(&row->phase_at, now);
    atomic_store_explicit(&row->phase, FLIGHT_ENDED, memory_order_release);
    recorder->ended[recorder->tail++ % FLIGHT_ROWS] = (uint32_t)(row - recorder->table->rows);
}

#endif
