/* input.c: what arrives at a connection: bytes into buffers, body bytes into the app's memory. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "net/conn_private.h"
#include "runtime/coro.h"

/* From this many bytes on a body is read straight into the app's memory; below, through the buffer,
 * together with what follows. */
#define DIRECT_READ 4096
/* Less room than this behind the head is not worth a read. */
#define LEAST_ROOM 512
/* An unread body up to this long is read past, so that the connection can be kept. */
#define DISCARD_MOST (256u << 10)

/* ---- the socket ---- */

/* One read. > 0, or 0 when there is nothing now: is_readable, is_eof and is_gone say why. */
static size_t receive(struct conn *conn, void *buffer, size_t size)
{
    ssize_t n = recv(conn->fd, buffer, size, 0);

    /* A short read emptied the queue: the next byte makes a new edge. Not so a FIN that was
     * announced already. */
    conn->was_short = n > 0 && (size_t)n < size && !conn->has_fin;
    if (n > 0) {
        conn->turn += (size_t)n;
        if (conn->was_short)
            conn->is_readable = false;
        return (size_t)n;
    }
    if (n == 0) {
        conn->is_readable = false;
        conn->is_eof = true;
    } else if (errno == EAGAIN) {
        conn->is_readable = false;
    } else if (errno != EINTR) {
        conn->is_readable = false;
        conn_lost(conn);
    }
    return 0;
}

bool conn_may_read(struct conn *conn)
{
    if (conn->was_short && !conn->is_gone)
        conn->is_readable = true;
    conn->was_short = false;
    return conn->is_readable;
}

/* Room in `in`, at least `least` bytes; a pinned head does not move, so nothing is moved here. */
static bool make_room(struct conn *conn, size_t least)
{
    if (!conn->in && !(conn->in = buf_take(&conn->net->ins)))
        return false;
    if (conn->in->size - conn->in->end >= least)
        return true;
    if (conn->in->start > 0) {
        memmove(conn->in->data, buf_bytes(conn->in), buf_length(conn->in));
        conn->in->end -= conn->in->start;
        conn->in->start = 0;
    }
    return conn->in->size - conn->in->end >= least || buf_reserve(conn->in, conn->in->size) == 0;
}

size_t conn_fill(struct conn *conn)
{
    size_t n;

    if (!make_room(conn, 1)) {
        conn_lost(conn);
        return 0;
    }
    n = receive(conn, conn->in->data + conn->in->end, conn->in->size - conn->in->end);
    conn->in->end += n;
    return n;
}

/* ---- the body in the buffer ---- */

static size_t buffered(const struct conn *conn)
{
    return conn->in ? buf_length(conn->in) - conn->body_at : 0;
}

static char *body_bytes(const struct conn *conn)
{
    return buf_bytes(conn->in) + conn->body_at;
}

/* Everything in the buffer but the head was used: room for more body, if need be in a buffer of its
 * own. */
static bool make_body_room(struct conn *conn)
{
    if (!conn->pinned) {
        conn->in->end = conn->in->start + conn->body_at;
        if (conn->in->end + LEAST_ROOM <= conn->in->size)
            return true;
        conn->pinned = conn->in;
        conn->in = NULL;
        conn->body_at = 0;
        return make_room(conn, LEAST_ROOM);
    }
    conn->in->start = conn->in->end = conn->body_at = 0;
    return true;
}

/* Reads more body bytes into the buffer, which has none left. */
static size_t fill_body(struct conn *conn)
{
    size_t n;

    if (!make_body_room(conn)) {
        conn_lost(conn);
        return 0;
    }
    n = receive(conn, conn->in->data + conn->in->end, conn->in->size - conn->in->end);
    conn->in->end += n;
    return n;
}

/* Past the framing that lies in the buffer: BODY_DATA, BODY_END, BODY_MORE or an error. */
static enum body_state skip_framing(struct conn *conn)
{
    size_t framing = 0;
    enum body_state state;
    static char nothing[1];

    state = body_step(&conn->body, conn->in ? body_bytes(conn) : nothing, buffered(conn), &framing);
    conn->body_at += framing;
    return state;
}

