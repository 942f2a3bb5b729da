/* test_master_judge.c: a bad canary is taken back, a good one promoted, and the reason has the
 * figures. Chance is played with fixed seeds, so that each run is the same. */
#include "master/judge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define END  (30 * NS_PER_SEC)
#define SOON (5 * NS_PER_SEC)
#define MS   NS_PER_MS

static const struct canary_rules rules = JUDGE_DEFAULT_RULES;
static char reason[JUDGE_REASON_SIZE];

static void take(struct judge_figures *figures, uint64_t requests, uint64_t errors, uint64_t ns)
{
    figures->requests += requests;
    figures->errors += errors;
    figures->latency.buckets[histogram_bucket(ns)] += requests;
    figures->latency.count += requests;
}

/* The first `errors` of `requests` answers failed; each took `ns`. */
static struct judge_figures figures_of(uint64_t requests, uint64_t errors, uint64_t ns)
{
    struct judge_figures figures = {.generation = 1};

    take(&figures, requests, errors, ns);
    return figures;
}

static void assert_judged(enum judgement expected, const struct judge_figures *old,
                          const struct judge_figures *canary, uint64_t elapsed)
{
    memset(reason, '?', sizeof reason);
    assert_int_equal(judge(old, canary, &rules, elapsed, reason), expected);
    assert_non_null(memchr(reason, '\0', sizeof reason));
    assert_int_equal(reason[0] == '\0', expected == JUDGE_WAIT);
}

static void assert_by_errors(enum judgement expected, uint64_t requests, uint64_t errors,
                             uint64_t elapsed)
{
    struct judge_figures old = figures_of(10000, 0, MS), canary = figures_of(requests, errors, MS);

    assert_judged(expected, &old, &canary, elapsed);
}

static void assert_by_latency(enum judgement expected, uint64_t requests, uint64_t ns,
                              uint64_t elapsed)
{
    struct judge_figures old = figures_of(10000, 0, 10 * MS), canary = figures_of(requests, 0, ns);

    assert_judged(expected, &old, &canary, elapsed);
}

/* ---- reading the scoreboard ---- */

static struct board_column column; /* too large for a stack that is looked after */

static void clear_column(uint64_t generation)
{
    memset(&column, 0, sizeof column);
    board_set(&column.generation, generation);
}

static void a_failed_request_counts_once(void **state)
{
    struct judge_figures figures = {.generation = 7};

    (void)state;
    clear_column(7);
    board_set(&column.answers[0], 1); /* the client went away */
    board_set(&column.answers[2], 95);
    board_set(&column.answers[4], 3);
    board_set(&column.answers[5], 6); /* four by the app itself, two of the exceptions */
    board_set(&column.exceptions, 3);
    board_set(&column.cut, 1); /* the third, with a status 200 */
    judge_read(&figures, &column);
    assert_int_equal(figures.requests, 105);
    assert_int_equal(figures.errors, 7);
}

static void workers_add_up_and_other_generations_do_not_count(void **state)
{
    struct judge_figures figures = {.generation = 7};

    (void)state;
    clear_column(7);
    board_set(&column.requests, 12); /* two are still running */
    board_set(&column.answers[2], 10);
    for (int i = 0; i < 10; i++)
        histogram_record(&column.latency, MS);
    judge_read(&figures, &column);
    judge_read(&figures, &column);
    board_set(&column.generation, 9);
    judge_read(&figures, &column);
    assert_int_equal(figures.requests, 20);
    assert_int_equal(figures.latency.count, 20);
    assert_int_equal(figures.generation, 7);
    assert_true(judge_quantile(&figures, 0.5) >= 0.001 && judge_quantile(&figures, 0.5) < 0.00107);
}

static void what_was_before_the_canary_is_taken_away(void **state)
{
    struct judge_figures before = figures_of(1000, 500, 90 * MS), old = before;

    (void)state;
    take(&old, 200, 2, MS);
    judge_subtract(&old, &before);
    assert_int_equal(old.requests, 200);
    assert_int_equal(old.errors, 2);
    assert_int_equal(old.latency.count, 200);
    assert_true(judge_quantile(&old, 1) < 0.002);
}

static void without_requests_in_the_time_the_life_before_counts(void **state)
{
    struct judge_figures before = figures_of(1000, 0, MS), old = before;
    struct judge_figures slow = figures_of(100, 0, 50 * MS);

    (void)state;
    judge_subtract(&old, &before);
    assert_int_equal(old.requests, 1000);
    assert_judged(JUDGE_TAKE_BACK, &old, &slow, END);
    take(&old, 19, 0, 500 * MS); /* hardly anything */
    judge_subtract(&old, &before);
    assert_int_equal(old.requests, 1019);
    take(&old, 1, 0, 500 * MS);
    judge_subtract(&old, &before);
    assert_int_equal(old.requests, 20);
}

