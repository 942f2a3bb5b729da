/* test_base_channel.c: messages arrive whole, in order and once, whatever the other end does.
 *
 * A raw end is a socket that the test reads and writes itself, as a process gone mad would. */
#include "base/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
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
    bool does_take;      /* the descriptors that come along */
    unsigned taken;
    int fd; /* the last one of those */
    unsigned flushes;
    bool does_free_at_end;
};

/* In place of the C library's: the kernel may refuse descriptors. */
static bool are_descriptors_refused;

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    if (are_descriptors_refused && message->msg_controllen > 0) {
        errno = ETOOMANYREFS;
        return -1;
    }
    return syscall(SYS_sendmsg, fd, message, flags);
}

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
    if (message->fd != NULL && e->does_take) {
        e->fd = *message->fd;
        e->taken++;
        *message->fd = -1;
    }
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
    struct message message = {.type = MESSAGE_PREPARE,
                              .app = 7,
                              .generation = UINT64_MAX - 1,
                              .value = 1ull << 40,
                              .text = "/spool/hello.3.so"};

    (void)state;
    assert_int_equal(channel_fd(a), fds[0]);
    assert_int_equal(channel_send(a, &message), 0);
    turn_until_messages(1);
    assert_int_equal(ear.last.type, MESSAGE_PREPARE);
    assert_int_equal(ear.last.app, 7);
    assert_true(ear.last.generation == UINT64_MAX - 1);
    assert_true(ear.last.value == 1ull << 40);
    assert_string_equal(ear.text, "/spool/hello.3.so");
    assert_null(ear.last.fd);
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

/* ---- descriptors that travel along ---- */

static unsigned count_open(void)
{
    unsigned count = 0;

    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) != -1;
    return count;
}

/* One end of a pipe goes with the message; returns the other. */
static int send_pipe(struct channel *channel, uint64_t number, int *fd_out)
{
    int ends[2];

    assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    *fd_out = ends[1];
    assert_int_equal(channel_send(channel, &(struct message){.type = MESSAGE_CONNECTION,
                                                             .value = number,
                                                             .text = "127.0.0.1:80\n",
                                                             .fd = fd_out}),
                     0);
    return ends[0];
}

/* Nobody has the other end open any more. */
static bool is_cut(int reader)
{
    char byte;

    return read(reader, &byte, 1) == 0;
}

