/* wire.h: one connection to a service: bytes out and in, and waiting for either.
 *
 * Readiness is learned by one edge-triggered event for the connection's whole life, so that a wait
 * costs no system call, and an idle connection tells by itself that the service has closed it.
 * Knows nothing of HTTP. */
#ifndef CLIENT_WIRE_H
#define CLIENT_WIRE_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/buf.h"

struct coro;
struct origin;

#define WIRE_READ  1u
#define WIRE_WRITE 2u
#define WIRE_NEWS  4u /* as a writer, but only for wire_stir */

/* Lifetime: from its exchange to the next one, in between it is idle. */
struct wire {
    int fd; /* -1: not connected */
    struct event event;
    bool can_read, can_write;     /* for all that is known */
    struct coro *reader, *writer; /* who waits; NULL: nobody */
    struct buf *in;               /* what has come and was not used; NULL: nothing */

    /* origin.c's */
    struct origin *origin;
    bool was_used;                      /* for an exchange before this one */
    bool is_idle;                       /* in both of these */
    TAILQ_ENTRY(wire) entry, oldest;    /* of the origin's; of all, the longest idle first */
    uint64_t idle_until;                /* clock_ns() */
    void (*on_idle)(struct wire *wire); /* something was heard of it while it was idle */
};

/* The buffers that all share. */
void wire_buffers_open(void);
void wire_buffers_close(void);
struct buf *wire_buffer_take(void); /* NULL: no memory */
void wire_buffer_give(struct buf **buf);

/* All of these answer 0 or an errno value. */

/* Connects within `ns`. [suspends] */
int wire_connect(struct wire *wire, struct event_base *base, const struct sockaddr *address,
                 socklen_t length, uint64_t ns);
/* Waits at most `ns` until something can be done of what `events` says, or somebody calls
 * wire_stir. [suspends] */
int wire_wait(struct wire *wire, unsigned events, uint64_t ns);
/* Whoever waits for it looks again. */
void wire_stir(struct wire *wire);

/* As send(2) and recv(2), without waiting: -1 with EAGAIN when nothing can be done. */
ssize_t wire_send(struct wire *wire, const struct iovec *pieces, int count);
ssize_t wire_receive(struct wire *wire, void *buffer, size_t size);

/* Receives once into `in`, as much as there is room for, at least one byte. */
ssize_t wire_fill(struct wire *wire);
/* What lies in `in`. */
size_t wire_buffered(const struct wire *wire);
const char *wire_bytes(const struct wire *wire);
void wire_consume(struct wire *wire, size_t n);

/* Open, and silent: what it can still be used for. */
bool wire_is_quiet(struct wire *wire);

/* Back to not connected. */
void wire_close(struct wire *wire);

#endif
