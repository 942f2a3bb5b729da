/* test_net_stream.c: the bytes of a long-lived connection: in when the owner wants them, out in
 * order, shared ones held as long as they are needed, and each kind of end told once. */
#include "net/stream.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "net/net.h"
#include "net/payload.h"
#include "runtime/limit.h"
#include "runtime/soon.h"

#define HOUR (3600 * NS_PER_SEC)

static struct event_base *base;
static struct board *board;
static int board_fd;
static struct net net;
static struct stream *stream;
static int client = -1;

static char input[1u << 20]; /* what the owner has taken */
static size_t input_length;
static char wire[8u << 20]; /* what the client has got */
static size_t wire_length;
static bool wire_ended;
static unsigned inputs, rooms, ends;
static bool is_greedy; /* takes whatever comes */
static size_t most;

static void take_all(void)
{
    size_t n;

    while (stream_fill(stream, most) > 0)
        if (stream_length(stream) == most)
            break;
    n = stream_length(stream);
    if (n == 0)
        return;
    memcpy(input + input_length, stream_bytes(stream), n);
    input_length += n;
    stream_consume(stream, n);
    if (stream->is_readable)
        stream_again(stream);
    stream_rest(stream);
}

static void on_input(struct stream *s)
{
    assert_ptr_equal(s, stream);
    inputs++;
    if (is_greedy)
        take_all();
    else
        stream_look(s);
}

static void on_room(struct stream *s)
{
    (void)s;
    rooms++;
}

static void on_gone(struct stream *s)
{
    (void)s;
    ends++;
}

static const struct stream_owner owner = {
    .on_input = on_input, .on_room = on_room, .on_gone = on_gone};

static void turn(void)
{
    event_base_loop(base, EVLOOP_NONBLOCK);
}

/* What has come so far; the server's end goes on meanwhile. */
static void receive(void)
{
    ssize_t n;

    turn();
    while ((n = recv(client, wire + wire_length, sizeof wire - wire_length, MSG_DONTWAIT)) > 0) {
        wire_length += (size_t)n;
        turn();
    }
    wire_ended = n == 0;
}

static void say(const char *text)
{
    assert_int_equal(send(client, text, strlen(text), 0), strlen(text));
    turn();
}

