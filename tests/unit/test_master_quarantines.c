/* test_master_quarantines.c: how a route that kills is put into quarantine, listed and lifted. Which
 * it is: test_master_kills.c. */
#include "master/quarantines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "board_case.h"
#include "base/log.h"
#include "master/master.h"
#include "master/pool_private.h"

#define WITHIN (60 * NS_PER_SEC)

static struct board_case the;
static struct master master;
static struct pool pool;

static int begin(void **state)
{
    (void)state;
    memset(&master, 0, sizeof master);
    memset(&pool, 0, sizeof pool);
    if (board_case_init(&the) != 0)
        return -1;
    log_open("/dev/null", LOG_LEVEL_DEBUG);
    the.config.quarantine_after = 3;
    the.config.quarantine_time = WITHIN;
    TAILQ_INIT(&pool.workers);
    master.board = the.board;
    master.config = &the.config;
    master.pool = &pool;
    master.base = event_base_new();
    board_set(&board_app(the.board, 0)->generation, 7);
    board_set(&board_app(the.board, 1)->generation, 2);
    if (master.base == NULL || catalog_open(&master.catalog, the.board) != 0)
        return -1;
    master.quarantines = quarantines_new(&master);
    return master.quarantines != NULL ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    quarantines_free(master.quarantines);
    catalog_close(&master.catalog);
    event_base_free(master.base);
    log_open(NULL, LOG_LEVEL_INFO);
    board_case_fini(&the);
    return 0;
}

static void fly(uint64_t app, uint64_t generation, const char *path, unsigned times)
{
    struct flight flight = {.app = app, .generation = generation};

    snprintf(flight.path, sizeof flight.path, "%s", path);
    while (times-- > 0)
        quarantines_on_kill(&master, &flight);
}

static bool is_refused(uint64_t app, uint64_t generation, const char *path)
{
    return quarantine_remaining(&the.board->quarantine, app, generation, path, clock_ns()) > 0;
}

static int listed(void)
{
    cJSON *list = quarantines_list(master.quarantines);
    int count = cJSON_GetArraySize(list);

    cJSON_Delete(list);
    return count;
}

static int lift(const char *app, const char *path)
{
    cJSON *list = quarantines_lift(master.quarantines, app, path);
    int count = cJSON_GetArraySize(list);

    cJSON_Delete(list);
    return count;
}

static void turn(void)
{
    event_base_loop(master.base, EVLOOP_NONBLOCK);
}

static void a_verdict_is_put_on_the_board(void **state)
{
    (void)state;
    fly(0, 7, "/null", 2);
    assert_false(is_refused(0, 7, "/null"));
    fly(0, 7, "/null", 1);
    assert_true(is_refused(0, 7, "/null"));
    assert_false(is_refused(1, 2, "/null"));
    assert_int_equal(the.board->quarantine.count, 1);
    assert_int_equal(the.board->quarantine.entries[0].kills, 3);
    fly(0, 7, "/null", 2); /* they ran already */
    assert_int_equal(the.board->quarantine.count, 1);
    assert_int_equal(the.board->quarantine.entries[0].kills, 5);
}

static void it_is_listed_with_its_path_as_in_a_request(void **state)
{
    cJSON *list, *entry;

    (void)state;
    fly(0, 7, "/%c3%a4%20b%25%27/c?d", 3);
    is_refused(0, 7, "/\303\244 b%'/c");
    list = quarantines_list(master.quarantines);
    entry = cJSON_GetArrayItem(list, 0);
    assert_int_equal(cJSON_GetArraySize(list), 1);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(entry, "app")), "hello");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(entry, "path")),
                        "/%C3%A4%20b%25%27/c");
    assert_int_equal(cJSON_GetNumberValue(cJSON_GetObjectItem(entry, "generation")), 7);
    assert_int_equal(cJSON_GetNumberValue(cJSON_GetObjectItem(entry, "kills")), 3);
    assert_int_equal(cJSON_GetNumberValue(cJSON_GetObjectItem(entry, "refused")), 1);
    assert_null(cJSON_GetObjectItem(entry, "is_prefix"));
    cJSON_Delete(list);
}

static void lifting_takes_the_route_the_app_or_all(void **state)
{
    (void)state;
    fly(0, 7, "/null", 3);
    fly(0, 7, "/loop", 3);
    fly(1, 2, "/echo/null", 3);
    assert_int_equal(lift("hello", "/other"), 0);
    assert_int_equal(lift("nobody", NULL), 0);
    assert_int_equal(lift("echo", "/null"), 0);
    assert_int_equal(listed(), 3);
    assert_int_equal(lift("hello", "/null"), 1);
    assert_false(is_refused(0, 7, "/null"));
    assert_true(is_refused(0, 7, "/loop"));
    assert_int_equal(lift("echo", NULL), 1);
    fly(0, 7, "/null", 3);
    assert_int_equal(lift(NULL, NULL), 2);
    assert_int_equal(lift(NULL, NULL), 0);
    assert_int_equal(the.board->quarantine.count, 0);
    fly(0, 7, "/null", 2); /* those before were forgotten */
    assert_int_equal(listed(), 0);
}

