/* test_base_histogram.c: the buckets keep their promise of 6.25%, and what is read from them
 * follows. */
#include "base/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define LAST (HISTOGRAM_BUCKETS - 1)
#define END  (1ull << 42) /* the first value that is past the buckets' nominal range */

static uint64_t lower_bound(unsigned i)
{
    return i == 0 ? 0 : histogram_bound(i - 1);
}

static void assert_in_its_bucket(uint64_t ns)
{
    unsigned i = histogram_bucket(ns);

    assert_true(i < HISTOGRAM_BUCKETS);
    assert_true(lower_bound(i) <= ns);
    assert_true(ns < histogram_bound(i));
}

static void each_value_lies_in_its_bucket(void **state)
{
    (void)state;
    for (uint64_t ns = 0; ns < 100000; ns++)
        assert_in_its_bucket(ns);
    for (uint64_t ns = 1; ns < END; ns += ns / 37 + 1) {
        assert_in_its_bucket(ns - 1);
        assert_in_its_bucket(ns);
    }
    for (unsigned bit = 0; bit < 42; bit++) {
        assert_in_its_bucket((1ull << bit) - 1);
        assert_in_its_bucket(1ull << bit);
    }
}

static void bounds_grow_and_each_begins_a_bucket(void **state)
{
    (void)state;
    for (unsigned i = 0; i < LAST; i++) {
        assert_true(lower_bound(i) < histogram_bound(i));
        assert_int_equal(histogram_bucket(histogram_bound(i)), i + 1);
        assert_int_equal(histogram_bucket(histogram_bound(i) - 1), i);
    }
}

static void no_bucket_is_wider_than_a_sixteenth_of_its_values(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(histogram_bound(i) - lower_bound(i), 64);
    for (unsigned i = 16; i < LAST; i++)
        assert_true((histogram_bound(i) - lower_bound(i)) * 16 <= lower_bound(i));
}

static void what_is_too_long_counts_in_the_last_bucket(void **state)
{
    (void)state;
    assert_int_equal(histogram_bucket(END - 1), LAST);
    assert_int_equal(histogram_bucket(END), LAST);
    assert_int_equal(histogram_bucket(END * 1000), LAST);
    assert_int_equal(histogram_bucket(UINT64_MAX), LAST);
    assert_true(histogram_bound(LAST) == UINT64_MAX);
    assert_true(histogram_bound(LAST - 1) < END);
}

static void record_range(struct histogram *h, uint64_t first, uint64_t last, uint64_t step)
{
    for (uint64_t ns = first; ns <= last; ns += step)
        histogram_record(h, ns);
}

static void sums_add_up(void **state)
{
    static struct histogram a, b;
    static struct histogram_sum sum;

    (void)state;
    histogram_record(&a, 100);
    histogram_record(&a, 5000);
    histogram_record(&b, 5000);
    histogram_add(&sum, &a);
    histogram_add(&sum, &b);
    assert_int_equal(sum.count, 3);
    assert_int_equal(sum.sum, 10100);
    assert_int_equal(sum.buckets[histogram_bucket(5000)], 2);
    assert_int_equal(sum.buckets[histogram_bucket(100)], 1);
}

static void assert_quantile(const struct histogram_sum *sum, double q, uint64_t exact)
{
    uint64_t found = histogram_quantile(sum, q);

    assert_true(found > exact);
    assert_true(found - exact <= exact / 16 + 1);
}

static void quantiles_are_at_most_a_sixteenth_too_high(void **state)
{
    static struct histogram h;
    static struct histogram_sum sum;

    (void)state;
    record_range(&h, 10000, 1000 * 10000, 10000); /* 1000 values: the nth is n * 10 us */
    histogram_add(&sum, &h);
    assert_quantile(&sum, 0.0, 10000);
    assert_quantile(&sum, 0.001, 10000);
    assert_quantile(&sum, 0.5, 5000000);
    assert_quantile(&sum, 0.9, 9000000);
    assert_quantile(&sum, 0.99, 9900000);
    assert_quantile(&sum, 1.0, 10000000);
}

static void quantiles_of_few_values_are_those_values(void **state)
{
    static struct histogram h;
    static struct histogram_sum sum;

    (void)state;
    assert_int_equal(histogram_quantile(&sum, 0.5), 0);
    histogram_record(&h, 1000000);
    histogram_record(&h, 2000000);
    histogram_add(&sum, &h);
    assert_quantile(&sum, 0.5, 1000000);
    assert_quantile(&sum, 0.51, 2000000);
    assert_quantile(&sum, 7.0, 2000000);
    assert_quantile(&sum, -1.0, 1000000);
}

static void a_quantile_in_the_last_bucket_is_what_it_is_at_least(void **state)
{
    static struct histogram h;
    static struct histogram_sum sum;

    (void)state;
    histogram_record(&h, UINT64_MAX);
    histogram_add(&sum, &h);
    assert_true(histogram_quantile(&sum, 0.5) == histogram_bound(LAST - 1));
}

static void cumulative_counts_include_their_own_bound(void **state)
{
    static struct histogram h;
    static struct histogram_sum sum;
    uint64_t before = 0;

    (void)state;
    histogram_record(&h, 0);
    histogram_record(&h, 1000000);
    histogram_record(&h, 1000000000);
    histogram_record(&h, UINT64_MAX);
    histogram_add(&sum, &h);
    assert_int_equal(histogram_count_below(&sum, 0), 1);
    assert_int_equal(histogram_count_below(&sum, 900000), 1);
    assert_int_equal(histogram_count_below(&sum, 1000000), 2);
    assert_int_equal(histogram_count_below(&sum, 999999999), 3);
    assert_int_equal(histogram_count_below(&sum, 2000000000), 3);
    assert_int_equal(histogram_count_below(&sum, UINT64_MAX), sum.count);
    for (uint64_t ns = 1; ns < END; ns *= 2) {
        assert_true(histogram_count_below(&sum, ns) >= before);
        before = histogram_count_below(&sum, ns);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_value_lies_in_its_bucket),
        cmocka_unit_test(bounds_grow_and_each_begins_a_bucket),
        cmocka_unit_test(no_bucket_is_wider_than_a_sixteenth_of_its_values),
        cmocka_unit_test(what_is_too_long_counts_in_the_last_bucket),
        cmocka_unit_test(sums_add_up),
        cmocka_unit_test(quantiles_are_at_most_a_sixteenth_too_high),
        cmocka_unit_test(quantiles_of_few_values_are_those_values),
        cmocka_unit_test(a_quantile_in_the_last_bucket_is_what_it_is_at_least),
        cmocka_unit_test(cumulative_counts_include_their_own_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
