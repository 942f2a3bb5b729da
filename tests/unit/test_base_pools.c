/* test_base_pools.c: whose a pool's row on the scoreboard is, and what all rows of one name come to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/board.h"
#include "base/pools.h"

static struct board *board;

static int setup(void **state)
{
    int fd;

    (void)state;
    board = board_create(2, 1, &fd);
    close(fd);
    return board ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    board_detach(board);
    return 0;
}

static struct pools_row *rows_of(unsigned worker)
{
    return board_cell(board, worker, 0)->pools;
}

static void a_row_belongs_to_a_name(void **state)
{
    struct pools_row *one, *two;

    (void)state;
    one = pools_claim(rows_of(0), "one");
    two = pools_claim(rows_of(0), "two");
    assert_ptr_not_equal(one, two);
    board_set(&one->takes, 7);
    assert_ptr_equal(pools_claim(rows_of(0), "one"), one);
    assert_int_equal(board_get(&one->takes), 7);
}

static void a_name_that_is_there_no_more_makes_room(void **state)
{
    struct pools_row *row, *first = NULL;
    char name[16];

    (void)state;
    for (int i = 0; i < POOLS_ROWS; i++) {
        snprintf(name, sizeof name, "p%d", i);
        row = pools_claim(rows_of(0), name);
        assert_non_null(row);
        board_set(&row->size, 10);
        board_set(&row->takes, 5);
        first = first ? first : row;
    }
    assert_null(pools_claim(rows_of(0), "new"));
    board_set(&first->size, 0);
    assert_ptr_equal(pools_claim(rows_of(0), "new"), first);
    assert_int_equal(board_get(&first->takes), 0);
}

/* The writer died in the middle of giving it a name. */
static void a_row_that_was_left_half_way_is_used_again(void **state)
{
    struct pools_row *row;
    struct pools_list list = {0};

    (void)state;
    row = pools_claim(rows_of(0), "one");
    board_set(&row->turn, board_get(&row->turn) + 1);
    board_set(&board_seat(board, 0)->incarnation, 1);
    assert_int_equal(pools_gather(&list, board, 0), 0);
    assert_int_equal(list.count, 0);
    assert_ptr_equal(pools_claim(rows_of(0), "one"), row);
    assert_int_equal(pools_gather(&list, board, 0), 0);
    assert_int_equal(list.count, 1);
    pools_free(&list);
}

static void put(unsigned worker, const char *name, uint64_t takes, uint64_t wait_max)
{
    struct pools_row *row = pools_claim(rows_of(worker), name);

    board_set(&board_seat(board, worker)->incarnation, 1);
    board_set(&row->size, 3);
    board_set(&row->taken, 1);
    board_set(&row->takes, takes);
    board_set(&row->wait_max, wait_max);
}

static void rows_of_one_name_are_added_up(void **state)
{
    struct pools_list list = {0};

    (void)state;
    put(0, "b", 1, 30);
    put(1, "b", 2, 20);
    put(1, "a", 4, 10);
    pools_settle(rows_of(0));
    assert_int_equal(pools_gather(&list, board, 0), 0);
    assert_int_equal(list.count, 2);
    assert_string_equal(list.items[0].name, "a");
    assert_string_equal(list.items[1].name, "b");
    assert_int_equal(list.items[1].takes, 3);
    assert_int_equal(list.items[1].wait_max, 30);
    assert_int_equal(list.items[1].size, 3); /* that of the other worker has gone */
    assert_int_equal(list.items[1].taken, 1);
    pools_free(&list);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_row_belongs_to_a_name),
        TEST(a_name_that_is_there_no_more_makes_room),
        TEST(a_row_that_was_left_half_way_is_used_again),
        TEST(rows_of_one_name_are_added_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
