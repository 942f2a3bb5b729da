/* exchange.h: one request and its answer on one connection: the state between them. It decides when
 * a connection may be used again, and when a request may be sent once more.
 *
 * Calls answer -1 with errno, or what they say. Those marked [suspends] are for coroutines. */
#ifndef CLIENT_EXCHANGE_H
#define CLIENT_EXCHANGE_H

#include <reeve/async.h>
#include <reeve/client.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/answer.h"
#include "client/ask.h"
#include "client/wire.h"
#include "http/body.h"

/* Lifetime: its caller's; public ones (stream.c) are on the heap. */
struct reeve_client_exchange {
    struct ask ask;
    struct ask_limits limits;
    uint64_t ends_at;  /* clock_ns(); CORO_FOREVER: it need not */
    uint64_t max_body; /* of the answer; 0: any */
    struct wire *wire;
    struct buf *head; /* of the request, until the answer's has come */
    const void *site; /* in the application, of the call */
    int error;        /* what every further call fails with; 0: all is well */

    /* The request */
    uint64_t to_send;  /* of a declared body: bytes that are still to be written */
    uint64_t sent_at;  /* clock_ns(), the last of it */
    bool has_streamed; /* bytes of reeve_client_write have been sent: it cannot be sent again */
    bool is_sent;      /* all of it */
    bool is_cut;       /* the service takes no more */
    bool is_retried, is_connecting; /* for that */
    bool may_send; /* the service was not asked whether it wants the body, or wants it */

    /* The answer */
    struct head_scan scan;
    int head_error;                       /* why there is none, and will be none */
    unsigned interim;                     /* 1xx answers that came before */
    bool has_heard;                       /* a byte */
    struct reeve_client_response *answer; /* NULL: its head has not come */
    struct body body;
    bool is_until_close;  /* the body's end is that of the connection */
    bool is_read;         /* all of it */
    bool is_answer_taken; /* by the caller, whose it is after the end */

    /* stream.c's */
    reeve_scope_hook *hook;
    unsigned users; /* coroutines in a call */
    bool is_reading, is_writing, is_closed;
};

/* Finds a connection and sends the request, but for a body that is still to come. `whole` as
 * ask_get_limits; it counts from now, unless ends_at is given (not 0). [suspends] */
int exchange_begin(struct reeve_client_exchange *exchange, double whole);

/* Pieces of the body, framed, in one go. EPIPE: the service has answered, or takes no more.
 * [suspends] */
int exchange_write(struct reeve_client_exchange *exchange, const void *data, size_t size);
int exchange_finish(struct reeve_client_exchange *exchange);

/* Waits until exchange->answer is there. [suspends] */
int exchange_head(struct reeve_client_exchange *exchange);
/* 0 at the end. [suspends] */
ssize_t exchange_read(struct reeve_client_exchange *exchange, void *buffer, size_t size);

/* Gives the connection back, or closes it; the answer goes too, unless it was taken. Keeps
 * errno. */
void exchange_end(struct reeve_client_exchange *exchange);

/* ---- exchange_body.c, exchange_connect.c ---- */

/* Fails with `error`, and so does everything from now on. */
int exchange_fail(struct reeve_client_exchange *exchange, int error);
/* Waits for the connection, at most `ns` and not beyond the end of the whole. */
int exchange_wait(struct reeve_client_exchange *exchange, unsigned events, uint64_t ns);
/* What is left of `ns` now, by the end of the whole. */
uint64_t exchange_time(const struct reeve_client_exchange *exchange, uint64_t ns);

/* exchange->wire, connected; when it is a kept one it is so already. 0, or an errno value. */
int exchange_connect(struct reeve_client_exchange *exchange);

/* The answer's head is there: how its body ends. */
int exchange_begin_body(struct reeve_client_exchange *exchange);
/* Body bytes that can be had without waiting: their number, 0 at the end, -1 with EAGAIN. */
ssize_t exchange_take_body(struct reeve_client_exchange *exchange, void *buffer, size_t size);
/* The answer was read to its end, or what is missing is little and was there. */
bool exchange_is_read_out(struct reeve_client_exchange *exchange);

#endif
