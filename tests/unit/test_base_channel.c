/* test_base_channel.c: messages arrive whole, in order and once, whatever the other end does.
 *
 * A raw end is a socket that the test reads and writes itself, as a process gone mad would. */
#include "base/channel.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MANY 5000

/* What a channel was told. */
struct ear {
    unsigned messages;
    unsigned ends;
    bool is_out_of_order; /* their values were not 0, 1, 2 ... */
    struct message last;
    char text[CHANNEL_TEXT_MAX + 1];
    unsigned free_after; /* frees the channel at that message; 0: never */
    bool does_free_at_end;
};

static struct event_base *base;
static int fds[2];
static struct ear ear;

static int setup(void **state)
{
    (void)state;
    alarm(60); /* a condition that never comes true is a failure */
    memset(&ear, 0, sizeof(ear));
    base = event_base_new();
    return base == NULL ? -1 : channel_pair(fds);
}

static int teardown(void **state)
{
    (void)state;
    event_base_free(base);
    return 0;
}

static void on_message(struct channel *channel, const struct message *message, void *arg)
{
    struct ear *e = arg;

    if (message == NULL) {
        e->ends++;
        if (e->does_free_at_end)
            channel_free(channel);
        return;
    }
    e->is_out_of_order |= message->value != e->messages;
    e->messages++;
    e->last = *message;
    e->last.text = strcpy(e->text, message->text);
    if (e->messages == e->free_after)
        channel_free(channel);
}

static struct channel *open_end(int fd)
{
    struct channel *channel = channel_new(base, fd, on_message, &ear);

    assert_non_null(channel);
    return channel;
}

static void turn_until_messages(unsigned messages)
{
    while (ear.messages < messages)
        assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
}

static void turn_until_end(void)
{
    while (ear.ends == 0)
        assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
}

static void turn_while_there_is_something_to_do(void)
{
    for (int i = 0; i < 100; i++)
        event_base_loop(base, EVLOOP_NONBLOCK);
}

static int send_number(struct channel *channel, uint64_t number)
{
    char text[512];
    struct message message = {.type = MESSAGE_REFUSED, .value = number, .text = text};

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    return channel_send(channel, &message);
}

static void every_field_arrives(void **state)
{
    struct channel *a = open_end(fds[0]), *b = open_end(fds[1]);
    struct message message = {MESSAGE_PREPARE, 7, UINT64_MAX - 1, 1ull << 40, "/spool/hello.3.so"};

    (void)state;
    assert_int_equal(channel_fd(a), fds[0]);
    assert_int_equal(channel_send(a, &message), 0);
    turn_until_messages(1);
    assert_int_equal(ear.last.type, MESSAGE_PREPARE);
    assert_int_equal(ear.last.app, 7);
    assert_true(ear.last.generation == UINT64_MAX - 1);
    assert_true(ear.last.value == 1ull << 40);
    assert_string_equal(ear.text, "/spool/hello.3.so");
    channel_free(a);
    channel_free(b);
}

static void no_text_arrives_as_an_empty_one(void **state)
{
    struct channel *a = open_end(fds[0]), *b = open_end(fds[1]);

    (void)state;
    assert_int_equal(channel_send(b, &(struct message){.type = MESSAGE_READY}), 0);
    turn_until_messages(1);
    assert_string_equal(ear.text, "");
    channel_free(a);
    channel_free(b);
}

static void a_text_that_is_too_long_is_cut(void **state)
{
    struct channel *a = open_end(fds[0]), *b = open_end(fds[1]);
    char *text = malloc(3 * CHANNEL_TEXT_MAX);

    (void)state;
    memset(text, 'x', 3 * CHANNEL_TEXT_MAX);
    text[3 * CHANNEL_TEXT_MAX - 1] = '\0';
    assert_int_equal(channel_send(a, &(struct message){.type = MESSAGE_REFUSED, .text = text}), 0);
    text[CHANNEL_TEXT_MAX] = '\0';
    assert_int_equal(channel_send(a, &(struct message){.type = MESSAGE_REFUSED, .text = text}), 0);
    turn_until_messages(1);
    assert_int_equal(strlen(ear.text), CHANNEL_TEXT_MAX);
    turn_until_messages(2);
    assert_int_equal(strlen(ear.text), CHANNEL_TEXT_MAX);
    free(text);
    channel_free(a);
    channel_free(b);
}

