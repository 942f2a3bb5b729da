/* conn_private.h: the connection as the files of this room see it. */
#ifndef NET_CONN_PRIVATE_H
#define NET_CONN_PRIVATE_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "base/clock.h"
#include "http/body.h"
#include "net/conn.h"
#include "net/net.h"
#include "runtime/limit.h"

/* Classes of time limits; a connection is in one at a time, or in none while an app works.
 * LIMIT_LEAVE in place of LIMIT_IDLE, where no other process can take it. */
enum { LIMIT_HEAD, LIMIT_BODY, LIMIT_IDLE, LIMIT_WRITE, LIMIT_LINGER, LIMIT_LEAVE, LIMIT_CLASSES };
/* ns: what a drain waits for clients that are told nothing yet: see drain.c. */
#define DRAIN_GRACE NS_PER_SEC

enum conn_state {
    CONN_HEAD,     /* waits for a head; without a byte of one it is idle */
    CONN_EXCHANGE, /* the app has it */
    CONN_DISCARD,  /* the app left a part of the body: read past it */
    CONN_CLOSING,  /* nothing more is read as a request; closed once the output has left */
    CONN_LINGER /* our side is shut: reads on, so that the peer gets its answer and not a reset (RFC
                   9112 section 9.6) */
};

enum conn_wait { WAIT_NONE, WAIT_READ, WAIT_WRITE };

struct conn {
    struct event
        event; /* EV_READ|EV_CLOSED|EV_ET|EV_PERSIST for life: one wake an edge, no re-arming */
    struct event *write_event; /* made at the first EAGAIN, pending while output waits */
    struct net *net;
    const struct listener *listener;
    TAILQ_ENTRY(conn) all;
    struct limit limit;

    int fd;
    uint8_t state;     /* enum conn_state */
    uint8_t wait;      /* enum conn_wait, of `waiter` */
    bool is_readable;  /* the last edge may have more: read until EAGAIN or a short read */
    bool was_short;    /* ... which it was: see conn_may_read */
    bool has_fin;      /* the peer's FIN was announced: read on to the end */
    bool is_eof;       /* ... and was read */
    bool is_gone;      /* nothing can be sent any more */
    bool is_blocked;   /* output waits for write_event */
    bool is_idle;      /* counted in slot->idle */
    bool is_kept;      /* nobody else can take it, though somebody serves its listener */
    bool has_answered; /* since it was idle last */
    bool is_advancing;
    bool awaits_continue;
    bool wants_reset; /* end with RST, so that a body without length is not taken for whole */

    struct buf *in; /* NULL while idle */
    struct buf *out;
    struct buf *pinned; /* holds the head when the body had to go into a buffer of its own */
    size_t held;        /* bytes at the end of `out` that must not leave yet */
    int queued;         /* bytes in the kernel's queue when LIMIT_WRITE was last looked at */
    size_t turn;        /* bytes moved since the app last waited: see conn_take_turns */
    size_t body_at; /* of in's bytes: where the unread body begins; before it lies the head, unless
                       that is pinned */
    uint64_t discarded;
    struct head_scan scan;
    struct body body;
    uint64_t arrived_at;
    struct coro *waiter; /* the coroutine that waits for this socket */
    void *user;
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } peer;
};

/* output.c */
/* Before an app moves more: when it has moved much without waiting, the others have the loop first.
 * 0, or -1 with errno. [suspends] */
int conn_take_turns(struct conn *conn);
/* Writes what may leave, without waiting. 0, or -1 when the peer has gone. */
int conn_push(struct conn *conn, int flags);
/* At the end of LIMIT_WRITE: the peer has taken something since, though not enough for there to be
 * room. */
bool conn_was_slow_only(struct conn *conn);
/* Gathers bytes in front of those that are held. 0 or -1. */
int conn_insert(struct conn *conn, const void *data, size_t size);
void conn_fini_output(struct conn *conn);

/* input.c */
/* One read into `in`: > 0 bytes, 0 nothing now (or the end: is_eof, is_gone). */
size_t conn_fill(struct conn *conn);
/* Whether a read is worth while, before waiting for more of what is incomplete: a short read
 * emptied the queue, but a reset that came together with those bytes has no edge of its own. (With
 * a complete request the answer's send learns of it.) */
bool conn_may_read(struct conn *conn);
/* Reads and drops; true when something was dropped or it ended: look again. */
bool conn_discard_body(struct conn *conn);
void conn_discard_all(struct conn *conn);
enum body_state conn_skip_buffered_body(struct conn *conn);
/* The exchange's head and body leave the buffer. */
void conn_release_input(struct conn *conn);

/* conn.c */
void conn_lost(struct conn *conn);
void conn_advance(struct conn *conn);
/* For stream_take: its socket, a copy of what has been read behind the head, and what is still to be
 * sent (NULL: nothing); the connection itself is gone from then on. 0, or -1 with ENOMEM: nothing
 * was done. */
int conn_detach(struct conn *conn, struct buf **rest_out, struct buf **unsent_out, int *fd_out);
/* All but the descriptor, which is closed or somebody else's by now. */
void conn_forget(struct conn *conn);
void conn_set_idle(struct conn *conn, bool is_idle);
/* The class of time limit that counts now; goes on if it counts already. */
void conn_limit(struct conn *conn, unsigned class);
/* Suspends the current coroutine until the socket is ready for `what`; `text` is for reports. 0, or
 * -1 with the reason it was woken with. [suspends] */
int conn_await(struct conn *conn, enum conn_wait what, unsigned class, const char *text);
void conn_on_limit(struct limit *limit, unsigned class, void *net);

/* net.c */
/* A connection or stream is not there any more. */
void net_left(struct net *net);

/* drain.c */
/* An idle connection of a worker that drains: handed on, or given a moment to ask for its last
 * answer. True when it has gone, and is freed, or has its time limit. */
bool conn_leave(struct conn *conn);
/* That moment is over. */
void conn_on_silence(struct conn *conn);

#endif
