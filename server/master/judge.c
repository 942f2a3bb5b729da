/* judge.c: when a canary is taken back, when it is promoted, and the words for either.
 *
 * Few samples say little, so each rule has its least number of them; before the end of the period a
 * canary is taken back only for what chance does not do. Pure: figures in, a judgement out. */
#include "master/judge.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FEW_OLD      20   /* requests of the old code in the time: fewer are no measure */
#define EARLY_SAMPLE 20   /* requests before anything is taken back early */
#define EARLY_ERRORS 5    /* and as many of them must have failed */
#define EARLY_TIMED  200  /* requests before latency takes it back early */
#define EARLY_SLOWER 2.0  /* and so many times what is allowed they must take */
#define WILSON_Z     2.6  /* one-sided 99.5%: it is asked each second, not once */
#define SLACK        2e-3 /* s: twice nearly nothing is nothing */

/* A quantile is the upper bound of its bucket: so much of it is certain. */
#define CERTAIN (16.0 / 17.0)

#define FACTOR_MOST 1000.0

/* ---- figures ---- */

void judge_read(struct judge_figures *out, const struct board_column *column)
{
    if (board_get(&column->generation) != out->generation)
        return;
    for (unsigned i = 0; i < 6; i++)
        out->requests += board_get(&column->answers[i]);
    /* An exception that could still be answered is a 500 and so counted there already, and
     * answers[0] are clients that went away. */
    out->errors += board_get(&column->answers[5]) + board_get(&column->cut);
    histogram_add(&out->latency, &column->latency);
}

/* A column that passed to a later generation begins anew, and so may be behind what was read. */
static uint64_t less(uint64_t now, uint64_t before)
{
    return now > before ? now - before : 0;
}

void judge_subtract(struct judge_figures *figures, const struct judge_figures *before)
{
    struct histogram_sum *latency = &figures->latency;

    if (figures->requests < before->requests) {
        *figures = *before;
        return;
    }
    if (figures->requests - before->requests < FEW_OLD)
        return;
    figures->requests -= before->requests;
    figures->errors = less(figures->errors, before->errors);
    figures->crashes = less(figures->crashes, before->crashes);
    figures->hangs = less(figures->hangs, before->hangs);
    latency->sum = less(latency->sum, before->latency.sum);
    latency->count = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        latency->buckets[i] = less(latency->buckets[i], before->latency.buckets[i]);
        latency->count += latency->buckets[i];
    }
}

double judge_error_rate(const struct judge_figures *figures)
{
    /* Answers and cuts are read one after the other: a cut may be ahead of its request. */
    if (figures->errors >= figures->requests)
        return figures->errors > 0;
    return (double)figures->errors / (double)figures->requests;
}

double judge_quantile(const struct judge_figures *figures, double q)
{
    return (double)histogram_quantile(&figures->latency, q) / NS_PER_SEC;
}

/* ---- the rules ---- */

struct judging {
    const struct judge_figures *old, *canary;
    const struct canary_rules *rules;
    bool is_end;
    char *reason;
};

/* Is the share behind what was seen above `allowed`, chance set aside? It is when the lower bound
 * of Wilson's score interval is: the same inequality, solved for what needs no root. */
static bool is_surely_above(double share, double allowed, double n)
{
    double above = share - allowed;

    return above > 0 && above * above * n > WILSON_Z * WILSON_Z * allowed * (1 - allowed);
}

#define SAY(judging, ...) snprintf((judging)->reason, JUDGE_REASON_SIZE, __VA_ARGS__)

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

static bool has_broken_workers(const struct judging *j)
{
    uint64_t crashes = j->canary->crashes, hangs = j->canary->hangs;

    if (crashes > 0)
        SAY(j, "%llu worker%s with it crashed", (unsigned long long)crashes, plural(crashes));
    else if (hangs > 0)
        SAY(j, "%llu worker%s with it hung", (unsigned long long)hangs, plural(hangs));
    return crashes > 0 || hangs > 0;
}

/* The sentence's first half: "5.25% of its 400 answers failed, 0% of the old code's 1200". */
static int say_errors(const struct judging *j, char *text, size_t size)
{
    return snprintf(text, size, "%.3g%% of its %llu answers failed, %.3g%% of the old code's %llu",
                    judge_error_rate(j->canary) * 100, (unsigned long long)j->canary->requests,
                    judge_error_rate(j->old) * 100, (unsigned long long)j->old->requests);
}

static bool fails_too_often(const struct judging *j)
{
    const struct judge_figures *canary = j->canary;
    double share = judge_error_rate(canary);
    double allowed = judge_error_rate(j->old) + j->rules->max_errors;

    if (j->is_end) /* no single unlucky request decides */
        return canary->errors >= (j->rules->max_errors > 0 ? 2 : 1) && share > allowed;
    return canary->requests >= EARLY_SAMPLE && canary->errors >= EARLY_ERRORS &&
           is_surely_above(share, allowed, (double)canary->requests);
}

static bool has_too_many_errors(const struct judging *j)
{
    char seen[JUDGE_REASON_SIZE / 2];

    if (!fails_too_often(j))
        return false;
    say_errors(j, seen, sizeof seen);
    SAY(j, "%s; %.4g%% more is allowed (--max-errors)", seen, j->rules->max_errors * 100);
    return true;
}

static bool has_too_few(const struct judging *j)
{
    uint64_t n = j->canary->requests;

    if (n >= j->rules->min_requests)
        return false;
    if (n == 0)
        SAY(j, "no request in %g s: too few to judge (--min-requests)",
            (double)j->rules->period / NS_PER_SEC);
    else
        SAY(j, "only %llu request%s in %g s: too few to judge (--min-requests)",
            (unsigned long long)n, plural(n), (double)j->rules->period / NS_PER_SEC);
    return true;
}

