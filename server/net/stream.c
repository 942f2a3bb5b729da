/* stream.c: one long-lived connection's bytes: read when the owner asks, sent when the loop gets
 * round to it, its news told from the loop. */
#include "net/stream.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sock.h"
#include "net/conn_private.h"
#include "net/net.h"
#include "net/payload.h"

/* Less room than this is not worth a read. */
#define LEAST_ROOM 1024
/* A peer that sends much is read from in steps of this size. */
#define BULK (64u << 10)
/* A copy begins with room for some small messages. */
#define CHUNK_LEAST 480
#define CHUNK_MOST  (16u << 10)
#define PIECES_STEP 64

/* A piece of the output: bytes of its own, or a payload's. */
struct chunk {
    TAILQ_ENTRY(chunk) entry;
    struct payload *payload; /* NULL: the bytes are its own */
    const char *data;
    size_t sent, size, room;
    char own[];
};

/* ---- news ---- */

static void drop_input(struct stream *stream);

static void take_input(struct stream *stream)
{
    if (stream->is_shutting)
        drop_input(stream);
    else
        stream->owner->on_input(stream);
}

static void on_soon(void *arg)
{
    struct stream *stream = arg;

    stream->net->now = clock_ns();
    if (!stream->is_gone)
        stream_flush(stream);
    if (stream->is_gone) {
        if (stream->is_told)
            return;
        stream->is_told = true;
        stream->owner->on_gone(stream);
        return;
    }
    if (stream->unsent <= stream->room_at && stream->room_at != NO_ROOM) {
        stream->room_at = NO_ROOM;
        if (stream->is_again) /* it may be freed in on_room */
            soon_call(&stream->soon, on_soon, stream);
        stream->owner->on_room(stream);
    } else if (stream->is_again) {
        stream->is_again = false;
        take_input(stream);
    }
}

static void tell_soon(struct stream *stream)
{
    soon_call(&stream->soon, on_soon, stream);
}

void stream_lose(struct stream *stream, int error)
{
    if (stream->is_gone)
        return;
    stream->is_gone = true;
    stream->is_readable = false;
    stream->error = error;
    limit_stop(stream->net->stream_limits, &stream->limit);
    tell_soon(stream);
}

void stream_again(struct stream *stream)
{
    stream->is_again = true;
    tell_soon(stream);
}

/* ---- input ---- */

void stream_look(struct stream *stream)
{
    socklen_t length = sizeof(int);
    int error = 0;

    if (!stream->is_gone && getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 &&
        error)
        stream_lose(stream, error);
}

/* Room for a read behind what lies there, and for one byte more. */
static size_t make_room(struct stream *stream, size_t most)
{
    struct buf *in = stream->in;
    size_t length, room;

    if (!in && !(in = stream->in = buf_take(&stream->net->ins)))
        return 0;
    length = buf_length(in);
    if (length >= most)
        return 0;
    if (in->start > 0 && in->size - in->end <= LEAST_ROOM) {
        memmove(in->data, buf_bytes(in), length);
        in->end = length;
        in->start = 0;
    }
    room = in->size - in->end;
    if (room <= LEAST_ROOM || (stream->is_bulk && room < BULK / 2 && most > BULK / 2)) {
        if (buf_reserve(in, stream->is_bulk ? BULK : LEAST_ROOM + 1) == -1 && room <= 1)
            return 0;
        room = in->size - in->end;
    }
    room--;
    return room < most - length ? room : most - length;
}

static void note_error(struct stream *stream)
{
    if (errno == EAGAIN)
        stream->is_readable = false;
    else if (errno != EINTR)
        stream_lose(stream, errno);
}

size_t stream_fill(struct stream *stream, size_t most)
{
    size_t room;
    ssize_t n;

    if (!stream->is_readable || stream->is_gone || stream->is_eof || stream_length(stream) >= most)
        return 0;
    room = make_room(stream, most);
    if (room == 0) {
        stream_lose(stream, ENOMEM);
        return 0;
    }
    n = recv(stream->fd, stream->in->data + stream->in->end, room, 0);
    if (n == -1) {
        note_error(stream);
        return 0;
    }
    if (n == 0) {
        stream->is_eof = true;
        stream->is_readable = false;
        return 0;
    }
    /* A short read emptied the queue: the next byte makes a new edge. Not so a FIN that was
     * announced already. */
    stream->is_bulk = (size_t)n == room;
    stream->is_readable = stream->is_bulk || stream->has_fin;
    stream->in->end += (size_t)n;
    stream->received_at = stream->net->now;
    return (size_t)n;
}

