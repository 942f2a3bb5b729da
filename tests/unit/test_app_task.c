/* test_app_task.c: futures, tasks and scopes as an application sees them: what awaiting gives, what
 * goes with a scope, and that whoever is cancelled at whichever wait leaves nothing behind. */
#include <reeve/async.h>

#include "app_case.h"
#include "base/log.h"

#define GET "GET / HTTP/1.1\r\nHost: h\r\n\r\n"

/* What an application notes: assertions belong on the loop's stack. */
static struct {
    long results[32];
    unsigned count;
    char trace[64];
    reeve_future *kept;
} seen;

static struct app_case c;
static char log_path[] = "/tmp/reeve-test-task-XXXXXX";

static void note(long result)
{
    if (seen.count < sizeof seen.results / sizeof seen.results[0])
        seen.results[seen.count++] = result;
}

/* A result, or the error in the negative. */
static void note_result(long result)
{
    note(result == -1 ? -errno : result);
}

static void mark(char what)
{
    size_t length = strlen(seen.trace);

    if (length + 1 < sizeof seen.trace)
        seen.trace[length] = what;
}

static int setup(void **state)
{
    int fd;

    (void)state;
    memset(&seen, 0, sizeof seen);
    memcpy(log_path + sizeof log_path - 7, "XXXXXX", 6);
    fd = mkstemp(log_path);
    close(fd);
    return log_open(log_path, LOG_LEVEL_INFO);
}

static int teardown(void **state)
{
    (void)state;
    app_case_close(&c);
    unlink(log_path);
    return log_open(NULL, LOG_LEVEL_INFO);
}

static bool has_logged(const char *text)
{
    static char bytes[65536];
    FILE *file = fopen(log_path, "r");
    size_t size = fread(bytes, 1, sizeof bytes - 1, file);

    fclose(file);
    bytes[size] = '\0';
    return strstr(bytes, text) != NULL;
}

static int done(reeve_environ *environ, reeve_start_response *start_response)
{
    start_response(environ, "200 OK", REEVE_NO_HEADERS);
    return reeve_write(environ, "done\n", 5);
}

static void run(reeve_application *application)
{
    assert_int_equal(app_case_open(&c, application), 0);
    app_case_ask(&c, GET);
}

static void assert_done(void)
{
    assert_non_null(strstr(c.wire, "\r\n\r\ndone\n"));
    assert_int_equal(c.generation->holds, 0);
    assert_int_equal(coro_alive(), 0);
}

static void assert_seen(unsigned count, const long *results)
{
    assert_int_equal(seen.count, count);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(seen.results[i], results[i]);
}
#define ASSERT_SEEN(...)                                                  \
    assert_seen(sizeof((const long[]){__VA_ARGS__}) / sizeof(const long), \
                (const long[]){__VA_ARGS__})

/* ---- futures ---- */

static int on_itself(reeve_environ *environ, reeve_start_response *start_response)
{
    reeve_future *future = reeve_future_new(), *failed = reeve_future_new();
    int mine = 7;
    void *value = NULL;

    note(reeve_future_is_done(future));
    note_result(reeve_future_result(future, &value));
    note_result(reeve_await(future, 0, &value));
    note_result(reeve_future_resolve(future, &mine));
    note_result(reeve_future_resolve(future, NULL));
    note_result(reeve_future_fail(future, EIO));
    note_result(reeve_future_cancel(future));
    note_result(reeve_await(future, REEVE_FOREVER, &value));
    note(value == &mine);
    note_result(reeve_future_fail(failed, 0));
    note_result(reeve_future_fail(failed, EIO));
    note_result(reeve_await(failed, REEVE_FOREVER, &value));
    return done(environ, start_response);
}

static void a_future_is_settled_once(void **state)
{
    (void)state;
    run(on_itself);
    assert_done();
    ASSERT_SEEN(0, -EINPROGRESS, -ETIMEDOUT, 0, -EALREADY, -EALREADY, -EALREADY, 0, 1, -EINVAL, 0,
                -EIO);
}

static int resolve(void *arg, void **value_out)
{
    (void)value_out;
    reeve_sleep(0.005);
    reeve_future_resolve(arg, arg);
    return 0;
}

