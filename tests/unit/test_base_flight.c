/* test_base_flight.c: the flight recorder tells what runs, what waits and what ended last, also of
 * a writer that was stopped in the middle. */
#include "base/flight.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct flight_table *table;
static struct flight_recorder *recorder;
static struct flight_list list;

static int setup(void **state)
{
    (void)state;
    table = aligned_alloc(128, (sizeof *table + 127) / 128 * 128);
    recorder = malloc(sizeof *recorder);
    if (!table || !recorder)
        return -1;
    memset(table, 0, sizeof *table);
    memset(&list, 0, sizeof list);
    flight_open(recorder, table, 7);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    flight_list_free(&list);
    free(recorder);
    free(table);
    return 0;
}

static struct flight_row *begin(uint64_t id, const char *path, const char *query)
{
    const struct flight_start start = {.id = id,
                                       .app = 2,
                                       .generation = 3,
                                       .method = 1,
                                       .begun_at = 1000 + id,
                                       .path = path,
                                       .path_length = strlen(path),
                                       .query = query,
                                       .query_length = query ? strlen(query) : 0};

    return flight_begin(recorder, &start);
}

static void read_list(void)
{
    flight_list_free(&list);
    assert_int_equal(flight_list_read(&list, table, 7), 0);
}

static void a_request_is_seen_from_its_begin_to_its_end(void **state)
{
    struct flight_row *row;

    (void)state;
    read_list();
    assert_int_equal(list.count, 0);
    row = begin(5, "/a", NULL);
    read_list();
    assert_int_equal(list.count, 1);
    assert_int_equal(list.in_flight, 1);
    assert_int_equal(list.items[0].id, 5);
    assert_int_equal(list.items[0].app, 2);
    assert_int_equal(list.items[0].generation, 3);
    assert_int_equal(list.items[0].method, 1);
    assert_int_equal(list.items[0].begun_at, 1005);
    assert_int_equal(list.items[0].phase, FLIGHT_RUNNING);
    assert_string_equal(list.items[0].path, "/a");
    flight_wait(row, 4, 0x123, 2000);
    read_list();
    assert_int_equal(list.items[0].phase, FLIGHT_WAITING);
    assert_int_equal(list.items[0].phase_at, 2000);
    assert_int_equal(list.items[0].call, 4);
    assert_int_equal(list.items[0].site, 0x123);
    flight_resume(row, 2500);
    read_list();
    assert_int_equal(list.items[0].phase, FLIGHT_RUNNING);
    flight_end(recorder, row, 404, 3000);
    read_list();
    assert_int_equal(list.in_flight, 0);
    assert_int_equal(list.items[0].phase, FLIGHT_ENDED);
    assert_int_equal(list.items[0].status, 404);
    assert_int_equal(list.items[0].phase_at, 3000);
}

static void the_last_that_ended_stay_the_latest_first(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 3 * FLIGHT_KEPT; i++)
        flight_end(recorder, begin(i, "/", NULL), 200, 5000 + i);
    read_list();
    assert_in_range(list.count, FLIGHT_KEPT, FLIGHT_KEPT + 2);
    for (size_t i = 0; i < FLIGHT_KEPT; i++)
        assert_int_equal(list.items[i].id, 3 * FLIGHT_KEPT - i);
    /* A server that is not busy goes round in few rows. */
    assert_in_range(table->high, FLIGHT_KEPT, FLIGHT_KEPT + 2);
}

static void what_runs_comes_first_then_the_oldest(void **state)
{
    struct flight_row *first = begin(1, "/first", NULL), *second = begin(2, "/second", NULL);

    (void)state;
    flight_wait(second, 1, 0, 2000);
    flight_wait(first, 1, 0, 2100);
    begin(3, "/runs", NULL);
    read_list();
    assert_string_equal(list.items[0].path, "/runs");
    assert_string_equal(list.items[1].path, "/first");
    assert_string_equal(list.items[2].path, "/second");
}

static void more_than_there_are_rows_for_are_counted(void **state)
{
    static struct flight_row *rows[FLIGHT_ROWS];

    (void)state;
    for (unsigned i = 0; i < FLIGHT_ROWS; i++)
        assert_non_null(rows[i] = begin(i, "/", NULL));
    assert_null(begin(9999, "/", NULL));
    flight_wait(NULL, 0, 0, 0); /* nothing happens */
    flight_resume(NULL, 0);
    flight_end(recorder, NULL, 0, 0);
    read_list();
    assert_int_equal(list.in_flight, FLIGHT_ROWS);
    assert_int_equal(list.unrecorded, 1);
    for (unsigned i = 0; i < FLIGHT_ROWS; i++)
        flight_end(recorder, rows[i], 200, 9000 + i);
    assert_non_null(begin(1, "/", NULL));
}

static void long_paths_and_queries_are_cut(void **state)
{
    char path[400];

    (void)state;
    memset(path, 'x', sizeof path - 1);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    begin(1, path, "secret=1");
    begin(2, "/q", "a=1");
    path[FLIGHT_PATH - 4] = '\0';
    begin(3, path, "abcdef");
    read_list();
    assert_int_equal(strlen(list.items[0].path), FLIGHT_PATH - 1);
    assert_null(strchr(list.items[0].path, '?'));
    assert_string_equal(list.items[1].path, "/q?a=1");
    assert_int_equal(strlen(list.items[2].path), FLIGHT_PATH - 1);
    assert_string_equal(list.items[2].path + FLIGHT_PATH - 4, "?ab");
}

static void a_row_whose_writer_was_stopped_is_left_out(void **state)
{
    struct flight_row *row = begin(1, "/half", NULL);

    (void)state;
    begin(2, "/whole", NULL);
    row->turn |= 1;
    read_list();
    assert_int_equal(list.count, 1);
    assert_int_equal(list.items[0].id, 2);
}

static void another_incarnation_begins_with_nothing(void **state)
{
    (void)state;
    begin(1, "/", NULL);
    flight_list_free(&list);
    assert_int_equal(flight_list_read(&list, table, 6), 0);
    assert_int_equal(list.count, 0);
    flight_open(recorder, table, 8);
    flight_list_free(&list);
    assert_int_equal(flight_list_read(&list, table, 8), 0);
    assert_int_equal(list.count, 0);
    table->high = UINT64_MAX; /* of somebody gone mad */
    flight_list_free(&list);
    assert_int_equal(flight_list_read(&list, table, 8), 0);
    assert_int_equal(list.count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_is_seen_from_its_begin_to_its_end),
        TEST(the_last_that_ended_stay_the_latest_first),
        TEST(what_runs_comes_first_then_the_oldest),
        TEST(more_than_there_are_rows_for_are_counted),
        TEST(long_paths_and_queries_are_cut),
        TEST(a_row_whose_writer_was_stopped_is_left_out),
        TEST(another_incarnation_begins_with_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
