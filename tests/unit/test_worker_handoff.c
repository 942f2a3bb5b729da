/* test_worker_handoff.c: which connections a worker gives away, and what becomes of those it is
 * sent. The master is a socket of the test. */
#include "worker/handoff.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/room.h"
#include "base/channel.h"
#include "base/clock.h"
#include "net/listener.h"
#include "worker/link.h"

#define PUBLIC "127.0.0.1:8080\npublic\n"
#define OLD    "127.0.0.1:9090\nold\n"
#define HOUR   (3600 * NS_PER_SEC)

static struct config_listen listens[] = {
    {.name = (char *)(uintptr_t) "public", .address.text = "127.0.0.1:8080"},
    {.name = (char *)(uintptr_t) "old", .address.text = "127.0.0.1:9090"},
};
static const struct config config = {.listens = listens, .listen_count = 2};

static struct board *board;
static int board_fd, master, sockets[2], client;
static struct room room;
static struct net *const net = &room.net;
static struct listener *listeners[2];
static struct handoff handoff;

static bool hand_on(int *fd, const struct listener *listener, bool has_asked, void *arg)
{
    (void)arg;
    return handoff_give(&handoff, fd, listener, has_asked);
}

static bool can_hand_on(const struct listener *listener, void *arg)
{
    (void)arg;
    return handoff_has_taker(&handoff, listener);
}

static int setup(void **state)
{
    static const struct link_orders orders;
    int pair[2];

    (void)state;
    board = board_create(1, 1, &board_fd);
    *net = (struct net){.base = event_base_new(),
                        .slot = board ? board_slot(board, 0) : NULL,
                        .durations = {HOUR, HOUR, HOUR, HOUR},
                        .hand_on = hand_on,
                        .can_hand_on = can_hand_on};
    if (!board || !net->base || net_open(net) == -1 || channel_pair(pair) == -1)
        return -1;
    for (unsigned i = 0; i < 2; i++) {
        sockets[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        listeners[i] = listener_new(net, sockets[i], i, 0);
    }
    master = pair[1];
    handoff = (struct handoff){.config = &config,
                               .net = net,
                               .link = link_open(&room, pair[0], &orders),
                               .listeners = listeners};
    return handoff.link ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    net_cut_all(net);
    link_close(handoff.link);
    handoff_fini(&handoff);
    for (unsigned i = 0; i < 2; i++) {
        listener_free(listeners[i]);
        close(sockets[i]);
    }
    net_close(net);
    event_base_free(net->base);
    board_detach(board);
    close(board_fd);
    close(master);
    close(client);
    return 0;
}

/* A connection arrives from the master, `value` as in the message. */
static void take(const char *identity, uint64_t value)
{
    int pair[2];
    struct message message = {.type = MESSAGE_CONNECTION,
                              .generation = 1,
                              .value = value,
                              .text = identity,
                              .fd = &pair[1]};

    close(client);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    client = pair[0];
    handoff_take(&handoff, &message);
    if (pair[1] != -1)
        close(pair[1]); /* as the channel does */
}

/* What the master was sent, without what came along; "": nothing. */
static const char *sent(void)
{
    static struct { /* as on the wire */
        uint32_t type, app;
        uint64_t generation, value;
        uint32_t text_length, reserved;
        char text[CHANNEL_TEXT_MAX + 1];
    } head;

    memset(&head, 0, sizeof head);
    if (recv(master, &head, sizeof head, MSG_DONTWAIT) == -1)
        return "";
    assert_int_equal(head.type, MESSAGE_CONNECTION);
    assert_int_equal(head.generation, 1);
    assert_int_equal(head.value, 0);
    return head.text;
}

static void only_listeners_that_others_serve_have_a_taker(void **state)
{
    (void)state;
    assert_false(handoff_has_taker(&handoff, listeners[0]));
    assert_true(handoff_set_takers(&handoff, PUBLIC));
    assert_true(handoff_has_taker(&handoff, listeners[0]));
    assert_false(handoff_has_taker(&handoff, listeners[1]));
    assert_true(handoff_set_takers(&handoff, OLD));
    assert_false(handoff_has_taker(&handoff, listeners[0]));
    assert_false(handoff_set_takers(&handoff, NULL));
    assert_false(handoff_has_taker(&handoff, listeners[1]));
}

static void a_drain_gives_those_away_and_keeps_the_others(void **state)
{
    (void)state;
    take(PUBLIC, 0);
    take(OLD, 0);
    assert_int_equal(net->conn_count, 2);
    net_drain(net, handoff_set_takers(&handoff, PUBLIC));
    assert_int_equal(net->conn_count, 1);
    assert_string_equal(sent(), PUBLIC);
    assert_string_equal(sent(), "");
}

static void one_that_arrives_in_a_drain_goes_on_unless_nobody_else_can_take_it(void **state)
{
    (void)state;
    net_drain(net, handoff_set_takers(&handoff, PUBLIC));
    take(PUBLIC, 0);
    assert_int_equal(net->conn_count, 0);
    assert_string_equal(sent(), PUBLIC);
    take(PUBLIC, CONNECTION_KEEP);
    assert_int_equal(net->conn_count, 1);
    assert_string_equal(sent(), "");
    take(OLD, 0);
    assert_int_equal(net->conn_count, 2);
}

static void one_of_an_unknown_listener_is_closed_and_counted(void **state)
{
    char byte;

    (void)state;
    take("127.0.0.1:7070\nother\n", 0);
    assert_int_equal(net->conn_count, 0);
    assert_int_equal(recv(client, &byte, 1, MSG_DONTWAIT), 0);
    assert_int_equal(board_get(&net->slot->closed), 1);
}

static void one_that_was_lost_on_its_way_is_counted_as_closed(void **state)
{
    (void)state;
    handoff_take(&handoff, &(struct message){.type = MESSAGE_CONNECTION, .text = PUBLIC});
    assert_int_equal(net->conn_count, 0);
    assert_int_equal(board_get(&net->slot->closed), 1);
}

static void without_a_master_every_one_stays(void **state)
{
    (void)state;
    take(PUBLIC, 0);
    close(master);
    master = -1;
    net_drain(net, handoff_set_takers(&handoff, PUBLIC));
    assert_int_equal(net->conn_count, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(only_listeners_that_others_serve_have_a_taker),
        TEST(a_drain_gives_those_away_and_keeps_the_others),
        TEST(one_that_arrives_in_a_drain_goes_on_unless_nobody_else_can_take_it),
        TEST(one_of_an_unknown_listener_is_closed_and_counted),
        TEST(one_that_was_lost_on_its_way_is_counted_as_closed),
        TEST(without_a_master_every_one_stays),
    };

    client = -1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
