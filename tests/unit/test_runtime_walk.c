/* test_runtime_walk.c: looking at suspended coroutines: which there are, in slices, and the calls
 * that each is in; and that those who are looked at never notice. */
#include "runtime/coro.h"

#include <errno.h>
#include <event2/event.h>
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/poison.h"
#include "runtime/frames.h"
#include "runtime/switch.h"

#define STACK (128u << 10)
#define MOST  64
#define KEPT  __attribute__((noinline, noclone))

static struct event_base *base;
static volatile unsigned long sum;

struct subject {
    struct coro *coro;
    unsigned depth, seen;
    int reason, error;
    bool is_intact, has_ended;
    char *low; /* a local of the innermost function */
};

static int setup(void **state)
{
    (void)state;
    alarm(60);
    base = event_base_new();
    return base == NULL ? -1 : coro_pool_open(base, STACK, 4);
}

static int teardown(void **state)
{
    (void)state;
    coro_pool_close();
    event_base_free(base);
    return 0;
}

static void after(enum coro_event event, struct coro *coro, void *arg)
{
    struct subject *subject = arg;

    subject->coro = coro;
    subject->has_ended = event == CORO_ENDED;
}

/* ---- what they do ---- */

KEPT static void innermost(struct subject *subject)
{
    char here[64];

    memset(here, 7, sizeof here);
    subject->low = here;
    subject->reason = coro_wait("a test");
    subject->is_intact = true;
    for (size_t i = 0; i < sizeof here; i++)
        subject->is_intact = subject->is_intact && here[i] == 7;
    sum++;
}

/* Holds as much as it can in registers, across the wait. */
KEPT static void middle(struct subject *subject)
{
    unsigned long a = sum, b = a * 3 + 1, c = b * 5 + 2, d = c * 7 + 3, e = d * 11 + 4;
    unsigned long before = sum;

    innermost(subject);
    subject->is_intact = subject->is_intact && sum == before + 1 && b == a * 3 + 1 &&
                         c == b * 5 + 2 && d == c * 7 + 3 && e == d * 11 + 4;
    sum += a + b + c + d + e;
}

KEPT static void recurses(struct subject *subject, unsigned depth)
{
    if (depth == 0)
        middle(subject);
    else
        recurses(subject, depth - 1);
    sum++;
}

static void outermost(void *arg)
{
    struct subject *subject = arg;

    errno = 1234;
    recurses(subject, subject->depth);
    subject->error = errno;
}

static void waits_again(void *arg)
{
    struct subject *subject = arg;

    while ((subject->reason = coro_wait("a test")) == 0)
        ;
}

static void sleeps_no_time(void *arg)
{
    struct subject *subject = arg;

    while ((subject->reason = coro_sleep(0)) == 0)
        subject->depth++;
}

/* ---- the calls they are in ---- */

static uintptr_t own_base(void)
{
    struct dl_find_object found;

    assert_int_equal(_dl_find_object((void *)(uintptr_t)own_base, &found), 0);
    return found.dlfo_link_map->l_addr;
}

/* Where in `frames` a function is, from `from` on; -1. */
static int find(const struct frame *frames, size_t count, size_t from, uintptr_t function)
{
    for (size_t i = from; i < count; i++)
        if (frames[i].object != NULL && frames[i].object[0] == '\0' &&
            frames[i].function == function - own_base())
            return (int)i;
    return -1;
}

static void assert_is_suspended_in_innermost(const struct subject *subject)
{
    struct frame frames[MOST];
    size_t depth, count = coro_frames(subject->coro, frames, MOST, &depth);
    int at;

    assert_true(count > 4);
    assert_int_equal(depth, count);
    at = find(frames, count, 0, (uintptr_t)innermost);
    assert_true(at > 0); /* coro_wait is within */
    assert_true(frames[at].offset > frames[at].function);
    assert_int_equal(find(frames, count, 0, (uintptr_t)middle), at + 1);
    for (unsigned i = 0; i <= subject->depth; i++)
        assert_int_equal(find(frames, count, (size_t)at + 2 + i, (uintptr_t)recurses),
                         at + 2 + (int)i);
    at = find(frames, count, 0, (uintptr_t)outermost);
    assert_int_equal(at, count - 3); /* the trampoline, and the entry: the end of the stack */
    assert_int_equal(find(frames, count, 0, (uintptr_t)assert_is_suspended_in_innermost), -1);
}

