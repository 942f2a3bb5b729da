/* output.c: what leaves a connection: gathered bytes, pieces of the app's, files. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/sock.h"
#include "net/conn_private.h"
#include "runtime/coro.h"

/* An app whose client is very fast, in either direction, lets the others have the loop after this
 * many bytes. */
#define TURN        (1u << 20)
#define FILE_STEP   (1u << 20)
#define PIECES_STEP 64

size_t conn_unsent(const struct conn *conn)
{
    return conn->out ? buf_length(conn->out) - conn->held : 0;
}

struct buf *conn_out(struct conn *conn)
{
    if (!conn->out)
        conn->out = buf_take(&conn->net->outs);
    return conn->out;
}

void conn_hold(struct conn *conn, size_t size)
{
    conn->held = size;
}

int conn_insert(struct conn *conn, const void *data, size_t size)
{
    struct buf *out = conn_out(conn);
    char *at;

    if (!out || buf_reserve(out, size) == -1)
        return -1;
    at = out->data + out->end - conn->held;
    memmove(at + size, at, conn->held);
    memcpy(at, data, size);
    out->end += size;
    return 0;
}

/* ---- waiting for room ---- */

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct conn *conn = arg;

    (void)fd, (void)what;
    conn->net->now = clock_ns();
    conn->is_blocked = false;
    conn_advance(conn);
}

bool conn_was_slow_only(struct conn *conn)
{
    int before = conn->queued;

    conn->queued = sock_unacknowledged(conn->fd);
    return conn->queued < before;
}

/* Output waits: asks the loop to say when there is room. */
static int block(struct conn *conn)
{
    conn->is_blocked = true;
    if (!conn->write_event)
        conn->write_event =
            event_new(conn->net->base, conn->fd, EV_WRITE | EV_ET, on_writable, conn);
    if (!conn->write_event || event_add(conn->write_event, NULL) == -1) {
        conn_lost(conn);
        errno = ENOMEM;
        return -1;
    }
    conn->queued = sock_unacknowledged(conn->fd);
    conn_limit(conn, LIMIT_WRITE);
    return 0;
}

static int wait_for_room(struct conn *conn)
{
    return conn_await(conn, WAIT_WRITE, LIMIT_WRITE, "write");
}

/* ---- sending ---- */

/* The result of a send: -1 is an error, EAGAIN being one that passes. */
static ssize_t note_error(struct conn *conn)
{
    if (errno == EAGAIN)
        return block(conn) == -1 ? -1 : 0;
    if (errno == EINTR)
        return 0;
    conn_lost(conn);
    errno = EPIPE;
    return -1;
}

/* Any progress starts the client's time anew. */
static void note_progress(struct conn *conn, size_t n)
{
    conn->turn += n;
    if (conn->limit.running == LIMIT_WRITE + 1)
        limit_start(conn->net->limits, &conn->limit, LIMIT_WRITE, clock_ns());
}

int conn_push(struct conn *conn, int flags)
{
    size_t unsent;
    ssize_t n;

    while ((unsent = conn_unsent(conn)) > 0 && !conn->is_blocked) {
        if (conn->is_gone) {
            errno = EPIPE;
            return -1;
        }
        n = send(conn->fd, buf_bytes(conn->out), unsent, MSG_NOSIGNAL | flags);
        if (n == -1) {
            if (note_error(conn) == -1)
                return -1;
            continue;
        }
        buf_consume(conn->out, (size_t)n);
        note_progress(conn, (size_t)n);
    }
    return 0;
}

/* Sends all that was gathered; on a coroutine waits for it. */
static int push_all(struct conn *conn, int flags)
{
    while (conn_push(conn, flags) == 0 && conn_unsent(conn) > 0) {
        if (!coro_current())
            return 0;
        if (wait_for_room(conn) == -1)
            return -1;
    }
    if (!conn->is_gone)
        return 0;
    errno = EPIPE;
    return -1;
}

int conn_flush(struct conn *conn)
{
    return conn_take_turns(conn) == -1 ? -1 : push_all(conn, 0);
}

/* All of the pieces or nothing. */
static int gather(struct conn *conn, const struct iovec *pieces, int count)
{
    struct buf *out = conn_out(conn);
    size_t before;

    if (!out) {
        errno = ENOMEM;
        return -1;
    }
    before = out->end;
    for (int i = 0; i < count; i++)
        if (buf_append(out, pieces[i].iov_base, pieces[i].iov_len) == -1) {
            out->end = before;
            return -1;
        }
    return 0;
}

