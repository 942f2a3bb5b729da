/* test_worker_balance.c: who has clearly more to do than the least busy leaves connections to it;
 * who cannot take any is nobody to leave them to. */
#include "worker/balance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/board.h"
#include "base/clock.h"

#define WORKERS 4

static struct board *board;
static int board_fd;

static void fill(unsigned id, uint64_t connections, uint64_t active)
{
    struct board_seat *seat = board_seat(board, id);
    struct board_slot *slot = board_slot(board, id);

    board_set(&seat->incarnation, 1);
    board_set(&seat->state, SEAT_SERVING);
    board_set(&slot->accepted, connections);
    board_set(&slot->active, active);
    board_set(&slot->is_accepting, 1);
    board_set(&slot->heartbeat_at, clock_ns());
}

static int setup(void **state)
{
    (void)state;
    board = board_create(WORKERS, 1, &board_fd);
    return board ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    board_detach(board);
    return close(board_fd);
}

static void one_alone_takes_all(void **state)
{
    (void)state;
    fill(0, 5000, 100);
    assert_true(balance_share(board, 0, clock_ns()) > 1000);
}

static void who_has_more_leaves_them(void **state)
{
    (void)state;
    fill(0, 10, 0);
    fill(1, 0, 0);
    assert_int_equal(balance_share(board, 0, clock_ns()), 0);
    assert_in_range(balance_share(board, 1, clock_ns()), 10, 20);
}

static void alike_both_take_some(void **state)
{
    (void)state;
    fill(0, 5, 0);
    fill(1, 5, 0);
    assert_in_range(balance_share(board, 0, clock_ns()), 1, 4);
    assert_in_range(balance_share(board, 1, clock_ns()), 1, 4);
}

static void running_requests_count_too(void **state)
{
    (void)state;
    fill(0, 10, 10);
    fill(1, 12, 0);
    assert_int_equal(balance_share(board, 0, clock_ns()), 0);
}

static void of_many_connections_a_share_may_be_more(void **state)
{
    (void)state;
    fill(0, 1100, 0);
    fill(1, 1000, 0);
    assert_in_range(balance_share(board, 0, clock_ns()), 1, 30);
}

static void nobody_waits_for_who_cannot_accept(void **state)
{
    struct board_slot *other;

    (void)state;
    fill(0, 50, 0);
    fill(1, 0, 0);
    other = board_slot(board, 1);
    board_set(&other->is_accepting, 0);
    assert_true(balance_share(board, 0, clock_ns()) > 1000);
    fill(1, 0, 0);
    board_set(&other->heartbeat_at, clock_ns() - 5 * NS_PER_SEC);
    assert_true(balance_share(board, 0, clock_ns()) > 1000);
    fill(1, 0, 0);
    board_set(&board_seat(board, 1)->state, SEAT_DRAINING);
    assert_true(balance_share(board, 0, clock_ns()) > 1000);
    board_set(&board_seat(board, 1)->state, SEAT_EMPTY);
    fill(2, 0, 0); /* behind a slot that is free for now */
    assert_int_equal(balance_share(board, 0, clock_ns()), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_alone_takes_all),
        TEST(who_has_more_leaves_them),
        TEST(alike_both_take_some),
        TEST(running_requests_count_too),
        TEST(of_many_connections_a_share_may_be_more),
        TEST(nobody_waits_for_who_cannot_accept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