static void need_assembly(void)
{
    if (!SWITCH_IS_ASSEMBLY)
        skip();
}

static void the_calls_of_one_that_waits_are_told_from_the_innermost_on(void **state)
{
    struct subject subject = {.depth = 0};

    (void)state;
    need_assembly();
    assert_int_equal(coro_run(outermost, after, &subject, 0), 0);
    assert_is_suspended_in_innermost(&subject);
    coro_resume(subject.coro, 0);
    assert_true(subject.has_ended);
}

static void one_that_was_looked_at_goes_on_as_if_nobody_had(void **state)
{
    struct subject subject = {.depth = 20};

    (void)state;
    need_assembly();
    assert_int_equal(coro_run(outermost, after, &subject, 0), 0);
    errno = 99;
    for (int i = 0; i < 100; i++)
        assert_is_suspended_in_innermost(&subject);
    assert_int_equal(errno, 99);
    assert_null(coro_current());
    coro_resume(subject.coro, ETIMEDOUT);
    assert_true(subject.has_ended);
    assert_true(subject.is_intact);
    assert_int_equal(subject.reason, ETIMEDOUT);
    assert_int_equal(subject.error, 1234);
}

/* Neither what is in use, nor what lies below: pages there would be taken for each of thousands. */
static void the_memory_of_one_that_is_looked_at_is_not_touched(void **state)
{
    static char before[STACK];
    struct subject subject = {.depth = 3};
    size_t page = (size_t)sysconf(_SC_PAGESIZE), depth, used;
    unsigned char is_there[4];
    struct frame frames[MOST];

    (void)state;
    need_assembly();
#ifdef HAS_ASAN
    skip(); /* only the stack's own code may read all of it */
#endif
    assert_int_equal(coro_run(outermost, after, &subject, 0), 0);
    used = (size_t)((char *)subject.coro - subject.low);
    memcpy(before, subject.low, used);
    assert_true(coro_frames(subject.coro, frames, MOST, &depth) > 0);
    assert_memory_equal(before, subject.low, used);
    assert_int_equal(
        mincore((char *)(((uintptr_t)subject.low & ~(page - 1)) - 5 * page), 4 * page, is_there),
        0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(is_there[i] & 1, 0);
    coro_resume(subject.coro, 0);
    assert_true(subject.is_intact);
}

static void a_woken_one_is_told_of_like_one_that_waits(void **state)
{
    struct subject subject = {.depth = 2};

    (void)state;
    need_assembly();
    assert_int_equal(coro_run(outermost, after, &subject, 0), 0);
    assert_true(coro_wake(subject.coro, 0));
    assert_is_suspended_in_innermost(&subject);
    event_base_loop(base, EVLOOP_NONBLOCK);
    assert_true(subject.has_ended);
    assert_true(subject.is_intact);
}

static void of_a_deep_stack_the_innermost_calls_are_told_and_how_many_there_are(void **state)
{
    struct subject subject = {.depth = 200};
    struct frame frames[8];
    size_t depth;

    (void)state;
    need_assembly();
    assert_int_equal(coro_run(outermost, after, &subject, 1 << 20), 0);
    assert_int_equal(coro_frames(subject.coro, frames, 8, &depth), 8);
    assert_in_range(depth, 205, 220);
    assert_true(find(frames, 8, 0, (uintptr_t)middle) > 0);
    coro_resume(subject.coro, 0);
    assert_true(subject.is_intact);
}

static void nobody_counts_for_ever(void **state)
{
    struct subject subject = {.depth = 5000};
    struct frame frames[8];
    size_t depth;

    (void)state;
    need_assembly();
    assert_int_equal(coro_run(outermost, after, &subject, 8 << 20), 0);
    assert_int_equal(coro_frames(subject.coro, frames, 8, &depth), 8);
    assert_int_equal(depth, FRAMES_DEPTH_MAX);
    coro_resume(subject.coro, 0);
}

/* ---- walks ---- */

struct look {
    unsigned left, all;
};

static bool see(struct coro *coro, void *arg)
{
    struct look *look = arg;
    struct subject *subject = coro_arg(coro, waits_again);

    if (subject == NULL)
        subject = coro_arg(coro, sleeps_no_time);
    assert_non_null(subject);
    subject->seen++;
    look->all++;
    return --look->left > 0;
}

static void cancel_all(void)
{
    while (coro_alive() > 0) {
        coro_cancel_all();
        event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    }
}

static void run_all(struct subject *subjects, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_int_equal(coro_run(waits_again, after, &subjects[i], 0), 0);
}

static void a_walk_in_slices_sees_each_once(void **state)
{
    struct subject subjects[100] = {{0}};
    struct coro_walk walk;
    struct look look = {0};
    unsigned slices = 0;

    (void)state;
    run_all(subjects, 100);
    for (unsigned round = 1; round <= 3; round++) {
        look = (struct look){0};
        coro_walk_begin(&walk);
        do {
            look.left = 7;
            slices++;
        } while (!coro_walk_on(&walk, see, &look));
        assert_int_equal(look.all, 100);
        for (int i = 0; i < 100; i++)
            assert_int_equal(subjects[i].seen, round);
    }
    assert_int_equal(slices, 3 * 15);
    cancel_all();
}

/* Between the slices some end, some wait anew, and others begin. */
static void a_walk_sees_whom_it_should_while_they_go_on(void **state)
{
    struct subject subjects[60] = {{0}}, late[20] = {{0}};
    struct coro_walk walk;
    struct look look = {0};
    unsigned begun = 0;
    bool is_over;

    (void)state;
    run_all(subjects, 60);
    coro_walk_begin(&walk);
    for (int slice = 0;; slice++) {
        look.left = 5;
        is_over = coro_walk_on(&walk, see, &look);
        if (is_over)
            break;
        if (begun < 20)
            assert_int_equal(coro_run(waits_again, after, &late[begun++], 0), 0);
        for (int i = 30; i < 60; i++) /* wait on, at the end of the queue */
            coro_resume(subjects[i].coro, 0);
        if (slice < 10)
            coro_resume(subjects[slice].coro, ECANCELED); /* ends */
    }
    for (int i = 0; i < 60; i++)
        assert_in_range(subjects[i].seen, i < 10 ? 0 : 1, 1);
    for (int i = 0; i < 20; i++)
        assert_int_equal(late[i].seen, 0);
    cancel_all();
}

static void a_walk_sees_those_who_are_always_about_to_go_on(void **state)
{
    struct subject subjects[10] = {{0}};
    struct coro_walk walk;
    struct look look = {.left = 1000};

    (void)state;
    for (int i = 0; i < 10; i++)
        assert_int_equal(coro_run(sleeps_no_time, after, &subjects[i], 0), 0);
    event_base_loop(base, EVLOOP_ONCE);
    for (int i = 0; i < 10; i += 2)
        coro_wake(subjects[i].coro, 0);
    coro_walk_begin(&walk);
    assert_true(coro_walk_on(&walk, see, &look));
    for (int i = 0; i < 10; i++)
        assert_int_equal(subjects[i].seen, 1);
    event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK); /* each goes on where it stood */
    for (int i = 0; i < 10; i++)
        assert_true(subjects[i].depth >= 1);
    cancel_all();
}

