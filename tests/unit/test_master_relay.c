/* test_master_relay.c: to whom the master passes a connection on, and what a worker that drains is
 * told. The workers are sockets of the test. */
#include "master/relay.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/channel.h"
#include "base/clock.h"
#include "master/master.h"
#include "master/pool_private.h"

#define WORKERS  3
#define IDENTITY "127.0.0.1:8080\npublic\n"

static struct config_listen both[] = {
    {.name = (char *)(uintptr_t) "public", .address.text = "127.0.0.1:8080"},
    {.name = (char *)(uintptr_t) "old", .address.text = "127.0.0.1:9090"},
};
static struct config with_both = {.listens = both, .listen_count = 2},
                     with_old = {.listens = &both[1], .listen_count = 1},
                     with_public = {.listens = both, .listen_count = 1};
static struct edition everything = {.config = &with_both}, only_old = {.config = &with_old},
                      next = {.config = &with_public};

static struct event_base *base;
static struct board *board;
static int board_fd;
static struct pool pool;
static struct master master;
static struct worker workers[WORKERS];
static int ends[WORKERS]; /* the workers' own; -1: closed */
static int client;        /* the other end of the connection */

static void on_message(struct channel *channel, const struct message *message, void *arg)
{
    (void)channel, (void)message, (void)arg;
}

