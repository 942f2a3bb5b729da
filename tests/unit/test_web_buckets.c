/* test_web_buckets.c: token buckets by a clock of the test's, and which of them is forgotten. */
#include "web/buckets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static bool may(struct buckets *buckets, const char *key, double now)
{
    return buckets_take(buckets, key, now).is_granted;
}

static void a_burst_passes_and_then_the_rate(void **state)
{
    struct buckets *buckets = buckets_new(10, 2, 3);
    struct buckets_answer answer;

    (void)state;
    answer = buckets_take(buckets, "a", 100);
    assert_true(answer.is_granted);
    assert_int_equal(answer.remaining, 2);
    assert_true(answer.until_is_full == 0.5);
    assert_true(may(buckets, "a", 100));
    assert_true(may(buckets, "a", 100));
    answer = buckets_take(buckets, "a", 100);
    assert_false(answer.is_granted);
    assert_int_equal(answer.remaining, 0);
    assert_true(answer.seconds == 0.5);
    assert_true(answer.until_is_full == 1.5);
    assert_false(may(buckets, "a", 100.25)); /* to ask costs nothing */
    assert_true(may(buckets, "a", 100.5));
    assert_false(may(buckets, "a", 100.5));
    buckets_free(buckets);
}

static void it_never_holds_more_than_the_burst(void **state)
{
    struct buckets *buckets = buckets_new(10, 2, 3);
    unsigned granted = 0;

    (void)state;
    may(buckets, "a", 0);
    while (may(buckets, "a", 1e6))
        granted++;
    assert_int_equal(granted, 3);
    buckets_free(buckets);
}

static void each_key_has_its_own(void **state)
{
    struct buckets *buckets = buckets_new(1000, 1, 1);
    char key[32];

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "key of a length %u", i);
        assert_true(may(buckets, key, 0));
        assert_false(may(buckets, key, 0));
    }
    assert_true(may(buckets, "", 0.0));
    assert_false(may(buckets, "", 0.0));
    buckets_free(buckets);
}

static void the_one_unused_for_the_longest_time_is_forgotten(void **state)
{
    struct buckets *buckets = buckets_new(3, 1, 1);

    (void)state;
    assert_true(may(buckets, "a", 0));
    assert_true(may(buckets, "b", 0));
    assert_true(may(buckets, "c", 0));
    assert_false(may(buckets, "a", 0)); /* used: now it is b */
    assert_true(may(buckets, "d", 0));
    assert_false(may(buckets, "a", 0));
    assert_false(may(buckets, "c", 0));
    assert_false(may(buckets, "d", 0));
    assert_true(may(buckets, "b", 0)); /* anew, in place of a */
    assert_true(may(buckets, "a", 0));
    buckets_free(buckets);
}

static void one_bucket_is_a_table_too(void **state)
{
    struct buckets *buckets = buckets_new(1, 1, 1);

    (void)state;
    for (unsigned i = 0; i < 100; i++)
        assert_true(may(buckets, i % 2 ? "odd" : "even", 0));
    assert_false(may(buckets, "odd", 0));
    buckets_free(buckets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_passes_and_then_the_rate),
        cmocka_unit_test(it_never_holds_more_than_the_burst),
        cmocka_unit_test(each_key_has_its_own),
        cmocka_unit_test(the_one_unused_for_the_longest_time_is_forgotten),
        cmocka_unit_test(one_bucket_is_a_table_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
