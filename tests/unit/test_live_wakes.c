/* test_live_wakes.c: very many times on one timer: each comes when it is due and in order, whatever is
 * set, moved and stopped in between. */
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "live/wakes.h"
#include "memory_case.h"

#define MANY 500

static struct event_base *base;
static struct wake all[MANY];
static unsigned rung, early, out_of_order;
static uint64_t last;
static struct wake *again; /* is set anew when another one rings */

static void on_time(struct wake *wake)
{
    rung++;
    early += clock_ns() < wake->at;
    out_of_order += wake->at < last;
    last = wake->at;
    assert_false(wake_is_set(wake));
    if (again)
        assert_int_equal(wake_start(again, 1000, base, on_time), 0);
    again = NULL;
}

static int begin(void **state)
{
    (void)state;
    base = event_base_new();
    rung = early = out_of_order = 0;
    last = 0;
    again = NULL;
    return base ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    for (unsigned i = 0; i < MANY; i++)
        wake_stop(&all[i]);
    event_base_free(base);
    return 0;
}

static int start(unsigned i, uint64_t ns)
{
    return wake_start(&all[i], ns, base, on_time);
}

static void test_all_ring_in_order(void **state)
{
    uint64_t number = 12345;

    (void)state;
    for (unsigned i = 0; i < 3 * MANY; i++) {
        number = number * 6364136223846793005u + 1442695040888963407u;
        assert_int_equal(start(i % MANY, (number >> 33) % 20000000), 0);
        if (number >> 62 == 0)
            wake_stop(&all[(number >> 40) % MANY]);
    }
    for (unsigned i = 0; i < MANY; i++)
        if (!wake_is_set(&all[i]))
            assert_int_equal(start(i, 5000000), 0);
    event_base_dispatch(base);
    assert_int_equal(rung, MANY);
    assert_int_equal(early, 0);
    assert_int_equal(out_of_order, 0);
}

static void test_what_is_stopped_or_moved_does_not_ring(void **state)
{
    (void)state;
    start(0, 1000);
    start(1, 2000000);
    start(2, 3000000);
    wake_stop(&all[0]);
    wake_stop(&all[0]);
    start(1, 600 * NS_PER_SEC); /* later than it was */
    event_base_loop(base, EVLOOP_ONCE);
    while (rung == 0)
        event_base_loop(base, EVLOOP_ONCE);
    assert_true(wake_is_set(&all[1]));
    assert_false(wake_is_set(&all[2]));
    start(1, 1000); /* earlier */
    event_base_dispatch(base);
    assert_int_equal(rung, 2);
    assert_int_equal(early, 0);
}

static void test_one_may_set_another(void **state)
{
    (void)state;
    again = &all[1];
    start(0, 1000);
    event_base_dispatch(base);
    assert_int_equal(rung, 2);
}

static void test_without_memory_what_was_set_stays(void **state)
{
    unsigned i = 0;

    (void)state;
    if (!CAN_FAIL)
        skip();
    assert_int_equal(start(i++, 1000), 0);
    left = 0;
    while (start(i, 1000) == 0)
        i++;
    assert_false(wake_is_set(&all[i]));
    left = -1;
    event_base_dispatch(base);
    assert_int_equal(rung, i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_ring_in_order, begin, end),
        cmocka_unit_test_setup_teardown(test_what_is_stopped_or_moved_does_not_ring, begin, end),
        cmocka_unit_test_setup_teardown(test_one_may_set_another, begin, end),
        cmocka_unit_test_setup_teardown(test_without_memory_what_was_set_stays, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
