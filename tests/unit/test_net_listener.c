/* test_net_listener.c: a listener takes what it can serve, leaves the rest in the kernel's queue,
 * and goes on when there is a place again. */
#include "net/listener.h"

#include <event2/event.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/conn.h"
#include "net/net.h"

#define MANY 40

static struct event_base *base;
static struct board *board;
static int board_fd, listening = -1;
static struct net net;
static struct listener *listener;
static struct sockaddr_in address;
static int clients[MANY];
static unsigned client_count;

/* Nobody asks anything here. */
static void on_request(struct conn *conn)
{
    conn_finish(conn, CONN_END_BY_SERVER, clock_ns());
}

static void on_refused(struct conn *conn, int status)
{
    (void)status;
    conn_finish(conn, CONN_END_BY_SERVER, clock_ns());
}

static int open_socket(void)
{
    socklen_t length = sizeof(address);

    address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bind(listening, (struct sockaddr *)&address, length) == -1 || listen(listening, MANY) == -1)
        return -1;
    return getsockname(listening, (struct sockaddr *)&address, &length);
}

static int setup(void **state)
{
    const uint64_t hour = 3600 * NS_PER_SEC;

    (void)state;
    alarm(60); /* a condition that never comes true is a failure */
    client_count = 0;
    base = event_base_new();
    board = board_create(1, 1, &board_fd);
    if (!base || !board || open_socket() == -1)
        return -1;
    net = (struct net){.base = base,
                       .slot = board_slot(board, 0),
                       .head_limits = {.max_head = 8192, .max_target = 1024, .max_headers = 16},
                       .durations = {hour, hour, hour, hour},
                       .on_request = on_request,
                       .on_refused = on_refused};
    if (net_open(&net) == -1)
        return -1;
    listener = listener_new(&net, listening, 3, 8080);
    return listener ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    for (unsigned i = 0; i < client_count; i++)
        if (clients[i] != -1)
            close(clients[i]);
    net_cut_all(&net);
    assert_int_equal(net.conn_count, 0);
    listener_free(listener);
    net_close(&net);
    event_base_free(base);
    board_detach(board);
    close(board_fd);
    close(listening);
    return 0;
}

static void connect_clients(unsigned count)
{
    for (; count > 0; count--) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        assert_int_not_equal(fd, -1);
        assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        clients[client_count++] = fd;
    }
}

static void hang_up(unsigned i)
{
    close(clients[i]);
    clients[i] = -1;
}

static void turn(void)
{
    event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

static unsigned accepted(void)
{
    return (unsigned)board_get(&net.slot->accepted);
}

static void turn_until_accepted(unsigned count)
{
    while (accepted() < count)
        event_base_loop(base, EVLOOP_ONCE);
}

static void it_knows_what_it_was_told(void **state)
{
    (void)state;
    assert_int_equal(listener_index(listener), 3);
    assert_int_equal(listener_port(listener), 8080);
}

static void nothing_is_accepted_before_the_start_and_after_the_stop(void **state)
{
    (void)state;
    connect_clients(2);
    turn();
    assert_int_equal(accepted(), 0);
    listener_start(listener);
    turn_until_accepted(2);
    listener_stop(listener);
    connect_clients(1);
    turn();
    turn();
    assert_int_equal(accepted(), 2);
    listener_start(listener);
    turn_until_accepted(3);
}

static void a_burst_is_accepted_a_part_at_a_time(void **state)
{
    (void)state;
    connect_clients(MANY);
    listener_start(listener);
    turn();
    assert_in_range(accepted(), 1, MANY - 1);
    turn_until_accepted(MANY);
}

static void what_is_queued_can_be_taken_at_once(void **state)
{
    (void)state;
    connect_clients(MANY);
    listener_take_queued(listener); /* of one that has not started: nothing */
    assert_int_equal(accepted(), 0);
    listener_start(listener);
    listener_take_queued(listener);
    assert_int_equal(accepted(), MANY);
}

static void over_max_connections_the_others_wait_for_a_place(void **state)
{
    (void)state;
    net.max_connections = 3;
    listener_start(listener);
    connect_clients(5);
    turn_until_accepted(3);
    for (int i = 0; i < 5; i++)
        turn();
    assert_int_equal(accepted(), 3);
    hang_up(1);
    while (net.conn_count == 3)
        event_base_loop(base, EVLOOP_ONCE);
    turn(); /* at once, and not when it tries again by itself */
    turn();
    assert_int_equal(accepted(), 4);
    hang_up(0);
    hang_up(2);
    turn_until_accepted(5);
}

static void a_stopped_one_does_not_go_on_when_a_place_is_free(void **state)
{
    (void)state;
    net.max_connections = 1;
    listener_start(listener);
    connect_clients(2);
    turn_until_accepted(1);
    turn();
    listener_stop(listener);
    hang_up(0);
    while (net.conn_count > 0)
        event_base_loop(base, EVLOOP_ONCE);
    turn();
    turn();
    assert_int_equal(accepted(), 1);
}

static int highest_fd(void)
{
    int fd = dup(0);

    close(fd);
    return fd;
}

/* Nobody closes anything: it tries again by itself. */
static void without_descriptors_it_pauses_and_goes_on(void **state)
{
    struct rlimit before, none;

    (void)state;
    assert_int_equal(log_open("/dev/null", LOG_LEVEL_ERROR), 0); /* it complains */
    connect_clients(3);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){.rlim_cur = (rlim_t)highest_fd() + 1, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    listener_start(listener);
    for (int i = 0; i < 10; i++)
        turn();
    assert_int_equal(accepted(), 1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    turn_until_accepted(3);
    assert_int_equal(log_open(NULL, LOG_LEVEL_INFO), 0);
}

static unsigned shares; /* what is left of it */

static unsigned share(void *arg)
{
    (void)arg;
    return shares > accepted() ? shares - accepted() : 0;
}

static void what_siblings_should_have_is_left_to_them_for_a_moment(void **state)
{
    uint64_t began;

    (void)state;
    net.share = share;
    shares = 2;
    connect_clients(4);
    began = clock_ns();
    listener_start(listener);
    turn_until_accepted(2);
    turn_until_accepted(4); /* nobody took them */
    assert_true(clock_ns() - began >= 4 * NS_PER_MS);
    began = clock_ns();
    while (clock_ns() - began < 25 * NS_PER_MS) /* for some time it leaves nothing to them */
        ;
    connect_clients(1);
    turn();
    assert_int_equal(accepted(), 4);
    listener_stop(listener); /* in the middle of its patience */
    turn();
    assert_int_equal(accepted(), 4);
    listener_start(listener);
    turn_until_accepted(5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_knows_what_it_was_told),
        TEST(nothing_is_accepted_before_the_start_and_after_the_stop),
        TEST(a_burst_is_accepted_a_part_at_a_time),
        TEST(what_is_queued_can_be_taken_at_once),
        TEST(over_max_connections_the_others_wait_for_a_place),
        TEST(a_stopped_one_does_not_go_on_when_a_place_is_free),
        TEST(what_siblings_should_have_is_left_to_them_for_a_moment),
        TEST(without_descriptors_it_pauses_and_goes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