static int from_a_task(reeve_environ *environ, reeve_start_response *start_response)
{
    reeve_future *future = reeve_future_new();
    void *value = NULL;

    reeve_spawn(resolve, future);
    note_result(reeve_await(future, 0.0001, &value));
    note_result(reeve_await(future, REEVE_FOREVER, &value));
    note(value == future);
    return done(environ, start_response);
}

static void who_awaits_goes_on_when_it_is_settled_or_its_time_is_over(void **state)
{
    (void)state;
    run(from_a_task);
    assert_done();
    ASSERT_SEEN(-ETIMEDOUT, 0, 1);
}

static void on_done(reeve_future *future, void *arg)
{
    mark(*(const char *)arg);
    note_result(reeve_future_result(future, NULL));
    note_result(reeve_await(future, 1, NULL));
}

static int with_callbacks(reeve_environ *environ, reeve_start_response *start_response)
{
    static const char names[] = "abc";
    reeve_future *future = reeve_future_new();

    reeve_future_on_done(future, on_done, (void *)(uintptr_t)&names[0]);
    reeve_future_on_done(future, on_done, (void *)(uintptr_t)&names[1]);
    reeve_future_fail(future, EIO);
    reeve_future_on_done(future, on_done, (void *)(uintptr_t)&names[2]);
    mark('-');
    return done(environ, start_response);
}

/* ... for the request, which is over, and on the loop's stack. */
static void callbacks_are_called_in_their_order_and_later(void **state)
{
    (void)state;
    run(with_callbacks);
    while (c.generation->holds > 0)
        app_case_turn(&c);
    assert_done();
    assert_string_equal(seen.trace, "-abc");
    ASSERT_SEEN(-EIO, -EDEADLK, -EIO, -EDEADLK, -EIO, -EDEADLK);
}

static int unsettled(reeve_environ *environ, reeve_start_response *start_response)
{
    static const char name = 'x';

    reeve_future_on_done(reeve_future_new(), on_done, (void *)(uintptr_t)&name);
    return done(environ, start_response);
}

static void what_is_never_settled_is_freed_with_its_callbacks(void **state)
{
    (void)state;
    run(unsettled);
    assert_done();
    assert_string_equal(seen.trace, "");
}

static int keeps(reeve_environ *environ, reeve_start_response *start_response)
{
    seen.kept = reeve_future_hold(reeve_future_new());
    return done(environ, start_response);
}

static void one_that_is_held_outlives_its_scope_and_holds_the_build(void **state)
{
    (void)state;
    run(keeps);
    assert_int_equal(c.generation->held_for[HOLD_FUTURE], 1);
    assert_int_equal(reeve_future_resolve(seen.kept, NULL), 0);
    reeve_future_release(seen.kept);
    assert_done();
}

/* ---- tasks ---- */

static int sleeper(void *arg, void **value_out)
{
    if (reeve_sleep(*(const double *)arg) == -1) {
        mark('!');
        return -1;
    }
    *value_out = arg;
    mark('s');
    return 0;
}

static int failing(void *arg, void **value_out)
{
    (void)value_out;
    errno = *(const int *)arg;
    return -1;
}

static int gather(reeve_environ *environ, reeve_start_response *start_response)
{
    static const double times[] = {0.02, 0.001, 0.01};
    static const int errors[] = {EPIPE, EBADF};
    reeve_future *tasks[5];

    for (int i = 0; i < 3; i++)
        tasks[i] = reeve_spawn(sleeper, (void *)(uintptr_t)&times[i]);
    note_result(reeve_await_any(tasks, 3, REEVE_FOREVER));
    note_result(reeve_await_all(tasks, 3, 0.0001));
    note_result(reeve_await_all(tasks, 3, REEVE_FOREVER));
    for (int i = 0; i < 2; i++)
        tasks[3 + i] = reeve_spawn(failing, (void *)(uintptr_t)&errors[i]);
    note_result(reeve_await_all(tasks, 5, REEVE_FOREVER));
    note_result(reeve_future_resolve(tasks[0], NULL));
    note_result(reeve_await_any(tasks, 0, REEVE_FOREVER));
    return done(environ, start_response);
}

