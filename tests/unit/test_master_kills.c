/* test_master_kills.c: which kills speak against which route, by a clock of the test's own. */
#include "master/kills.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"

#define S      NS_PER_SEC
#define WITHIN (60 * S)

static struct kills kills;
static struct kills_rules rules;
static struct kills_verdict verdict;

static int setup(void **state)
{
    (void)state;
    memset(&kills, 0, sizeof kills);
    rules = (struct kills_rules){.after = 3, .within = WITHIN};
    return 0;
}

static bool kill_of(uint64_t generation, const char *recorded, uint64_t at)
{
    struct kill kill = {.at = at};

    assert_int_equal(kills_route(&kill.route, 1, generation, recorded), 0);
    return kills_add(&kills, &kill, &rules, &verdict);
}

static bool kill_at(const char *recorded, uint64_t at)
{
    return kill_of(7, recorded, at);
}

/* /x/0, /x/1 ...: how many until there is a verdict; 0: none by a hundred */
static unsigned kills_below(const char *folder)
{
    char path[64];

    for (unsigned i = 0; i < 100; i++) {
        snprintf(path, sizeof path, "%s%u", folder, i);
        if (kill_at(path, 100 * S + i))
            return i + 1;
    }
    return 0;
}

/* ---- a route ---- */

static void the_third_kill_of_a_route_is_one_too_many(void **state)
{
    (void)state;
    assert_false(kill_at("/null", 100 * S));
    assert_false(kill_at("/null", 110 * S));
    assert_true(kill_at("/null", 112 * S));
    assert_string_equal(verdict.route.path, "/null");
    assert_int_equal(verdict.route.app, 1);
    assert_int_equal(verdict.route.generation, 7);
    assert_false(verdict.route.is_prefix);
    assert_int_equal(verdict.kills, 3);
    assert_int_equal(verdict.routes, 1);
    assert_int_equal(verdict.first_at, 100 * S);
}

static void the_time_in_which_kills_count_slides(void **state)
{
    (void)state;
    for (uint64_t at = 100; at < 1000; at += 31)
        assert_false(kill_at("/null", at * S));
    assert_true(kill_at("/null", 1000 * S));
}

static void kills_at_both_ends_of_the_time_count(void **state)
{
    (void)state;
    kill_at("/null", 100 * S);
    kill_at("/null", 130 * S);
    assert_true(kill_at("/null", 160 * S));
    setup(NULL);
    kill_at("/null", 100 * S);
    kill_at("/null", 130 * S);
    assert_false(kill_at("/null", 160 * S + 1));
}

static void kills_soon_after_the_machines_start_count_too(void **state)
{
    (void)state;
    kill_at("/null", 1);
    kill_at("/null", 2);
    assert_true(kill_at("/null", 3));
}

static void other_routes_apps_and_builds_do_not_count(void **state)
{
    (void)state;
    kill_at("/null", 100 * S);
    kill_at("/null", 101 * S);
    assert_false(kill_at("/other", 102 * S));
    assert_false(kill_at("/null/", 102 * S));
    assert_false(kill_of(8, "/null", 102 * S));
    assert_true(kill_at("/null", 103 * S));
}

static void one_kill_may_be_enough_and_zero_is_never(void **state)
{
    (void)state;
    rules.after = 1;
    assert_true(kill_at("/null", 100 * S));
    rules.after = 0;
    for (int i = 0; i < 100; i++)
        assert_false(kill_at("/null", 100 * S));
}

static void a_thousand_kills_can_be_asked_for(void **state)
{
    (void)state;
    rules.after = 1000;
    for (int i = 0; i < 999; i++)
        assert_false(kill_at("/null", 100 * S));
    assert_true(kill_at("/null", 100 * S));
}

static void the_oldest_are_forgotten_when_there_are_too_many(void **state)
{
    char path[32];

    (void)state;
    kill_at("/null", 100 * S);
    kill_at("/null", 100 * S);
    for (unsigned i = 0; i < KILLS_KEPT - 1; i++) {
        snprintf(path, sizeof path, "/%u", i);
        assert_false(kill_at(path, 101 * S));
    }
    assert_false(kill_at("/null", 102 * S));
    assert_false(kill_at("/null", 102 * S));
    assert_true(kill_at("/null", 102 * S));
}

