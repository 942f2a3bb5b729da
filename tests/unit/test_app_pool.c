/* test_app_pool.c: a pool as an application sees it: who gets what, when, and that nothing is left
 * open or lost by whoever is cancelled, forgets to give back, or finds the service down. */
#include <reeve/async.h>
#include <reeve/pool.h>

#include "app_case.h"
#include "base/log.h"
#include "base/pools.h"

#define GET "GET / HTTP/1.1\r\nHost: h\r\n\r\n"

/* Assertions belong on the loop's stack: an application notes what it sees. */
static struct {
    long results[64];
    unsigned count;
    char trace[64];
} seen;

/* What the pool keeps, and how its making behaves. */
static struct {
    struct thing {
        bool is_open, is_broken;
    } things[64];
    unsigned opened, closed, checked, tried, gone;
    unsigned opening, opening_most;
    double open_seconds; /* how long it takes */
    int open_error;      /* 0: it succeeds */
    bool is_lame;        /* a check takes its time, and fails */
} service;

static struct app_case c;
static char log_path[] = "/tmp/reeve-test-pool-XXXXXX";
static reeve_pool *pool;
static reeve_pool_options options;

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

static int open_thing(void *state, void **item_out)
{
    int result = 0;

    (void)state;
    service.tried++;
    service.opening++;
    if (service.opening > service.opening_most)
        service.opening_most = service.opening;
    if (service.open_seconds > 0)
        result = reeve_sleep(service.open_seconds);
    service.opening--;
    if (result == -1)
        return -1;
    if (service.open_error) {
        errno = service.open_error;
        return -1;
    }
    *item_out = &service.things[service.opened++];
    service.things[service.opened - 1].is_open = true;
    return 0;
}

static void close_thing(void *state, void *item)
{
    struct thing *thing = item;

    (void)state;
    service.closed += thing->is_open;
    thing->is_open = false;
}

static int check_thing(void *state, void *item, double idle)
{
    const struct thing *thing = item;

    (void)state, (void)idle;
    service.checked++;
    if (service.is_lame) {
        reeve_sleep(0.01);
        return -1;
    }
    return thing->is_broken ? -1 : reeve_sleep(0.001);
}

static void gone(void *state)
{
    (void)state;
    service.gone++;
}

static int setup(void **state)
{
    int fd;

    (void)state;
    memset(&seen, 0, sizeof seen);
    memset(&service, 0, sizeof service);
    memcpy(log_path + sizeof log_path - 7, "XXXXXX", 6);
    fd = mkstemp(log_path);
    close(fd);
    options = (reeve_pool_options){
        .name = "things", .size = 2, .open = open_thing, .close = close_thing, .gone = gone};
    return log_open(log_path, LOG_LEVEL_INFO);
}

static const struct pools_row *figures(void)
{
    return &board_cell(c.board, 0, 0)->pools[0];
}

/* Whatever happened, all that was opened is closed in the end, and the pool has gone. */
static int teardown(void **state)
{
    (void)state;
    app_case_close(&c);
    unlink(log_path);
    assert_int_equal(service.closed, service.opened);
    assert_int_equal(service.gone, 1);
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
    pool = reeve_pool_new(generation_module(c.generation), &options);
    assert_non_null(pool);
    app_case_ask(&c, GET);
    assert_non_null(strstr(c.wire, "done\n"));
}

/* For as long as the pool's own timers take. */
static void turn_until_closed(unsigned count)
{
    while (service.closed < count)
        event_base_loop(c.base, EVLOOP_ONCE);
}

static void assert_pool(size_t idle, size_t taken, size_t opening, size_t waiting)
{
    reeve_pool_state now;

    reeve_pool_look(pool, &now);
    assert_int_equal(now.idle, idle);
    assert_int_equal(now.taken, taken);
    assert_int_equal(now.opening, opening);
    assert_int_equal(now.waiting, waiting);
    assert_int_equal(board_get(&figures()->open), idle + taken);
    assert_int_equal(board_get(&figures()->taken), taken);
    assert_int_equal(board_get(&figures()->waiting), waiting);
}

