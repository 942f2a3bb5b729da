/* test_base_stats.c: the scoreboard is added up over all who ever served, and told as it is now. */
#include "base/stats.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "board_case.h"

static int setup(void **state)
{
    static struct board_case c;

    *state = &c;
    return board_case_init(&c);
}

static int teardown(void **state)
{
    board_case_fini(*state);
    return 0;
}

static struct stats *gather(const struct board_case *c)
{
    struct stats *stats = stats_new(c->board, &c->config, c->now);

    assert_non_null(stats);
    return stats;
}

static void an_unused_board_is_all_zeros(void **state)
{
    struct stats *stats = gather(*state);

    assert_int_equal(stats->worker_count, 0);
    assert_int_equal(stats->app_count, 2);
    assert_int_equal(stats->server.requests, 0);
    assert_int_equal(stats->server.uptime, 60 * NS_PER_SEC);
    assert_int_equal(stats->server.target, 2);
    assert_int_equal(stats->apps[0].latest_count, 0);
    assert_int_equal(stats->apps[0].total.latency.p99, 0);
    stats_free(stats);
}

static void what_a_dead_worker_counted_stays_counted(void **state)
{
    struct board_case *c = *state;
    struct board_slot *dead = case_worker(c, 3, 1), *alive = case_worker(c, 0, 2);
    struct stats *stats;

    board_set(&dead->requests, 100);
    board_set(&dead->accepted, 10);
    case_serve(&board_cell(c->board, 3, 0)->total, 100);
    board_settle(c->board, 3);
    board_set(&board_seat(c->board, 3)->state, SEAT_EMPTY);
    board_set(&alive->requests, 7);
    board_set(&alive->accepted, 3);
    case_serve(&board_cell(c->board, 0, 0)->total, 7);
    board_set(&dead->overdue, 2);
    board_set(&alive->overdue, 1);
    board_set(&board_cell(c->board, 3, 0)->total.overdue, 2);
    board_set(&board_cell(c->board, 0, 0)->total.overdue, 1);

    stats = gather(c);
    assert_int_equal(stats->server.overdue, 3);
    assert_int_equal(stats->workers[0].overdue, 1);
    assert_int_equal(stats->apps[0].total.overdue, 3);
    assert_int_equal(stats->server.requests, 107);
    assert_int_equal(stats->server.accepted, 13);
    assert_int_equal(stats->server.closed, 10);
    assert_int_equal(stats->apps[0].total.requests, 107);
    assert_int_equal(stats->apps[0].total.latency.count, 107);
    assert_int_equal(stats->worker_count, 1);
    assert_int_equal(stats->workers[0].id, 0);
    stats_free(stats);
}

/* An app that only chats has begun no request, and holds nothing once all have gone. */
static void long_lived_connections_are_added_up(void **state)
{
    struct board_case *c = *state;
    struct board_slot *slots[] = {case_worker(c, 0, 1), case_worker(c, 3, 2)};
    struct stats *stats;
    const struct stats_column *column;

    for (unsigned i = 0; i < 2; i++) {
        struct board_cell *cell = board_cell(c->board, i * 3, 1);
        struct board_column *columns[] = {&cell->total, board_claim(cell, 4, 0)};

        board_set(&slots[i]->chats, 1 + i);
        board_set(&slots[i]->websockets, 10 + i);
        board_set(&slots[i]->published, 100 + i);
        board_set(&slots[i]->delivered, 1000 + i);
        board_set(&slots[i]->missed, 10000 + i);
        for (unsigned k = 0; k < 2; k++) {
            board_set(&columns[k]->connections, 2);
            board_set(&columns[k]->opened, 3);
            board_set(&columns[k]->moved, 4);
            board_set(&columns[k]->messages_in, 5);
            board_set(&columns[k]->messages_out, 6);
            board_set(&columns[k]->cut_off, 7);
        }
    }
    stats = gather(c);
    assert_int_equal(stats->workers[1].live.chats, 2);
    assert_int_equal(stats->workers[1].live.missed, 10001);
    assert_int_equal(stats->server.live.chats, 3);
    assert_int_equal(stats->server.live.websockets, 21);
    assert_int_equal(stats->server.live.published, 201);
    assert_int_equal(stats->server.live.delivered, 2001);
    assert_int_equal(stats->server.live.missed, 20001);
    for (unsigned i = 0; i < 2; i++) {
        column = i == 0 ? &stats->apps[1].total : &stats->apps[1].latest[0];
        assert_int_equal(column->connections, 4);
        assert_int_equal(column->opened, 6);
        assert_int_equal(column->moved, 8);
        assert_int_equal(column->messages_in, 10);
        assert_int_equal(column->messages_out, 12);
        assert_int_equal(column->cut_off, 14);
    }
    stats_free(stats);
}