static void what_was_lifted_begins_anew(void **state)
{
    (void)state;
    kill_at("/null", 100 * S);
    kill_at("/null", 101 * S);
    kill_at("/nulls", 101 * S);
    kill_at("/nulls", 101 * S);
    assert_true(kill_at("/null", 102 * S));
    kills_forget(&kills, &verdict.route);
    assert_false(kill_at("/null", 103 * S));
    assert_false(kill_at("/null", 104 * S));
    assert_true(kill_at("/nulls", 104 * S));
    assert_true(kill_at("/null", 105 * S));
}

/* ---- what was recorded ---- */

static void a_route_is_its_decoded_path_without_the_query(void **state)
{
    (void)state;
    kill_at("/n%75ll", 100 * S);
    kill_at("/null?n=1", 101 * S);
    assert_true(kill_at("/null?", 102 * S));
    assert_string_equal(verdict.route.path, "/null");
    assert_false(verdict.route.is_prefix);
}

/* A path whose last bytes, where the recorder cuts it, are these. */
static struct quarantine_route route_of_cut(const char *last)
{
    char recorded[FLIGHT_PATH];
    struct quarantine_route route;

    memset(recorded, 'a', sizeof recorded);
    memcpy(recorded, "/users/", 7);
    memcpy(recorded + FLIGHT_PATH - 1 - strlen(last), last, strlen(last) + 1);
    assert_int_equal(kills_route(&route, 1, 7, recorded), 0);
    assert_true(route.is_prefix);
    return route;
}

static void a_path_that_was_cut_is_a_prefix(void **state)
{
    static const struct {
        const char *last, *end;
    } cases[] = {
        {"b", "b"},     {"b%", "b"},      {"b%4", "b"}, {"b%41", "bA"},         {"/..", "/.."},
        {"/.", "/."},   {"/%2e", "/."},   {"b%2", "b"}, {"%c3%a4", "\303\244"}, {"%c3%a", "\303"},
        {"b%25", "b%"}, {"%2541", "%41"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct quarantine_route route = route_of_cut(cases[i].last);
        size_t length = strlen(route.path), end = strlen(cases[i].end);

        assert_true(length > end);
        assert_string_equal(route.path + length - end, cases[i].end);
        if (cases[i].end[0] == 'b')
            assert_int_equal(route.path[length - end - 1], 'a');
    }
}

static void a_query_that_was_cut_leaves_the_path_whole(void **state)
{
    char recorded[FLIGHT_PATH];
    struct quarantine_route route;

    (void)state;
    memset(recorded, 'a', sizeof recorded);
    memcpy(recorded, "/null?", 6);
    recorded[FLIGHT_PATH - 1] = '\0';
    assert_int_equal(kills_route(&route, 1, 7, recorded), 0);
    assert_false(route.is_prefix);
    assert_string_equal(route.path, "/null");
}

static void what_is_no_path_is_no_route(void **state)
{
    static const char *const texts[] = {"", "*", "null", "/%", "/%00", "/../x", "?x"};
    struct quarantine_route route;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_int_equal(kills_route(&route, 1, 7, texts[i]), -1);
}

/* ---- a folder ---- */

static void twice_as_many_routes_of_a_folder_speak_against_it(void **state)
{
    (void)state;
    assert_int_equal(kills_below("/users/"), 6);
    assert_string_equal(verdict.route.path, "/users/");
    assert_true(verdict.route.is_prefix);
    assert_int_equal(verdict.routes, 6);
    assert_int_equal(verdict.kills, 6);
}

static void a_route_of_a_folder_counts_once_however_often_it_kills(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++)
        if (kill_at(i % 2 == 0 ? "/users/1" : "/users/2", 100 * S + i))
            assert_false(verdict.route.is_prefix);
    kill_at("/users/3", 101 * S);
    kill_at("/users/4", 101 * S);
    assert_false(kill_at("/users/5", 101 * S));
    assert_true(kill_at("/users/6", 101 * S));
    assert_string_equal(verdict.route.path, "/users/");
    assert_int_equal(verdict.routes, 6);
    assert_int_equal(verdict.kills, 24);
}

