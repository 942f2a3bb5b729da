/* test_app_scope.c: scopes, awaiting and the clock where an application does what is out of the
 * ordinary: hooks that meddle with scopes, a task that awaits itself, a loop that was kept busy. */
#include <reeve/async.h>

#include "app_case.h"
#include "base/log.h"

#define GET "GET / HTTP/1.1\r\nHost: h\r\n\r\n"

/* What an application notes: assertions belong on the loop's stack. */
static struct {
    long results[16];
    unsigned count, unwound;
    reeve_scope scope;
    reeve_future *self;
} seen;

static struct app_case c;
static char log_path[] = "/tmp/reeve-test-scope-XXXXXX";

/* A result, or the error in the negative. */
static void note_result(long result)
{
    if (seen.count < sizeof seen.results / sizeof seen.results[0])
        seen.results[seen.count++] = result == -1 ? -errno : result;
}

static int setup(void **state)
{
    (void)state;
    memset(&seen, 0, sizeof seen);
    memcpy(log_path + sizeof log_path - 7, "XXXXXX", 6);
    close(mkstemp(log_path));
    return log_open(log_path, LOG_LEVEL_INFO);
}

static int teardown(void **state)
{
    (void)state;
    app_case_close(&c);
    unlink(log_path);
    return log_open(NULL, LOG_LEVEL_INFO);
}

static unsigned count_logged(const char *text)
{
    static char bytes[65536];
    FILE *file = fopen(log_path, "r");
    size_t size = fread(bytes, 1, sizeof bytes - 1, file);
    unsigned count = 0;

    fclose(file);
    bytes[size] = '\0';
    for (const char *at = bytes; (at = strstr(at, text)); at++)
        count++;
    return count;
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

/* ---- hooks that meddle ---- */

static int sleeper(void *arg, void **value_out)
{
    (void)arg, (void)value_out;
    note_result(reeve_sleep(3600));
    seen.unwound++;
    return -1;
}

static void ends_its_scope(void *arg)
{
    note_result(reeve_scope_end(arg));
}

static int has_a_hook_that_ends_its_scope(reeve_environ *environ,
                                          reeve_start_response *start_response)
{
    reeve_scope_begin(&seen.scope, 60);
    reeve_scope_on_end(ends_its_scope, &seen.scope);
    note_result(reeve_scope_end(&seen.scope));
    note_result(reeve_scope_end(&seen.scope)); /* it has gone */
    return done(environ, start_response);
}

static void a_hook_cannot_end_the_scope_that_ends(void **state)
{
    (void)state;
    run(has_a_hook_that_ends_its_scope);
    ASSERT_SEEN(-EINVAL, 0, -EINVAL);
}

static void leaves_a_scope_open(void *arg)
{
    (void)arg;
    reeve_scope_begin(&seen.scope, 0.01);
    note_result(reeve_spawn(sleeper, NULL) ? 0 : -1);
    reeve_sleep(0);
}

static int has_a_hook_that_leaves_a_scope_open(reeve_environ *environ,
                                               reeve_start_response *start_response)
{
    reeve_scope scope;

    reeve_scope_on_end(leaves_a_scope_open, NULL); /* of the request */
    reeve_scope_begin(&scope, REEVE_FOREVER);
    reeve_scope_on_end(leaves_a_scope_open, NULL);
    note_result(reeve_scope_end(&scope));
    note_result(reeve_sleep(0.02));
    return done(environ, start_response);
}

static void what_a_hook_leaves_open_is_closed(void **state)
{
    (void)state;
    run(has_a_hook_that_leaves_a_scope_open);
    assert_int_equal(seen.unwound, 2);
    assert_int_equal(count_logged("case 1: a scope was left open"), 2);
    ASSERT_SEEN(0, -ECANCELED, 0, 0, 0, -ECANCELED);
}

/* ---- awaiting ---- */

static int awaits_itself(void *arg, void **value_out)
{
    (void)arg, (void)value_out;
    note_result(reeve_await(seen.self, 0.01, NULL));
    note_result(reeve_await_all(&seen.self, 1, 0.01));
    note_result(reeve_await_any(&seen.self, 1, 0.01));
    return 0;
}

static int spawns_who_awaits_itself(reeve_environ *environ, reeve_start_response *start_response)
{
    seen.self = reeve_spawn(awaits_itself, NULL);
    note_result(reeve_await(seen.self, REEVE_FOREVER, NULL));
    return done(environ, start_response);
}

static void a_task_cannot_await_itself(void **state)
{
    (void)state;
    run(spawns_who_awaits_itself);
    ASSERT_SEEN(-EDEADLK, -EDEADLK, -EDEADLK, 0);
}

static int fails_late(void *arg, void **value_out)
{
    (void)arg, (void)value_out;
    reeve_sleep(0.01);
    errno = EIO;
    return -1;
}

static int gives_up_too_soon(reeve_environ *environ, reeve_start_response *start_response)
{
    reeve_future *future = reeve_spawn(fails_late, NULL);

    note_result(reeve_await(future, 0.001, NULL));
    reeve_sleep(0.02);
    return done(environ, start_response);
}

static void who_gave_up_waiting_has_not_seen_the_failure(void **state)
{
    (void)state;
    run(gives_up_too_soon);
    ASSERT_SEEN(-ETIMEDOUT);
    assert_int_equal(count_logged("a task failed, and nobody awaited it"), 1);
}

/* ---- the clock ---- */

static void keep_busy(uint64_t ns)
{
    uint64_t end = clock_ns() + ns;

    while (clock_ns() < end)
        ;
}

/* The loop's own time is that of the begin of its round. */
static int is_busy_before(reeve_environ *environ, reeve_start_response *start_response)
{
    uint64_t begun;

    reeve_sleep(0);
    keep_busy(30 * NS_PER_MS);
    begun = clock_ns();
    note_result(reeve_await(reeve_after(0.02), REEVE_FOREVER, NULL));
    note_result(clock_ns() >= begun + 20 * NS_PER_MS);
    return done(environ, start_response);
}

static void a_future_by_the_clock_is_never_early(void **state)
{
    (void)state;
    run(is_busy_before);
    ASSERT_SEEN(0, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_hook_cannot_end_the_scope_that_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_hook_leaves_open_is_closed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_task_cannot_await_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(who_gave_up_waiting_has_not_seen_the_failure, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_future_by_the_clock_is_never_early, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
