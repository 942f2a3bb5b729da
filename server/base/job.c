/* job.c: see job.h. It decides who may run a job, and runs nothing.
 *
 * A claim is taken with acquire and let go with release: what one owner wrote into the row, the next
 * one reads. */
#include "base/job.h"

#include <errno.h>
#include <string.h>

#include "base/board.h"

#define ID_BITS 24 /* of a slot's number; max_workers is far less */
#define ID_MASK ((1u << ID_BITS) - 1)

/* ---- claims ---- */

uint64_t job_worker(unsigned id, uint64_t incarnation)
{
    return incarnation << ID_BITS | id;
}

/* The master empties a seat, and gives it to the next, when it has reaped the process. */
static bool is_gone(const struct board *board, uint64_t worker)
{
    unsigned id = (unsigned)(worker & ID_MASK);
    const struct board_seat *seat;

    if (id >= board->max_workers)
        return true;
    seat = board_seat(board, id);
    return board_get(&seat->incarnation) != worker >> ID_BITS ||
           board_get(&seat->state) == SEAT_EMPTY;
}

/* *former_out is the one who died with it, or 0. */
static bool take(const struct board *board, board_count *word, uint64_t worker,
                 uint64_t *former_out)
{
    *former_out = board_get(word);
    if (*former_out != 0 && !is_gone(board, *former_out))
        return false;
    return atomic_compare_exchange_strong_explicit(word, former_out, worker, memory_order_acquire,
                                                   memory_order_relaxed);
}

static void let_go(board_count *word)
{
    atomic_store_explicit(word, 0, memory_order_release);
}

/* ---- names ---- */

static void read_name(const struct job_row *row, char name_out[JOB_NAME])
{
    for (size_t i = 0; i < JOB_NAME / 8; i++) {
        uint64_t word = board_get(&row->name[i]);

        memcpy(name_out + 8 * i, &word, 8);
    }
    name_out[JOB_NAME - 1] = '\0';
}

static void write_name(struct job_row *row, const char *name)
{
    char bytes[JOB_NAME] = "";

    strncpy(bytes, name, JOB_NAME - 1);
    for (size_t i = 0; i < JOB_NAME / 8; i++) {
        uint64_t word;

        memcpy(&word, bytes + 8 * i, 8);
        board_set(&row->name[i], word);
    }
}

/* A turn that stayed odd: who gave the name died. */
static bool has_name(const struct job_row *row)
{
    uint64_t turn = board_get(&row->turn);

    return turn != 0 && turn % 2 == 0;
}

static bool is_called(const struct job_row *row, const char *name)
{
    char its[JOB_NAME];

    read_name(row, its);
    return has_name(row) && strcmp(its, name) == 0;
}

static bool is_forgotten(const struct job_row *row, uint64_t now)
{
    return now > board_get(&row->seen_at) + JOB_FORGOTTEN;
}

/* The row is ours: nobody begins a run meanwhile. */
static void give_name(struct job_row *row, const char *name, uint64_t period, uint64_t now)
{
    uint64_t turn = board_get(&row->turn) | 1;

    board_set(&row->turn, turn);
    atomic_thread_fence(memory_order_release);
    write_name(row, name);
    board_set(&row->seen_at, now);
    board_set(&row->period, period);
    board_set(&row->beat_at, now);
    board_set(&row->begun_at, 0);
    board_set(&row->runs, 0);
    board_set(&row->failures, 0);
    atomic_store_explicit(&row->turn, turn + 1, memory_order_release);
}

static struct job_row *find(struct job_table *table, const char *name)
{
    for (size_t i = 0; i < JOB_MOST; i++)
        if (is_called(&table->rows[i], name))
            return &table->rows[i];
    return NULL;
}