static void a_connection_is_active_or_idle(void **state)
{
    struct board_case *c = *state;
    struct board_slot *slot = case_worker(c, 0, 1);
    struct stats *stats;

    board_set(&slot->accepted, 10);
    board_set(&slot->closed, 4);
    board_set(&slot->idle, 5);
    stats = gather(c);
    assert_int_equal(stats->server.active, 1);
    assert_int_equal(stats->server.idle, 5);
    assert_int_equal(stats->workers[0].connections, 6);
    stats_free(stats);

    board_set(&slot->idle, 9); /* seen a moment later than the other two: never below zero */
    stats = gather(c);
    assert_int_equal(stats->server.active, 0);
    stats_free(stats);
}

static void a_connection_that_changed_its_worker_is_neither_new_nor_closed(void **state)
{
    struct board_case *c = *state;
    struct board_slot *old = case_worker(c, 0, 1), *new = case_worker(c, 1, 1);
    struct stats *stats;

    board_set(&old->accepted, 10);
    board_set(&board_seat(c->board, 0)->handed_out, 9);
    board_set(&board_seat(c->board, 1)->handed_in, 7); /* two found nobody */
    board_set(&old->idle, 1);
    board_set(&new->idle, 6);
    stats = gather(c);
    assert_int_equal(stats->server.accepted, 10);
    assert_int_equal(stats->server.closed, 2);
    assert_int_equal(stats->server.handed_over, 7);
    assert_int_equal(stats->server.idle, 7);
    assert_int_equal(stats->server.active, 1);
    assert_int_equal(stats->workers[0].connections, 1);
    assert_int_equal(stats->workers[1].connections, 7);
    stats_free(stats);
}

static enum stats_status status_of_first(const struct board_case *c)
{
    struct stats *stats = gather(c);
    enum stats_status status = stats->workers[0].status;

    assert_int_equal(stats->server.statuses[status], 1);
    assert_string_equal(stats->workers[0].status_name, stats_status_names[status]);
    stats_free(stats);
    return status;
}

static void a_status_follows_from_state_and_heartbeat(void **state)
{
    struct board_case *c = *state;
    struct board_slot *slot = case_worker(c, 0, 1);
    struct board_seat *seat = board_seat(c->board, 0);

    assert_int_equal(status_of_first(c), STATS_IDLE);
    board_set(&slot->active, 1);
    assert_int_equal(status_of_first(c), STATS_BUSY);
    board_set(&seat->state, SEAT_DRAINING);
    assert_int_equal(status_of_first(c), STATS_DRAINING);
    board_set(&slot->heartbeat_at, c->now - CASE_HANG);
    assert_int_equal(status_of_first(c), STATS_DRAINING);
    board_set(&slot->heartbeat_at, c->now - CASE_HANG - 1);
    assert_int_equal(status_of_first(c), STATS_STUCK);
    board_set(&seat->state, SEAT_SERVING);
    assert_int_equal(status_of_first(c), STATS_STUCK);
    board_set(&seat->state, SEAT_STARTING);
    assert_int_equal(status_of_first(c), STATS_STARTING);
}

/* The seat is filled again, but its process has not written a word yet. */
static void the_process_before_does_not_speak_for_the_new_one(void **state)
{
    struct board_case *c = *state;
    struct board_slot *slot = case_worker(c, 0, 1);
    struct stats *stats;

    board_set(&slot->requests, 50);
    board_set(&slot->rss, 4096);
    board_set(&slot->heartbeat_at, c->now - 2 * CASE_HANG);
    board_set(&board_seat(c->board, 0)->incarnation, 2);
    stats = gather(c);
    assert_int_equal(stats->workers[0].status, STATS_STARTING);
    assert_int_equal(stats->workers[0].requests, 50);
    assert_int_equal(stats->workers[0].delta_requests, 0);
    assert_int_equal(stats->workers[0].rss, 0);
    assert_int_equal(stats->workers[0].last_heartbeat, 0);
    assert_false(stats->workers[0].is_booted);
    stats_free(stats);
}

static void moments_are_told_since_1970(void **state)
{
    struct board_case *c = *state;
    struct stats *stats;

    case_worker(c, 0, 1);
    stats = gather(c);
    assert_int_equal(stats->server.started_at, c->board->started_wall);
    assert_int_equal(stats->workers[0].last_heartbeat, c->board->started_wall + 60 * NS_PER_SEC);
    assert_int_equal(stats->workers[0].last_spawn, c->board->started_wall + 50 * NS_PER_SEC);
    stats_free(stats);
}