/* ---- taking and giving ---- */

static int takes_and_gives(reeve_environ *environ, reeve_start_response *start_response)
{
    void *one, *two;

    note_result(reeve_pool_take(pool, 1, &one));
    reeve_pool_give(pool, one);
    note_result(reeve_pool_take(pool, 1, &two));
    note(one == two);
    note_result(reeve_pool_take(pool, 1, &two));
    note(one == two);
    reeve_pool_give(pool, two);
    reeve_pool_give(pool, one);
    return done(environ, start_response);
}

static void what_was_given_back_is_used_again(void **state)
{
    (void)state;
    run(takes_and_gives);
    assert_int_equal(seen.results[0], 0);
    assert_int_equal(seen.results[1], 0);
    assert_int_equal(seen.results[2], 1);
    assert_int_equal(seen.results[3], 0);
    assert_int_equal(seen.results[4], 0);
    assert_int_equal(service.opened, 2);
    assert_pool(2, 0, 0, 0);
    assert_int_equal(board_get(&figures()->takes), 3);
    assert_int_equal(board_get(&figures()->opens), 2);
    assert_int_equal(board_get(&figures()->size), 2);
}

static int takes_and_waits(void *arg, void **value_out)
{
    void *item;

    (void)value_out;
    if (reeve_pool_take(pool, 1, &item) == -1)
        return -1;
    mark(*(const char *)arg);
    reeve_sleep(0.002);
    reeve_pool_give(pool, item);
    return 0;
}

static int takes_many(reeve_environ *environ, reeve_start_response *start_response)
{
    static const char names[] = "abcdefgh";
    reeve_future *tasks[8];

    for (unsigned i = 0; i < 8; i++)
        tasks[i] = reeve_spawn(takes_and_waits, (void *)(uintptr_t)&names[i]);
    note_result(reeve_await_all(tasks, 8, 5));
    return done(environ, start_response);
}

static void who_comes_first_is_served_first(void **state)
{
    (void)state;
    service.open_seconds = 0.01;
    run(takes_many);
    assert_int_equal(seen.results[0], 0);
    assert_string_equal(seen.trace, "abcdefgh");
    assert_int_equal(service.opened, 2);
    assert_int_equal(service.opening_most, 2);
    assert_pool(2, 0, 0, 0);
    assert_int_equal(board_get(&figures()->waits), 8);
    assert_true(board_get(&figures()->wait_max) >= 10 * NS_PER_MS);
    assert_true(board_get(&figures()->wait_sum) >= 8 * 10 * NS_PER_MS);
}

static int takes_too_many(reeve_environ *environ, reeve_start_response *start_response)
{
    void *items[3];
    reeve_future *waiting;

    note_result(reeve_pool_take(pool, 0, &items[0]));
    note_result(reeve_pool_take(pool, 1, &items[0]));
    note_result(reeve_pool_take(pool, 1, &items[1]));
    note_result(reeve_pool_take(pool, 0.01, &items[2]));
    note(items[2] == NULL);
    waiting = reeve_spawn(takes_and_waits, (void *)(uintptr_t) "w");
    reeve_sleep(0.001);
    note_result(reeve_pool_take(pool, 1, &items[2]));
    reeve_pool_give(pool, items[0]);
    reeve_pool_give(pool, items[1]);
    note_result(reeve_await(waiting, 1, NULL));
    return done(environ, start_response);
}

static void nobody_waits_longer_than_he_wants_and_not_too_many_do(void **state)
{
    (void)state;
    options.max_waiting = 1;
    run(takes_too_many);
    assert_int_equal(seen.results[0], -ETIMEDOUT);
    assert_int_equal(seen.results[1], 0);
    assert_int_equal(seen.results[2], 0);
    assert_int_equal(seen.results[3], -ETIMEDOUT);
    assert_int_equal(seen.results[4], 1);
    assert_int_equal(seen.results[5], -EAGAIN);
    assert_int_equal(seen.results[6], 0);
    assert_int_equal(board_get(&figures()->timeouts), 2);
    assert_int_equal(board_get(&figures()->failures), 1);
    assert_pool(2, 0, 0, 0);
}

