/* wire.c: see wire.h. */
#include "client/wire.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "runtime/coro.h"

#define BUFFER       16384
#define BUFFERS_KEPT 32

/* A Unix socket whose queue is full says so, and not when it is no longer. */
#define QUEUE_PAUSE (5 * NS_PER_MS)

static struct buf_pool buffers;

void wire_buffers_open(void)
{
    buf_pool_init(&buffers, BUFFER, BUFFERS_KEPT);
}

void wire_buffers_close(void)
{
    buf_pool_fini(&buffers);
}

struct buf *wire_buffer_take(void)
{
    return buf_take(&buffers);
}

void wire_buffer_give(struct buf **buf)
{
    buf_give(&buffers, buf);
}

/* ---- edges ---- */

/* The last thing done with it: whoever goes on may free it. */
static void wake(struct wire *wire)
{
    struct coro *reader = wire->can_read ? wire->reader : NULL;
    struct coro *writer = wire->can_write ? wire->writer : NULL;

    if (reader && writer && reader != writer) {
        coro_wake(reader, 0);
        coro_wake(writer, 0);
    } else if (reader || writer) {
        coro_resume(reader ? reader : writer, 0);
    }
}

static void on_edge(evutil_socket_t fd, short what, void *arg)
{
    struct wire *wire = arg;

    (void)fd;
    if (what & (EV_READ | EV_CLOSED))
        wire->can_read = true;
    if (what & EV_WRITE)
        wire->can_write = true;
    if (!wire->is_idle)
        wake(wire);
    else if (wire->can_read)
        wire->on_idle(wire);
}

int wire_wait(struct wire *wire, unsigned events, uint64_t ns)
{
    struct coro *self = coro_current();
    int reason;

    if ((events & WIRE_READ && wire->can_read) || (events & WIRE_WRITE && wire->can_write))
        return 0;
    if (events & WIRE_READ)
        wire->reader = self;
    if (events & (WIRE_WRITE | WIRE_NEWS))
        wire->writer = self;
    reason = coro_wait_for("service", ns);
    if (wire->reader == self)
        wire->reader = NULL;
    if (wire->writer == self)
        wire->writer = NULL;
    return reason;
}

void wire_stir(struct wire *wire)
{
    if (wire->reader)
        coro_wake(wire->reader, 0);
    if (wire->writer)
        coro_wake(wire->writer, 0);
}

/* ---- connecting ---- */

static int open_socket(struct wire *wire, struct event_base *base, int family)
{
    const int on = 1;

    wire->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (wire->fd == -1)
        return errno;
    if (family != AF_UNIX)
        setsockopt(wire->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    wire->can_read = wire->can_write = false;
    return event_assign(&wire->event, base, wire->fd,
                        EV_READ | EV_WRITE | EV_CLOSED | EV_ET | EV_PERSIST, on_edge, wire) == -1
               ? ENOMEM
               : 0;
}

static uint64_t left_until(uint64_t end)
{
    uint64_t now = clock_ns();

    return end == CORO_FOREVER ? end : now < end ? end - now : 0;
}

static int begin_connect(struct wire *wire, const struct sockaddr *address, socklen_t length,
                         uint64_t end)
{
    int reason;

    while (connect(wire->fd, address, length) == -1) {
        if (errno == EINPROGRESS)
            return 0;
        if (errno != EAGAIN)
            return errno;
        if (left_until(end) == 0)
            return ETIMEDOUT;
        if ((reason = coro_sleep(QUEUE_PAUSE)))
            return reason;
    }
    wire->can_write = true;
    return 0;
}

static int end_connect(struct wire *wire, uint64_t end)
{
    socklen_t size = sizeof(int);
    int reason, error;

    if (event_add(&wire->event, NULL) == -1)
        return ENOMEM;
    while (!wire->can_write)
        if ((reason = wire_wait(wire, WIRE_WRITE, left_until(end))) && !wire->can_write)
            return reason;
    return getsockopt(wire->fd, SOL_SOCKET, SO_ERROR, &error, &size) == -1 ? errno : error;
}

int wire_connect(struct wire *wire, struct event_base *base, const struct sockaddr *address,
                 socklen_t length, uint64_t ns)
{
    uint64_t end = ns == CORO_FOREVER ? ns : clock_ns() + ns;
    int error = open_socket(wire, base, address->sa_family);

    if (error) {
        if (wire->fd != -1)
            close(wire->fd);
        wire->fd = -1;
        return error;
    }
    error = begin_connect(wire, address, length, end);
    if (!error)
        error = end_connect(wire, end);
    if (error)
        wire_close(wire);
    return error;
}

void wire_close(struct wire *wire)
{
    buf_give(&buffers, &wire->in);
    if (wire->fd == -1)
        return;
    event_del(&wire->event);
    close(wire->fd);
    wire->fd = -1;
    wire->can_read = wire->can_write = false;
}

/* ---- bytes ---- */

ssize_t wire_send(struct wire *wire, const struct iovec *pieces, int count)
{
    const struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)pieces,
                                   .msg_iovlen = (size_t)count};
    ssize_t n;

    do
        n = sendmsg(wire->fd, &message, MSG_NOSIGNAL);
    while (n == -1 && errno == EINTR);
    if (n == -1 && errno == EAGAIN)
        wire->can_write = false;
    return n;
}

ssize_t wire_receive(struct wire *wire, void *buffer, size_t size)
{
    ssize_t n;

    do
        n = recv(wire->fd, buffer, size, 0);
    while (n == -1 && errno == EINTR);
    if (n == -1 && errno == EAGAIN)
        wire->can_read = false;
    return n;
}

bool wire_is_quiet(struct wire *wire)
{
    char byte;

    if (recv(wire->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != -1 || errno != EAGAIN)
        return false;
    wire->can_read = false;
    return true;
}

/* ---- the buffer ---- */

static int make_room(struct wire *wire)
{
    struct buf *in = wire->in;

    if (!in)
        return (wire->in = buf_take(&buffers)) ? 0 : -1;
    if (in->end < in->size)
        return 0;
    if (in->start > 0) {
        memmove(in->data, in->data + in->start, buf_length(in));
        in->end -= in->start;
        in->start = 0;
        return 0;
    }
    return buf_reserve(in, 1);
}

ssize_t wire_fill(struct wire *wire)
{
    ssize_t n;

    if (make_room(wire) == -1) {
        errno = ENOMEM;
        return -1;
    }
    n = wire_receive(wire, wire->in->data + wire->in->end, wire->in->size - wire->in->end);
    if (n > 0)
        wire->in->end += (size_t)n;
    return n;
}

size_t wire_buffered(const struct wire *wire)
{
    return wire->in ? buf_length(wire->in) : 0;
}

const char *wire_bytes(const struct wire *wire)
{
    return wire->in ? buf_bytes(wire->in) : "";
}

/* An idle connection shall cost no buffer. */
void wire_consume(struct wire *wire, size_t n)
{
    if (!wire->in)
        return;
    buf_consume(wire->in, n);
    if (buf_length(wire->in) == 0)
        buf_give(&buffers, &wire->in);
}