/* The unsent bytes and the pieces from *next on, *skip bytes of which have left. */
static int collect(struct conn *conn, struct iovec *out, const struct iovec *pieces, int count,
                   size_t skip)
{
    int n = 0;

    if (conn_unsent(conn) > 0)
        out[n++] = (struct iovec){buf_bytes(conn->out), conn_unsent(conn)};
    for (int i = 0; i < count && n < PIECES_STEP; i++, skip = 0)
        out[n++] = (struct iovec){(char *)pieces[i].iov_base + skip, pieces[i].iov_len - skip};
    return n;
}

static ssize_t send_some(struct conn *conn, const struct iovec *pieces, int count, size_t skip)
{
    struct iovec all[PIECES_STEP];
    struct msghdr message = {.msg_iov = all};
    ssize_t n;

    message.msg_iovlen = (size_t)collect(conn, all, pieces, count, skip);
    n = sendmsg(conn->fd, &message, MSG_NOSIGNAL);
    return n == -1 ? note_error(conn) : n;
}

/* Takes n sent bytes off the gathered ones first; returns how many of them were the pieces'. */
static size_t take_gathered(struct conn *conn, size_t n)
{
    size_t gathered = conn_unsent(conn);

    if (gathered > n)
        gathered = n;
    if (gathered > 0)
        buf_consume(conn->out, gathered);
    return n - gathered;
}

int conn_take_turns(struct conn *conn)
{
    int reason;

    if (conn->turn < TURN || !coro_current())
        return 0;
    conn->turn = 0;
    reason = coro_sleep(0);
    if (!reason || conn->is_gone) /* which the caller looks for */
        return 0;
    errno = reason;
    return -1;
}

/* Before each step on a coroutine: its turn, room, and a peer. */
static int ready_to_send(struct conn *conn)
{
    if (conn_take_turns(conn) == -1)
        return -1;
    if (conn->is_blocked && !conn->is_gone && wait_for_room(conn) == -1)
        return -1;
    if (!conn->is_gone)
        return 0;
    errno = EPIPE;
    return -1;
}

int conn_write(struct conn *conn, const struct iovec *pieces, int count)
{
    size_t skip = 0, n;
    ssize_t sent;

    if (!coro_current())
        return gather(conn, pieces, count);
    for (;;) {
        while (count > 0 && skip == pieces->iov_len)
            pieces++, count--, skip = 0;
        if (count == 0)
            return push_all(conn, 0);
        if (ready_to_send(conn) == -1 || (sent = send_some(conn, pieces, count, skip)) == -1)
            return -1;
        note_progress(conn, (size_t)sent);
        for (n = take_gathered(conn, (size_t)sent); n > 0; pieces++, count--, skip = 0) {
            if (n < pieces->iov_len - skip) {
                skip += n;
                break;
            }
            n -= pieces->iov_len - skip;
        }
    }
}

/* Errors of sendfile that the file is not to blame for. */
static bool is_of_socket(int error)
{
    return error == EAGAIN || error == EINTR || error == EPIPE || error == ECONNRESET ||
           error == ETIMEDOUT || error == ENOTCONN;
}

static int send_file_step(struct conn *conn, int fd, off_t *offset, uint64_t size)
{
    ssize_t n = sendfile(conn->fd, fd, offset, size < FILE_STEP ? (size_t)size : FILE_STEP);

    if (n > 0) {
        note_progress(conn, (size_t)n);
        return (int)n;
    }
    if (n == 0) {
        errno = EIO; /* the file ends before its time */
        return -1;
    }
    return is_of_socket(errno) ? (int)note_error(conn) : -1;
}

int conn_send_file(struct conn *conn, int fd, off_t offset, uint64_t size)
{
    int n;

    if (!coro_current()) {
        errno = EDEADLK;
        return -1;
    }
    if (push_all(conn, size > 0 ? MSG_MORE : 0) == -1)
        return -1;
    while (size > 0) {
        if (ready_to_send(conn) == -1 || (n = send_file_step(conn, fd, &offset, size)) == -1)
            return -1;
        size -= (uint64_t)n;
    }
    return 0;
}

void conn_fini_output(struct conn *conn)
{
    if (conn->write_event)
        event_free(conn->write_event);
    buf_give(&conn->net->outs, &conn->out);
}