static void the_two_latest_generations_are_told_apart(void **state)
{
    struct board_case *c = *state;
    struct board_cell *first = board_cell(c->board, 0, 0), *second = board_cell(c->board, 1, 0);
    struct stats *stats;
    const struct stats_app *app;

    case_worker(c, 0, 1);
    case_worker(c, 1, 1);
    case_serve(board_claim(first, 3, 0), 30);
    case_serve(board_claim(first, 4, 0), 4);
    case_serve(board_claim(second, 2, 0), 200); /* this worker is behind */
    case_serve(board_claim(second, 3, 0), 3);
    board_set(&board_app(c->board, 0)->generation, 4);

    stats = gather(c);
    app = &stats->apps[0];
    assert_int_equal(app->generation, 4);
    assert_int_equal(app->latest_count, 2);
    assert_int_equal(app->latest[0].generation, 4);
    assert_int_equal(app->latest[0].requests, 4);
    assert_int_equal(app->latest[1].generation, 3);
    assert_int_equal(app->latest[1].requests, 33);
    assert_int_equal(app->latest[1].latency.count, 33);
    stats_free(stats);
}

/* After reloads of the configuration: columns 0 and 1 were given to others, "echo" moved up. */
static void an_app_is_counted_in_the_column_that_it_has(void **state)
{
    struct board_case *c = *state;
    struct stats *stats;

    case_worker(c, 0, 1);
    case_name_app(c, 0, "echo", "/echo");
    c->apps[0].column = 1;
    c->apps[1].column = 3;
    board_set(&board_app(c->board, 1)->generation, 5);
    board_set(&board_app(c->board, 3)->reloads, 2);
    case_serve(&board_cell(c->board, 0, 0)->total, 100);
    case_serve(&board_cell(c->board, 0, 1)->total, 7);
    case_serve(board_claim(board_cell(c->board, 0, 3), 9, 0), 3);

    stats = gather(c);
    assert_int_equal(stats->app_count, 2);
    assert_string_equal(stats->apps[0].name, "echo");
    assert_int_equal(stats->apps[0].generation, 5);
    assert_int_equal(stats->apps[0].total.requests, 7);
    assert_int_equal(stats->apps[1].reloads, 2);
    assert_int_equal(stats->apps[1].latest[0].generation, 9);
    assert_int_equal(stats->apps[1].latest[0].requests, 3);
    stats_free(stats);
}

static void an_app_that_was_removed_still_counts_for_the_server(void **state)
{
    struct board_case *c = *state;
    struct board_slot *slot = case_worker(c, 0, 1);
    struct stats *stats;

    board_set(&slot->requests, 107);
    case_serve(&board_cell(c->board, 0, 0)->total, 100);
    case_serve(&board_cell(c->board, 0, 1)->total, 7);
    c->config.apps = &c->apps[1];
    c->config.app_count = 1;

    stats = gather(c);
    assert_int_equal(stats->app_count, 1);
    assert_string_equal(stats->apps[0].name, "echo");
    assert_int_equal(stats->apps[0].total.requests, 7);
    assert_int_equal(stats->server.requests, 107);
    stats_free(stats);
}

static void an_app_without_a_column_is_not_listed(void **state)
{
    struct board_case *c = *state;
    struct stats *stats;

    c->apps[0].column = CASE_APPS;
    stats = gather(c);
    assert_int_equal(stats->app_count, 1);
    assert_string_equal(stats->apps[0].name, "echo");
    stats_free(stats);
}

static void every_field_says_what_it_is(void **state)
{
    (void)state;
    for (size_t t = 0; stats_tables[t] != NULL; t++) {
        const struct stats_table *table = stats_tables[t];

        for (size_t i = 0; i < table->count; i++) {
            const struct stats_field *field = &table->fields[i];

            assert_true(field->name[0] != '\0');
            assert_true(field->help[0] != '\0');
            if (field->kind == STATS_SECONDS)
                assert_memory_equal(field->unit, "seconds", 7);
            assert_false(field->kind == STATS_TEXT && field->metric != NULL);
            assert_false(field->label != NULL && field->metric == NULL);
            for (size_t k = 0; k < i; k++)
                assert_string_not_equal(table->fields[k].name, field->name);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_unused_board_is_all_zeros, setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_dead_worker_counted_stays_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(long_lived_connections_are_added_up, setup, teardown),
        cmocka_unit_test_setup_teardown(a_connection_is_active_or_idle, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_connection_that_changed_its_worker_is_neither_new_nor_closed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_status_follows_from_state_and_heartbeat, setup, teardown),
        cmocka_unit_test_setup_teardown(the_process_before_does_not_speak_for_the_new_one, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(moments_are_told_since_1970, setup, teardown),
        cmocka_unit_test_setup_teardown(the_two_latest_generations_are_told_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(an_app_is_counted_in_the_column_that_it_has, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_app_that_was_removed_still_counts_for_the_server, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_app_without_a_column_is_not_listed, setup, teardown),
        cmocka_unit_test(every_field_says_what_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
