/* stream.h: the bytes of one long-lived connection that speaks something else than HTTP: what has
 * arrived, what is queued to leave, and the news of both for its owner.
 *
 * Nothing here waits. The owner takes input when it likes (what it does not take stays in the
 * kernel and holds the peer back), queues output, and is told of what happens on the loop's stack.
 * It knows no protocol. Lifetime: from stream_open until the owner's stream_free; what has gone
 * meanwhile (is_gone) keeps its struct until then. */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include <event2/event_struct.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "runtime/limit.h"
#include "runtime/soon.h"

struct conn;
struct listener;
struct net;
struct payload;
struct stream;

/* What its owner is told: always from the loop, never within a call of the owner's own. Each may free
 * the stream. */
struct stream_owner {
    /* Something has come: bytes, or the end (stream_fill tells). */
    void (*on_input)(struct stream *stream);
    /* There is room, as asked for by stream_want_room. */
    void (*on_room)(struct stream *stream);
    /* The peer is lost, see `error`: nothing can be read or sent any more. Once. */
    void (*on_gone)(struct stream *stream);
};

struct chunk;
TAILQ_HEAD(chunk_list, chunk);

struct stream {
    struct event event;        /* EV_READ|EV_CLOSED|EV_ET|EV_PERSIST for life */
    struct event *write_event; /* made at the first EAGAIN, pending while output waits */
    struct net *net;
    const struct listener *listener; /* NULL: this side has made the connection */
    const struct stream_owner *owner;
    void *arg; /* the owner's */
    TAILQ_ENTRY(stream) all;
    struct limit limit; /* of a peer that takes nothing, or that does not end its side */
    struct soon soon;

    int fd;
    int error;        /* errno value: why it is gone; 0: it was ended */
    bool is_readable; /* the last edge may have more */
    bool has_fin;     /* the peer's FIN was announced: read on to the end */
    bool is_eof;      /* ... and was read */
    bool is_bulk;     /* the last read filled the buffer */
    bool is_gone;     /* nothing can be read or sent any more */
    bool is_told;     /* ... and the owner knows */
    bool is_blocked;  /* output waits for write_event */
    bool is_again;    /* stream_again */
    bool is_shutting; /* once all is sent, this side ends */
    bool is_shut;     /* ... it has */
    bool wants_reset; /* stream_free ends it with RST */

    struct buf *in; /* NULL while nothing lies there */
    struct chunk_list out;
    size_t unsent;        /* bytes in `out` */
    size_t room_at;       /* on_room is called when so many are left; NO_ROOM: nobody asks */
    int queued;           /* bytes in the kernel's queue when the limit was last looked at */
    uint64_t received_at; /* clock_ns() of the last bytes from the peer, at first of its begin */
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } peer;
};

#define NO_ROOM SIZE_MAX

/* Classes of time limits. */
enum { STREAM_WRITE, STREAM_LINGER, STREAM_CLASSES };

/* ---- the begin ---- */

/* Takes over a connected, non-blocking fd, into a stream that is all zero; closes it on failure. 0
 * or -1. `listener` NULL: it was not accepted, but made here. Input is announced by on_input, from
 * the loop. */
int stream_open(struct stream *stream, struct net *net, int fd, const struct listener *listener,
                const struct sockaddr *peer);

/* Takes the socket away from a connection that is in an exchange whose head was parsed: what has
 * been read behind the head, and what is still to be sent of earlier answers, come along. Nothing
 * of this exchange's own answer may be there. From then on the connection is gone (conn_is_gone),
 * and conn_finish frees what is left. 0, or -1 with ENOMEM: then everything is as it was. */
int stream_take(struct stream *stream, struct conn *conn);

/* Closes it, whatever is queued. */
void stream_free(struct stream *stream);

void stream_set_owner(struct stream *stream, const struct stream_owner *owner, void *arg);

/* ---- input ---- */

/* The bytes that lie there; the owner may change them in place. */
static inline size_t stream_length(const struct stream *stream)
{
    return stream->in ? buf_length(stream->in) : 0;
}
static inline char *stream_bytes(const struct stream *stream)
{
    return buf_bytes(stream->in);
}

/* One read behind them, so that `most` lie there at the most: how many bytes came; 0: none for now,
 * or never (is_eof, is_gone: the owner looks). The bytes may move; behind them there is always room
 * for one more, such as a NUL. */
size_t stream_fill(struct stream *stream, size_t most);
/* For an owner that has been told of input and does not read now: notices a reset. */
void stream_look(struct stream *stream);

/* The first n are not needed any more. They stay where they are until the next call here. */
void stream_consume(struct stream *stream, size_t n);
/* Nothing is done with it for now: an empty buffer is given back. */
void stream_rest(struct stream *stream);

/* Takes the buffer out: the caller gives it back with buf_give(&net->ins, ...). What follows the
 * first `used` bytes stays as input, in a buffer of its own. NULL: memory has run out, and nothing
 * was changed. */
struct buf *stream_pin(struct stream *stream, size_t used);

/* The owner did not take everything: on_input once more, from the loop. */
void stream_again(struct stream *stream);

/* ---- output ---- */

/* Queues bytes; they leave at stream_flush, at the latest in the loop's next round. 0, or -1: EPIPE,
 * ENOMEM. */
int stream_send(struct stream *stream, const void *data, size_t size);
/* Two pieces as one, such as a frame's head and its payload. */
int stream_send2(struct stream *stream, const void *head, size_t head_size, const void *data,
                 size_t size);
/* The same without a copy: holds the payload until it was sent. */
int stream_send_payload(struct stream *stream, struct payload *payload);
/* Writes what the socket takes. */
void stream_flush(struct stream *stream);
/* on_room is to be called, once, as soon as `at` bytes or less are queued; a second call replaces the
 * first. */
void stream_want_room(struct stream *stream, size_t at);
/* Forgets what is queued, but for the rest of a piece that has left in part. */
void stream_discard(struct stream *stream);

/* ---- the end ---- */

/* Nothing more is queued or read. Once all is sent this side ends; when the peer has ended its own,
 * or a moment has passed, on_gone is called, with `error` 0. 0, or -1: it is gone. */
int stream_shut(struct stream *stream);
/* It is lost, as if the peer had gone: on_gone follows. Nothing, if it is gone already. */
void stream_lose(struct stream *stream, int error);

/* For net.c. */
/* Its side has ended, and the peer's kernel has everything: closing takes nothing away. */
bool stream_is_through(const struct stream *stream);
void stream_on_limit(struct limit *limit, unsigned class, void *net);

#endif