static int discards(reeve_environ *environ, reeve_start_response *start_response)
{
    void *items[2];
    reeve_future *waiting;

    reeve_pool_take(pool, 1, &items[0]);
    reeve_pool_take(pool, 1, &items[1]);
    waiting = reeve_spawn(takes_and_waits, (void *)(uintptr_t) "w");
    reeve_sleep(0.001);
    reeve_pool_discard(pool, items[0]);
    note_result(reeve_await(waiting, 1, NULL));
    reeve_pool_give(pool, items[1]);
    reeve_pool_give(pool, items[1]); /* twice: it says so, and no more */
    return done(environ, start_response);
}

static void the_place_of_what_is_broken_is_free(void **state)
{
    (void)state;
    run(discards);
    assert_int_equal(seen.results[0], 0);
    assert_int_equal(service.opened, 3);
    assert_int_equal(service.closed, 1);
    assert_int_equal(board_get(&figures()->discarded), 1);
    assert_true(has_logged("pool things: something was given back that is not taken"));
    assert_pool(2, 0, 0, 0);
}

/* ---- whoever does not give back ---- */

static int forgets(reeve_environ *environ, reeve_start_response *start_response)
{
    void *item;

    reeve_pool_take(pool, 1, &item);
    return done(environ, start_response);
}

static void what_was_not_given_back_is_closed_with_a_warning(void **state)
{
    (void)state;
    run(forgets);
    assert_int_equal(service.closed, 1);
    assert_true(has_logged("case 1: pool things: what was taken at tests/unit/test_app_pool.c:"));
    assert_true(has_logged(" was not given back (reeve_pool_give), and is closed"));
    assert_pool(0, 0, 0, 0);
}

static void *kept;

static int keeps(reeve_environ *environ, reeve_start_response *start_response)
{
    reeve_scope scope;

    reeve_scope_begin(&scope, REEVE_FOREVER);
    reeve_pool_take(pool, 1, &kept);
    reeve_pool_keep(pool, kept);
    reeve_scope_end(&scope);
    return done(environ, start_response);
}

static void what_is_kept_goes_with_no_scope(void **state)
{
    (void)state;
    run(keeps);
    assert_int_equal(service.closed, 0);
    assert_pool(0, 1, 0, 0);
    reeve_pool_give(pool, kept);
    assert_pool(1, 0, 0, 0);
}

/* ---- cancelling ---- */

static int cancels_a_taker(reeve_environ *environ, reeve_start_response *start_response)
{
    reeve_future *taker = reeve_spawn(takes_and_waits, (void *)(uintptr_t) "t");

    reeve_sleep(0.005);
    reeve_future_cancel(taker);
    note_result(reeve_await(taker, 1, NULL));
    reeve_sleep(0.03);
    return done(environ, start_response);
}

static void the_open_of_a_taker_who_was_cancelled_is_not_lost(void **state)
{
    (void)state;
    service.open_seconds = 0.02;
    run(cancels_a_taker);
    assert_int_equal(seen.results[0], -ECANCELED);
    assert_string_equal(seen.trace, "");
    assert_int_equal(service.opened, 1);
    assert_pool(1, 0, 0, 0);
}

static int cancels_one_of_two(reeve_environ *environ, reeve_start_response *start_response)
{
    void *item;
    reeve_future *first, *second;

    reeve_pool_take(pool, 1, &item);
    first = reeve_spawn(takes_and_waits, (void *)(uintptr_t) "1");
    second = reeve_spawn(takes_and_waits, (void *)(uintptr_t) "2");
    reeve_sleep(0.001);
    reeve_future_cancel(first);
    reeve_pool_give(pool, item); /* the first has been woken already, and has not run */
    note_result(reeve_await(second, 1, NULL));
    note_result(reeve_await(first, 1, NULL));
    return done(environ, start_response);
}

