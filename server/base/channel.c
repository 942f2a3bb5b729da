/* channel.c: messages as packets of a head and its text, perhaps with a descriptor; a queue for
 * what the kernel cannot take.
 *
 * The other end is another process that may have gone mad: what it sends is checked, and dropped
 * with a word in the log when it is no message. The channel never waits and never decides that the
 * other process is dead, only that its end is closed. */
#include "base/channel.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/log.h"

#define READS_PER_WAKE 16 /* then others have their turn; the event is level-triggered */

/* Both ends are of one build, or of two on one machine: the byte order is its own. */
struct wire_head {
    uint32_t type;
    uint32_t app;
    uint64_t generation;
    uint64_t value;
    uint32_t text_length; /* the packet is exactly this much longer; no NUL is sent */
    uint32_t reserved;
};

struct packet {
    STAILQ_ENTRY(packet) link;
    struct wire_head head;
    int fd;      /* owned; -1: none */
    char text[]; /* head.text_length bytes */
};

struct channel {
    int fd;
    bool has_ended;  /* on_message(NULL) was called, or is about to be */
    bool is_reading; /* on_readable is further down the stack */
    bool is_freed;   /* within it: on_readable gives the memory back when it is done */
    bool has_lost;   /* a descriptor that travelled along; said already */
    struct event readable;
    struct event writable; /* pending exactly while the queue has packets */
    STAILQ_HEAD(, packet) queue;
    channel_on_message *on_message;
    channel_on_flushed *on_flushed; /* NULL: nobody wants to know */
    void *arg;
};

static const char *const message_names[] = {
    [MESSAGE_PREPARE] = "prepare",
    [MESSAGE_COMMIT] = "commit",
    [MESSAGE_ABORT] = "abort",
    [MESSAGE_START] = "start",
    [MESSAGE_LAST_CALL] = "last call",
    [MESSAGE_DRAIN] = "drain",
    [MESSAGE_STOP] = "stop",
    [MESSAGE_REOPEN] = "reopen",
    [MESSAGE_PREPARED] = "prepared",
    [MESSAGE_REFUSED] = "refused",
    [MESSAGE_COMMITTED] = "committed",
    [MESSAGE_READY] = "ready",
    [MESSAGE_UNLOADED] = "unloaded",
    [MESSAGE_LEAVING] = "leaving",
    [MESSAGE_CONNECTION] = "connection",
    [MESSAGE_STACKS] = "stacks",
};
#define MESSAGE_NAMES (sizeof(message_names) / sizeof(message_names[0]))

static bool is_known(uint32_t type)
{
    return type < MESSAGE_NAMES && message_names[type] != NULL;
}

const char *message_name(enum message_type type)
{
    return is_known(type) ? message_names[type] : "unknown";
}

int channel_pair(int fds_out[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds_out);
}

static void close_any(int fd)
{
    if (fd != -1)
        close(fd);
}

/* What was sent, or never will be. */
static void drop_first(struct channel *channel)
{
    struct packet *packet = STAILQ_FIRST(&channel->queue);

    STAILQ_REMOVE_HEAD(&channel->queue, link);
    close_any(packet->fd);
    free(packet);
}

static void drop_queue(struct channel *channel)
{
    while (!STAILQ_EMPTY(&channel->queue))
        drop_first(channel);
    event_del(&channel->writable);
}

/* Room for a descriptor beside a message, aligned as its head wants it. */
union control {
    struct cmsghdr head;
    char bytes[CMSG_SPACE(sizeof(int))];
};

static void attach(struct msghdr *message, union control *control, int fd)
{
    struct cmsghdr *head = &control->head;

    memset(control, 0, sizeof(*control));
    message->msg_control = control;
    message->msg_controllen = sizeof(*control);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(head), &fd, sizeof(fd));
}

enum transmission { TRANSMITTED, MUST_WAIT, FAILED };

/* `passenger` travels along; -1: none. */
static enum transmission transmit(int fd, struct wire_head *head, char *text, int passenger)
{
    struct iovec parts[2] = {{head, sizeof(*head)}, {text, head->text_length}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    union control control;
    ssize_t n;

