/* test_app_background.c: timers and jobs as an application sees them in one worker: how often they
 * call, what they refuse, and that they hold the build no longer than they have to. */
#include <reeve/async.h>

#include "app/background.h"
#include "app_case.h"
#include "base/log.h"

static struct app_case c;
static unsigned calls, inside, most_inside;
static double takes;
static int fails_with;
static reeve_timer *timer;

static int call(void *arg, void **value_out)
{
    (void)arg, (void)value_out;
    calls++;
    if (++inside > most_inside)
        most_inside = inside;
    if (takes > 0)
        reeve_sleep(takes);
    inside--;
    errno = fails_with;
    return fails_with ? -1 : 0;
}

static int stop_itself(void *arg, void **value_out)
{
    (void)value_out;
    calls++;
    reeve_timer_stop(timer);
    return reeve_sleep(*(const double *)arg);
}

static reeve_module *module(void)
{
    return generation_module(c.generation);
}

static int setup(void **state)
{
    (void)state;
    calls = inside = most_inside = 0;
    takes = 0;
    fails_with = 0;
    timer = NULL;
    if (app_case_open(&c, NULL) == -1)
        return -1;
    board_set(&board_seat(c.board, 0)->state, SEAT_SERVING);
    board_set(&board_seat(c.board, 0)->incarnation, 1);
    board_set(&c.room.slot->incarnation, 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    background_stop_timers(c.generation);
    background_stop_jobs(c.generation);
    while (coro_alive() > 0)
        app_case_turn(&c);
    app_case_close(&c);
    return 0;
}

static void turn_for(double seconds)
{
    uint64_t end = clock_ns() + (uint64_t)(seconds * NS_PER_SEC);

    while (clock_ns() < end) {
        usleep(500);
        event_base_loop(c.base, EVLOOP_NONBLOCK);
    }
}

static void turn_until(unsigned wanted)
{
    while (calls < wanted)
        app_case_turn(&c);
}

/* ---- timers ---- */

static void a_timer_calls_once_and_is_gone(void **state)
{
    uint64_t begun = clock_ns();

    (void)state;
    assert_non_null(reeve_call_after(module(), 0.01, call, NULL));
    assert_int_equal(c.generation->held_for[HOLD_TIMER], 1);
    turn_until(1);
    assert_true(clock_ns() - begun >= 10 * NS_PER_MS);
    turn_for(0.03);
    assert_int_equal(calls, 1);
    assert_int_equal(c.generation->holds, 0);
}

static void a_periodic_one_goes_on_and_never_overlaps(void **state)
{
    uint64_t begun = clock_ns();

    (void)state;
    takes = 0.005;
    timer = reeve_call_every(module(), 0.002, call, NULL);
    turn_until(5);
    assert_true(clock_ns() - begun >= 22 * NS_PER_MS); /* four times it takes, and the first beat */
    assert_int_equal(most_inside, 1);
    while (!inside)
        app_case_turn(&c);
    reeve_timer_stop(timer); /* while it runs */
    turn_for(0.03);
    assert_int_equal(inside, 0);
    assert_int_equal(c.generation->holds, 0);
}

static void one_may_be_stopped_before_and_within_its_call(void **state)
{
    double nap = 0.005;

    (void)state;
    reeve_timer_stop(NULL);
    reeve_timer_stop(reeve_call_after(module(), 0, call, NULL));
    reeve_timer_stop(reeve_call_every(module(), 1e300, call, NULL));
    assert_int_equal(c.generation->holds, 0);
    timer = reeve_call_every(module(), 0.001, stop_itself, &nap);
    turn_for(0.03);
    assert_int_equal(calls, 1);
    assert_int_equal(c.generation->holds, 0);
}

static void nonsense_is_refused(void **state)
{
    static const double periods[] = {-1, 0.0009, 0.0 / 0.0};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_null(reeve_call_every(module(), periods[i], call, NULL));
        assert_int_equal(errno, EINVAL);
        assert_int_equal(reeve_job_every(module(), "a", periods[i], call, NULL), -1);
        assert_int_equal(errno, EINVAL);
    }
    assert_null(reeve_call_after(module(), -0.1, call, NULL));
    assert_int_equal(errno, EINVAL);
    assert_int_equal(c.generation->holds, 0);
}