/* The least samples put the quantile on the fifth slowest or a later one, so that a single slow
 * request decides nothing. */
static const struct judged_quantile {
    const char *name;
    double q;
    uint64_t least; /* samples of each side */
} quantiles[] = {{"p50", 0.50, 20}, {"p95", 0.95, 100}, {"p99", 0.99, 500}};

#define QUANTILES (sizeof quantiles / sizeof quantiles[0])

static bool is_judged(const struct judging *j, const struct judged_quantile *quantile)
{
    return j->canary->latency.count >= quantile->least && j->old->latency.count >= quantile->least;
}

/* Both sides' quantile: "p95 is 12.3 ms, the old code's 4.1 ms". */
static int say_quantile(const struct judging *j, const struct judged_quantile *quantile, char *text,
                        size_t size)
{
    double canary = judge_quantile(j->canary, quantile->q) * 1e3;
    double old = judge_quantile(j->old, quantile->q) * 1e3;

    return snprintf(text, size, "%s is %.*f ms, the old code's %.*f ms", quantile->name,
                    canary < 1 ? 2 : 1, canary, old < 1 ? 2 : 1, old);
}

static bool is_slower(const struct judging *j, const struct judged_quantile *quantile)
{
    double old = judge_quantile(j->old, quantile->q);
    double canary = judge_quantile(j->canary, quantile->q);
    double allowed = old * j->rules->max_latency + SLACK;
    char seen[JUDGE_REASON_SIZE / 2];

    if (!j->is_end) {
        if (j->canary->latency.count < EARLY_TIMED)
            return false;
        allowed *= EARLY_SLOWER;
    }
    if (canary * CERTAIN <= allowed)
        return false;
    say_quantile(j, quantile, seen, sizeof seen);
    SAY(j, "its %s; %.4gx is allowed (--max-latency)", seen, j->rules->max_latency);
    return true;
}

static bool is_too_slow(const struct judging *j)
{
    for (size_t i = 0; i < QUANTILES; i++)
        if (is_judged(j, &quantiles[i]) && is_slower(j, &quantiles[i]))
            return true;
    return false;
}

/* What speaks for it, of quantiles those that were compared. */
static void praise(const struct judging *j)
{
    int length = say_errors(j, j->reason, JUDGE_REASON_SIZE);
    char seen[JUDGE_REASON_SIZE / 2];

    for (size_t i = 0; i < QUANTILES && length < JUDGE_REASON_SIZE; i++)
        if (is_judged(j, &quantiles[i])) {
            say_quantile(j, &quantiles[i], seen, sizeof seen);
            length +=
                snprintf(j->reason + length, JUDGE_REASON_SIZE - (size_t)length, "; %s", seen);
        }
}

enum judgement judge(const struct judge_figures *old, const struct judge_figures *canary,
                     const struct canary_rules *rules, uint64_t elapsed,
                     char reason_out[JUDGE_REASON_SIZE])
{
    struct judging j = {old, canary, rules, elapsed >= rules->period, reason_out};

    reason_out[0] = '\0';
    if (has_broken_workers(&j) || has_too_many_errors(&j) || (j.is_end && has_too_few(&j)) ||
        is_too_slow(&j))
        return JUDGE_TAKE_BACK;
    if (!j.is_end)
        return JUDGE_WAIT;
    praise(&j);
    return JUDGE_PROMOTE;
}

/* ---- what the operator says ---- */

/* Digits with at most one point, as people write them: no sign, exponent, "inf" or space. The text
 * after it is in *rest_out. */
static int parse_number(const char *text, double *number_out, const char **rest_out)
{
    size_t digits = strspn(text, "0123456789");
    size_t length = digits;

    if (text[length] == '.')
        length += 1 + strspn(text + length + 1, "0123456789");
    if (digits == 0 || length > 20)
        return -1;
    *number_out = strtod(text, NULL);
    *rest_out = text + length;
    return 0;
}

int judge_parse_share(const char *text, unsigned workers, unsigned *count_out)
{
    const char *rest;
    double number;

    if (workers == 0 || parse_number(text, &number, &rest) == -1 || number <= 0)
        return -1;
    if (strcmp(rest, "%") == 0) {
        if (number > 100)
            return -1;
        number = number * workers / 100;
    } else if (*rest || strchr(text, '.')) {
        return -1;
    }
    if (number > workers)
        number = workers;
    *count_out = (unsigned)number;
    /* A share that is nearly whole is whole, and no reason for one worker more. */
    if (number - *count_out > 1e-9)
        ++*count_out;
    return 0;
}

int judge_check_errors(double share)
{
    return share >= 0 && share < 1 ? 0 : -1;
}

int judge_check_factor(double factor)
{
    return factor >= 1 && factor <= FACTOR_MOST ? 0 : -1;
}

int judge_parse_errors(const char *text, double *share_out)
{
    const char *rest;
    double number;

    if (parse_number(text, &number, &rest) == -1)
        return -1;
    if (strcmp(rest, "%") == 0 && number <= 100)
        number /= 100;
    else if (*rest || judge_check_errors(number) == -1)
        return -1;
    *share_out = number;
    return 0;
}

int judge_parse_factor(const char *text, double *factor_out)
{
    const char *rest;
    double number;

    if (parse_number(text, &number, &rest) == -1 || (*rest && strcmp(rest, "x") != 0) ||
        judge_check_factor(number) == -1)
        return -1;
    *factor_out = number;
    return 0;
}
