/* channel.c: messages as packets of a head and its text; a queue for what the kernel cannot take.
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
    char text[]; /* head.text_length bytes */
};

struct channel {
    int fd;
    bool has_ended;  /* on_message(NULL) was called, or is about to be */
    bool is_reading; /* on_readable is further down the stack */
    bool is_freed;   /* within it: on_readable gives the memory back when it is done */
    struct event readable;
    struct event writable; /* pending exactly while the queue has packets */
    STAILQ_HEAD(, packet) queue;
    channel_on_message *on_message;
    void *arg;
};

static const char *const message_names[] = {
    [MESSAGE_PREPARE] = "prepare",     [MESSAGE_COMMIT] = "commit",
    [MESSAGE_ABORT] = "abort",         [MESSAGE_START] = "start",
    [MESSAGE_LAST_CALL] = "last call", [MESSAGE_DRAIN] = "drain",
    [MESSAGE_STOP] = "stop",           [MESSAGE_REOPEN] = "reopen",
    [MESSAGE_PREPARED] = "prepared",   [MESSAGE_REFUSED] = "refused",
    [MESSAGE_COMMITTED] = "committed", [MESSAGE_READY] = "ready",
    [MESSAGE_UNLOADED] = "unloaded",   [MESSAGE_LEAVING] = "leaving",
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

static void drop_queue(struct channel *channel)
{
    struct packet *packet;

    while ((packet = STAILQ_FIRST(&channel->queue)) != NULL) {
        STAILQ_REMOVE_HEAD(&channel->queue, link);
        free(packet);
    }
    event_del(&channel->writable);
}

enum transmission { TRANSMITTED, MUST_WAIT, FAILED };

static enum transmission transmit(int fd, struct wire_head *head, char *text)
{
    struct iovec parts[2] = {{head, sizeof(*head)}, {text, head->text_length}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t n;

    do {
        n = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (n == -1 && errno == EINTR);
    if (n >= 0)
        return TRANSMITTED;
    if (errno == EAGAIN || errno == ENOBUFS)
        return MUST_WAIT;
    return FAILED;
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct channel *channel = arg;
    struct packet *packet;

    (void)what;
    while ((packet = STAILQ_FIRST(&channel->queue)) != NULL) {
        switch (transmit(fd, &packet->head, packet->text)) {
        case MUST_WAIT:
            return;
        case FAILED: /* the reading side will tell; what was said last may still lie there */
            if (errno != EPIPE && errno != ECONNRESET)
                log_warn("channel: %s could not be sent", message_name(packet->head.type));
            drop_queue(channel);
            return;
        case TRANSMITTED:
            STAILQ_REMOVE_HEAD(&channel->queue, link);
            free(packet);
            break;
        }
    }
    event_del(&channel->writable);
}

static int enqueue(struct channel *channel, const struct wire_head *head, const char *text)
{
    struct packet *packet = malloc(sizeof(*packet) + head->text_length);

    if (packet == NULL)
        return -1;
    packet->head = *head;
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
    if (!STAILQ_EMPTY(&channel->queue)) /* it must not overtake */
        return enqueue(channel, &head, text);
    switch (transmit(channel->fd, &head, (char *)(uintptr_t)text)) {
    case TRANSMITTED:
        return 0;
    case MUST_WAIT:
        return enqueue(channel, &head, text);
    case FAILED:
        break;
    }
    return -1;
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
        return;
    }
    packet->text[packet->head.text_length] = '\0';
    message = (struct message){
        .type = packet->head.type,
        .app = packet->head.app,
        .generation = packet->head.generation,
        .value = packet->head.value,
        .text = packet->text,
    };
    channel->on_message(channel, &message, channel->arg);
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
    ssize_t n = recv(channel->fd, &packet, offsetof(struct received, text) + CHANNEL_TEXT_MAX,
                     MSG_TRUNC | MSG_DONTWAIT);

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

int channel_fd(const struct channel *channel)
{
    return channel->fd;
}