static void a_column_that_began_anew_wraps_nothing(void **state)
{
    struct judge_figures before = figures_of(1000, 7, MS), old = figures_of(30, 0, MS);

    (void)state;
    judge_subtract(&old, &before);
    assert_int_equal(old.requests, 1000);
    assert_int_equal(old.errors, 7);

    old = figures_of(2000, 3, 2 * MS); /* more requests, yet other counters are behind */
    judge_subtract(&old, &before);
    assert_int_equal(old.requests, 1000);
    assert_int_equal(old.errors, 0);
    assert_int_equal(old.latency.buckets[histogram_bucket(MS)], 0);
    assert_int_equal(old.latency.count, 2000);
}

static void nothing_has_no_share_and_no_quantile(void **state)
{
    struct judge_figures nothing = {.generation = 1}, torn = {.errors = 1};

    (void)state;
    assert_true(judge_error_rate(&nothing) == 0);
    assert_true(judge_quantile(&nothing, 0.99) == 0);
    assert_true(judge_error_rate(&torn) == 1);
    torn.requests = 3;
    torn.errors = 4; /* a cut was read before its request */
    assert_true(judge_error_rate(&torn) == 1);
}

/* ---- workers ---- */

static void a_crash_or_a_hang_takes_it_back_at_once(void **state)
{
    struct judge_figures old = figures_of(1000, 0, MS), canary = {.generation = 2};

    (void)state;
    assert_judged(JUDGE_WAIT, &old, &canary, 0);
    canary.crashes = 1;
    assert_judged(JUDGE_TAKE_BACK, &old, &canary, 0);
    assert_string_equal(reason, "1 worker with it crashed");
    canary = (struct judge_figures){.hangs = 2};
    assert_judged(JUDGE_TAKE_BACK, &old, &canary, 0);
    assert_string_equal(reason, "2 workers with it hung");
    old.crashes = old.hangs = 1; /* no excuse */
    assert_judged(JUDGE_TAKE_BACK, &old, &canary, 0);
}

/* ---- errors ---- */

static void at_the_end_the_share_itself_decides(void **state)
{
    (void)state;
    assert_by_errors(JUDGE_PROMOTE, 200, 0, END);
    assert_by_errors(JUDGE_PROMOTE, 200, 2, END); /* exactly what is allowed */
    assert_by_errors(JUDGE_TAKE_BACK, 200, 3, END);
    assert_by_errors(JUDGE_TAKE_BACK, 199, 2, END);
    assert_by_errors(JUDGE_PROMOTE, 20, 1, END); /* one unlucky request */
    assert_by_errors(JUDGE_TAKE_BACK, 20, 2, END);
    assert_by_errors(JUDGE_TAKE_BACK, 200, 200, END);
}

static void the_reason_has_the_figures(void **state)
{
    (void)state;
    assert_by_errors(JUDGE_TAKE_BACK, 400, 21, END);
    assert_string_equal(reason, "5.25% of its 400 answers failed, 0% of the old code's 10000; "
                                "1% more is allowed (--max-errors)");
    assert_by_errors(JUDGE_PROMOTE, 400, 1, END);
    assert_string_equal(reason, "0.25% of its 400 answers failed, 0% of the old code's 10000; "
                                "p50 is 1.0 ms, the old code's 1.0 ms; "
                                "p95 is 1.0 ms, the old code's 1.0 ms");
}

static void what_the_old_code_did_wrong_is_allowed(void **state)
{
    struct judge_figures old = figures_of(1000, 50, MS), canary = figures_of(1000, 60, MS);

    (void)state;
    assert_judged(JUDGE_PROMOTE, &old, &canary, END);
    canary.errors = 61;
    assert_judged(JUDGE_TAKE_BACK, &old, &canary, END);
    old.errors = 1000; /* nothing can be worse */
    canary.errors = 1000;
    assert_judged(JUDGE_PROMOTE, &old, &canary, END);
    assert_judged(JUDGE_WAIT, &old, &canary, SOON);
}