static void a_place_in_the_queue_goes_with_who_had_it(void **state)
{
    (void)state;
    options.size = 1;
    run(cancels_one_of_two);
    assert_int_equal(seen.results[0], 0);
    assert_int_equal(seen.results[1], -ECANCELED);
    assert_string_equal(seen.trace, "2");
    assert_pool(1, 0, 0, 0);
}

static int gives_then_cancels(reeve_environ *environ, reeve_start_response *start_response)
{
    void *item;
    reeve_future *taker;

    reeve_pool_take(pool, 1, &item);
    taker = reeve_spawn(takes_and_waits, (void *)(uintptr_t) "t");
    reeve_sleep(0.001);
    reeve_pool_give(pool, item);
    reeve_future_cancel(taker); /* it has it already */
    note_result(reeve_await(taker, 1, NULL));
    return done(environ, start_response);
}

static void what_was_given_to_one_who_is_cancelled_then_is_his(void **state)
{
    (void)state;
    options.size = 1;
    run(gives_then_cancels);
    assert_int_equal(seen.results[0], 0);
    assert_string_equal(seen.trace, "t");
    assert_pool(1, 0, 0, 0);
}

/* ---- a service that is down ---- */

static int finds_it_down(reeve_environ *environ, reeve_start_response *start_response)
{
    static const char names[] = "abcd";
    uint64_t began = clock_ns();
    reeve_future *tasks[4];
    void *item;

    for (unsigned i = 0; i < 4; i++)
        tasks[i] = reeve_spawn(takes_and_waits, (void *)(uintptr_t)&names[i]);
    for (unsigned i = 0; i < 4; i++)
        note_result(reeve_await(tasks[i], 5, NULL));
    note_result(reeve_pool_take(pool, 5, &item)); /* at once, and untried */
    note(clock_ns() - began < 90 * NS_PER_MS);
    note(service.tried);
    reeve_sleep(0.11); /* the pause */
    for (unsigned i = 0; i < 4; i++)
        tasks[i] = reeve_spawn(takes_and_waits, (void *)(uintptr_t)&names[i]);
    note_result(reeve_await(tasks[3], 5, NULL));
    note(service.tried);
    service.open_error = 0;
    reeve_sleep(0.21);
    note_result(reeve_pool_take(pool, 5, &item));
    reeve_pool_give(pool, item);
    return done(environ, start_response);
}

static void nobody_waits_for_a_service_that_is_down(void **state)
{
    (void)state;
    service.open_error = ECONNREFUSED;
    service.open_seconds = 0.005;
    run(finds_it_down);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(seen.results[i], -ECONNREFUSED);
    assert_int_equal(seen.results[5], 1);
    assert_int_equal(seen.results[6], 2); /* the size */
    assert_int_equal(seen.results[7], -ECONNREFUSED);
    assert_int_equal(seen.results[8], 3); /* one alone, for all four */
    assert_int_equal(seen.results[9], 0);
    assert_int_equal(board_get(&figures()->open_failures), 3);
    assert_pool(1, 0, 0, 0);
}

static int waits_beside_one_in_use(reeve_environ *environ, reeve_start_response *start_response)
{
    void *item;
    reeve_future *taker;

    reeve_pool_take(pool, 1, &item);
    service.open_error = ECONNREFUSED;
    taker = reeve_spawn(takes_and_waits, (void *)(uintptr_t) "t");
    reeve_sleep(0.01);
    note(service.tried);
    service.open_error = 0;
    note_result(reeve_await(taker, 5, NULL)); /* tried again after the pause, though nobody asks */
    note(service.tried);
    reeve_pool_give(pool, item);
    return done(environ, start_response);
}

static void who_waits_when_a_pause_ends_is_tried_for(void **state)
{
    (void)state;
    run(waits_beside_one_in_use);
    assert_int_equal(seen.results[0], 2);
    assert_int_equal(seen.results[1], 0);
    assert_int_equal(seen.results[2], 3);
    assert_pool(2, 0, 0, 0);
}