static size_t take_buffered(struct conn *conn, void *buffer, size_t size)
{
    size_t n = buffered(conn);

    if (n > size)
        n = size;
    if (n > body_left(&conn->body))
        n = (size_t)body_left(&conn->body);
    if (buffer)
        memcpy(buffer, body_bytes(conn), n);
    conn->body_at += n;
    body_took(&conn->body, n);
    return n;
}

/* ---- reading it ---- */

static int wait_for_bytes(struct conn *conn)
{
    if (!coro_current()) {
        errno = EWOULDBLOCK;
        return -1;
    }
    return conn_await(conn, WAIT_READ, LIMIT_BODY, "read body");
}

/* Bytes straight from the socket: the buffer is empty and at least DIRECT_READ are to come. */
static size_t read_direct(struct conn *conn, void *buffer, size_t size)
{
    uint64_t left = body_left(&conn->body);
    size_t n = receive(conn, buffer, left < size ? (size_t)left : size);

    body_took(&conn->body, n);
    return n;
}

static bool is_direct(const struct conn *conn, size_t size)
{
    return size >= DIRECT_READ && body_left(&conn->body) >= DIRECT_READ;
}

/* What can be had without waiting; 0: nothing yet. */
static size_t read_data(struct conn *conn, void *buffer, size_t size)
{
    if (buffered(conn) > 0)
        return take_buffered(conn, buffer, size);
    if (!conn->is_readable)
        return 0;
    if (is_direct(conn, size))
        return read_direct(conn, buffer, size);
    return fill_body(conn) > 0 ? take_buffered(conn, buffer, size) : 0;
}

ssize_t conn_read(struct conn *conn, void *buffer, size_t size)
{
    enum body_state state;
    size_t n;

    if (conn_take_turns(conn) == -1)
        return -1;
    for (;;) {
        state = skip_framing(conn);
        if (state == BODY_END || (size == 0 && state == BODY_DATA))
            return 0;
        if (state == BODY_BAD || state == BODY_TOO_LARGE) {
            errno = state == BODY_BAD ? EBADMSG : EFBIG;
            return -1;
        }
        if (state == BODY_DATA && (n = read_data(conn, buffer, size)) > 0)
            return (ssize_t)n;
        if (state == BODY_MORE && conn->is_readable && fill_body(conn) > 0)
            continue;
        if (conn->is_gone || conn->is_eof) {
            errno = ECONNRESET;
            return -1;
        }
        if (!conn_may_read(conn) && wait_for_bytes(conn) == -1)
            return -1;
    }
}

/* ---- after the exchange ---- */

enum body_state conn_skip_buffered_body(struct conn *conn)
{
    enum body_state state;

    while ((state = skip_framing(conn)) == BODY_DATA && buffered(conn) > 0)
        conn->discarded += take_buffered(conn, NULL, SIZE_MAX);
    return state;
}

bool conn_is_reusable(const struct conn *conn, bool is_reading)
{
    uint64_t left = body_left(&conn->body);

    if (conn->awaits_continue || conn->is_eof || conn->is_gone)
        return false;
    return conn->body.is_chunked || left <= DISCARD_MOST || (is_reading && left < conn->body.total);
}

void conn_release_input(struct conn *conn)
{
    if (conn->pinned)
        buf_give(&conn->net->ins, &conn->pinned);
    if (conn->in)
        buf_consume(conn->in, conn->body_at);
    conn->body_at = 0;
}

/* In CONN_DISCARD. */
bool conn_discard_body(struct conn *conn)
{
    enum body_state state = conn_skip_buffered_body(conn);

    if (state == BODY_END) {
        conn_release_input(conn);
        conn->state = CONN_HEAD;
        return true;
    }
    if (state == BODY_BAD || state == BODY_TOO_LARGE || conn->discarded > DISCARD_MOST ||
        conn->is_eof || conn->is_gone) {
        conn->state = CONN_CLOSING;
        return true;
    }
    if (!conn_may_read(conn))
        return false;
    return fill_body(conn) > 0 || conn->is_eof || conn->is_gone || conn->is_readable;
}

void conn_discard_all(struct conn *conn)
{
    char scrap[4096];

    for (int i = 0; i < 16 && conn->is_readable; i++)
        receive(conn, scrap, sizeof scrap);
}