void stream_consume(struct stream *stream, size_t n)
{
    stream->in->start += n;
}

void stream_rest(struct stream *stream)
{
    if (stream->in && buf_length(stream->in) == 0)
        buf_give(&stream->net->ins, &stream->in);
}

struct buf *stream_pin(struct stream *stream, size_t used)
{
    struct buf *pinned = stream->in, *rest = NULL;
    size_t left = buf_length(pinned) - used;

    if (left > 0) {
        rest = buf_take(&stream->net->ins);
        if (!rest || buf_append(rest, buf_bytes(pinned) + used, left) == -1 ||
            buf_reserve(rest, 1) == -1) {
            buf_give(&stream->net->ins, &rest);
            return NULL;
        }
    }
    stream->in = rest;
    return pinned;
}

/* ---- output ---- */

static void chunk_free(struct chunk *chunk)
{
    payload_unref(chunk->payload);
    free(chunk);
}

static struct chunk *add_chunk(struct stream *stream, size_t room)
{
    struct chunk *chunk = malloc(sizeof *chunk + room);

    if (!chunk) {
        errno = ENOMEM;
        return NULL;
    }
    *chunk = (struct chunk){.room = room, .data = chunk->own};
    TAILQ_INSERT_TAIL(&stream->out, chunk, entry);
    return chunk;
}

static int fail(int error)
{
    errno = error;
    return -1;
}

/* The last chunk, if so many bytes fit behind its own, or a new one. */
static struct chunk *chunk_for(struct stream *stream, size_t size)
{
    struct chunk *last = TAILQ_LAST(&stream->out, chunk_list);
    size_t room = CHUNK_LEAST;

    if (last && !last->payload && last->room - last->size >= size)
        return last;
    if (last) /* much is coming together */
        room = last->room >= CHUNK_MOST / 2 ? CHUNK_MOST : 2 * last->room + CHUNK_LEAST;
    return add_chunk(stream, size > room ? size : room);
}

int stream_send2(struct stream *stream, const void *head, size_t head_size, const void *data,
                 size_t size)
{
    struct chunk *chunk;
    size_t total = head_size + size;

    if (stream->is_gone || stream->is_shutting)
        return fail(EPIPE);
    if (total == 0)
        return 0;
    chunk = chunk_for(stream, total);
    if (!chunk)
        return -1;
    if (head_size > 0)
        memcpy(chunk->own + chunk->size, head, head_size);
    if (size > 0)
        memcpy(chunk->own + chunk->size + head_size, data, size);
    chunk->size += total;
    stream->unsent += total;
    tell_soon(stream);
    return 0;
}

int stream_send(struct stream *stream, const void *data, size_t size)
{
    return stream_send2(stream, NULL, 0, data, size);
}

int stream_send_payload(struct stream *stream, struct payload *payload)
{
    struct chunk *chunk;

    if (stream->is_gone || stream->is_shutting)
        return fail(EPIPE);
    /* The chunk and its memory would cost more than the copy. */
    if (payload->size <= CHUNK_LEAST / 4)
        return stream_send(stream, payload->data, payload->size);
    chunk = add_chunk(stream, 0);
    if (!chunk)
        return -1;
    chunk->payload = payload_ref(payload);
    chunk->data = payload->data;
    chunk->size = payload->size;
    stream->unsent += payload->size;
    tell_soon(stream);
    return 0;
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct stream *stream = arg;

    (void)fd, (void)what;
    stream->net->now = clock_ns();
    stream->is_blocked = false;
    soon_cancel(&stream->soon);
    on_soon(stream);
}

/* From now on the peer has to take something now and then. */
static void limit_output(struct stream *stream)
{
    stream->queued = sock_unacknowledged(stream->fd);
    limit_start(stream->net->stream_limits, &stream->limit, STREAM_WRITE, clock_ns());
}

/* The socket takes no more: asks the loop to say when it does. */
static void block(struct stream *stream)
{
    struct net *net = stream->net;

    stream->is_blocked = true;
    if (!stream->write_event)
        stream->write_event =
            event_new(net->base, stream->fd, EV_WRITE | EV_ET, on_writable, stream);
    if (!stream->write_event || event_add(stream->write_event, NULL) == -1) {
        stream_lose(stream, ENOMEM);
        return;
    }
    limit_output(stream);
}