static void thousands_for_a_peer_that_does_not_read_arrive_later_in_order(void **state)
{
    struct channel *a = open_end(fds[0]), *b;

    (void)state;
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(send_number(a, i), 0);
    turn_while_there_is_something_to_do(); /* the kernel's queue is full: nothing can move */
    b = open_end(fds[1]);
    turn_until_messages(MANY / 2);
    for (unsigned i = MANY; i < MANY + 100; i++) /* those that come now must not overtake */
        assert_int_equal(send_number(a, i), 0);
    turn_until_messages(MANY + 100);
    assert_false(ear.is_out_of_order);
    assert_int_equal(strlen(ear.text), 511);
    assert_int_equal(ear.ends, 0);
    channel_free(a);
    channel_free(b);
}

/* Reads until all have come, says so and waits for the other end to go. */
static void listen_as_a_child(void)
{
    struct channel *channel;

    close(fds[0]);
    base = event_base_new();
    channel = channel_new(base, fds[1], on_message, &ear);
    while (ear.messages < MANY)
        event_base_loop(base, EVLOOP_ONCE);
    channel_send(channel, &(struct message){.type = MESSAGE_READY});
    while (ear.ends == 0)
        event_base_loop(base, EVLOOP_ONCE);
    _exit(ear.messages == MANY && !ear.is_out_of_order ? 0 : 1);
}