static void early_only_what_chance_does_not_do(void **state)
{
    (void)state;
    assert_by_errors(JUDGE_WAIT, 19, 19, SOON);
    assert_by_errors(JUDGE_TAKE_BACK, 20, 20, SOON);
    assert_by_errors(JUDGE_WAIT, 20, 4, SOON);
    assert_by_errors(JUDGE_TAKE_BACK, 20, 5, SOON);
    /* Wilson's bound lies at 1.7% for 5 of 100, at 0.84% for 5 of 200 */
    assert_by_errors(JUDGE_TAKE_BACK, 100, 5, SOON);
    assert_by_errors(JUDGE_WAIT, 200, 5, SOON);
    assert_by_errors(JUDGE_WAIT, 100000, 1000, SOON);
}

static void without_any_allowance_one_error_is_too_many(void **state)
{
    struct canary_rules strict = JUDGE_DEFAULT_RULES;
    struct judge_figures old = figures_of(1000, 0, MS), canary = figures_of(1000, 1, MS);

    (void)state;
    strict.max_errors = 0;
    assert_int_equal(judge(&old, &canary, &strict, END, reason), JUDGE_TAKE_BACK);
    canary.errors = 0;
    assert_int_equal(judge(&old, &canary, &strict, END, reason), JUDGE_PROMOTE);
}

/* ---- too few ---- */

static void few_requests_are_no_trial(void **state)
{
    struct judge_figures old = figures_of(1000, 0, MS), canary = figures_of(3, 0, MS);
    struct canary_rules lenient = JUDGE_DEFAULT_RULES;

    (void)state;
    assert_judged(JUDGE_WAIT, &old, &canary, END - 1);
    assert_judged(JUDGE_TAKE_BACK, &old, &canary, END);
    assert_string_equal(reason, "only 3 requests in 30 s: too few to judge (--min-requests)");
    canary = figures_of(0, 0, MS);
    assert_judged(JUDGE_TAKE_BACK, &old, &canary, END);
    assert_string_equal(reason, "no request in 30 s: too few to judge (--min-requests)");
    canary = figures_of(19, 0, MS);
    assert_judged(JUDGE_TAKE_BACK, &old, &canary, END);
    canary = figures_of(20, 0, MS);
    assert_judged(JUDGE_PROMOTE, &old, &canary, END);
    canary = figures_of(3, 2, MS); /* what failed is the better reason */
    assert_judged(JUDGE_TAKE_BACK, &old, &canary, END);
    assert_non_null(strstr(reason, "--max-errors"));

    lenient.min_requests = 0;
    canary = old = (struct judge_figures){.generation = 0};
    assert_int_equal(judge(&old, &canary, &lenient, END, reason), JUDGE_PROMOTE);
    assert_string_equal(reason, "0% of its 0 answers failed, 0% of the old code's 0");
}

/* ---- latency ---- */

static void slower_than_allowed_is_too_slow(void **state)
{
    (void)state;
    assert_by_latency(JUDGE_PROMOTE, 100, 20 * MS, END);
    assert_by_latency(JUDGE_TAKE_BACK, 100, 30 * MS, END);
    assert_string_equal(reason, "its p50 is 30.4 ms, the old code's 10.5 ms; 2x is allowed "
                                "(--max-latency)");
    assert_by_latency(JUDGE_PROMOTE, 100, MS / 10, END);
}

static void what_is_allowed_is_never_refused_by_the_histograms_steps(void **state)
{
    (void)state;
    for (uint64_t ns = MS; ns < NS_PER_SEC; ns += ns / 97) {
        struct judge_figures old = figures_of(1000, 0, ns);
        struct judge_figures canary = figures_of(1000, 0, 2 * ns + 2 * MS);

        assert_judged(JUDGE_PROMOTE, &old, &canary, END);
        canary = figures_of(1000, 0, (2 * ns + 2 * MS) * 115 / 100);
        assert_judged(JUDGE_TAKE_BACK, &old, &canary, END);
    }
}

static void twice_nearly_nothing_is_nothing(void **state)
{
    struct judge_figures old = figures_of(1000, 0, MS / 100);
    struct judge_figures canary = figures_of(1000, 0, 19 * MS / 10);

    (void)state;
    assert_judged(JUDGE_PROMOTE, &old, &canary, END);
    canary = figures_of(1000, 0, 23 * MS / 10);
    assert_judged(JUDGE_TAKE_BACK, &old, &canary, END);
}

static void early_only_when_it_is_clearly_slower(void **state)
{
    (void)state;
    assert_by_latency(JUDGE_WAIT, 199, 500 * MS, SOON);
    assert_by_latency(JUDGE_TAKE_BACK, 200, 500 * MS, SOON);
    assert_by_latency(JUDGE_WAIT, 200, 40 * MS, SOON);
}

