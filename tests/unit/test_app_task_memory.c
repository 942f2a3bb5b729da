/* test_app_task_memory.c: a request for which memory runs out while it makes scopes, hooks, futures,
 * tasks and timers, at each of the places where it can: each call says so, and nothing is left. */
#include <reeve/async.h>

#include "app_case.h"
#include "memory_case.h"

#define GET "GET / HTTP/1.1\r\nHost: h\r\n\r\n"

static struct app_case c;
static int allowed;
static unsigned failures, others, hooks;

static bool note(bool is_made)
{
    failures += !is_made;
    others += !is_made && errno != ENOMEM;
    return is_made;
}

static void hook(void *arg)
{
    (void)arg;
    hooks++;
}

static void on_done(reeve_future *future, void *arg)
{
    (void)future, (void)arg;
}

static int naps(void *arg, void **value_out)
{
    (void)arg, (void)value_out;
    return reeve_sleep(0.001);
}

static void make_some(reeve_module *module)
{
    reeve_future *many[20], *future;
    reeve_timer *timer;
    size_t count = 0;

    note(reeve_scope_on_end(hook, NULL) != NULL);
    if (note((future = reeve_after(3600)) != NULL))
        note(reeve_future_on_done(future, on_done, NULL) == 0);
    while (count < 20 && note((many[count] = reeve_future_new()) != NULL))
        count++;
    if (count == 20) /* too many for its stack */
        note(reeve_await_any(many, count, 0) != -1 || errno == ETIMEDOUT);
    note(reeve_spawn(naps, NULL) != NULL);
    note(reeve_spawn_background(module, naps, NULL, NULL) == 0);
    if (note((timer = reeve_call_every(module, 3600, naps, NULL)) != NULL))
        reeve_timer_stop(timer);
}

static int makes_some(reeve_environ *environ, reeve_start_response *start_response)
{
    reeve_scope scope;

    failures = others = hooks = 0;
    reeve_current_module(); /* its strand lies in the request's memory */
    left = allowed;
    if (note(reeve_scope_begin(&scope, 3600) == 0)) {
        make_some(reeve_environ_module(environ));
        left = -1;
        note(reeve_scope_end(&scope) == 0);
    }
    left = -1;
    start_response(environ, "200 OK", REEVE_NO_HEADERS);
    return reeve_write(environ, "done\n", 5);
}

static void ask(void)
{
    app_case_ask(&c, GET);
    while (coro_alive() > 0)
        app_case_turn(&c);
    assert_non_null(strstr(c.wire, "\r\n\r\ndone\n"));
    assert_int_equal(c.generation->holds, 0);
    assert_int_equal(others, 0);
}

static void memory_that_runs_out_is_an_error_and_leaves_nothing(void **state)
{
    (void)state;
    if (!CAN_FAIL)
        skip();
    assert_int_equal(app_case_open(&c, makes_some), 0);
    for (allowed = 0; allowed == 0 || failures > 0; allowed++) {
        assert_true(allowed < 100);
        ask();
    }
    assert_true(allowed > 20);
    app_case_close(&c);
}

static int has_no_stack(reeve_environ *environ, reeve_start_response *start_response)
{
    failures = others = 0;
    c.descriptor.stack_size = (size_t)1 << 60;
    note(reeve_spawn(naps, NULL) != NULL);
    note(reeve_spawn_background(reeve_environ_module(environ), naps, NULL, NULL) == 0);
    c.descriptor.stack_size = 0;
    start_response(environ, "200 OK", REEVE_NO_HEADERS);
    return reeve_write(environ, "done\n", 5);
}

static void so_is_that_of_stacks(void **state)
{
    (void)state;
    assert_int_equal(app_case_open(&c, has_no_stack), 0);
    ask();
    assert_int_equal(failures, 2);
    app_case_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_that_runs_out_is_an_error_and_leaves_nothing),
        cmocka_unit_test(so_is_that_of_stacks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
