/* test_runtime_limit.c: a time limit never ends early, ends once, and whoever is told may do what
 * it likes with its own and with others. */
#include "runtime/limit.h"

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"

enum { SHORT, LONG, NEVER, CLASSES };

#define SHORT_NS (20 * NS_PER_MS)
#define LONG_NS  (3600 * NS_PER_SEC)

struct holder {
    struct limit limit; /* first: a limit is its holder */
    char name;
    unsigned expired;
    unsigned class;
    uint64_t expired_at;
    bool does_restart; /* once */
    bool does_free;
    struct holder *stops;
};

static struct event_base *base;
static struct limits *limits;
static char trace[64];
static unsigned expired;

static void on_expire(struct limit *limit, unsigned class, void *arg)
{
    struct holder *holder = (struct holder *)limit;

    assert_ptr_equal(arg, trace);
    assert_int_equal(limit->running, 0); /* stopped just before */
    holder->expired++;
    holder->class = class;
    holder->expired_at = clock_ns();
    if (holder->name)
        trace[strlen(trace)] = holder->name;
    expired++;
    if (holder->stops)
        limit_stop(limits, &holder->stops->limit);
    if (holder->does_restart) {
        holder->does_restart = false;
        limit_start(limits, limit, class, clock_ns());
    }
    if (holder->does_free)
        free(holder);
}

static int setup(void **state)
{
    static const uint64_t durations[CLASSES] = {[SHORT] = SHORT_NS, [LONG] = LONG_NS, [NEVER] = 0};

    (void)state;
    alarm(60); /* a condition that never comes true is a failure */
    memset(trace, 0, sizeof(trace));
    expired = 0;
    base = event_base_new();
    limits = base == NULL ? NULL : limits_new(base, durations, CLASSES, on_expire, trace);
    return limits == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    limits_free(limits);
    event_base_free(base);
    return 0;
}

static void turn_until_expired(unsigned count)
{
    while (expired < count)
        event_base_loop(base, EVLOOP_ONCE);
}

static void a_limit_ends_once_and_never_early(void **state)
{
    struct holder holders[20] = {0};
    uint64_t begun[20];

    (void)state;
    for (int i = 0; i < 20; i++) {
        /* Not all in the same phase of the tick. */
        for (uint64_t until = clock_ns() + 7 * NS_PER_MS; clock_ns() < until;)
            event_base_loop(base, EVLOOP_NONBLOCK);
        begun[i] = clock_ns();
        limit_start(limits, &holders[i].limit, SHORT, begun[i]);
    }
    turn_until_expired(20);
    for (int i = 0; i < 20; i++) {
        assert_true(holders[i].expired_at - begun[i] >= SHORT_NS);
        assert_int_equal(holders[i].expired, 1);
        assert_int_equal(holders[i].class, SHORT);
    }
}

static void they_end_in_the_order_of_their_starting(void **state)
{
    struct holder a = {.name = 'a'}, b = {.name = 'b'}, c = {.name = 'c'};

    (void)state;
    limit_start(limits, &a.limit, SHORT, clock_ns());
    limit_start(limits, &b.limit, SHORT, clock_ns());
    limit_start(limits, &c.limit, SHORT, clock_ns());
    limit_start(limits, &a.limit, SHORT, clock_ns()); /* anew */
    turn_until_expired(3);
    assert_string_equal(trace, "bca");
    assert_int_equal(a.expired, 1);
}

static void a_start_of_a_moment_ago_does_not_end_before_its_elders(void **state)
{
    struct holder a = {.name = 'a'}, b = {.name = 'b'};
    uint64_t now = clock_ns();

    (void)state;
    limit_start(limits, &a.limit, SHORT, now);
    limit_start(limits, &b.limit, SHORT, now - 10 * NS_PER_MS);
    assert_true(b.limit.since >= a.limit.since);
    turn_until_expired(2);
    assert_string_equal(trace, "ab");
    assert_true(b.expired_at - now >= SHORT_NS);
}

static void what_was_stopped_or_moved_to_another_class_does_not_end(void **state)
{
    struct holder stopped = {.name = 's'}, moved = {.name = 'm'}, last = {.name = 'l'};
    struct holder eternal = {.name = 'e'};

    (void)state;
    limit_stop(limits, &stopped.limit); /* never started: nothing */
    limit_start(limits, &eternal.limit, NEVER, clock_ns() - LONG_NS);
    limit_start(limits, &stopped.limit, SHORT, clock_ns());
    limit_start(limits, &moved.limit, SHORT, clock_ns());
    limit_stop(limits, &stopped.limit);
    limit_stop(limits, &stopped.limit);
    limit_start(limits, &moved.limit, LONG, clock_ns());
    assert_int_equal(moved.limit.running, LONG + 1);
    limit_start(limits, &last.limit, SHORT, clock_ns());
    turn_until_expired(1);
    assert_string_equal(trace, "l");
}

static void whoever_is_told_may_start_again_stop_others_and_go(void **state)
{
    struct holder stopped = {.name = 's'}, restarts = {.name = 'r', .does_restart = true};
    struct holder stops = {.name = 'p', .stops = &stopped};
    struct holder *goes = calloc(1, sizeof(*goes));
    uint64_t now = clock_ns();

    (void)state;
    assert_non_null(goes);
    goes->name = 'g';
    goes->does_free = true;
    limit_start(limits, &restarts.limit, SHORT, now);
    limit_start(limits, &stops.limit, SHORT, now);
    limit_start(limits, &stopped.limit, SHORT, now);
    limit_start(limits, &goes->limit, SHORT, now);
    turn_until_expired(4);
    assert_string_equal(trace, "rpgr");
    assert_true(restarts.expired_at - now >= 2 * SHORT_NS);
}

static void a_class_can_be_ended_before_its_time(void **state)
{
    struct holder a = {.name = 'a', .does_restart = true}, b = {.name = 'b'}, other = {.name = 'o'};

    (void)state;
    limit_start(limits, &a.limit, LONG, clock_ns());
    limit_start(limits, &b.limit, LONG, clock_ns());
    limit_start(limits, &other.limit, NEVER, clock_ns());
    limits_expire_class(limits, LONG);
    assert_int_equal(b.expired, 1);
    assert_int_equal(other.expired, 0);
    limits_expire_class(limits, LONG); /* the one that had started again */
    limits_expire_class(limits, LONG);
    assert_true(a.expired >= 2);
    assert_int_equal(a.limit.running, 0);
}

static void very_many_end_together(void **state)
{
    enum { MANY = 20000 };
    struct holder *holders = calloc(MANY, sizeof(*holders));
    uint64_t now = clock_ns();

    (void)state;
    assert_non_null(holders);
    for (int i = 0; i < MANY; i++)
        limit_start(limits, &holders[i].limit, SHORT, now);
    for (int i = 0; i < MANY; i += 2)
        limit_stop(limits, &holders[i].limit);
    turn_until_expired(MANY / 2);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(holders[i].expired, i % 2);
    free(holders);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_limit_ends_once_and_never_early),
        TEST(they_end_in_the_order_of_their_starting),
        TEST(a_start_of_a_moment_ago_does_not_end_before_its_elders),
        TEST(what_was_stopped_or_moved_to_another_class_does_not_end),
        TEST(whoever_is_told_may_start_again_stop_others_and_go),
        TEST(a_class_can_be_ended_before_its_time),
        TEST(very_many_end_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