static void after_the_end_it_is_too_late(void **state)
{
    (void)state;
    timer = reeve_call_every(module(), 0.001, call, NULL);
    generation_hold(c.generation, HOLD_STATE);
    generation_retire(c.generation);
    assert_int_equal(c.generation->held_for[HOLD_TIMER], 0);
    reeve_timer_stop(timer); /* as fini may */
    assert_null(reeve_call_after(module(), 0.001, call, NULL));
    assert_int_equal(errno, ECANCELED);
    assert_int_equal(reeve_job_every(module(), "a", 1, call, NULL), -1);
    assert_int_equal(errno, ECANCELED);
    background_close(c.generation);
    c.generation->is_retired = false; /* for the teardown, which retires it */
    generation_release(c.generation, HOLD_STATE);
    turn_for(0.01);
    assert_int_equal(calls, 0);
}

static void its_failures_are_logged_once_in_a_while(void **state)
{
    static char path[] = "/tmp/reeve-test-background-XXXXXX";
    char bytes[4096];
    int fd = mkstemp(path);
    ssize_t length;

    (void)state;
    assert_int_equal(log_open(path, LOG_LEVEL_INFO), 0);
    fails_with = ECONNREFUSED;
    timer = reeve_call_every(module(), 0.001, call, NULL);
    turn_until(5);
    reeve_timer_stop(timer);
    log_open(NULL, LOG_LEVEL_INFO);
    length = read(fd, bytes, sizeof bytes - 1);
    close(fd);
    unlink(path);
    assert_true(length > 0);
    bytes[length] = '\0';
    assert_non_null(
        strstr(bytes, "case 1: the timer call failed (tests/unit/test_app_background.c:"));
    assert_non_null(strstr(bytes, "Connection refused\n"));
    assert_ptr_equal(strchr(bytes, '\n'), bytes + length - 1); /* one line */
}

/* ---- jobs ---- */

static struct job_row *row(void)
{
    return &board_app(c.board, 0)->jobs.rows[0];
}

static void a_job_runs_and_is_counted(void **state)
{
    (void)state;
    fails_with = EIO;
    assert_int_equal(reeve_job_every(module(), "a-job_1", 0.002, call, NULL), 0);
    assert_int_equal(c.generation->held_for[HOLD_TIMER], 1);
    turn_until(3);
    background_stop_jobs(c.generation);
    while (coro_alive() > 0)
        app_case_turn(&c);
    assert_int_equal(board_get(&row()->runs), calls);
    assert_int_equal(board_get(&row()->failures), calls);
    assert_int_equal(board_get(&row()->owner), 0);
    turn_for(0.02);
    assert_int_equal(board_get(&row()->runs), calls);
    assert_int_equal(c.generation->holds, 0);
}

static void only_the_live_build_runs_it_and_not_while_it_drains(void **state)
{
    (void)state;
    assert_int_equal(reeve_job_every(module(), "job", 0.002, call, NULL), 0);
    c.room.apps[0].live = NULL;
    turn_for(0.05);
    assert_int_equal(calls, 0);
    c.room.apps[0].live = c.generation;
    turn_until(1);
    background_drain(c.generation);
    turn_for(0.01);
    calls = 0;
    turn_for(0.05);
    assert_int_equal(calls, 0);
}

static void nobody_runs_it_while_somebody_does(void **state)
{
    (void)state;
    assert_int_equal(reeve_job_every(module(), "job", 0.002, call, NULL), 0);
    board_set(&row()->owner, job_worker(0, 1)); /* another build in the same worker */
    turn_for(0.05);
    assert_int_equal(calls, 0);
    board_set(&row()->owner, 0);
    turn_until(1);
}

static void a_preflight_process_runs_none(void **state)
{
    (void)state;
    c.room.is_preflight = true;
    assert_int_equal(reeve_job_every(module(), "job", 0.002, call, NULL), 0);
    assert_int_equal(reeve_job_every(module(), "job", 0.002, call, NULL), -1);
    assert_int_equal(errno, EEXIST);
    turn_for(0.02);
    assert_int_equal(calls, 0);
    assert_int_equal(board_get(&row()->turn), 0);
}