static int open_all(void **state)
{
    static const struct sockaddr peer = {.sa_family = AF_UNIX};
    int fds[2];

    (void)state;
    alarm(20);
    base = event_base_new();
    assert_int_equal(soon_open(base), 0);
    board = board_create(1, 1, &board_fd);
    net = (struct net){
        .base = base, .slot = board_slot(board, 0), .durations = {HOUR, HOUR, HOUR, HOUR}};
    assert_int_equal(net_open(&net), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    client = fds[1];
    stream = calloc(1, sizeof *stream);
    assert_int_equal(stream_open(stream, &net, fds[0], NULL, &peer), 0);
    stream_set_owner(stream, &owner, NULL);
    input_length = wire_length = 0;
    inputs = rooms = ends = 0;
    wire_ended = false;
    is_greedy = true;
    most = 65536;
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    if (stream)
        stream_free(stream);
    free(stream);
    stream = NULL;
    if (client != -1)
        close(client);
    client = -1;
    assert_int_equal(net.conn_count, 0);
    assert_int_equal(net.made_count, 0);
    net_close(&net);
    board_detach(board);
    close(board_fd);
    soon_close();
    event_base_free(base);
    libevent_global_shutdown();
    return 0;
}

/* ---- input ---- */

static void test_input_comes_as_it_was_sent(void **state)
{
    (void)state;
    say("hello ");
    say("world");
    assert_int_equal(input_length, 11);
    assert_memory_equal(input, "hello world", 11);
    assert_null(stream->in); /* at rest it has no buffer */
}

static void test_what_the_owner_does_not_take_waits_in_the_kernel(void **state)
{
    static char much[4u << 20];
    size_t sent = 0;
    ssize_t n;

    (void)state;
    is_greedy = false;
    while ((n = send(client, much, sizeof much, MSG_DONTWAIT)) > 0) {
        sent += (size_t)n;
        turn();
    }
    assert_true(sent < sizeof much);
    assert_null(stream->in);
    is_greedy = true;
    stream_again(stream);
    while (input_length < sent && input_length + 65536 < sizeof input)
        turn();
    assert_true(input_length >= sent || input_length + 65536 >= sizeof input);
}

static void test_a_buffer_is_no_longer_than_asked_for(void **state)
{
    (void)state;
    is_greedy = false;
    say("0123456789");
    stream_fill(stream, 4);
    assert_int_equal(stream_length(stream), 4);
    assert_int_equal(stream_fill(stream, 4), 0);
    stream_consume(stream, 2);
    assert_int_equal(stream_fill(stream, 4), 2);
    assert_memory_equal(stream_bytes(stream), "2345", 4);
}

static void test_a_pinned_buffer_stays_while_input_goes_on(void **state)
{
    struct buf *pinned;

    (void)state;
    is_greedy = false;
    say("first,second");
    stream_fill(stream, 100);
    pinned = stream_pin(stream, 6);
    assert_memory_equal(buf_bytes(pinned), "first,", 6);
    assert_memory_equal(stream_bytes(stream), "second", 6);
    say(",third");
    stream_fill(stream, 100);
    assert_memory_equal(stream_bytes(stream), "second,third", 12);
    assert_memory_equal(buf_bytes(pinned), "first,", 6);
    buf_give(&net.ins, &pinned);
}

/* ---- output ---- */

static void test_output_leaves_in_order_in_the_next_round(void **state)
{
    struct payload *payload = payload_new(1000);

    (void)state;
    memset(payload->data, 'p', 1000);
    assert_int_equal(stream_send(stream, "a", 1), 0);
    assert_int_equal(stream_send_payload(stream, payload), 0);
    assert_int_equal(stream_send2(stream, "b", 1, "cd", 2), 0);
    assert_int_equal(stream->unsent, 1004);
    assert_int_equal(payload->refs, 2);
    receive();
    assert_int_equal(wire_length, 1004);
    assert_memory_equal(wire, "ap", 2);
    assert_memory_equal(wire + 1000, "pbcd", 4);
    assert_int_equal(payload->refs, 1);
    assert_int_equal(stream->unsent, 0);
    payload_unref(payload);
}

static void test_a_slow_peer_gets_all_of_it_and_the_owner_learns_of_room(void **state)
{
    static char piece[100000];
    struct payload *payload = payload_new(sizeof piece);
    size_t total = 0;

    (void)state;
    memset(payload->data, 'x', sizeof piece);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(stream_send(stream, "0123456789", 10), 0);
        assert_int_equal(stream_send_payload(stream, payload), 0);
        total += 10 + sizeof piece;
    }
    stream_want_room(stream, 1000);
    turn();
    assert_true(stream->is_blocked);
    assert_int_equal(rooms, 0);
    while (wire_length < total)
        receive();
    turn();
    assert_int_equal(wire_length, total);
    assert_int_equal(rooms, 1);
    assert_int_equal(payload->refs, 1);
    for (size_t at = 0; at < total; at += 10 + sizeof piece)
        assert_memory_equal(wire + at, "0123456789x", 11);
    payload_unref(payload);
}

static void test_discarding_keeps_the_rest_of_what_has_left_in_part(void **state)
{
    struct payload *payload = payload_new(2u << 20);

    (void)state;
    memset(payload->data, 'x', payload->size);
    stream_send_payload(stream, payload);
    turn();
    assert_true(stream->is_blocked);
    stream_send(stream, "lost", 4);
    stream_discard(stream);
    stream_send(stream, "end", 3);
    while (wire_length < payload->size + 3)
        receive();
    assert_memory_equal(wire + payload->size, "end", 3);
    assert_int_equal(wire_length, payload->size + 3);
    payload_unref(payload);
}

/* ---- ends ---- */

static void test_a_peer_that_ends_its_side_is_read_to_the_end(void **state)
{
    (void)state;
    send(client, "last", 4, 0);
    shutdown(client, SHUT_WR);
    turn();
    stream_fill(stream, most);
    assert_int_equal(input_length, 4);
    assert_true(stream->is_eof);
    assert_int_equal(ends, 0);
    assert_int_equal(stream_send(stream, "answer", 6), 0);
    receive();
    assert_memory_equal(wire, "answer", 6);
}