static int opens_slowly(reeve_environ *environ, reeve_start_response *start_response)
{
    void *item;

    note_result(reeve_pool_take(pool, 5, &item));
    return done(environ, start_response);
}

static void an_open_has_its_limit(void **state)
{
    (void)state;
    service.open_seconds = 60;
    options.open_limit = 0.01;
    run(opens_slowly);
    assert_int_equal(seen.results[0], -ETIMEDOUT);
    assert_int_equal(board_get(&figures()->open_failures), 1);
    assert_pool(0, 0, 0, 0);
}

/* ---- what is not used ---- */

static int checks(reeve_environ *environ, reeve_start_response *start_response)
{
    void *one, *two;

    reeve_pool_take(pool, 1, &one);
    reeve_pool_take(pool, 1, &two);
    note(service.checked);
    reeve_pool_give(pool, one);
    reeve_pool_give(pool, two);
    reeve_pool_take(pool, 1, &one);
    note(service.checked);
    reeve_pool_give(pool, one);
    service.things[0].is_broken = service.things[1].is_broken = true;
    note_result(reeve_pool_take(pool, 1, &one));
    note(one == &service.things[2]);
    reeve_pool_give(pool, one);
    return done(environ, start_response);
}

static void what_is_broken_is_not_used_again(void **state)
{
    (void)state;
    options.check = check_thing;
    run(checks);
    assert_int_equal(seen.results[0], 0);
    assert_int_equal(seen.results[1], 1);
    assert_int_equal(seen.results[2], 0);
    assert_int_equal(seen.results[3], 1);
    assert_int_equal(service.checked, 3);
    assert_int_equal(service.closed, 2);
    assert_pool(1, 0, 0, 0);
}

static void what_was_used_just_now_is_not_checked(void **state)
{
    (void)state;
    options.check = check_thing;
    options.check_after = 60;
    run(checks);
    assert_int_equal(service.checked, 0);
    assert_pool(2, 0, 0, 0);
}

static void what_nobody_uses_is_closed_but_for_the_least(void **state)
{
    (void)state;
    options.idle_limit = 0.02;
    options.min_idle = 1;
    run(takes_and_gives);
    turn_until_closed(1);
    assert_pool(1, 0, 0, 0);
}

static int grows_old(reeve_environ *environ, reeve_start_response *start_response)
{
    void *one, *two;

    reeve_pool_take(pool, 1, &one);
    reeve_sleep(0.02);
    reeve_pool_give(pool, one);
    reeve_pool_take(pool, 1, &two);
    note(one == two);
    reeve_pool_give(pool, two);
    return done(environ, start_response);
}

static void what_is_too_old_is_not_used_again(void **state)
{
    (void)state;
    options.lifetime = 0.01;
    run(grows_old);
    assert_int_equal(seen.results[0], 0);
    turn_until_closed(2);
    assert_pool(0, 0, 0, 0);
}

/* ---- the pool's end ---- */

static int frees_it(reeve_environ *environ, reeve_start_response *start_response)
{
    void *item, *none;
    reeve_future *opening, *waiting;

    reeve_pool_take(pool, 1, &item);
    service.open_seconds = 60;
    opening = reeve_spawn(takes_and_waits, (void *)(uintptr_t) "o");
    waiting = reeve_spawn(takes_and_waits, (void *)(uintptr_t) "w");
    reeve_sleep(0.005);
    reeve_pool_free(pool);
    note(service.gone);
    note_result(reeve_await(opening, 1, NULL));
    note_result(reeve_await(waiting, 1, NULL));
    note_result(reeve_pool_take(pool, 1, &none));
    reeve_pool_give(pool, item);
    note(service.gone);
    return done(environ, start_response);
}

static void a_pool_that_is_freed_goes_with_the_last_of_its_things(void **state)
{
    (void)state;
    run(frees_it);
    assert_int_equal(seen.results[0], 0);
    assert_int_equal(seen.results[1], -ECANCELED);
    assert_int_equal(seen.results[2], -ECANCELED);
    assert_int_equal(seen.results[3], -ECANCELED);
    assert_int_equal(service.gone, 1);
    assert_int_equal(board_get(&figures()->open), 0);
    assert_int_equal(board_get(&figures()->size), 0);
}

