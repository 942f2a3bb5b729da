/* exchange_body.c: the answer's body: where it ends, and its bytes. */
#include <errno.h>
#include <string.h>

#include "client/exchange.h"

/* From this many bytes on they are read straight to where they are wanted. */
#define DIRECT_READ 4096
/* Of an answer that nobody reads any further, so much is read past to keep the connection. */
#define SKIPPED_MOST 65536

static int fail(int error)
{
    errno = error;
    return -1;
}

/* Section 6.3 of RFC 9112. */
static bool has_body(const struct reeve_client_exchange *exchange)
{
    int status = exchange->answer->status;

    return status != 204 && status != 304 && strcmp(exchange->ask.method, "HEAD") != 0;
}

int exchange_begin_body(struct reeve_client_exchange *exchange)
{
    struct head *head = &exchange->answer->head;

    if (!has_body(exchange)) {
        exchange->is_read = true;
        /* What 204 and a framing mean together is not for us to find out. */
        if (exchange->answer->status == 204 && (head->is_chunked || head->content_length > 0))
            head->is_keep_alive = false;
        return 0;
    }
    if (head->is_chunked || head->has_length) {
        if (body_init(&exchange->body, head, exchange->max_body) == BODY_TOO_LARGE)
            return exchange_fail(exchange, EFBIG);
        return 0;
    }
    exchange->is_until_close = true;
    head->is_keep_alive = false;
    return 0;
}

/* ---- bytes ---- */

/* More in the buffer. 0, or -1: EAGAIN; ECONNRESET also for an end that comes too soon. */
static int fill(struct wire *wire)
{
    ssize_t n = wire_fill(wire);

    return n > 0 ? 0 : n == 0 ? fail(ECONNRESET) : -1;
}

/* Past the framing, to the next data: how many bytes of it, 0 at the end, or -1. */
static int64_t data_ahead(struct reeve_client_exchange *exchange)
{
    struct wire *wire = exchange->wire;
    enum body_state state;
    size_t framing;

    for (;;) {
        state = body_step(&exchange->body, wire_bytes(wire), wire_buffered(wire), &framing);
        wire_consume(wire, framing);
        if (state == BODY_DATA)
            return (int64_t)body_left(&exchange->body);
        if (state == BODY_END)
            return 0;
        if (state != BODY_MORE)
            return fail(state == BODY_TOO_LARGE ? EFBIG : EBADMSG);
        if (fill(wire) == -1)
            return -1;
    }
}

/* Up to `size` bytes of the connection, through the buffer or not. 0 at its end. */
static ssize_t take_bytes(struct wire *wire, void *buffer, size_t size)
{
    size_t there = wire_buffered(wire);
    ssize_t n;

    if (there == 0 && size >= DIRECT_READ)
        return wire_receive(wire, buffer, size);
    if (there == 0 && (n = wire_fill(wire)) <= 0)
        return n;
    there = wire_buffered(wire);
    if (there > size)
        there = size;
    memcpy(buffer, wire_bytes(wire), there);
    wire_consume(wire, there);
    return (ssize_t)there;
}

static ssize_t take_until_close(struct reeve_client_exchange *exchange, void *buffer, size_t size)
{
    ssize_t n = take_bytes(exchange->wire, buffer, size);

    if (n == 0)
        exchange->is_read = true;
    if (n > 0 && exchange->max_body > 0) {
        exchange->body.total += (size_t)n;
        if (exchange->body.total > exchange->max_body)
            return fail(EFBIG);
    }
    return n;
}

ssize_t exchange_take_body(struct reeve_client_exchange *exchange, void *buffer, size_t size)
{
    int64_t ahead;
    ssize_t n;

    if (exchange->is_read)
        return 0;
    if (exchange->is_until_close)
        return take_until_close(exchange, buffer, size);
    ahead = data_ahead(exchange);
    if (ahead <= 0) {
        exchange->is_read = ahead == 0;
        return ahead;
    }
    n = take_bytes(exchange->wire, buffer, (uint64_t)ahead < size ? (size_t)ahead : size);
    if (n == 0)
        return fail(ECONNRESET);
    if (n > 0)
        body_took(&exchange->body, (size_t)n);
    return n;
}

bool exchange_is_read_out(struct reeve_client_exchange *exchange)
{
    size_t skipped = 0;
    char waste[4096];
    ssize_t n = 1;

    while (!exchange->is_read && n > 0 && skipped < SKIPPED_MOST) {
        n = exchange_take_body(exchange, waste, sizeof waste);
        skipped += n > 0 ? (size_t)n : 0;
    }
    return exchange->is_read && wire_buffered(exchange->wire) == 0;
}