static void test_shutting_sends_all_and_waits_for_the_peers_end(void **state)
{
    (void)state;
    stream_send(stream, "bye", 3);
    assert_int_equal(stream_shut(stream), 0);
    assert_int_equal(stream_send(stream, "late", 4), -1);
    assert_int_equal(errno, EPIPE);
    send(client, "nobody reads this", 17, 0);
    receive();
    assert_int_equal(wire_length, 3);
    assert_true(wire_ended);
    assert_int_equal(ends, 0);
    shutdown(client, SHUT_WR);
    turn();
    turn();
    assert_int_equal(ends, 1);
    assert_int_equal(stream->error, 0);
    assert_int_equal(input_length, 0);
}

static void test_a_peer_that_does_not_end_is_left_after_a_moment(void **state)
{
    (void)state;
    stream_shut(stream);
    turn();
    limits_expire_class(net.stream_limits, STREAM_LINGER);
    turn();
    assert_int_equal(ends, 1);
    assert_int_equal(stream->error, 0);
}

static void test_a_peer_that_takes_nothing_is_given_up(void **state)
{
    struct payload *payload = payload_new(4u << 20);

    (void)state;
    memset(payload->data, 'x', payload->size);
    stream_send_payload(stream, payload);
    turn();
    limits_expire_class(net.stream_limits, STREAM_WRITE);
    turn();
    assert_int_equal(ends, 1);
    assert_int_equal(stream->error, ETIMEDOUT);
    assert_int_equal(stream_send(stream, "x", 1), -1);
    assert_int_equal(errno, EPIPE);
    payload_unref(payload);
}

/* As the server's end has it that has sent more than the peer takes. */
static void fill_the_kernels_queue(void)
{
    static const char much[1u << 16];

    while (send(stream->fd, much, sizeof much, MSG_DONTWAIT) > 0)
        ;
}

static void test_what_follows_after_discarding_has_its_time_limit_too(void **state)
{
    (void)state;
    fill_the_kernels_queue();
    stream_send(stream, "lost", 4);
    turn();
    assert_true(stream->is_blocked);
    stream_discard(stream);
    turn();
    stream_send(stream, "x", 1);
    turn();
    limits_expire_class(net.stream_limits, STREAM_WRITE);
    turn();
    assert_int_equal(ends, 1);
    assert_int_equal(stream->error, ETIMEDOUT);
}

static void test_a_peer_that_has_gone_is_told_once(void **state)
{
    (void)state;
    close(client);
    client = -1;
    stream_send(stream, "x", 1);
    turn();
    turn();
    stream_lose(stream, EIO);
    turn();
    assert_int_equal(ends, 1);
    assert_int_equal(stream->error, EPIPE);
}

static void test_cutting_all_tells_the_owner(void **state)
{
    (void)state;
    net_cut_all(&net);
    assert_int_equal(ends, 0); /* not within the call */
    turn();
    assert_int_equal(ends, 1);
    assert_int_equal(stream->error, ECONNRESET);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, open_all, close_all)
    const struct CMUnitTest tests[] = {
        TEST(test_input_comes_as_it_was_sent),
        TEST(test_what_the_owner_does_not_take_waits_in_the_kernel),
        TEST(test_a_buffer_is_no_longer_than_asked_for),
        TEST(test_a_pinned_buffer_stays_while_input_goes_on),
        TEST(test_output_leaves_in_order_in_the_next_round),
        TEST(test_a_slow_peer_gets_all_of_it_and_the_owner_learns_of_room),
        TEST(test_discarding_keeps_the_rest_of_what_has_left_in_part),
        TEST(test_a_peer_that_ends_its_side_is_read_to_the_end),
        TEST(test_shutting_sends_all_and_waits_for_the_peers_end),
        TEST(test_a_peer_that_does_not_end_is_left_after_a_moment),
        TEST(test_a_peer_that_takes_nothing_is_given_up),
        TEST(test_what_follows_after_discarding_has_its_time_limit_too),
        TEST(test_a_peer_that_has_gone_is_told_once),
        TEST(test_cutting_all_tells_the_owner),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