static void a_folder_takes_the_place_of_its_routes_and_any_path_in_it_lifts_it(void **state)
{
    char path[32];

    (void)state;
    fly(0, 7, "/users/1", 3);
    for (unsigned i = 2; i <= 6; i++) {
        snprintf(path, sizeof path, "/users/%u", i);
        fly(0, 7, path, 1);
    }
    assert_int_equal(the.board->quarantine.count, 1);
    assert_true(is_refused(0, 7, "/users/99"));
    assert_false(is_refused(0, 7, "/"));
    fly(0, 7, "/users/7", 3);
    assert_int_equal(listed(), 1);
    assert_int_equal(lift("hello", "/users/5"), 1);
    assert_false(is_refused(0, 7, "/users/1"));
}

static void a_new_build_ends_it(void **state)
{
    (void)state;
    fly(0, 7, "/null", 3);
    fly(1, 2, "/echo/null", 3);
    board_set(&board_app(the.board, 0)->generation, 8);
    assert_int_equal(listed(), 1);
    assert_int_equal(lift("hello", NULL), 0); /* looks, too */
    assert_int_equal(the.board->quarantine.entries[0].until, 0);
    fly(0, 7, "/null", 9); /* of requests that the old one still had */
    assert_int_equal(listed(), 1);
}

static void a_canary_is_quarantined_too_and_not_what_nobody_has(void **state)
{
    struct worker worker = {.holds = LIST_HEAD_INITIALIZER(worker.holds)};
    struct build *build = build_adopt("/nowhere", 0, 8);

    (void)state;
    fly(0, 8, "/null", 3);
    assert_int_equal(listed(), 0);
    TAILQ_INSERT_TAIL(&pool.workers, &worker, link);
    assert_non_null(hold_add(&worker.holds, build));
    fly(0, 8, "/null", 3);
    assert_true(is_refused(0, 8, "/null"));
    assert_false(is_refused(0, 7, "/null"));
    assert_int_equal(listed(), 1);
    hold_drop_all(&worker.holds);
    assert_int_equal(listed(), 0);
    build_unref(build);
}

static void what_is_no_app_is_nothing(void **state)
{
    (void)state;
    fly(2, 0, "/null", 3);
    fly(UINT64_MAX, 7, "/null", 3);
    fly(UINT64_C(1) << 32, 7, "/null", 3);
    assert_int_equal(the.board->quarantine.count, 0);
}

static void when_it_is_switched_off_all_are_served(void **state)
{
    (void)state;
    fly(0, 7, "/null", 3);
    the.config.quarantine_after = 0;
    assert_int_equal(listed(), 0);
    fly(0, 7, "/other", 9);
    assert_int_equal(the.board->quarantine.count, 0);
}

static void its_end_is_noticed_in_time(void **state)
{
    (void)state;
    the.config.quarantine_time = 1;
    fly(0, 7, "/null", 3);
    assert_int_equal(the.board->quarantine.count, 0);
    the.config.quarantine_after = 1;
    the.config.quarantine_time = NS_PER_MS;
    fly(0, 7, "/null", 1);
    for (int i = 0; i < 200 && the.board->quarantine.count > 0; i++) {
        struct timespec pause = {.tv_nsec = 5 * 1000 * 1000};

        nanosleep(&pause, NULL);
        turn();
    }
    assert_int_equal(the.board->quarantine.count, 0);
}

static void another_master_goes_on_with_what_is_on_the_board(void **state)
{
    (void)state;
    fly(0, 7, "/null", 3);
    quarantines_free(master.quarantines);
    master.quarantines = quarantines_new(&master);
    assert_true(is_refused(0, 7, "/null"));
    assert_int_equal(listed(), 1);
    assert_int_equal(lift("hello", "/null"), 1);
}

static void with_too_many_the_one_that_ends_soonest_makes_room(void **state)
{
    char path[32];

    (void)state;
    the.config.quarantine_after = 1;
    for (unsigned i = 0; i <= QUARANTINE_MOST; i++) {
        snprintf(path, sizeof path, "/%u", i);
        fly(0, 7, path, 1);
    }
    assert_int_equal(listed(), QUARANTINE_MOST);
    assert_false(is_refused(0, 7, "/0"));
    assert_true(is_refused(0, 7, "/1"));
    assert_true(is_refused(0, 7, path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_verdict_is_put_on_the_board, begin, end),
        cmocka_unit_test_setup_teardown(it_is_listed_with_its_path_as_in_a_request, begin, end),
        cmocka_unit_test_setup_teardown(lifting_takes_the_route_the_app_or_all, begin, end),
        cmocka_unit_test_setup_teardown(
            a_folder_takes_the_place_of_its_routes_and_any_path_in_it_lifts_it, begin, end),
        cmocka_unit_test_setup_teardown(a_new_build_ends_it, begin, end),
        cmocka_unit_test_setup_teardown(a_canary_is_quarantined_too_and_not_what_nobody_has, begin,
                                        end),
        cmocka_unit_test_setup_teardown(what_is_no_app_is_nothing, begin, end),
        cmocka_unit_test_setup_teardown(when_it_is_switched_off_all_are_served, begin, end),
        cmocka_unit_test_setup_teardown(its_end_is_noticed_in_time, begin, end),
        cmocka_unit_test_setup_teardown(another_master_goes_on_with_what_is_on_the_board, begin,
                                        end),
        cmocka_unit_test_setup_teardown(with_too_many_the_one_that_ends_soonest_makes_room, begin,
                                        end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