static void take_sent(struct stream *stream, size_t n)
{
    struct chunk *chunk;

    stream->unsent -= n;
    while ((chunk = TAILQ_FIRST(&stream->out))) {
        if (n < chunk->size - chunk->sent) {
            chunk->sent += n;
            return;
        }
        n -= chunk->size - chunk->sent;
        TAILQ_REMOVE(&stream->out, chunk, entry);
        chunk_free(chunk);
    }
}

static ssize_t send_some(struct stream *stream)
{
    struct iovec pieces[PIECES_STEP];
    struct msghdr message = {.msg_iov = pieces};
    const struct chunk *chunk = TAILQ_FIRST(&stream->out);

    if (!TAILQ_NEXT(chunk, entry))
        return send(stream->fd, chunk->data + chunk->sent, chunk->size - chunk->sent, MSG_NOSIGNAL);
    TAILQ_FOREACH (chunk, &stream->out, entry) {
        if (message.msg_iovlen == PIECES_STEP)
            break;
        pieces[message.msg_iovlen++] = (struct iovec){
            .iov_base = (char *)(uintptr_t)chunk->data + chunk->sent,
            .iov_len = chunk->size - chunk->sent,
        };
    }
    return sendmsg(stream->fd, &message, MSG_NOSIGNAL);
}

/* Once this side ends nobody wants to know what the peer sends, but closing with something unread
 * would be a reset, which could overtake what was sent last. */
static void drop_input(struct stream *stream)
{
    char scrap[4096];
    ssize_t n = 1;

    for (int i = 0; i < 16 && stream->is_readable && !stream->is_eof; i++) {
        n = recv(stream->fd, scrap, sizeof scrap, 0);
        if (n == -1)
            note_error(stream);
        stream->is_eof = n == 0;
    }
    if (stream->is_eof && stream->is_shut)
        stream_lose(stream, 0);
    else if (stream->is_readable && !stream->is_eof)
        stream_again(stream);
}

static void end_side(struct stream *stream)
{
    stream->is_shut = true;
    if (shutdown(stream->fd, SHUT_WR) == -1) {
        stream_lose(stream, errno);
        return;
    }
    limit_start(stream->net->stream_limits, &stream->limit, STREAM_LINGER, clock_ns());
    drop_input(stream);
}

void stream_flush(struct stream *stream)
{
    ssize_t n;

    while (stream->unsent > 0 && !stream->is_blocked && !stream->is_gone) {
        n = send_some(stream);
        if (n >= 0)
            take_sent(stream, (size_t)n);
        else if (errno == EAGAIN)
            block(stream);
        else if (errno != EINTR)
            stream_lose(stream, errno);
    }
    if (stream->is_gone || stream->is_shut)
        return;
    if (stream->unsent == 0)
        limit_stop(stream->net->stream_limits, &stream->limit);
    else if (!stream->limit.running) /* it was blocked by what was discarded */
        limit_output(stream);
    if (stream->unsent == 0 && stream->is_shutting)
        end_side(stream);
    if (stream->unsent <= stream->room_at && stream->room_at != NO_ROOM)
        tell_soon(stream);
    else if (stream->unsent == 0 && !stream->is_again && !stream->is_gone)
        soon_cancel(&stream->soon); /* there is nothing more to tell or to send */
}

void stream_want_room(struct stream *stream, size_t at)
{
    stream->room_at = at;
    if (stream->unsent <= at)
        tell_soon(stream);
}

void stream_discard(struct stream *stream)
{
    struct chunk *first = TAILQ_FIRST(&stream->out), *chunk;

    if (first && first->sent > 0) {
        TAILQ_REMOVE(&stream->out, first, entry);
        stream->unsent = first->size - first->sent;
    } else {
        first = NULL;
        stream->unsent = 0;
    }
    while ((chunk = TAILQ_FIRST(&stream->out))) {
        TAILQ_REMOVE(&stream->out, chunk, entry);
        chunk_free(chunk);
    }
    if (first)
        TAILQ_INSERT_HEAD(&stream->out, first, entry);
    tell_soon(stream);
}

int stream_shut(struct stream *stream)
{
    if (stream->is_gone)
        return fail(EPIPE);
    stream->is_shutting = true;
    buf_give(&stream->net->ins, &stream->in);
    stream_again(stream);
    return 0;
}

/* A reset, which closing with something unread would be, drops what is still under way. On a UNIX
 * socket nothing is. */