static int frees_it_under_a_taker(reeve_environ *environ, reeve_start_response *start_response)
{
    void *item;
    reeve_future *waiting;

    reeve_pool_take(pool, 1, &item);
    waiting = reeve_spawn(takes_and_waits, (void *)(uintptr_t) "w");
    reeve_sleep(0.001);
    reeve_pool_free(pool);
    reeve_pool_give(pool, item); /* the last one, before the taker has run */
    note(service.gone);
    note_result(reeve_await(waiting, 1, NULL));
    note(service.gone);
    return done(environ, start_response);
}

static void a_pool_that_is_freed_stays_until_its_takers_know(void **state)
{
    (void)state;
    options.size = 1;
    run(frees_it_under_a_taker);
    assert_int_equal(seen.results[0], 0);
    assert_int_equal(seen.results[1], -ECANCELED);
    assert_int_equal(seen.results[2], 1);
    assert_int_equal(board_get(&figures()->size), 0);
}

static int frees_it_under_a_check(reeve_environ *environ, reeve_start_response *start_response)
{
    void *items[2];
    reeve_future *checking;

    reeve_pool_take(pool, 1, &items[0]);
    reeve_pool_take(pool, 1, &items[1]);
    reeve_pool_give(pool, items[0]);
    service.is_lame = true;
    checking = reeve_spawn(takes_and_waits, (void *)(uintptr_t) "c");
    reeve_sleep(0.001);
    reeve_pool_free(pool);
    note_result(reeve_await(checking, 0.5, NULL));
    reeve_pool_give(pool, items[1]);
    return done(environ, start_response);
}

static void nobody_waits_for_a_pool_that_was_freed_meanwhile(void **state)
{
    (void)state;
    options.check = check_thing;
    run(frees_it_under_a_check);
    assert_int_equal(seen.results[0], -ECANCELED);
}

/* ---- options and figures ---- */

static int looks_at_options(reeve_environ *environ, reeve_start_response *start_response)
{
    reeve_module *module = reeve_environ_module(environ);
    reeve_pool_options wrong = options;

    wrong.name = "no spaces";
    note(reeve_pool_new(module, &wrong) == NULL && errno == EINVAL);
    wrong = options;
    wrong.open = NULL;
    note(reeve_pool_new(module, &wrong) == NULL && errno == EINVAL);
    wrong = options;
    wrong.size = 1025;
    note(reeve_pool_new(module, &wrong) == NULL && errno == EINVAL);
    return done(environ, start_response);
}

static void options_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    run(looks_at_options);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(seen.results[i], 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_given_back_is_used_again),
        TEST(who_comes_first_is_served_first),
        TEST(nobody_waits_longer_than_he_wants_and_not_too_many_do),
        TEST(the_place_of_what_is_broken_is_free),
        TEST(what_was_not_given_back_is_closed_with_a_warning),
        TEST(what_is_kept_goes_with_no_scope),
        TEST(the_open_of_a_taker_who_was_cancelled_is_not_lost),
        TEST(a_place_in_the_queue_goes_with_who_had_it),
        TEST(what_was_given_to_one_who_is_cancelled_then_is_his),
        TEST(nobody_waits_for_a_service_that_is_down),
        TEST(who_waits_when_a_pause_ends_is_tried_for),
        TEST(an_open_has_its_limit),
        TEST(what_is_broken_is_not_used_again),
        TEST(what_was_used_just_now_is_not_checked),
        TEST(what_nobody_uses_is_closed_but_for_the_least),
        TEST(what_is_too_old_is_not_used_again),
        TEST(a_pool_that_is_freed_goes_with_the_last_of_its_things),
        TEST(a_pool_that_is_freed_stays_until_its_takers_know),
        TEST(nobody_waits_for_a_pool_that_was_freed_meanwhile),
        TEST(options_that_make_no_sense_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