static void all_or_any_of_several_are_awaited(void **state)
{
    (void)state;
    run(gather);
    assert_done();
    ASSERT_SEEN(1, -ETIMEDOUT, 0, -EPIPE, -EALREADY, -EINVAL);
    assert_false(has_logged("nobody awaited"));
}

static int leaves_them(reeve_environ *environ, reeve_start_response *start_response)
{
    static const double hour = 3600;

    for (int i = 0; i < 3; i++)
        reeve_spawn(sleeper, (void *)(uintptr_t)&hour);
    reeve_sleep(0.002);
    reeve_spawn(sleeper, (void *)(uintptr_t)&hour); /* it never begins */
    return done(environ, start_response);
}

static void tasks_that_run_on_are_cancelled_before_the_request_ends(void **state)
{
    (void)state;
    run(leaves_them);
    assert_done();
    assert_string_equal(seen.trace, "!!!");
}

static int unseen(reeve_environ *environ, reeve_start_response *start_response)
{
    static const int error = ENOTTY;

    reeve_spawn(failing, (void *)(uintptr_t)&error);
    reeve_sleep(0.001);
    return done(environ, start_response);
}

static void a_failure_that_nobody_looks_at_is_logged_with_its_origin(void **state)
{
    (void)state;
    run(unseen);
    assert_done();
    assert_true(has_logged("case 1: a task failed, and nobody awaited it: failing "
                           "(tests/unit/test_app_task.c:"));
    assert_true(has_logged(strerror(ENOTTY)));
}

static int stopped(reeve_environ *environ, reeve_start_response *start_response)
{
    static const double hour = 3600;
    reeve_future *task = reeve_spawn(sleeper, (void *)(uintptr_t)&hour);

    reeve_sleep(0.001);
    note_result(reeve_future_cancel(task));
    note(reeve_future_is_done(task));
    note_result(reeve_future_cancel(task));
    note_result(reeve_await(task, REEVE_FOREVER, NULL));
    note_result(reeve_future_cancel(task));
    return done(environ, start_response);
}

static void a_task_that_is_cancelled_unwinds_and_then_is_done(void **state)
{
    (void)state;
    run(stopped);
    assert_done();
    ASSERT_SEEN(0, 0, -EALREADY, -ECANCELED, -EALREADY);
    assert_string_equal(seen.trace, "!");
}

static int whose(void *arg, void **value_out)
{
    (void)value_out;
    note(reeve_current_environ() == arg);
    note(reeve_current_module() == reeve_environ_module(arg));
    return 0;
}

static int asks_whose(reeve_environ *environ, reeve_start_response *start_response)
{
    whose(environ, NULL);
    reeve_await(reeve_spawn(whose, environ), REEVE_FOREVER, NULL);
    return done(environ, start_response);
}

static void a_task_knows_its_request(void **state)
{
    (void)state;
    run(asks_whose);
    assert_done();
    ASSERT_SEEN(1, 1, 1, 1);
}

/* ---- scopes ---- */

static int limited(reeve_environ *environ, reeve_start_response *start_response)
{
    static const double hour = 3600;
    reeve_scope outer, inner;

    note_result(reeve_scope_begin(&outer, 0.02));
    note_result(reeve_scope_begin(&inner, 0.002));
    reeve_spawn(sleeper, (void *)(uintptr_t)&hour);
    note_result(reeve_sleep(3600));
    note_result(reeve_sleep(3600)); /* at once */
    note(reeve_is_cancelled());
    note_result(reeve_scope_end(&outer)); /* not the innermost */
    note_result(reeve_scope_end(&inner));
    note_result(reeve_sleep(0));
    note_result(reeve_sleep(3600));
    note_result(reeve_scope_end(&outer));
    note_result(reeve_sleep(0));
    note(reeve_is_cancelled());
    return done(environ, start_response);
}

