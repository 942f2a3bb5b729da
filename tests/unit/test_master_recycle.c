/* test_master_recycle.c: the limits of workers are spread evenly, and what is replaced in vain is
 * told from a leak. */
#include "master/recycle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"

#define LIMIT 1000000
#define MANY  64
#define MIB   (UINT64_C(1) << 20)

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* The limits of `count` workers in a row, sorted. */
static void fill(uint64_t limits[MANY], unsigned count, unsigned jitter, uint64_t first)
{
    for (unsigned i = 0; i < count; i++)
        limits[i] = recycle_limit(LIMIT, jitter, first + i);
    qsort(limits, count, sizeof(limits[0]), compare);
}

static void without_jitter_all_have_the_same(void **state)
{
    (void)state;
    for (uint64_t number = 0; number < 100; number++)
        assert_int_equal(recycle_limit(LIMIT, 0, number), LIMIT);
}

static void none_is_beyond_the_range(void **state)
{
    (void)state;
    for (uint64_t number = 0; number < 10000; number++) {
        uint64_t limit = recycle_limit(LIMIT, 20, number);

        assert_in_range(limit, LIMIT - LIMIT / 5, LIMIT);
    }
}

/* Also across the range's ends: the ones that come next go on from there. */
static void gaps_are_even_within_a_factor(void **state)
{
    const uint64_t range = LIMIT / 5, firsts[] = {0, 1, 7, 1000, 123456789, UINT64_C(1) << 40};
    uint64_t limits[MANY];

    (void)state;
    for (size_t f = 0; f < sizeof(firsts) / sizeof(firsts[0]); f++) {
        for (unsigned count = 2; count <= MANY; count++) {
            uint64_t least, most;

            fill(limits, count, 20, firsts[f]);
            least = most = limits[0] + range - limits[count - 1];
            for (unsigned i = 1; i < count; i++) {
                uint64_t gap = limits[i] - limits[i - 1];

                least = gap < least ? gap : least;
                most = gap > most ? gap : most;
            }
            assert_true((double)most < 2.7 * (double)least + 2); /* 2: rounded */
            assert_true(most < 2 * range / count);
        }
    }
}

static void huge_and_tiny_limits_hold(void **state)
{
    (void)state;
    for (uint64_t number = 0; number < 1000; number++) {
        assert_int_equal(recycle_limit(1, 90, number), 1);
        assert_in_range(recycle_limit(10, 90, number), 1, 10);
        assert_in_range(recycle_limit(UINT64_C(1) << 50, 90, number), (UINT64_C(1) << 50) / 10,
                        UINT64_C(1) << 50);
    }
}

static void what_has_grown_by_its_requests_is_a_leak(void **state)
{
    const struct recycle_life life = {
        .limit = 64 * MIB, .at_boot = 8 * MIB, .up = NS_PER_SEC / 10, .requests = 560};

    (void)state;
    assert_false(recycle_is_futile(&life));
}

static void what_was_as_large_at_once_is_futile(void **state)
{
    struct recycle_life life = {
        .limit = 64 * MIB, .at_boot = 70 * MIB, .up = NS_PER_SEC, .requests = 5000};

    (void)state;
    assert_true(recycle_is_futile(&life));
    life.at_boot = 50 * MIB; /* hardly any room */
    assert_true(recycle_is_futile(&life));
    life.at_boot = 8 * MIB;
    life.requests = 3; /* what it needs, it takes with the first of them */
    assert_true(recycle_is_futile(&life));
}

static void what_has_lasted_is_not(void **state)
{
    const struct recycle_life life = {
        .limit = 64 * MIB, .at_boot = 63 * MIB, .up = 5 * NS_PER_SEC, .requests = 3};

    (void)state;
    assert_false(recycle_is_futile(&life));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_jitter_all_have_the_same),
        cmocka_unit_test(none_is_beyond_the_range),
        cmocka_unit_test(gaps_are_even_within_a_factor),
        cmocka_unit_test(huge_and_tiny_limits_hold),
        cmocka_unit_test(what_has_grown_by_its_requests_is_a_leak),
        cmocka_unit_test(what_was_as_large_at_once_is_futile),
        cmocka_unit_test(what_has_lasted_is_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
