/* job.h: periodic jobs of applications, on the scoreboard: which there are, when each is due, and
 * which worker runs it.
 *
 * These rows have several writers, other than everything else there: a worker claims one by
 * compare-and-swap with its identity, and what else is in the row is then its to write. A claim
 * lasts as long as the process: that of one the master has reaped is void, so nobody has to tidy
 * up after a death. The names have a claim of their own. */
#ifndef BASE_JOB_H
#define BASE_JOB_H

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/count.h"

struct board;

#define JOB_MOST 8u  /* of an app */
#define JOB_NAME 32u /* bytes, with the NUL */

/* Who has a job says so at least this often; after so long without a word its row may become
 * another's. */
#define JOB_SAY_EVERY (10 * NS_PER_SEC)
#define JOB_FORGOTTEN (60 * NS_PER_SEC)

/* Times are clock_ns(). */
struct job_row {
    alignas(128)
        board_count turn; /* 0: never used; odd: it is being named. Each name's is another */
    board_count name[JOB_NAME / 8];
    board_count owner;   /* the worker (job_worker) that runs it; 0: none does */
    board_count seen_at; /* written by every worker that has the job */
    board_count period;  /* ns, of the run that began last */
    board_count beat_at; /* the latest beat that was run or left out; at first when it was named */
    board_count begun_at;
    board_count runs;     /* begun */
    board_count failures; /* of these */
};

/* Of an app. */
struct job_table {
    alignas(128) board_count naming; /* the worker that looks for a name, or gives one */
    struct job_row rows[JOB_MOST];
};

/* ---- for workers ---- */

/* How a worker signs: never 0. */
uint64_t job_worker(unsigned id, uint64_t incarnation);

/* A row by its name; a new one is first due after `period`. NULL: ENOSPC, all are in use; EAGAIN,
 * others are at the names, ask again later. */
struct job_row *job_find(const struct board *board, struct job_table *table, uint64_t worker,
                         const char *name, uint64_t period, uint64_t now);

/* What this worker knows of a row. */
struct job_claim {
    const struct board *board;
    struct job_row *row;
    uint64_t turn;   /* of the row, when it was found */
    uint64_t worker; /* job_worker() */
    uint64_t period; /* ns */
};

enum job_answer {
    JOB_BEGUN,   /* nobody else runs it until job_end */
    JOB_NOT_DUE, /* before job_due */
    JOB_TAKEN,   /* somebody runs it */
    JOB_LOST,    /* the row is another name's by now */
};
enum job_answer job_begin(const struct job_claim *claim, uint64_t now);
void job_end(const struct job_claim *claim, uint64_t now, bool has_failed);

/* clock_ns() of the next beat that nobody has run. */
uint64_t job_due(const struct job_claim *claim);
/* This worker still has the job. */
void job_say(const struct job_claim *claim, uint64_t now);

/* ---- for whoever reports ---- */

struct job_figures {
    char name[JOB_NAME];
    uint64_t period, runs, failures, begun_at, due_at;
    bool is_running;
    unsigned worker; /* its id, while it is running */
};

/* False: there is none in this row, or no build has it any more. */
bool job_read(const struct board *board, const struct job_row *row, uint64_t now,
              struct job_figures *figures_out);

#endif