static void a_child_uses_its_end_after_a_fork(void **state)
{
    pid_t child = fork();
    struct channel *a;
    int status;

    (void)state;
    assert_true(child >= 0);
    if (child == 0)
        listen_as_a_child();
    close(fds[1]);
    a = open_end(fds[0]);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(send_number(a, i), 0);
    turn_until_messages(1);
    assert_int_equal(ear.last.type, MESSAGE_READY);
    channel_free(a);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void one_wake_reads_a_bounded_number(void **state)
{
    struct channel *a = open_end(fds[0]), *b = open_end(fds[1]);

    (void)state;
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(send_number(a, i), 0);
    event_base_loop(base, EVLOOP_ONCE);
    assert_in_range(ear.messages, 2, 50);
    turn_until_messages(100);
    channel_free(a);
    channel_free(b);
}

static void the_end_is_told_once_after_all_messages(void **state)
{
    struct channel *a = open_end(fds[0]), *b = open_end(fds[1]);

    (void)state;
    for (unsigned i = 0; i < 50; i++)
        assert_int_equal(send_number(b, i), 0);
    channel_free(b);
    turn_until_end();
    assert_int_equal(ear.messages, 50);
    turn_while_there_is_something_to_do();
    assert_int_equal(ear.ends, 1);
    assert_int_equal(send_number(a, 0), -1);
    assert_int_equal(errno, EPIPE);
    channel_free(a);
}

static void last_words_arrive_though_the_peer_left_mail_unread(void **state)
{
    struct channel *a = open_end(fds[0]), *b = open_end(fds[1]);

    (void)state;
    assert_int_equal(send_number(a, 0), 0); /* b will not read it: the kernel resets */
    assert_int_equal(send_number(b, 0), 0);
    assert_int_equal(send_number(b, 1), 0);
    channel_free(b);
    turn_until_end();
    assert_int_equal(ear.messages, 2);
    assert_int_equal(ear.ends, 1);
    channel_free(a);
}

static void sending_to_a_peer_that_has_gone_fails_and_kills_nobody(void **state)
{
    struct channel *a = open_end(fds[0]);

    (void)state;
    close(fds[1]);
    assert_int_equal(send_number(a, 0), -1);
    assert_int_equal(errno, EPIPE);
    assert_int_equal(ear.ends, 0); /* not from within channel_send */
    turn_until_end();
    channel_free(a);
}

static void a_peer_that_goes_with_a_full_queue_is_told_once(void **state)
{
    struct channel *a = open_end(fds[0]);

    (void)state;
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(send_number(a, i), 0);
    close(fds[1]);
    turn_until_end();
    turn_while_there_is_something_to_do();
    assert_int_equal(ear.ends, 1);
    channel_free(a);
}

static void the_channel_may_be_freed_at_a_message(void **state)
{
    struct channel *a = open_end(fds[0]);

    (void)state;
    open_end(fds[1]);
    ear.free_after = 3;
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(send_number(a, i), 0);
    turn_until_end(); /* a's, when b was freed */
    assert_int_equal(ear.messages, 3);
    channel_free(a);
}

static void the_channel_may_be_freed_at_its_end(void **state)
{
    (void)state;
    open_end(fds[0]);
    ear.does_free_at_end = true;
    close(fds[1]);
    turn_until_end();
    assert_int_equal(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
}

/* A well-formed packet to be spoilt: as channel_send makes it. */
static size_t make_packet(uint32_t *packet, size_t room)
{
    struct channel *a;
    int pair[2];
    ssize_t n;

    assert_int_equal(channel_pair(pair), 0);
    a = channel_new(base, pair[0], on_message, &ear);
    assert_int_equal(channel_send(a, &(struct message){.type = MESSAGE_REFUSED, .text = "why"}), 0);
    n = recv(pair[1], packet, room, 0);
    channel_free(a);
    close(pair[1]);
    assert_int_equal(n, 32 + 3);
    return (size_t)n;
}

static void send_raw(const void *packet, size_t size)
{
    assert_int_equal(send(fds[1], packet, size, MSG_NOSIGNAL), size);
}

static void send_with_word(const uint32_t *packet, size_t size, unsigned index, uint32_t word)
{
    uint32_t spoilt[16];

    memcpy(spoilt, packet, size);
    spoilt[index] = word;
    send_raw(spoilt, size);
}

static void what_is_no_message_is_dropped_and_the_next_one_read(void **state)
{
    enum { TYPE = 0, TEXT_LENGTH = 6 };
    static char oversize[3 * CHANNEL_TEXT_MAX];
    uint32_t packet[16] = {0};
    size_t size = make_packet(packet, sizeof(packet));
    struct channel *a = open_end(fds[0]);

    (void)state;
    assert_int_equal(packet[TYPE], MESSAGE_REFUSED);
    assert_int_equal(packet[TEXT_LENGTH], 3);
    send_raw(packet, size);
    send_raw(packet, 0);
    send_raw(packet, 1);
    send_raw(packet, 31);
    send_raw(packet, size - 1);
    send_raw(packet, size + 1);
    send_with_word(packet, size, TYPE, 0);
    send_with_word(packet, size, TYPE, MESSAGE_LEAVING + 1);
    send_with_word(packet, size, TYPE, UINT32_MAX);
    send_with_word(packet, size, TEXT_LENGTH, 0);
    send_with_word(packet, size, TEXT_LENGTH, UINT32_MAX);
    send_with_word(packet, size, TEXT_LENGTH, UINT32_MAX - 28);
    memcpy(oversize, packet, 32);
    *(uint32_t *)(void *)(oversize + 4 * TEXT_LENGTH) = sizeof(oversize) - 32;
    send_raw(oversize, sizeof(oversize));
    send_raw(packet, size);
    close(fds[1]);
    turn_until_end();
    assert_int_equal(ear.messages, 2);
    assert_string_equal(ear.text, "why");
    channel_free(a);
}

static void every_type_has_a_name(void **state)
{
    (void)state;
    for (unsigned type = MESSAGE_PREPARE; type <= MESSAGE_LEAVING; type++)
        assert_string_not_equal(message_name((enum message_type)type), "unknown");
    assert_string_equal(message_name(MESSAGE_COMMIT), "commit");
    assert_string_equal(message_name((enum message_type)0), "unknown");
    assert_string_equal(message_name((enum message_type)(MESSAGE_LEAVING + 1)), "unknown");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_field_arrives),
        TEST(no_text_arrives_as_an_empty_one),
        TEST(a_text_that_is_too_long_is_cut),
        TEST(thousands_for_a_peer_that_does_not_read_arrive_later_in_order),
        TEST(a_child_uses_its_end_after_a_fork),
        TEST(one_wake_reads_a_bounded_number),
        TEST(the_end_is_told_once_after_all_messages),
        TEST(last_words_arrive_though_the_peer_left_mail_unread),
        TEST(sending_to_a_peer_that_has_gone_fails_and_kills_nobody),
        TEST(a_peer_that_goes_with_a_full_queue_is_told_once),
        TEST(the_channel_may_be_freed_at_a_message),
        TEST(the_channel_may_be_freed_at_its_end),
        TEST(what_is_no_message_is_dropped_and_the_next_one_read),
        cmocka_unit_test(every_type_has_a_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