bool stream_is_through(const struct stream *stream)
{
    bool is_local = stream->peer.any.sa_family == AF_UNIX;

    return stream->is_gone ||
           (stream->is_shut && (is_local || sock_unacknowledged(stream->fd) == 0));
}

/* ---- time ---- */

void stream_on_limit(struct limit *limit, unsigned class, void *arg)
{
    struct stream *stream = (struct stream *)((char *)limit - offsetof(struct stream, limit));
    struct net *net = arg;
    int before = stream->queued;

    net->now = clock_ns();
    if (class == STREAM_WRITE) {
        stream->queued = sock_unacknowledged(stream->fd);
        if (stream->queued < before) { /* slow, but not stuck */
            limit_start(net->stream_limits, limit, STREAM_WRITE, net->now);
            return;
        }
        stream->wants_reset = true; /* it shall not take its part for the whole */
    }
    stream_lose(stream, class == STREAM_WRITE ? ETIMEDOUT : 0);
}

/* ---- begin and end ---- */

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct stream *stream = arg;

    (void)fd;
    stream->net->now = clock_ns();
    if (stream->is_gone)
        return;
    if (what & EV_CLOSED)
        stream->has_fin = true;
    stream->is_readable = !stream->is_eof;
    take_input(stream);
}

static void init(struct stream *stream, struct net *net, int fd, const struct listener *listener)
{
    stream->net = net;
    stream->fd = fd;
    stream->listener = listener;
    stream->room_at = NO_ROOM;
    stream->received_at = net->now;
    TAILQ_INIT(&stream->out);
    event_assign(&stream->event, net->base, fd, EV_READ | EV_CLOSED | EV_ET | EV_PERSIST, on_event,
                 stream);
}

static void enlist(struct stream *stream)
{
    TAILQ_INSERT_TAIL(&stream->net->streams, stream, all);
    stream->net->conn_count++;
    stream->net->made_count += !stream->listener;
}

int stream_open(struct stream *stream, struct net *net, int fd, const struct listener *listener,
                const struct sockaddr *peer)
{
    net->now = clock_ns();
    init(stream, net, fd, listener);
    stream->peer.any.sa_family = peer->sa_family;
    if (peer->sa_family == AF_INET)
        memcpy(&stream->peer.in, peer, sizeof stream->peer.in);
    else if (peer->sa_family == AF_INET6)
        memcpy(&stream->peer.in6, peer, sizeof stream->peer.in6);
    if (event_add(&stream->event, NULL) == -1) {
        close(fd);
        return -1;
    }
    if (listener)
        board_add(&net->slot->accepted, 1);
    enlist(stream);
    return 0;
}

int stream_take(struct stream *stream, struct conn *conn)
{
    struct net *net = conn_net(conn);
    struct buf *input = NULL, *output = NULL;
    int fd;

    if (conn_detach(conn, &input, &output, &fd) == -1)
        return -1;
    init(stream, net, fd, conn_listener(conn));
    memcpy(&stream->peer, conn_peer(conn), sizeof stream->peer);
    stream->in = input;
    enlist(stream);
    if (output && stream_send(stream, buf_bytes(output), buf_length(output)) == -1)
        stream_lose(stream, ENOMEM);
    buf_give(&net->outs, &output);
    /* What has come meanwhile makes a new edge. */
    if (event_add(&stream->event, NULL) == -1)
        stream_lose(stream, ENOMEM);
    if (input)
        stream_again(stream);
    return 0;
}

void stream_set_owner(struct stream *stream, const struct stream_owner *owner, void *arg)
{
    stream->owner = owner;
    stream->arg = arg;
}

static void reset_on_close(int fd)
{
    const struct linger none = {.l_onoff = 1};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
}

void stream_free(struct stream *stream)
{
    struct net *net = stream->net;
    struct chunk *chunk;

    event_del(&stream->event);
    if (stream->write_event)
        event_free(stream->write_event);
    soon_cancel(&stream->soon);
    limit_stop(net->stream_limits, &stream->limit);
    while ((chunk = TAILQ_FIRST(&stream->out))) {
        TAILQ_REMOVE(&stream->out, chunk, entry);
        chunk_free(chunk);
    }
    buf_give(&net->ins, &stream->in);
    if (stream->wants_reset)
        reset_on_close(stream->fd);
    close(stream->fd);
    TAILQ_REMOVE(&net->streams, stream, all);
    if (stream->listener)
        board_add(&net->slot->closed, 1);
    else
        net->made_count--;
    net_left(net);
}
