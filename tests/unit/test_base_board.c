/* test_base_board.c: the scoreboard is shared, laid out without overlaps, and refuses what is
 * none. */
#include "base/board.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define WORKERS 5
#define APPS    3

struct fixture {
    struct board *board;
    int fd;
};

static int setup(void **state)
{
    static struct fixture f;

    f.board = board_create(WORKERS, APPS, &f.fd);
    *state = &f;
    return f.board == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    board_detach(f->board);
    return close(f->fd);
}

static void a_fresh_board_says_what_it_is(void **state)
{
    struct fixture *f = *state;
    struct stat st;

    assert_int_equal(f->board->max_workers, WORKERS);
    assert_int_equal(f->board->max_apps, APPS);
    assert_true(f->board->started_at > 0);
    assert_true(f->board->started_wall > f->board->started_at);
    assert_int_equal(fstat(f->fd, &st), 0);
    assert_int_equal(st.st_size, f->board->size);
    assert_true(fcntl(f->fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(board_get(&f->board->app_count), 0);
    assert_int_equal(board_get(&board_slot(f->board, 0)->pid), 0);
}

/* The next thing may begin where this one ends, and must be aligned; returns its end. */
static uintptr_t assert_follows(uintptr_t end, const void *thing, size_t size)
{
    assert_true((uintptr_t)thing >= end);
    assert_int_equal((uintptr_t)thing % 128, 0);
    return (uintptr_t)thing + size;
}

static void nothing_overlaps_and_all_is_aligned(void **state)
{
    struct fixture *f = *state;
    uintptr_t end = (uintptr_t)f->board + sizeof(struct board);

    for (unsigned a = 0; a < APPS; a++)
        end = assert_follows(end, board_app(f->board, a), sizeof(struct board_app));
    for (unsigned w = 0; w < WORKERS; w++)
        end = assert_follows(end, board_seat(f->board, w), sizeof(struct board_seat));
    for (unsigned w = 0; w < WORKERS; w++)
        end = assert_follows(end, board_slot(f->board, w), sizeof(struct board_slot));
    for (unsigned w = 0; w < WORKERS; w++) {
        for (unsigned a = 0; a < APPS; a++)
            end = assert_follows(end, board_cell(f->board, w, a), sizeof(struct board_cell));
    }
    for (unsigned w = 0; w < WORKERS; w++)
        end = assert_follows(end, board_ring(f->board, w).head, sizeof(struct ring_head));
    for (unsigned w = 0; w < WORKERS; w++) {
        assert_int_equal(board_ring(f->board, w).size, RING_DEFAULT);
        assert_int_equal((uintptr_t)board_ring(f->board, w).words % (uintptr_t)getpagesize(), 0);
        end = assert_follows(end, (const void *)(uintptr_t)board_ring(f->board, w).words,
                             RING_DEFAULT);
    }
    assert_true(end <= (uintptr_t)f->board + f->board->size);
}

static void a_large_board_costs_nothing_until_it_is_used(void **state)
{
    int fd;
    struct board *board = board_create_with(1024, 256, RING_MOST, &fd);
    struct ring_record record = {.channel = "c", .channel_length = 1, .payload = ""};
    struct ring_writer writer;
    struct stat st;

    (void)state;
    assert_non_null(board);
    board_add(&board_cell(board, 1023, 255)->total.requests, 1);
    ring_writer_open(&writer, board_ring(board, 1023));
    assert_int_equal(ring_publish(&writer, &record), 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_true(st.st_size > 1024 * (off_t)RING_MOST);
    assert_true(st.st_blocks * 512 < 1000000);
    board_detach(board);
    close(fd);
}

static void sizes_that_make_no_sense_are_refused(void **state)
{
    int fd = -7;

    (void)state;
    assert_null(board_create(0, 1, &fd));
    assert_int_equal(errno, EINVAL);
    assert_null(board_create(1, 0, &fd));
    assert_null(board_create_with(1, 1, RING_LEAST / 2, &fd));
    assert_null(board_create_with(1, 1, RING_MOST * 2, &fd));
    assert_null(board_create_with(1, 1, RING_LEAST * 3, &fd));
    assert_int_equal(errno, EINVAL);
    assert_null(board_create(UINT32_MAX, UINT32_MAX, &fd));
    assert_int_equal(errno, EINVAL);
    assert_int_equal(fd, -7);
}

/* What a worker does, with a mapping of its own as after an exec. */
static void work_as_a_worker(int fd, unsigned worker)
{
    struct board *board = board_attach(fd);

    if (board == NULL)
        _exit(1);
    board_set(&board_slot(board, worker)->pid, (uint64_t)getpid());
    for (int i = 0; i < 10000; i++) {
        board_add(&board_slot(board, worker)->requests, 1);
        histogram_record(&board_cell(board, worker, 1)->total.latency, 5000);
    }
    _exit(0);
}

static void workers_write_and_the_master_reads(void **state)
{
    struct fixture *f = *state;
    pid_t pids[WORKERS];
    struct histogram_sum sum = {0};

    for (unsigned w = 0; w < WORKERS; w++) {
        pids[w] = fork();
        assert_true(pids[w] >= 0);
        if (pids[w] == 0)
            work_as_a_worker(f->fd, w);
    }
    for (unsigned w = 0; w < WORKERS; w++) {
        int status;

        assert_int_equal(waitpid(pids[w], &status, 0), pids[w]);
        assert_int_equal(status, 0);
        assert_int_equal(board_get(&board_slot(f->board, w)->pid), pids[w]);
        assert_int_equal(board_get(&board_slot(f->board, w)->requests), 10000);
        histogram_add(&sum, &board_cell(f->board, w, 1)->total.latency);
    }
    assert_int_equal(sum.count, 10000 * WORKERS);
    assert_int_equal(sum.sum, 5000ull * 10000 * WORKERS);
}

static void assert_refused(int fd)
{
    errno = 0;
    assert_null(board_attach(fd));
    assert_int_equal(errno, EPROTO);
}

static void another_layout_is_refused(void **state)
{
    struct fixture *f = *state;
    struct board *board;

    f->board->layout++;
    assert_refused(f->fd);
    f->board->layout--;
    f->board->magic++;
    assert_refused(f->fd);
    f->board->magic--;
    f->board->max_apps++;
    assert_refused(f->fd);
    f->board->max_apps--;
    f->board->ring_size *= 2;
    assert_refused(f->fd);
    f->board->ring_size /= 2;
    f->board->max_workers = 0;
    assert_refused(f->fd);
    f->board->max_workers = WORKERS;
    board = board_attach(f->fd);
    assert_non_null(board);
    board_detach(board);
}

static void another_size_is_refused(void **state)
{
    struct fixture *f = *state;
    off_t size = (off_t)f->board->size;

    assert_int_equal(ftruncate(f->fd, size + 4096), 0);
    assert_refused(f->fd);
    assert_int_equal(ftruncate(f->fd, size - 1), 0);
    assert_refused(f->fd);
    assert_int_equal(ftruncate(f->fd, size), 0);
}

static void what_is_no_board_is_refused(void **state)
{
    int fd = memfd_create("empty", MFD_CLOEXEC);

    (void)state;
    assert_refused(fd);
    assert_int_equal(ftruncate(fd, 1 << 20), 0);
    assert_refused(fd);
    close(fd);
    assert_null(board_attach(-1));
    assert_int_equal(errno, EBADF);
}

static void a_claim_keeps_its_own_generation_and_clears_an_older_one(void **state)
{
    struct fixture *f = *state;
    struct board_cell *cell = board_cell(f->board, 0, 0);
    struct board_column *one = board_claim(cell, 1, 0);
    struct board_column *two = board_claim(cell, 2, 0);

    assert_ptr_not_equal(one, two);
    board_add(&one->requests, 5);
    board_add(&one->answers[2], 5);
    histogram_record(&one->latency, 1000);
    board_add(&two->requests, 7);
    assert_ptr_equal(board_claim(cell, 1, 0), one); /* as a respawned worker does */
    assert_int_equal(board_get(&one->requests), 5);

    assert_ptr_equal(board_claim(cell, 3, 0), one);
    assert_int_equal(board_get(&one->generation), 3);
    assert_int_equal(board_get(&one->requests), 0);
    assert_int_equal(board_get(&one->answers[2]), 0);
    assert_int_equal(board_get(&one->latency.sum), 0);
    assert_int_equal(board_get(&one->latency.buckets[histogram_bucket(1000)]), 0);
    assert_int_equal(board_get(&two->requests), 7);
}

/* A figure that is added to the column is not forgotten there. */
static void a_claim_clears_every_figure(void **state)
{
    struct fixture *f = *state;
    struct board_cell *cell = board_cell(f->board, 0, 0);
    struct board_column *column = board_claim(cell, 1, 0);
    board_count *first = &column->requests, *end = (board_count *)(void *)&column->latency;

    board_claim(cell, 2, 0);
    for (board_count *figure = first; figure < end; figure++)
        board_set(figure, 7);
    assert_ptr_equal(board_claim(cell, 3, 0), column);
    for (board_count *figure = first; figure < end; figure++)
        if (board_get(figure) != 0)
            fail_msg("figure %d of the column is kept", (int)(figure - first));
}

/* 2 and 3 were canaries and were taken back, each time 1 was live again. */
static void a_claim_spares_the_one_that_was_live_before(void **state)
{
    struct fixture *f = *state;
    struct board_cell *cell = board_cell(f->board, 1, 0);
    struct board_column *one = board_claim(cell, 1, 0), *two, *three;

    board_add(&one->requests, 4);
    two = board_claim(cell, 2, 1);
    assert_ptr_not_equal(two, one);
    assert_ptr_equal(board_claim(cell, 1, 2), one);
    three = board_claim(cell, 3, 1);
    assert_ptr_equal(three, two);
    assert_ptr_equal(board_claim(cell, 1, 3), one);
    assert_int_equal(board_get(&one->requests), 4);
    assert_null(board_column_of(cell, 2));
}

/* As the successor of a worker does that had both of a later time. */
static void a_claim_for_an_older_generation_takes_the_older_of_two_later_ones(void **state)
{
    struct fixture *f = *state;
    struct board_cell *cell = board_cell(f->board, 1, 0);
    struct board_column *three = board_claim(cell, 3, 0), *four = board_claim(cell, 4, 3);

    board_add(&three->requests, 4);
    assert_ptr_equal(board_claim(cell, 1, 0), three);
    assert_int_equal(board_get(&three->generation), 1);
    assert_int_equal(board_get(&three->requests), 0);
    assert_int_equal(board_get(&four->generation), 4);
}

/* Those between were refused. */
static void a_claim_spares_the_one_before_whatever_their_numbers(void **state)
{
    struct fixture *f = *state;
    struct board_cell *cell = board_cell(f->board, 1, 1);
    struct board_column *three = board_claim(cell, 3, 0), *five, *nine;

    board_add(&three->requests, 4);
    five = board_claim(cell, 5, 0);
    assert_ptr_not_equal(five, three);
    assert_ptr_equal(board_column_of(cell, 3), three);
    assert_int_equal(board_get(&three->requests), 4);
    nine = board_claim(cell, 9, 0);
    assert_ptr_equal(nine, three);
    assert_ptr_equal(board_column_of(cell, 5), five);
    assert_null(board_column_of(cell, 3));
}

static void rows_of_holders_are_replaced_whole_and_go_with_their_process(void **state)
{
    struct fixture *f = *state;
    struct board_cell *cell = board_cell(f->board, 2, 1);
    struct holder rows[BOARD_HOLDERS + 4], out[BOARD_HOLDERS];

    for (unsigned i = 0; i < BOARD_HOLDERS + 4; i++)
        rows[i] = (struct holder){3, HOLD_REQUEST, CALL_SLEEP, 0x1000 + i, 1 + i};
    assert_int_equal(board_read_holders(cell, out), 0);
    board_show_holders(cell, rows, 2);
    assert_int_equal(board_read_holders(cell, out), 2);
    assert_memory_equal(out, rows, 2 * sizeof out[0]);
    board_show_holders(cell, rows, BOARD_HOLDERS + 4);
    assert_int_equal(board_read_holders(cell, out), BOARD_HOLDERS);
    board_show_holders(cell, rows, 1);
    assert_int_equal(board_read_holders(cell, out), 1);

    board_add(&cell->holders_turn, 1); /* its writer was killed half-way */
    assert_int_equal(board_read_holders(cell, out), -1);
    board_set(&f->board->app_count, APPS);
    board_settle(f->board, 2);
    assert_int_equal(board_read_holders(cell, out), 0);
    board_show_holders(cell, rows, 1);
    assert_int_equal(board_read_holders(cell, out), 1);
}

static void holders_that_cannot_be_read_are_counted_without_their_places(void **state)
{
    struct fixture *f = *state;
    struct board_cell *cell = board_cell(f->board, 0, 1);
    struct holder_list list = {0};

    board_set(&board_seat(f->board, 0)->incarnation, 1);
    board_set(&board_app(f->board, 1)->generation, 3);
    board_set(&board_claim(cell, 2, 0)->held, 5);
    board_set(&board_claim(cell, 3, 2)->held, 7); /* live: nobody asks what holds it */
    board_add(&cell->holders_turn, 1);
    assert_int_equal(holder_list_gather(&list, f->board, 1), 0);
    assert_int_equal(list.count, 1);
    assert_memory_equal(&list.items[0], (&(struct holder){2, HOLD_OTHERS, CALL_NONE, 0, 5}),
                        sizeof list.items[0]);
    holder_list_free(&list);
    assert_int_equal(holder_list_add(&list, cell, 2), 0);
    assert_int_equal(holder_list_count(&list, 2), 5);
    holder_list_free(&list);
}

static void holders_of_all_workers_are_added_up(void **state)
{
    struct fixture *f = *state;
    const struct holder here[] = {{3, HOLD_REQUEST, CALL_SLEEP, 16, 1},
                                  {2, HOLD_REQUEST, CALL_READ, 32, 5}},
                        there[] = {{3, HOLD_STATE, CALL_NONE, 0, 1},
                                   {3, HOLD_REQUEST, CALL_SLEEP, 16, 2}};
    struct holder_list list = {0};

    for (unsigned w = 0; w < 2; w++) {
        board_set(&board_seat(f->board, w)->incarnation, 1);
        board_show_holders(board_cell(f->board, w, 1), w ? there : here, 2);
    }
    assert_int_equal(holder_list_gather(&list, f->board, 1), 0);
    assert_int_equal(list.count, 3);
    assert_memory_equal(&list.items[0], (&(struct holder){3, HOLD_REQUEST, CALL_SLEEP, 16, 3}),
                        sizeof list.items[0]);
    assert_int_equal(list.items[1].kind, HOLD_STATE);
    assert_int_equal(list.items[2].generation, 2);
    assert_int_equal(holder_list_count(&list, 3), 4);
    holder_list_free(&list);
    assert_int_equal(holder_list_add(&list, board_cell(f->board, 0, 1), 2), 0);
    assert_int_equal(list.count, 1);
    assert_string_equal(hold_kind_name(list.items[0].kind), "request");
    assert_string_equal(hold_call_name(list.items[0].waits_in), "reeve_read");
    assert_string_equal(hold_kind_name(99), "others");
    assert_null(hold_call_name(99));
    holder_list_free(&list);
}

static void settling_ends_gauges_and_keeps_counters(void **state)
{
    struct fixture *f = *state;
    struct board_slot *slot = board_slot(f->board, 2), *other = board_slot(f->board, 3);
    struct board_cell *cell = board_cell(f->board, 2, APPS - 1);
    struct board_column *column = board_claim(cell, 9, 0);

    board_set(&f->board->app_count, APPS);
    board_add(&slot->accepted, 10);
    board_add(&slot->closed, 4);
    board_add(&slot->idle, 3);
    board_add(&slot->active, 3);
    board_add(&slot->requests, 50);
    board_add(&slot->chats, 2);
    board_add(&slot->websockets, 1);
    board_add(&slot->missed, 5);
    board_set(&slot->rss, 1 << 20);
    board_set(&slot->is_accepting, 1);
    board_add(&other->active, 1);
    board_add(&cell->total.held, 2);
    board_add(&cell->total.connections, 3);
    board_add(&column->connections, 3);
    board_add(&column->opened, 3);
    board_add(&column->active, 2);
    board_add(&column->requests, 20);

    board_settle(f->board, 2);

    assert_int_equal(board_get(&slot->closed), 10);
    assert_int_equal(board_get(&slot->idle), 0);
    assert_int_equal(board_get(&slot->active), 0);
    assert_int_equal(board_get(&slot->rss), 0);
    assert_int_equal(board_get(&slot->is_accepting), 0);
    assert_int_equal(board_get(&slot->chats), 0);
    assert_int_equal(board_get(&slot->websockets), 0);
    assert_int_equal(board_get(&slot->missed), 5);
    assert_int_equal(board_get(&slot->requests), 50);
    assert_int_equal(board_get(&other->active), 1);
    assert_int_equal(board_get(&cell->total.held), 0);
    assert_int_equal(board_get(&cell->total.connections), 0);
    assert_int_equal(board_get(&column->connections), 0);
    assert_int_equal(board_get(&column->opened), 3);
    assert_int_equal(board_get(&column->active), 0);
    assert_int_equal(board_get(&column->requests), 20);
    assert_int_equal(board_get(&column->generation), 9);
}

static void connections_that_changed_their_worker_are_settled_where_they_are(void **state)
{
    struct fixture *f = *state;
    struct board_slot *old = board_slot(f->board, 2), *new = board_slot(f->board, 3);

    board_add(&old->accepted, 10);
    board_add(&old->closed, 1);
    board_add(&board_seat(f->board, 2)->handed_out, 7);
    board_add(&board_seat(f->board, 3)->handed_in, 7);
    board_add(&new->accepted, 2);
    board_add(&new->closed, 4);
    assert_int_equal(board_connections(f->board, 2), 2);
    assert_int_equal(board_connections(f->board, 3), 5);

    board_settle(f->board, 2);
    assert_int_equal(board_get(&old->closed), 3);
    assert_int_equal(board_connections(f->board, 2), 0);
    board_settle(f->board, 3); /* it may have died before it looked at them */
    assert_int_equal(board_get(&new->closed), 9);
    assert_int_equal(board_connections(f->board, 3), 0);
    assert_int_equal(board_get(&old->closed) + board_get(&new->closed), 12); /* as were accepted */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_fresh_board_says_what_it_is, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_overlaps_and_all_is_aligned, setup, teardown),
        cmocka_unit_test(a_large_board_costs_nothing_until_it_is_used),
        cmocka_unit_test(sizes_that_make_no_sense_are_refused),
        cmocka_unit_test_setup_teardown(workers_write_and_the_master_reads, setup, teardown),
        cmocka_unit_test_setup_teardown(another_layout_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(another_size_is_refused, setup, teardown),
        cmocka_unit_test(what_is_no_board_is_refused),
        cmocka_unit_test_setup_teardown(a_claim_keeps_its_own_generation_and_clears_an_older_one,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_claim_for_an_older_generation_takes_the_older_of_two_later_ones, setup, teardown),
        cmocka_unit_test_setup_teardown(a_claim_clears_every_figure, setup, teardown),
        cmocka_unit_test_setup_teardown(a_claim_spares_the_one_that_was_live_before, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_claim_spares_the_one_before_whatever_their_numbers, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            rows_of_holders_are_replaced_whole_and_go_with_their_process, setup, teardown),
        cmocka_unit_test_setup_teardown(holders_of_all_workers_are_added_up, setup, teardown),
        cmocka_unit_test_setup_teardown(
            holders_that_cannot_be_read_are_counted_without_their_places, setup, teardown),
        cmocka_unit_test_setup_teardown(settling_ends_gauges_and_keeps_counters, setup, teardown),
        cmocka_unit_test_setup_teardown(
            connections_that_changed_their_worker_are_settled_where_they_are, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
