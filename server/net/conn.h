/* conn.h: one connection's bytes, limits and output.
 *
 * A connection reads a head, hands it up (net->on_request) and is in an exchange until conn_finish;
 * then it goes on with the next pipelined request or becomes idle. Output is gathered, and written
 * when nothing more can be answered at once. It knows framing, not applications.
 *
 * Calls marked [suspends] wait on the current coroutine. On the loop's stack they never wait:
 * writing gathers without bound, reading says EWOULDBLOCK. */
#ifndef NET_CONN_H
#define NET_CONN_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/buf.h"
#include "http/head.h"

struct conn;
struct listener;
struct net;

/* Takes over a connected, non-blocking fd; closes it on failure. 0 or -1. */
int conn_open(struct net *net, int fd, const struct listener *listener,
              const struct sockaddr *peer);
/* The same with an idle connection that another process accepted, which `has_asked` something there
 * or not. One that `is_kept` stays though connections are handed on: nobody else can take it. One
 * that is not taken is counted as closed. */
int conn_adopt(struct net *net, int fd, const struct listener *listener, bool has_asked,
               bool is_kept);

/* ---- in an exchange ---- */

/* The bytes of the head and what head_scan found in them. They stay in place until conn_finish; the
 * parser may change them. */
char *conn_head(const struct conn *conn, const struct head_scan **scan_out);

/* The app's own pointer for the exchange. */
void conn_set_user(struct conn *conn, void *user);
void *conn_user(const struct conn *conn);

/* Says how the body is framed, once the head is parsed. Returns 0, or 413 when its declared length
 * is over the limit. */
int conn_begin_body(struct conn *conn, const struct head *head);

/* Body bytes: > 0, 0 at the end, -1 with errno as reeve_read documents. [suspends] */
ssize_t conn_read(struct conn *conn, void *buffer, size_t size);

/* Sends "100 Continue" if the client waits for it, before what is held; for as long as no byte of
 * the answer has left. */
void conn_continue(struct conn *conn);

/* The next request can be found: the body is short enough to be read past, or the application reads
 * it, which is presumed of one that has begun to (`is_reading`) and is not at its end. Asked when
 * the answer's head is written. */
bool conn_is_reusable(const struct conn *conn, bool is_reading);

/* While the worker drains: an answer need not end the connection, since another process will go on
 * with it. Asked when the answer's head is written. */
bool conn_may_stay(const struct conn *conn);

/* Where the answer is put together; what is appended leaves in order. NULL when memory has run out.
 * The pointer is valid until the next call that sends. */
struct buf *conn_out(struct conn *conn);

/* Gathered and free to leave, in bytes. */
size_t conn_unsent(const struct conn *conn);

/* The last `size` gathered bytes must not leave yet: they may still change. 0 lets them go. */
void conn_hold(struct conn *conn, size_t size);

/* Sends what was gathered, then the pieces without copying them; nothing may be held. Returns when
 * all is with the kernel: 0, or -1 with EPIPE, ETIMEDOUT or ECANCELED; then some of it may have
 * left. [suspends] */
int conn_write(struct conn *conn, const struct iovec *pieces, int count);
int conn_flush(struct conn *conn);
/* Sends what was gathered, then bytes of a file. -1 also with EIO when the file is shorter, or with
 * what sendfile says of it; EDEADLK on the loop's stack. [suspends] */
int conn_send_file(struct conn *conn, int fd, off_t offset, uint64_t size);

/* The peer has gone, or was cut off: nothing can be sent. */
bool conn_is_gone(const struct conn *conn);
/* The peer has ended its side, or has gone. It may be reading on. */
bool conn_has_ended(const struct conn *conn);
/* Ends the connection with a reset. Of the gathered output leaves what the kernel takes at once,
 * since it may hold earlier answers. The exchange goes on until conn_finish. */
void conn_cut(struct conn *conn);

enum conn_end {
    CONN_END_KEEP,      /* look for the next request */
    CONN_END_BY_CLIENT, /* the client said that it sends no more */
    CONN_END_BY_SERVER  /* we close: linger, since a request may be on its way */
};
/* The exchange is over at `now` (clock_ns()): the client's time counts again. On the loop's stack
 * only. The connection may be freed within. */
void conn_finish(struct conn *conn, enum conn_end end, uint64_t now);

/* ---- facts ---- */

const struct listener *conn_listener(const struct conn *conn);
struct net *conn_net(const struct conn *conn);
const struct sockaddr *conn_peer(const struct conn *conn); /* AF_UNIX: no address */
uint64_t conn_arrived_at(const struct conn *conn); /* clock_ns() when the head was complete */

#endif