/* `slow` of `requests` took 500 ms, the others as long as the old code's. */
static enum judgement judge_tail(uint64_t requests, uint64_t slow)
{
    struct judge_figures old = figures_of(10000, 0, 10 * MS);
    struct judge_figures canary = figures_of(requests - slow, 0, 10 * MS);

    take(&canary, slow, 0, 500 * MS);
    return judge(&old, &canary, &rules, END, reason);
}

static void the_tail_is_judged_where_there_are_enough(void **state)
{
    (void)state;
    assert_int_equal(judge_tail(99, 40), JUDGE_PROMOTE); /* the median alone is known */
    assert_int_equal(judge_tail(100, 5), JUDGE_PROMOTE);
    assert_int_equal(judge_tail(100, 6), JUDGE_TAKE_BACK);
    assert_non_null(strstr(reason, "p95"));
    assert_int_equal(judge_tail(499, 20), JUDGE_PROMOTE);
    assert_int_equal(judge_tail(500, 5), JUDGE_PROMOTE);
    assert_int_equal(judge_tail(500, 6), JUDGE_TAKE_BACK);
    assert_non_null(strstr(reason, "p99"));
}

static void without_the_old_codes_latency_none_is_judged(void **state)
{
    struct judge_figures old = {.generation = 1}, canary = figures_of(1000, 0, NS_PER_SEC);

    (void)state;
    assert_judged(JUDGE_PROMOTE, &old, &canary, END);
    old = figures_of(19, 0, MS);
    assert_judged(JUDGE_PROMOTE, &old, &canary, END);
    old = figures_of(20, 0, MS);
    assert_judged(JUDGE_TAKE_BACK, &old, &canary, END);
}

static void the_longest_reason_fits(void **state)
{
    struct judge_figures old = {.generation = 1}, canary = {.generation = 2};

    (void)state;
    old.requests = canary.requests = UINT64_MAX;
    old.latency.buckets[HISTOGRAM_BUCKETS - 1] = old.latency.count = UINT64_MAX;
    canary.latency = old.latency;
    assert_judged(JUDGE_PROMOTE, &old, &canary, END);
    canary.errors = UINT64_MAX;
    assert_judged(JUDGE_TAKE_BACK, &old, &canary, END);
    assert_non_null(strstr(reason, "--max-errors"));
}

/* ---- chance ---- */

static uint64_t roll(uint64_t *seed)
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15; /* splitmix64 */

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

/* Answers of which a share of 1/`one_in` fails; from 1 to 9 ms, one in 50 up to 60 ms. */
static void serve(struct judge_figures *figures, uint64_t requests, uint64_t one_in, uint64_t *seed)
{
    while (requests-- > 0) {
        uint64_t most = roll(seed) % 50 == 0 ? 59 : 8;

        take(figures, 1, one_in && roll(seed) % one_in == 0, MS + roll(seed) % (most * MS));
    }
}

/* A canary on one of four workers, 50 requests a second each, asked each second until it is judged.
 * How many requests of its own it took is in *requests_out. */
static enum judgement play(uint64_t one_in, uint64_t seed, uint64_t *requests_out)
{
    struct judge_figures old = {.generation = 1}, canary = {.generation = 2};
    enum judgement judged = JUDGE_WAIT;

    for (uint64_t second = 1; judged == JUDGE_WAIT; second++) {
        serve(&old, 150, 1000, &seed);
        serve(&canary, 50, one_in, &seed);
        judged = judge(&old, &canary, &rules, second * NS_PER_SEC, reason);
    }
    *requests_out = canary.requests;
    return judged;
}

static void a_build_that_fails_one_in_twenty_is_caught_within_500(void **state)
{
    uint64_t requests, all = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        assert_int_equal(play(20, seed, &requests), JUDGE_TAKE_BACK);
        assert_true(requests <= 500);
        all += requests;
    }
    assert_true(all / 100 <= 200);
}

static void a_good_build_is_promoted_each_time(void **state)
{
    uint64_t requests;

    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        assert_int_equal(play(1000, seed, &requests), JUDGE_PROMOTE);
        assert_int_equal(requests, 1500);
        assert_int_equal(play(0, seed, &requests), JUDGE_PROMOTE);
    }
}

/* ---- what the operator says ---- */

