/* test_master_policy.c: how soon a worker that ended is replaced, and how its end is told. */
#include "master/policy.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NOW (100 * NS_PER_SEC) /* any moment */

static const struct unasked_end never_ready = {.was_ready = false};
static const struct unasked_end brief = {.was_ready = true, .up = POLICY_BRIEF - 1};
static const struct unasked_end lasting = {.was_ready = true, .up = POLICY_BRIEF};
static const struct unasked_end steady = {.was_ready = true, .up = POLICY_STEADY};

static uint64_t fail_times(struct backoff *backoff, unsigned times, uint64_t now)
{
    uint64_t delay = 0;

    while (times-- > 0)
        delay = policy_respawn_delay(backoff, &never_ready, now);
    return delay;
}

static void a_worker_that_was_ready_is_replaced_at_once(void **state)
{
    struct backoff backoff = {.failures = 0};

    (void)state;
    for (int i = 0; i < 100; i++)
        assert_int_equal(policy_respawn_delay(&backoff, &lasting, NOW), 0);
}

static void delays_double_from_the_least_to_the_most(void **state)
{
    struct backoff backoff = {.failures = 0};
    uint64_t expected = 100 * NS_PER_MS, now = NOW;

    (void)state;
    for (int i = 0; i < 7; i++, expected *= 2) {
        uint64_t delay = policy_respawn_delay(&backoff, &never_ready, now);

        assert_int_equal(delay, expected);
        now += delay + 1;
    }
    for (int i = 0; i < 100; i++)
        assert_int_equal(policy_respawn_delay(&backoff, &never_ready, now), 10 * NS_PER_SEC);
}

static void a_quiet_time_makes_the_next_delay_the_least_again(void **state)
{
    struct backoff backoff = {.failures = 0};
    uint64_t delay = fail_times(&backoff, 5, NOW), now = NOW + delay + POLICY_STEADY - 1;

    (void)state;
    assert_int_equal(policy_respawn_delay(&backoff, &never_ready, now), 2 * delay);
    now += 2 * delay + POLICY_STEADY;
    assert_int_equal(policy_respawn_delay(&backoff, &never_ready, now), POLICY_DELAY_MIN);
}

static void a_worker_that_stayed_up_makes_the_next_delay_the_least_again(void **state)
{
    struct backoff backoff = {.failures = 0};

    (void)state;
    fail_times(&backoff, 5, NOW);
    policy_respawn_delay(&backoff, &lasting, NOW); /* too short a life to prove anything */
    assert_int_equal(fail_times(&backoff, 1, NOW), 32 * POLICY_DELAY_MIN);
    policy_respawn_delay(&backoff, &steady, NOW);
    assert_int_equal(fail_times(&backoff, 1, NOW), POLICY_DELAY_MIN);
}

static void crashes_right_after_the_start_are_slowed_down_a_little(void **state)
{
    struct backoff backoff = {.failures = 0};

    (void)state;
    for (int i = 0; i < POLICY_BRIEF_FREE; i++)
        assert_int_equal(policy_respawn_delay(&backoff, &brief, NOW), 0);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(policy_respawn_delay(&backoff, &brief, NOW), POLICY_BRIEF_DELAY);
    policy_respawn_delay(&backoff, &lasting, NOW);
    assert_int_equal(policy_respawn_delay(&backoff, &brief, NOW), 0);
}

static void a_start_is_hopeless_after_some_crashes(void **state)
{
    struct backoff backoff = {.failures = 0};

    (void)state;
    for (int i = 0; i < POLICY_START_TRIES; i++) {
        assert_false(policy_is_hopeless(&backoff));
        fail_times(&backoff, 1, NOW);
    }
    assert_true(policy_is_hopeless(&backoff));
}

static void assert_described(int status, const char *expected)
{
    char text[80];

    policy_describe_end(status, text, sizeof(text));
    assert_string_equal(text, expected);
}

static void an_end_is_told_by_status_or_signal(void **state)
{
    (void)state;
    assert_described(0, "exited with status 0");
    assert_described(3 << 8, "exited with status 3");
    assert_described(SIGKILL, "was killed by signal 9 (Killed)");
    assert_described(SIGSEGV | 0x80, "was killed by signal 11 (Segmentation fault), core dumped");
}

static void a_long_description_is_cut_not_overrun(void **state)
{
    char text[8] = "";

    (void)state;
    policy_describe_end(SIGSEGV, text, sizeof(text));
    assert_string_equal(text, "was kil");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_worker_that_was_ready_is_replaced_at_once),
        cmocka_unit_test(delays_double_from_the_least_to_the_most),
        cmocka_unit_test(a_quiet_time_makes_the_next_delay_the_least_again),
        cmocka_unit_test(a_worker_that_stayed_up_makes_the_next_delay_the_least_again),
        cmocka_unit_test(crashes_right_after_the_start_are_slowed_down_a_little),
        cmocka_unit_test(a_start_is_hopeless_after_some_crashes),
        cmocka_unit_test(an_end_is_told_by_status_or_signal),
        cmocka_unit_test(a_long_description_is_cut_not_overrun),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