static void a_folder_is_not_what_lies_in_folders_of_it(void **state)
{
    char path[32];

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        snprintf(path, sizeof path, "/users/%u/photo", i);
        assert_false(kill_at(path, 100 * S));
    }
}

static void the_folders_kills_have_to_be_within_the_time(void **state)
{
    char path[32];

    (void)state;
    for (unsigned i = 0; i < 50; i++) {
        snprintf(path, sizeof path, "/users/%u", i);
        assert_false(kill_at(path, (100 + 13 * i) * S));
    }
}

static void no_app_is_taken_down_as_a_whole(void **state)
{
    (void)state;
    assert_int_equal(kills_below("/"), 0);
    setup(NULL);
    rules.mount_length = strlen("/shop");
    assert_int_equal(kills_below("/shop/"), 0);
    assert_int_equal(kills_below("/shop//"), 0);
    assert_int_equal(kills_below("/shop/users/"), 6);
    setup(NULL);
    rules.mount_length = SIZE_MAX;
    assert_int_equal(kills_below("/shop/users/"), 0);
}

static void a_cut_path_within_the_mount_is_nothing_to_quarantine(void **state)
{
    struct kill kill = {.at = 100 * S, .route = route_of_cut("b")};

    (void)state;
    rules.after = 1;
    assert_true(kills_add(&kills, &kill, &rules, &verdict));
    rules.mount_length = 255;
    assert_false(kills_add(&kills, &kill, &rules, &verdict));
    rules.mount_length = strlen(kill.route.path);
    assert_false(kills_add(&kills, &kill, &rules, &verdict));
    rules.mount_length = strlen(kill.route.path) - 10; /* "/aaaaaaaaa": of too many routes */
    assert_false(kills_add(&kills, &kill, &rules, &verdict));
}

static void lifting_a_folder_forgets_its_routes(void **state)
{
    (void)state;
    assert_int_equal(kills_below("/users/"), 6);
    kills_forget(&kills, &verdict.route);
    assert_int_equal(kills_below("/users/"), 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_third_kill_of_a_route_is_one_too_many, setup),
        cmocka_unit_test_setup(the_time_in_which_kills_count_slides, setup),
        cmocka_unit_test_setup(kills_at_both_ends_of_the_time_count, setup),
        cmocka_unit_test_setup(kills_soon_after_the_machines_start_count_too, setup),
        cmocka_unit_test_setup(other_routes_apps_and_builds_do_not_count, setup),
        cmocka_unit_test_setup(one_kill_may_be_enough_and_zero_is_never, setup),
        cmocka_unit_test_setup(a_thousand_kills_can_be_asked_for, setup),
        cmocka_unit_test_setup(the_oldest_are_forgotten_when_there_are_too_many, setup),
        cmocka_unit_test_setup(what_was_lifted_begins_anew, setup),
        cmocka_unit_test_setup(a_route_is_its_decoded_path_without_the_query, setup),
        cmocka_unit_test_setup(a_path_that_was_cut_is_a_prefix, setup),
        cmocka_unit_test_setup(a_query_that_was_cut_leaves_the_path_whole, setup),
        cmocka_unit_test_setup(what_is_no_path_is_no_route, setup),
        cmocka_unit_test_setup(twice_as_many_routes_of_a_folder_speak_against_it, setup),
        cmocka_unit_test_setup(a_route_of_a_folder_counts_once_however_often_it_kills, setup),
        cmocka_unit_test_setup(a_folder_is_not_what_lies_in_folders_of_it, setup),
        cmocka_unit_test_setup(the_folders_kills_have_to_be_within_the_time, setup),
        cmocka_unit_test_setup(no_app_is_taken_down_as_a_whole, setup),
        cmocka_unit_test_setup(a_cut_path_within_the_mount_is_nothing_to_quarantine, setup),
        cmocka_unit_test_setup(lifting_a_folder_forgets_its_routes, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
