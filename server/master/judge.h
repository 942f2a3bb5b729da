/* judge.h: is a canary as good as what it is to replace? Figures of both, and the rules.
 *
 * Reads the scoreboard's columns, decides, and says why in one sentence; it neither waits nor acts.
 * Whoever runs the canary asks it about each second. Of both generations it needs
 *
 *     before = what the old one had when the canary went live,
 *     old    = what the old one has now, judge_subtract(&old, &before),
 *     canary = what the new one has now: a new generation begins at nothing.
 */
#ifndef MASTER_JUDGE_H
#define MASTER_JUDGE_H

#include <stdint.h>

#include "base/board.h"
#include "base/clock.h"
#include "base/histogram.h"

struct canary_rules {
    uint64_t period;       /* ns until it is promoted or taken back */
    double max_errors;     /* so much more of its answers may fail than of the old code's: 0.01 */
    double max_latency;    /* so many times as long may its answers take: 2.0 */
    uint64_t min_requests; /* fewer are too few to judge at the end; 0: promote it untried */
};

#define JUDGE_DEFAULT_RULES                                                                   \
    {                                                                                         \
        .period = 30 * NS_PER_SEC, .max_errors = 0.01, .max_latency = 2.0, .min_requests = 20 \
    }

/* What one generation did, in all workers together. */
struct judge_figures {
    uint64_t generation;
    uint64_t requests; /* ended; one that waits for ever counts when its client gives up */
    uint64_t errors; /* of these: answered with 5xx, or cut off because the app failed; once each */
    uint64_t crashes; /* workers that ended unasked while they ran it: the caller counts */
    uint64_t hangs;   /* workers that were replaced because they hung: likewise */
    struct histogram_sum latency;
};

/* Adds a worker's column when it is that of out->generation. (A cell's total is that of generation
 * 0.) */
void judge_read(struct judge_figures *out, const struct board_column *column);
/* Takes away what was there before the canary. When hardly anything came since, the figures of all
 * its life stay, since they are the better measure. */
void judge_subtract(struct judge_figures *figures, const struct judge_figures *before);

/* 0..1; 0 without requests. */
double judge_error_rate(const struct judge_figures *figures);
/* Seconds; 0 without requests. */
double judge_quantile(const struct judge_figures *figures, double q);

enum judgement { JUDGE_WAIT, JUDGE_PROMOTE, JUDGE_TAKE_BACK };
#define JUDGE_REASON_SIZE 256
/* `elapsed`: ns since the canary went live. The reason is a sentence with the figures, without a
 * full stop; "" for JUDGE_WAIT. */
enum judgement judge(const struct judge_figures *old, const struct judge_figures *canary,
                     const struct canary_rules *rules, uint64_t elapsed,
                     char reason_out[JUDGE_REASON_SIZE]);

/* ---- what the operator says ---- */

/* "2" workers or "25%" of `workers`, rounded up; never more than there are. 0, or -1: neither. */
int judge_parse_share(const char *text, unsigned workers, unsigned *count_out);
/* "1%" or "0.01". A bare number of 1 or more is refused: one may have meant percent. */
int judge_parse_errors(const char *text, double *share_out);
/* "2x" or "2", from 1 to 1000. */
int judge_parse_factor(const char *text, double *factor_out);
/* The same for numbers that need no parsing: 0, or -1: out of bounds. */
int judge_check_errors(double share);
int judge_check_factor(double factor);

#endif
