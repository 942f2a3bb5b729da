/* test_base_quarantine.c: what workers refuse, by the list that the master wrote. */
#include "base/quarantine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NOW 1000u

static struct quarantine the;

static int setup(void **state)
{
    (void)state;
    memset(&the, 0, sizeof the);
    return 0;
}

static struct quarantine_route route_to(const char *path, bool is_prefix)
{
    struct quarantine_route route = {.app = 1, .generation = 3, .is_prefix = is_prefix};

    snprintf(route.path, sizeof route.path, "%s", path);
    return route;
}

static void put(const char *path, bool is_prefix, uint64_t until)
{
    struct quarantine_route route = route_to(path, is_prefix);

    quarantine_put(&the, &route, 3, NOW, until);
}

static uint64_t ask(const char *path)
{
    return quarantine_remaining(&the, 1, 3, path, NOW);
}

static struct quarantine_entry *find(const char *path)
{
    struct quarantine_entry *entry = NULL;

    while ((entry = quarantine_each(&the, entry)) != NULL && strcmp(entry->path, path) != 0)
        ;
    return entry;
}

static void an_empty_list_refuses_nothing(void **state)
{
    (void)state;
    assert_true(quarantine_is_empty(&the));
    assert_int_equal(ask("/"), 0);
    assert_null(quarantine_each(&the, NULL));
}

static void a_route_is_refused_until_its_time(void **state)
{
    (void)state;
    put("/null", false, NOW + 7);
    assert_false(quarantine_is_empty(&the));
    assert_int_equal(ask("/null"), 7);
    assert_int_equal(quarantine_remaining(&the, 1, 3, "/null", NOW + 6), 1);
    assert_int_equal(quarantine_remaining(&the, 1, 3, "/null", NOW + 7), 0);
    assert_int_equal(quarantine_count(&the, NOW + 6), 1);
    assert_int_equal(quarantine_count(&the, NOW + 7), 0);
}

static void nothing_but_the_route_is_refused(void **state)
{
    static const char *const others[] = {"/", "", "/nul", "/null/", "/nulls", "/NULL", "/a/null"};

    (void)state;
    put("/null", false, NOW + 7);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_int_equal(ask(others[i]), 0);
    assert_int_equal(quarantine_remaining(&the, 2, 3, "/null", NOW), 0);
    assert_int_equal(quarantine_remaining(&the, 1, 4, "/null", NOW), 0);
    assert_int_equal(quarantine_remaining(&the, 1, 2, "/null", NOW), 0);
    assert_int_equal(the.refused, 0);
}

static void a_prefix_refuses_all_that_begins_like_it(void **state)
{
    (void)state;
    put("/users/", true, NOW + 7);
    assert_int_equal(ask("/users/"), 7);
    assert_int_equal(ask("/users/1/photo"), 7);
    assert_int_equal(ask("/users"), 0);
    assert_int_equal(ask("/usersx"), 0);
    assert_int_equal(ask("/user/1"), 0);
}

static void the_longest_path_is_whole(void **state)
{
    char path[FLIGHT_PATH], longer[FLIGHT_PATH + 2];

    (void)state;
    memset(path, 'a', sizeof path);
    path[0] = '/';
    path[FLIGHT_PATH - 1] = '\0';
    snprintf(longer, sizeof longer, "%sbc", path);
    put(path, false, NOW + 7);
    assert_int_equal(ask(path), 7);
    assert_int_equal(ask(longer), 0);
    setup(NULL);
    put(path, true, NOW + 7);
    assert_int_equal(ask(longer), 7);
}

static void what_is_refused_is_counted(void **state)
{
    (void)state;
    put("/a", false, NOW + 7);
    put("/b", false, NOW + 7);
    for (int i = 0; i < 3; i++)
        ask("/b");
    ask("/c");
    assert_int_equal(find("/a")->refused, 0);
    assert_int_equal(find("/b")->refused, 3);
    assert_int_equal(the.refused, 3);
    quarantine_clear(&the, find("/b"));
    put("/d", false, NOW + 7);
    assert_int_equal(find("/d")->refused, 0);
    assert_int_equal(the.refused, 3);
}

static void a_cleared_route_is_served_again_and_the_others_are_not(void **state)
{
    (void)state;
    put("/a", false, NOW + 7);
    put("/b", false, NOW + 7);
    put("/c", false, NOW + 7);
    quarantine_clear(&the, find("/b"));
    assert_int_equal(ask("/a"), 7);
    assert_int_equal(ask("/b"), 0);
    assert_int_equal(ask("/c"), 7);
    assert_int_equal(the.count, 3);
    quarantine_clear(&the, find("/c"));
    assert_int_equal(the.count, 1);
    quarantine_clear(&the, find("/a"));
    assert_true(quarantine_is_empty(&the));
}

static void entries_can_be_cleared_while_one_goes_through_them(void **state)
{
    struct quarantine_entry *entry = NULL;
    unsigned seen = 0;
    char path[8];

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        snprintf(path, sizeof path, "/%u", i);
        put(path, false, NOW + 7);
    }
    while ((entry = quarantine_each(&the, entry)) != NULL) {
        quarantine_clear(&the, entry);
        seen++;
    }
    assert_int_equal(seen, 5);
    assert_true(quarantine_is_empty(&the));
}

static void a_full_list_gives_the_place_of_what_ends_soonest(void **state)
{
    char path[8];

    (void)state;
    for (unsigned i = 0; i < QUARANTINE_MOST; i++) {
        snprintf(path, sizeof path, "/%u", i);
        assert_int_equal(quarantine_next(&the)->until, 0);
        put(path, false, NOW + (i == 5 ? 1 : 10 + i));
    }
    assert_string_equal(quarantine_next(&the)->path, "/5");
    put("/more", false, NOW + 100);
    assert_int_equal(ask("/5"), 0);
    assert_int_equal(ask("/more"), 100);
    assert_int_equal(ask("/0"), 10);
    assert_int_equal(quarantine_count(&the, NOW), QUARANTINE_MOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_empty_list_refuses_nothing, setup),
        cmocka_unit_test_setup(a_route_is_refused_until_its_time, setup),
        cmocka_unit_test_setup(nothing_but_the_route_is_refused, setup),
        cmocka_unit_test_setup(a_prefix_refuses_all_that_begins_like_it, setup),
        cmocka_unit_test_setup(the_longest_path_is_whole, setup),
        cmocka_unit_test_setup(what_is_refused_is_counted, setup),
        cmocka_unit_test_setup(a_cleared_route_is_served_again_and_the_others_are_not, setup),
        cmocka_unit_test_setup(entries_can_be_cleared_while_one_goes_through_them, setup),
        cmocka_unit_test_setup(a_full_list_gives_the_place_of_what_ends_soonest, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