static void a_share_of_workers_is_a_count_or_percent(void **state)
{
    static const struct {
        const char *text;
        unsigned workers, count;
    } good[] = {
        {"1", 4, 1},         {"3", 4, 3},   {"4", 4, 4},     {"9", 4, 4},    {"25%", 4, 1},
        {"26%", 4, 2},       {"1%", 4, 1},  {"100%", 4, 4},  {"0.1%", 4, 1}, {"12.5%", 8, 1},
        {"7%", 100, 7},      {"50%", 3, 2}, {"33.4%", 3, 2}, {"25%", 1, 1},  {"29%", 100, 29},
        {"64.4%", 250, 161}, {"007", 9, 7},
    };
    static const char *const bad[] = {"",       "0",
                                      "0%",     "-1",
                                      "-5%",    "101%",
                                      "100.1%", "1.5",
                                      "1.0",    "x",
                                      "%",      "25 %",
                                      " 1",     "1 ",
                                      "+1",     "1e1",
                                      "0x1",    "inf",
                                      "nan",    "25%%",
                                      ".5%",    "99999999999999999999999999"};
    unsigned count = 77;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(judge_parse_share(good[i].text, good[i].workers, &count), 0);
        assert_int_equal(count, good[i].count);
    }
    count = 77;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(judge_parse_share(bad[i], 4, &count), -1);
    assert_int_equal(judge_parse_share("1", 0, &count), -1);
    assert_int_equal(count, 77);
}

static void shares_and_factors_have_bounds(void **state)
{
    static const char *const bad_errors[] = {"",    "1",    "5",  "100.1%", "-1%",
                                             "1 %", "nan%", "1x", "%"};
    static const char *const bad_factors[] = {"",  "0",  "0.9", "1001", "2%",
                                              "x", "-2", "2xx", "inf"};
    double value = 0;

    (void)state;
    assert_int_equal(judge_parse_errors("1%", &value), 0);
    assert_true(value == 0.01);
    assert_int_equal(judge_parse_errors("0.01", &value), 0);
    assert_true(value == 0.01);
    assert_int_equal(judge_parse_errors("0", &value), 0);
    assert_true(value == 0);
    assert_int_equal(judge_parse_errors("100%", &value), 0);
    assert_true(value == 1);
    assert_int_equal(judge_parse_factor("2x", &value), 0);
    assert_true(value == 2);
    assert_int_equal(judge_parse_factor("1.5", &value), 0);
    assert_true(value == 1.5);
    for (size_t i = 0; i < sizeof bad_errors / sizeof bad_errors[0]; i++)
        assert_int_equal(judge_parse_errors(bad_errors[i], &value), -1);
    for (size_t i = 0; i < sizeof bad_factors / sizeof bad_factors[0]; i++)
        assert_int_equal(judge_parse_factor(bad_factors[i], &value), -1);
    assert_int_equal(judge_check_errors(0.0 / 0.0), -1);
    assert_int_equal(judge_check_factor(1.0 / 0.0), -1);
    assert_int_equal(judge_check_errors(-0.01), -1);
    assert_true(value == 1.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_request_counts_once),
        cmocka_unit_test(workers_add_up_and_other_generations_do_not_count),
        cmocka_unit_test(what_was_before_the_canary_is_taken_away),
        cmocka_unit_test(without_requests_in_the_time_the_life_before_counts),
        cmocka_unit_test(a_column_that_began_anew_wraps_nothing),
        cmocka_unit_test(nothing_has_no_share_and_no_quantile),
        cmocka_unit_test(a_crash_or_a_hang_takes_it_back_at_once),
        cmocka_unit_test(at_the_end_the_share_itself_decides),
        cmocka_unit_test(the_reason_has_the_figures),
        cmocka_unit_test(what_the_old_code_did_wrong_is_allowed),
        cmocka_unit_test(early_only_what_chance_does_not_do),
        cmocka_unit_test(without_any_allowance_one_error_is_too_many),
        cmocka_unit_test(few_requests_are_no_trial),
        cmocka_unit_test(slower_than_allowed_is_too_slow),
        cmocka_unit_test(what_is_allowed_is_never_refused_by_the_histograms_steps),
        cmocka_unit_test(twice_nearly_nothing_is_nothing),
        cmocka_unit_test(early_only_when_it_is_clearly_slower),
        cmocka_unit_test(the_tail_is_judged_where_there_are_enough),
        cmocka_unit_test(without_the_old_codes_latency_none_is_judged),
        cmocka_unit_test(the_longest_reason_fits),
        cmocka_unit_test(a_build_that_fails_one_in_twenty_is_caught_within_500),
        cmocka_unit_test(a_good_build_is_promoted_each_time),
        cmocka_unit_test(a_share_of_workers_is_a_count_or_percent),
        cmocka_unit_test(shares_and_factors_have_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