    if (passenger != -1)
        attach(&message, &control, passenger);
    do {
        n = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (n == -1 && errno == EINTR);
    if (n >= 0)
        return TRANSMITTED;
    if (errno == EAGAIN || errno == ENOBUFS)
        return MUST_WAIT;
    return FAILED;
}

/* The kernel takes no more descriptors from this user for now (ETOOMANYREFS): that says nothing of
 * the other end, and waiting for room would not help. */
static bool is_of_passenger(const struct packet *packet)
{
    return packet->fd != -1 && errno != EPIPE && errno != ECONNRESET;
}

/* The message goes alone then, so that the other end knows what was lost. */
static void leave_passenger(struct channel *channel, struct packet *packet)
{
    if (!channel->has_lost)
        log_warn("channel: a descriptor could not be sent with %s",
                 message_name(packet->head.type));
    channel->has_lost = true;
    close(packet->fd);
    packet->fd = -1;
}

/* False when the queue cannot go on now. */
static bool send_first(struct channel *channel)
{
    struct packet *packet = STAILQ_FIRST(&channel->queue);

    switch (transmit(channel->fd, &packet->head, packet->text, packet->fd)) {
    case MUST_WAIT:
        return false;
    case FAILED: /* the reading side will tell; what was said last may still lie there */
        if (is_of_passenger(packet)) {
            leave_passenger(channel, packet);
            return true;
        }
        if (errno != EPIPE && errno != ECONNRESET)
            log_warn("channel: %s could not be sent", message_name(packet->head.type));
        drop_queue(channel);
        return false;
    case TRANSMITTED:
        break;
    }
    drop_first(channel);
    return true;
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct channel *channel = arg;

    (void)fd;
    (void)what;
    while (!STAILQ_EMPTY(&channel->queue))
        if (!send_first(channel))
            return;
    event_del(&channel->writable);
    if (channel->on_flushed != NULL)
        channel->on_flushed(channel->arg);
}

static int enqueue(struct channel *channel, const struct wire_head *head, const char *text, int fd)
{
    struct packet *packet = malloc(sizeof(*packet) + head->text_length);

    if (packet == NULL)
        return -1;
    packet->head = *head;
    packet->fd = fd;
    if (head->text_length > 0)
        memcpy(packet->text, text, head->text_length);
    if (event_add(&channel->writable, NULL) == -1) {
        free(packet);
        errno = ENOMEM;
        return -1;
    }
    STAILQ_INSERT_TAIL(&channel->queue, packet, link);
    return 0;
}

static int send_or_enqueue(struct channel *channel, struct wire_head *head, const char *text,
                           int fd)
{
    if (!STAILQ_EMPTY(&channel->queue)) /* it must not overtake */
        return enqueue(channel, head, text, fd);
    switch (transmit(channel->fd, head, (char *)(uintptr_t)text, fd)) {
    case TRANSMITTED:
        close_any(fd);
        return 0;
    case MUST_WAIT:
        return enqueue(channel, head, text, fd);
    case FAILED:
        break;
    }
    return -1;
}

int channel_send(struct channel *channel, const struct message *message)
{
    const char *text = message->text != NULL ? message->text : "";
    struct wire_head head = {
        .type = message->type,
        .app = message->app,
        .generation = message->generation,
        .value = message->value,
        .text_length = (uint32_t)strnlen(text, CHANNEL_TEXT_MAX),
    };

    if (channel->has_ended) {
        errno = EPIPE;
        return -1;
    }
    if (send_or_enqueue(channel, &head, text, message->fd != NULL ? *message->fd : -1) == -1)
        return -1;
    if (message->fd != NULL)
        *message->fd = -1;
    return 0;
}

bool channel_is_flushed(const struct channel *channel)
{
    return STAILQ_EMPTY(&channel->queue);
}

void channel_when_flushed(struct channel *channel, channel_on_flushed *on_flushed)
{
    channel->on_flushed = on_flushed;
}

static void end(struct channel *channel)
{
    channel->has_ended = true;
    event_del(&channel->readable);
    drop_queue(channel);
    channel->on_message(channel, NULL, channel->arg);
}

/* A packet as it came in; the text is ended with a NUL of ours. */
struct received {
    int fd; /* -1: none, or one for which there was no place here */
    struct wire_head head;
    char text[CHANNEL_TEXT_MAX + 1];
};

/* `size` is the packet's own, even where it did not fit. */
static bool is_well_formed(const struct received *packet, size_t size)
{
    return size >= sizeof(packet->head) && is_known(packet->head.type) &&
           packet->head.text_length <= CHANNEL_TEXT_MAX &&
           size == sizeof(packet->head) + packet->head.text_length;
}

static void deliver(struct channel *channel, struct received *packet, size_t size)
{
    struct message message;

    if (!is_well_formed(packet, size)) {
        log_warnx("channel: dropped a packet of %zu bytes that is no message", size);
        close_any(packet->fd);
        return;
    }
    packet->text[packet->head.text_length] = '\0';
    message = (struct message){
        .type = packet->head.type,
        .app = packet->head.app,
        .generation = packet->head.generation,
        .value = packet->head.value,
        .text = packet->text,
        .fd = packet->fd != -1 ? &packet->fd : NULL,
    };
    channel->on_message(channel, &message, channel->arg);
    close_any(packet->fd); /* unless it was taken over */
}

/* The first descriptor that came along; -1: none. There should be one at most. */
static int take_passenger(struct msghdr *message)
{
    struct cmsghdr *head = CMSG_FIRSTHDR(message);
    int taken = -1, fd;

    if (head == NULL || head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
        return -1;
    for (size_t at = 0; CMSG_LEN(at + sizeof(fd)) <= head->cmsg_len; at += sizeof(fd)) {
        memcpy(&fd, CMSG_DATA(head) + at, sizeof(fd));
        if (taken == -1)
            taken = fd;
        else
            close(fd);
    }
    return taken;
}

/* As recv. */
static ssize_t receive(int fd, struct received *packet)
{
    struct iovec part = {&packet->head, offsetof(struct received, text) -
                                            offsetof(struct received, head) + CHANNEL_TEXT_MAX};
    union control control;
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(fd, &message, MSG_TRUNC | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    packet->fd = n >= 0 ? take_passenger(&message) : -1;
    return n;
}

/* After a read of 0, which an empty packet gives as well. At the end nothing comes or is left. */
static bool is_at_end(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};
    int left = 0;

    if (poll(&p, 1, 0) != 1 || (p.revents & (POLLRDHUP | POLLHUP)) == 0)
        return false;
    return ioctl(fd, FIONREAD, &left) == -1 || left == 0;
}

/* One packet, or the end. False when there is no more to be had now. */
static bool read_one(struct channel *channel)
{
    struct received packet;
    ssize_t n = receive(channel->fd, &packet);

    if (n > 0 || (n == 0 && !is_at_end(channel->fd))) {
        deliver(channel, &packet, (size_t)n);
        return true;
    }
    if (n == -1 && errno == EAGAIN)
        return false;
    /* It closed its end without having read all of ours: said once, before what it sent last. */
    if (n == -1 && (errno == EINTR || errno == ECONNRESET))
        return true;
    end(channel);
    return false;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct channel *channel = arg;

    (void)fd;
    (void)what;
    channel->is_reading = true;
    for (int i = 0; i < READS_PER_WAKE && read_one(channel) && !channel->is_freed; i++)
        ;
    channel->is_reading = false;
    if (channel->is_freed)
        free(channel);
}

struct channel *channel_new(struct event_base *base, int fd, channel_on_message *on_message,
                            void *arg)
{
    struct channel *channel = calloc(1, sizeof(*channel));

    if (channel == NULL)
        return NULL;
    channel->fd = fd;
    channel->on_message = on_message;
    channel->arg = arg;
    STAILQ_INIT(&channel->queue);
    event_assign(&channel->readable, base, fd, EV_READ | EV_PERSIST, on_readable, channel);
    event_assign(&channel->writable, base, fd, EV_WRITE | EV_PERSIST, on_writable, channel);
    if (event_add(&channel->readable, NULL) == -1) {
        free(channel);
        errno = ENOMEM; /* libevent does not say */
        return NULL;
    }
    return channel;
}

void channel_free(struct channel *channel)
{
    if (channel == NULL)
        return;
    event_del(&channel->readable);
    drop_queue(channel);
    close(channel->fd);
    channel->is_freed = true;
    if (!channel->is_reading)
        free(channel);
}

bool channel_has_input(const struct channel *channel)
{
    struct pollfd p = {.fd = channel->fd, .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

int channel_fd(const struct channel *channel)
{
    return channel->fd;
}