/* Unused ones first, then those that no build has any more. NULL: none is free. */
static struct job_row *make(const struct board *board, struct job_table *table, uint64_t worker,
                            const char *name, uint64_t period, uint64_t now)
{
    uint64_t former;

    for (size_t i = 0; i < 2 * (size_t)JOB_MOST; i++) {
        struct job_row *row = &table->rows[i % JOB_MOST];

        if (has_name(row) && (i < JOB_MOST || !is_forgotten(row, now)))
            continue;
        if (!take(board, &row->owner, worker, &former))
            continue;
        give_name(row, name, period, now);
        let_go(&row->owner);
        return row;
    }
    return NULL;
}

struct job_row *job_find(const struct board *board, struct job_table *table, uint64_t worker,
                         const char *name, uint64_t period, uint64_t now)
{
    struct job_row *row;
    uint64_t former;

    if (!take(board, &table->naming, worker, &former)) {
        errno = EAGAIN;
        return NULL;
    }
    row = find(table, name);
    if (row)
        board_set(&row->seen_at, now);
    else
        row = make(board, table, worker, name, period, now);
    let_go(&table->naming);
    if (!row)
        errno = ENOSPC;
    return row;
}

/* ---- runs ---- */

uint64_t job_due(const struct job_claim *claim)
{
    return board_get(&claim->row->beat_at) + claim->period;
}

void job_say(const struct job_claim *claim, uint64_t now)
{
    if (board_get(&claim->row->turn) == claim->turn)
        board_set(&claim->row->seen_at, now);
}

/* Beats that were missed count as left out, so that what follows is on the grid again. */
static void leave_out_missed(const struct job_claim *claim, uint64_t now)
{
    board_count *beat_at = &claim->row->beat_at;
    uint64_t last = board_get(beat_at);

    if (now > last)
        board_set(beat_at, now - (now - last) % claim->period);
}

/* What was seen before the claim may be otherwise by now. */
static enum job_answer begin(const struct job_claim *claim, uint64_t former, uint64_t now)
{
    struct job_row *row = claim->row;

    if (board_get(&row->turn) != claim->turn)
        return JOB_LOST;
    if (former != 0)
        board_add(&row->failures, 1); /* it was cut off */
    if (now < job_due(claim))
        return JOB_NOT_DUE;
    leave_out_missed(claim, now);
    board_set(&row->period, claim->period);
    board_set(&row->begun_at, now);
    board_add(&row->runs, 1);
    return JOB_BEGUN;
}

enum job_answer job_begin(const struct job_claim *claim, uint64_t now)
{
    enum job_answer answer;
    uint64_t former;

    if (board_get(&claim->row->turn) != claim->turn)
        return JOB_LOST;
    if (now < job_due(claim))
        return JOB_NOT_DUE;
    if (!take(claim->board, &claim->row->owner, claim->worker, &former))
        return JOB_TAKEN;
    answer = begin(claim, former, now);
    if (answer != JOB_BEGUN)
        let_go(&claim->row->owner);
    return answer;
}

void job_end(const struct job_claim *claim, uint64_t now, bool has_failed)
{
    if (has_failed)
        board_add(&claim->row->failures, 1);
    leave_out_missed(claim, now);
    job_say(claim, now); /* where there is one worker nobody has said so meanwhile */
    let_go(&claim->row->owner);
}

/* ---- reports ---- */

bool job_read(const struct board *board, const struct job_row *row, uint64_t now,
              struct job_figures *figures_out)
{
    uint64_t turn = atomic_load_explicit(&row->turn, memory_order_acquire);
    uint64_t owner = board_get(&row->owner);

    figures_out->is_running = owner != 0 && !is_gone(board, owner);
    if (!has_name(row) || (is_forgotten(row, now) && !figures_out->is_running))
        return false;
    figures_out->worker = (unsigned)(owner & ID_MASK);
    read_name(row, figures_out->name);
    figures_out->period = board_get(&row->period);
    figures_out->runs = board_get(&row->runs);
    figures_out->failures = board_get(&row->failures);
    figures_out->begun_at = board_get(&row->begun_at);
    figures_out->due_at = board_get(&row->beat_at) + figures_out->period;
    atomic_thread_fence(memory_order_acquire);
    return board_get(&row->turn) == turn;
}