static void names_are_few_short_and_plain(void **state)
{
    static const char *const wrong[] = {"",    "a b",      "a/b",
                                        "a\n", "\xc3\xa4", "01234567890123456789012345678901"};
    char name[] = "a123456789012345678901234567890";

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(reeve_job_every(module(), wrong[i], 1, call, NULL), -1);
        assert_int_equal(errno, EINVAL);
    }
    for (; name[0] < 'a' + (int)JOB_MOST; name[0]++)
        assert_int_equal(reeve_job_every(module(), name, 1, call, NULL), 0);
    assert_int_equal(reeve_job_every(module(), name, 1, call, NULL), -1);
    assert_int_equal(errno, ENOSPC);
    name[0] = 'a';
    assert_int_equal(reeve_job_every(module(), name, 1, call, NULL), -1);
    assert_int_equal(errno, EEXIST);
}

/* ---- hooks, and the last that holds a build ---- */

static unsigned on_coroutines;

static int hook(reeve_module *of)
{
    (void)of;
    calls++;
    on_coroutines += coro_current() != NULL;
    return 0;
}

static void hooks_run_where_the_module_runs(void **state)
{
    (void)state;
    for (int on_loop = 0; on_loop < 2; on_loop++) {
        calls = on_coroutines = 0;
        c.generation->background.has_started = c.generation->background.is_draining = false;
        c.descriptor.on_loop = on_loop;
        c.descriptor.on_start = c.descriptor.on_drain = hook;
        background_start(c.generation);
        background_drain(c.generation);
        assert_int_equal(calls, on_loop ? 2 : 0);
        while (coro_alive() > 0)
            app_case_turn(&c);
        assert_int_equal(calls, 2);
        assert_int_equal(on_coroutines, on_loop ? 0 : 2);
    }
    c.descriptor.on_start = c.descriptor.on_drain = NULL;
}

static reeve_future *kept;
static bool was_there;

static int keep(void *arg, void **value_out)
{
    (void)arg, (void)value_out;
    kept = reeve_future_hold(reeve_future_new());
    return 0;
}

/* Another build's code, say. */
static void let_go(void *arg)
{
    (void)arg;
    reeve_future_release(kept);
    was_there = !LIST_EMPTY(&c.room.apps[0].generations);
}

static void a_build_is_not_unloaded_on_a_coroutine(void **state)
{
    struct generation *former = calloc(1, sizeof *former);

    (void)state;
    *former = (struct generation){.app = &c.room.apps[0], .number = 7};
    former->descriptor = &c.descriptor;
    former->path = strdup("/nowhere");
    background_open(former);
    LIST_INSERT_HEAD(&c.room.apps[0].generations, former, entry);
    reeve_spawn_background(generation_module(former), keep, NULL, NULL);
    while (coro_alive() > 0)
        app_case_turn(&c);
    generation_retire(former);
    assert_ptr_equal(generation_find(&c.room.apps[0], 7), former);
    assert_int_equal(coro_run(let_go, NULL, NULL, 0), 0);
    assert_true(was_there);
    assert_ptr_equal(generation_find(&c.room.apps[0], 7), former);
    while (generation_find(&c.room.apps[0], 7))
        app_case_turn(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_timer_calls_once_and_is_gone),
        TEST(a_periodic_one_goes_on_and_never_overlaps),
        TEST(one_may_be_stopped_before_and_within_its_call),
        TEST(nonsense_is_refused),
        TEST(after_the_end_it_is_too_late),
        TEST(its_failures_are_logged_once_in_a_while),
        TEST(a_job_runs_and_is_counted),
        TEST(only_the_live_build_runs_it_and_not_while_it_drains),
        TEST(nobody_runs_it_while_somebody_does),
        TEST(a_preflight_process_runs_none),
        TEST(names_are_few_short_and_plain),
        TEST(hooks_run_where_the_module_runs),
        TEST(a_build_is_not_unloaded_on_a_coroutine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