static void a_limit_fails_all_waits_until_the_end_of_its_scope(void **state)
{
    (void)state;
    run(limited);
    assert_done();
    ASSERT_SEEN(0, 0, -ETIMEDOUT, -ETIMEDOUT, ETIMEDOUT, -EINVAL, -ETIMEDOUT, 0, -ETIMEDOUT,
                -ETIMEDOUT, 0, 0);
    assert_string_equal(seen.trace, "!");
}

static int outer_first(reeve_environ *environ, reeve_start_response *start_response)
{
    reeve_scope outer, inner;

    reeve_scope_begin(&outer, 0.002);
    reeve_scope_begin(&inner, 3600);
    note_result(reeve_sleep(3600));
    note_result(reeve_scope_end(&inner));
    note_result(reeve_sleep(3600)); /* still */
    note_result(reeve_scope_end(&outer));
    note_result(reeve_sleep(0));
    return done(environ, start_response);
}

static void the_limit_of_an_outer_scope_reaches_inwards(void **state)
{
    (void)state;
    run(outer_first);
    assert_done();
    ASSERT_SEEN(-ETIMEDOUT, 0, -ETIMEDOUT, -ETIMEDOUT, 0);
}

static int leaves_open(reeve_environ *environ, reeve_start_response *start_response)
{
    static const double hour = 3600;
    reeve_scope scope;

    reeve_scope_begin(&scope, 60);
    reeve_spawn(sleeper, (void *)(uintptr_t)&hour);
    reeve_sleep(0);
    return done(environ, start_response);
}

static void a_scope_that_is_left_open_is_closed_and_logged(void **state)
{
    (void)state;
    run(leaves_open);
    assert_done();
    assert_string_equal(seen.trace, "!");
    assert_true(has_logged("case 1: a scope was left open"));
}

static void hook(void *arg)
{
    mark(*(const char *)arg);
}

static int hooked(reeve_environ *environ, reeve_start_response *start_response)
{
    static const char names[] = "abc";
    static const double hour = 3600;
    reeve_scope_hook *gone;
    reeve_scope scope;

    reeve_scope_on_end(hook, (void *)(uintptr_t)&names[0]);
    reeve_scope_begin(&scope, REEVE_FOREVER);
    reeve_scope_on_end(hook, (void *)(uintptr_t)&names[1]);
    gone = reeve_scope_on_end(hook, (void *)(uintptr_t)&names[2]);
    reeve_scope_on_end(hook, (void *)(uintptr_t)&names[2]);
    reeve_scope_forget(gone);
    reeve_spawn(sleeper, (void *)(uintptr_t)&hour);
    reeve_sleep(0);
    reeve_scope_end(&scope);
    mark('-');
    return done(environ, start_response);
}

static void hooks_are_called_when_the_tasks_have_ended_the_last_first(void **state)
{
    (void)state;
    run(hooked);
    assert_done();
    assert_string_equal(seen.trace, "!cb-a");
}

static int clocked(reeve_environ *environ, reeve_start_response *start_response)
{
    reeve_future *two[] = {reeve_after(3600), reeve_after(0.001)};

    note_result(reeve_await_any(two, 2, REEVE_FOREVER));
    return done(environ, start_response);
}

static void a_future_settles_by_the_clock(void **state)
{
    (void)state;
    run(clocked);
    assert_done();
    ASSERT_SEEN(1);
}

/* ---- elsewhere ---- */

static void without_a_coroutine_nothing_waits(void **state)
{
    reeve_scope scope;

    (void)state;
    run(done);
    assert_null(reeve_future_new());
    assert_int_equal(errno, EDEADLK);
    assert_null(reeve_spawn(failing, NULL));
    assert_int_equal(errno, EDEADLK);
    assert_int_equal(reeve_scope_begin(&scope, 1), -1);
    assert_int_equal(errno, EDEADLK);
    assert_null(reeve_current_environ());
    assert_int_equal(reeve_is_cancelled(), 0);
}

static int background(void *arg, void **value_out)
{
    reeve_future *future = arg;

    note(reeve_current_environ() == NULL);
    *value_out = arg;
    reeve_sleep(0.002);
    reeve_future_resolve(future, NULL);
    reeve_future_release(future);
    return 0;
}