static int setup(void **state)
{
    (void)state;
    base = event_base_new();
    board = board_create(WORKERS, 1, &board_fd);
    if (!base || !board)
        return -1;
    master = (struct master){.base = base, .board = board, .pool = &pool, .edition = &everything};
    pool = (struct pool){.master = &master};
    TAILQ_INIT(&pool.workers);
    for (unsigned i = 0; i < WORKERS; i++) {
        int pair[2];

        if (channel_pair(pair) == -1)
            return -1;
        ends[i] = pair[1];
        workers[i] = (struct worker){.pool = &pool,
                                     .id = i,
                                     .incarnation = 1,
                                     .edition = &everything,
                                     .state = SEAT_SERVING,
                                     .channel = channel_new(base, pair[0], on_message, NULL)};
        board_set(&board_slot(board, i)->heartbeat_at, clock_ns());
        board_set(&board_slot(board, i)->accepted, 10 * (i + 1));
        TAILQ_INSERT_TAIL(&pool.workers, &workers[i], link);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (unsigned i = 0; i < WORKERS; i++) {
        channel_free(workers[i].channel);
        if (ends[i] != -1)
            close(ends[i]);
    }
    close(client);
    event_base_free(base);
    board_detach(board);
    close(board_fd);
    return 0;
}

/* From worker 0; whoever has it in the end may have closed it. */
static void pass(void)
{
    int pair[2];
    struct message message = {.type = MESSAGE_CONNECTION, .text = IDENTITY, .fd = &pair[1]};

    close(client);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    client = pair[0];
    relay_pass(&master, &workers[0], &message);
    if (pair[1] != -1)
        close(pair[1]); /* as the channel does */
}

struct head { /* as on the wire */
    uint32_t type, app;
    uint64_t generation, value;
    uint32_t text_length, reserved;
    char text[CHANNEL_TEXT_MAX + 1];
};

/* What a worker was sent; type 0: nothing. */
static struct head next_of(unsigned worker)
{
    struct head head;

    memset(&head, 0, sizeof head);
    if (recv(ends[worker], &head, sizeof head, MSG_DONTWAIT) == -1)
        assert_int_equal(errno, EAGAIN);
    return head;
}

static uint64_t handed_to(unsigned worker)
{
    return board_get(&board_seat(board, worker)->handed_in);
}

static void the_one_with_the_fewest_gets_it(void **state)
{
    struct head head;

    (void)state;
    pass();
    head = next_of(1);
    assert_int_equal(head.type, MESSAGE_CONNECTION);
    assert_int_equal(head.value, 0);
    assert_string_equal(head.text, IDENTITY);
    assert_int_equal(board_get(&board_seat(board, 0)->handed_out), 1);
    assert_int_equal(handed_to(1), 1);
}

static void who_has_just_died_is_passed_over(void **state)
{
    (void)state;
    close(ends[1]);
    ends[1] = -1;
    pass();
    assert_int_equal(next_of(2).type, MESSAGE_CONNECTION);
    assert_int_equal(handed_to(1), 0);
    assert_int_equal(handed_to(2), 1);
}

static void without_anybody_who_serves_the_listener_another_that_drains_keeps_it(void **state)
{
    (void)state;
    workers[0].state = workers[2].state = SEAT_DRAINING;
    workers[1].edition = &only_old;
    board_set(&board_slot(board, 0)->accepted,
              0); /* it has given all away, and is about to leave */
    pass();
    assert_int_equal(next_of(0).type, 0);
    assert_int_equal(next_of(1).type, 0);
    assert_int_equal(next_of(2).value, CONNECTION_KEEP);
    assert_int_equal(handed_to(2), 1);
}

static void the_sender_keeps_it_when_there_is_nobody_else(void **state)
{
    (void)state;
    workers[0].state = SEAT_DRAINING;
    workers[1].edition = workers[2].edition = &only_old;
    pass();
    assert_int_equal(next_of(0).value, CONNECTION_KEEP);
    assert_int_equal(handed_to(0), 1);
}

static void when_it_has_gone_too_the_connection_is_closed_and_accounted_for(void **state)
{
    char byte;

    (void)state;
    workers[0].state = SEAT_DRAINING;
    workers[1].edition = workers[2].edition = &only_old;
    close(ends[0]);
    ends[0] = -1;
    pass();
    assert_int_equal(recv(client, &byte, 1, MSG_DONTWAIT), 0);
    assert_true(workers[0].has_lost_connections);
    assert_int_equal(board_get(&board_seat(board, 0)->handed_out), 1);
    assert_int_equal(handed_to(0) + handed_to(1) + handed_to(2), 0);
}

static void one_that_was_lost_on_its_way_here_is_accounted_for(void **state)
{
    (void)state;
    relay_pass(&master, &workers[0],
               &(struct message){.type = MESSAGE_CONNECTION, .text = IDENTITY});
    assert_int_equal(board_get(&board_seat(board, 0)->handed_out), 1);
    assert_int_equal(handed_to(0) + handed_to(1) + handed_to(2), 0);
}

static void who_drains_is_told_which_listeners_go_on(void **state)
{
    struct head head;

    (void)state;
    master.edition = &next;
    relay_drain(&master, &workers[0], 7);
    head = next_of(0);
    assert_int_equal(head.type, MESSAGE_DRAIN);
    assert_int_equal(head.value, 7);
    assert_int_equal(head.generation, DRAIN_HAND_ON);
    assert_string_equal(head.text, IDENTITY);
}

static void nobody_is_told_so_when_nobody_else_serves(void **state)
{
    (void)state;
    workers[1].state = SEAT_STARTING;
    workers[2].state = SEAT_DRAINING;
    relay_drain(&master, &workers[0], 7);
    assert_int_equal(next_of(0).generation, 0);
    workers[0].state = SEAT_DRAINING;
    workers[0].drained_at = clock_ns();
    relay_on_ready(&master);
    assert_int_equal(next_of(0).type, 0);
    workers[1].state = SEAT_SERVING;
    relay_on_ready(&master);
    assert_int_equal(next_of(0).generation, DRAIN_HAND_ON);
    assert_int_equal(next_of(2).type, 0); /* it was stopped, and drains nothing */
    master.is_stopping = true;
    relay_drain(&master, &workers[0], 7);
    assert_int_equal(next_of(0).generation, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_one_with_the_fewest_gets_it),
        TEST(who_has_just_died_is_passed_over),
        TEST(without_anybody_who_serves_the_listener_another_that_drains_keeps_it),
        TEST(the_sender_keeps_it_when_there_is_nobody_else),
        TEST(when_it_has_gone_too_the_connection_is_closed_and_accounted_for),
        TEST(one_that_was_lost_on_its_way_here_is_accounted_for),
        TEST(who_drains_is_told_which_listeners_go_on),
        TEST(nobody_is_told_so_when_nobody_else_serves),
    };

    client = -1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