static void one_that_runs_again_on_a_used_stack_is_seen_by_the_next_walk(void **state)
{
    struct subject first = {0}, second = {0};
    struct coro_walk walk;
    struct look look = {.left = 1000};

    (void)state;
    run_all(&first, 1);
    coro_walk_begin(&walk);
    coro_resume(first.coro, ECANCELED);
    run_all(&second, 1);
    assert_true(coro_walk_on(&walk, see, &look));
    assert_int_equal(look.all, 0);
    coro_walk_begin(&walk);
    assert_true(coro_walk_on(&walk, see, &look));
    assert_int_equal(second.seen, 1);
    cancel_all();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_calls_of_one_that_waits_are_told_from_the_innermost_on),
        TEST(one_that_was_looked_at_goes_on_as_if_nobody_had),
        TEST(the_memory_of_one_that_is_looked_at_is_not_touched),
        TEST(a_woken_one_is_told_of_like_one_that_waits),
        TEST(of_a_deep_stack_the_innermost_calls_are_told_and_how_many_there_are),
        TEST(nobody_counts_for_ever),
        TEST(a_walk_in_slices_sees_each_once),
        TEST(a_walk_sees_whom_it_should_while_they_go_on),
        TEST(a_walk_sees_those_who_are_always_about_to_go_on),
        TEST(one_that_runs_again_on_a_used_stack_is_seen_by_the_next_walk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