static int begins_background(reeve_environ *environ, reeve_start_response *start_response)
{
    reeve_future *future = reeve_future_hold(reeve_future_new());

    note_result(
        reeve_spawn_background(reeve_environ_module(environ), background, future, &seen.kept));
    return done(environ, start_response);
}

static void background_work_outlives_its_request(void **state)
{
    void *value = NULL;

    (void)state;
    run(begins_background);
    assert_non_null(strstr(c.wire, "\r\n\r\ndone\n"));
    assert_int_equal(c.generation->held_for[HOLD_TASK], 1);
    while (coro_alive() > 0)
        app_case_turn(&c);
    assert_int_equal(reeve_future_result(seen.kept, &value), 0);
    assert_non_null(value);
    reeve_future_release(seen.kept);
    assert_done();
    ASSERT_SEEN(0, 1);
}

/* ---- whoever is cancelled, wherever ---- */

static int inner_work(void *arg, void **value_out)
{
    static const double moment = 0.0005;
    reeve_future *tasks[3];

    (void)arg, (void)value_out;
    for (int i = 0; i < 3; i++) {
        tasks[i] = reeve_spawn(sleeper, (void *)(uintptr_t)&moment);
        if (!tasks[i])
            return -1;
    }
    return reeve_await_all(tasks, 3, REEVE_FOREVER);
}

static int everything(reeve_environ *environ, reeve_start_response *start_response)
{
    static const char name = 'h';
    reeve_future *future = reeve_future_new();
    reeve_future *two[2];
    reeve_scope scope;

    reeve_scope_begin(&scope, 0.01);
    reeve_scope_on_end(hook, (void *)(uintptr_t)&name);
    two[0] = reeve_spawn(resolve, future);
    two[1] = reeve_spawn(inner_work, NULL);
    reeve_await(future, 1, NULL);
    reeve_await_any(two, 2, 1);
    reeve_await_all(two, 2, 1);
    reeve_sleep(0);
    reeve_sleep(3600);
    reeve_scope_end(&scope);
    reeve_await(reeve_after(0.0001), 1, NULL);
    reeve_sleep(0);
    mark('e');
    return done(environ, start_response);
}

static void whoever_is_cancelled_at_the_nth_wait_leaves_nothing_behind(void **state)
{
    unsigned n = 0, waits;

    (void)state;
    assert_int_equal(app_case_open(&c, everything), 0);
    do {
        coro_cancel_nth(++n);
        memset(&seen, 0, sizeof seen);
        app_case_ask(&c, GET);
        waits = coro_cancel_nth(0);
        assert_int_equal(coro_alive(), 0);
        assert_int_equal(c.generation->holds, 0);
        assert_non_null(strchr(seen.trace, 'h'));
        assert_non_null(strchr(seen.trace, 'e'));
    } while (waits == 0 && n < 1000);
    assert_in_range(n, 10, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_future_is_settled_once, setup, teardown),
        cmocka_unit_test_setup_teardown(who_awaits_goes_on_when_it_is_settled_or_its_time_is_over,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(callbacks_are_called_in_their_order_and_later, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_is_never_settled_is_freed_with_its_callbacks, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(one_that_is_held_outlives_its_scope_and_holds_the_build,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(all_or_any_of_several_are_awaited, setup, teardown),
        cmocka_unit_test_setup_teardown(tasks_that_run_on_are_cancelled_before_the_request_ends,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_failure_that_nobody_looks_at_is_logged_with_its_origin,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_task_that_is_cancelled_unwinds_and_then_is_done, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_task_knows_its_request, setup, teardown),
        cmocka_unit_test_setup_teardown(a_limit_fails_all_waits_until_the_end_of_its_scope, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_limit_of_an_outer_scope_reaches_inwards, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_scope_that_is_left_open_is_closed_and_logged, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(hooks_are_called_when_the_tasks_have_ended_the_last_first,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_future_settles_by_the_clock, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_coroutine_nothing_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(background_work_outlives_its_request, setup, teardown),
        cmocka_unit_test_setup_teardown(whoever_is_cancelled_at_the_nth_wait_leaves_nothing_behind,
                                        setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