static void a_descriptor_arrives_and_is_the_callbacks_to_keep(void **state)
{
    struct channel *a = open_end(fds[0]), *b = open_end(fds[1]);
    char byte = 0;
    int given, reader;

    (void)state;
    ear.does_take = true;
    reader = send_pipe(a, 0, &given);
    assert_int_equal(given, -1); /* it is not the sender's any more */
    turn_until_messages(1);
    assert_int_equal(ear.last.type, MESSAGE_CONNECTION);
    assert_string_equal(ear.text, "127.0.0.1:80\n");
    assert_int_equal(fcntl(ear.fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(write(ear.fd, "x", 1), 1);
    assert_int_equal(read(reader, &byte, 1), 1);
    assert_int_equal(byte, 'x');
    close(ear.fd);
    assert_true(is_cut(reader));
    close(reader);
    channel_free(a);
    channel_free(b);
}

static void a_descriptor_that_nobody_takes_is_closed(void **state)
{
    struct channel *a = open_end(fds[0]);
    int given, reader;

    (void)state;
    open_end(fds[1]);
    ear.free_after = 1; /* even so */
    reader = send_pipe(a, 0, &given);
    turn_until_end();
    assert_int_equal(ear.messages, 1);
    assert_true(is_cut(reader));
    close(reader);
    channel_free(a);
}

static void a_queue_with_descriptors_is_sent_in_order_and_closed_with_the_channel(void **state)
{
    enum { HUNDREDS = 400, READ = 100 };
    unsigned before = count_open();
    struct channel *a = open_end(fds[0]), *b = open_end(fds[1]);
    int given, readers[HUNDREDS];

    (void)state;
    for (unsigned i = 0; i < HUNDREDS; i++)
        readers[i] = send_pipe(a, i, &given);
    assert_false(channel_is_flushed(a));
    turn_until_messages(READ);
    assert_false(ear.is_out_of_order);
    assert_true(is_cut(readers[READ - 1])); /* it was there, and nobody took it */
    assert_false(is_cut(readers[HUNDREDS - 1]));
    channel_free(a);
    assert_true(is_cut(readers[HUNDREDS - 1])); /* it never left */
    turn_until_end();
    channel_free(b);
    for (unsigned i = 0; i < HUNDREDS; i++) {
        assert_true(is_cut(readers[i]));
        close(readers[i]);
    }
    assert_int_equal(count_open(), before - 2); /* the pair's */
}

static void on_flushed(void *arg)
{
    ((struct ear *)arg)->flushes++;
}

static void who_waits_for_an_empty_queue_is_told(void **state)
{
    struct channel *a = open_end(fds[0]), *b = open_end(fds[1]);
    unsigned sent = 0;

    (void)state;
    channel_when_flushed(a, on_flushed);
    assert_true(channel_is_flushed(a));
    while (channel_is_flushed(a))
        assert_int_equal(send_number(a, sent++), 0);
    assert_int_equal(ear.flushes, 0);
    turn_until_messages(sent);
    turn_while_there_is_something_to_do();
    assert_int_equal(ear.flushes, 1);
    assert_true(channel_is_flushed(a));
    channel_free(a);
    channel_free(b);
}

static void a_failed_send_leaves_the_descriptor_with_the_sender(void **state)
{
    struct channel *a = open_end(fds[0]);
    int ends[2];

    (void)state;
    close(fds[1]);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(channel_send(a, &(struct message){.type = MESSAGE_CONNECTION, .fd = &ends[1]}),
                     -1);
    assert_int_equal(write(ends[1], "x", 1), 1);
    close(ends[0]);
    close(ends[1]);
    channel_free(a);
}

static void without_room_for_the_descriptor_the_message_arrives_alone(void **state)
{
    struct channel *a = open_end(fds[0]), *b = open_end(fds[1]);
    struct rlimit usual, none;
    int given, reader, filler;

    (void)state;
    reader = send_pipe(a, 0, &given);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
    while ((filler = dup(0)) < reader) /* the holes below */
        assert_int_not_equal(filler, -1);
    close(filler);
    none = (struct rlimit){.rlim_cur = (rlim_t)filler, .rlim_max = usual.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    turn_until_messages(1);
    setrlimit(RLIMIT_NOFILE, &usual);
    assert_null(ear.last.fd);
    assert_true(is_cut(reader));
    close(reader);
    channel_free(a);
    channel_free(b);
}

static void a_queued_descriptor_that_is_refused_is_closed_and_its_message_goes_alone(void **state)
{
    struct channel *a = open_end(fds[0]), *b = open_end(fds[1]);
    unsigned sent = 0;
    int given, reader;

    (void)state;
    while (channel_is_flushed(a))
        assert_int_equal(send_number(a, sent++), 0);
    reader = send_pipe(a, sent++, &given);
    assert_int_equal(send_number(a, sent++), 0);
    are_descriptors_refused = true;
    turn_until_messages(sent);
    are_descriptors_refused = false;
    assert_false(ear.is_out_of_order);
    assert_null(ear.last.fd);
    assert_true(is_cut(reader));
    close(reader);
    channel_free(a);
    channel_free(b);
}

static void one_that_is_refused_at_once_stays_with_the_sender(void **state)
{
    struct channel *a = open_end(fds[0]), *b = open_end(fds[1]);
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    are_descriptors_refused = true;
    assert_int_equal(channel_send(a, &(struct message){.type = MESSAGE_CONNECTION, .fd = &ends[1]}),
                     -1);
    are_descriptors_refused = false;
    assert_int_equal(errno, ETOOMANYREFS);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(send_number(a, 0), 0); /* the channel goes on */
    turn_until_messages(1);
    close(ends[0]);
    close(ends[1]);
    channel_free(a);
    channel_free(b);
}

/* Two at once, and one with what is no message: as from a process gone mad. */
static void descriptors_that_should_not_be_there_are_closed(void **state)
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(2 * sizeof(int))];
    } control = {.bytes = {0}};
    uint32_t packet[16] = {0};
    struct channel *a = open_end(fds[0]);
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    for (int i = 0; i < 2; i++) {
        struct iovec part = {packet, i == 0 ? make_packet(packet, sizeof(packet)) : 5};
        struct msghdr message = {.msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = &control,
                                 .msg_controllen = sizeof(control)};

        control.head = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
                                        .cmsg_type = SCM_RIGHTS,
                                        .cmsg_len = CMSG_LEN(2 * sizeof(int))};
        memcpy(CMSG_DATA(&control.head), (int[]){ends[1], ends[1]}, 2 * sizeof(int));
        assert_int_equal(sendmsg(fds[1], &message, MSG_NOSIGNAL), part.iov_len);
    }
    close(ends[1]);
    close(fds[1]);
    turn_until_end();
    assert_int_equal(ear.messages, 1);
    assert_true(is_cut(ends[0]));
    close(ends[0]);
    channel_free(a);
}

/* ---- ends ---- */

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
    send_with_word(packet, size, TYPE, MESSAGE_STACKS + 1);
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
    for (unsigned type = MESSAGE_PREPARE; type <= MESSAGE_STACKS; type++)
        assert_string_not_equal(message_name((enum message_type)type), "unknown");
    assert_string_equal(message_name(MESSAGE_COMMIT), "commit");
    assert_string_equal(message_name((enum message_type)0), "unknown");
    assert_string_equal(message_name((enum message_type)(MESSAGE_STACKS + 1)), "unknown");
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
        TEST(a_descriptor_arrives_and_is_the_callbacks_to_keep),
        TEST(a_descriptor_that_nobody_takes_is_closed),
        TEST(a_queue_with_descriptors_is_sent_in_order_and_closed_with_the_channel),
        TEST(who_waits_for_an_empty_queue_is_told),
        TEST(a_failed_send_leaves_the_descriptor_with_the_sender),
        TEST(without_room_for_the_descriptor_the_message_arrives_alone),
        TEST(a_queued_descriptor_that_is_refused_is_closed_and_its_message_goes_alone),
        TEST(one_that_is_refused_at_once_stays_with_the_sender),
        TEST(descriptors_that_should_not_be_there_are_closed),
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
