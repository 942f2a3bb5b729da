/* exchange.c: see exchange.h. This file sends the request and receives the answer's head. */
#include "client/exchange.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/holder.h"
#include "client/origin.h"
#include "runtime/coro.h"
#include "runtime/fdwait.h"

#define INTERIM_MOST  16 /* answers with 1xx before the one that counts */
#define CONTINUE_WAIT NS_PER_SEC
#define KEPT_BARELY   (NS_PER_SEC / 2)

static int fail(int error)
{
    errno = error;
    return -1;
}

/* ---- waiting ---- */

/* Who else waits in it finds that it has failed. */
int exchange_fail(struct reeve_client_exchange *exchange, int error)
{
    if (!exchange->error) {
        exchange->error = error;
        if (exchange->wire)
            wire_stir(exchange->wire);
    }
    return fail(exchange->error);
}

uint64_t exchange_time(const struct reeve_client_exchange *exchange, uint64_t ns)
{
    uint64_t now, left;

    if (exchange->ends_at == CORO_FOREVER)
        return ns;
    now = clock_ns();
    left = now < exchange->ends_at ? exchange->ends_at - now : 0;
    return left < ns ? left : ns;
}

int exchange_wait(struct reeve_client_exchange *exchange, unsigned events, uint64_t ns)
{
    int reason;

    coro_note(CALL_CLIENT, exchange->site);
    reason = wire_wait(exchange->wire, events, exchange_time(exchange, ns));
    if (exchange->error)
        return fail(exchange->error);
    return reason ? exchange_fail(exchange, reason) : 0;
}

/* A service that is as fast as this worker shall not keep it for itself. */
static int take_turns(struct reeve_client_exchange *exchange)
{
    int reason = fd_take_turns();

    if (exchange->error)
        return fail(exchange->error);
    return reason ? exchange_fail(exchange, reason) : 0;
}

/* ---- the answer's head, as far as it has come ---- */

/* What it means for a body that is still being sent. */
static void look_at_answer(struct reeve_client_exchange *exchange)
{
    exchange->may_send = true;
    if (!exchange->is_sent && exchange->answer->status >= 300)
        exchange->is_cut = true;
    wire_stir(exchange->wire);
}

static int take_interim(struct reeve_client_exchange *exchange, int status)
{
    if (status == 101 || ++exchange->interim > INTERIM_MOST)
        return fail(EBADMSG); /* no other protocol was asked for */
    if (status == 100) {
        exchange->may_send = true;
        wire_stir(exchange->wire);
    }
    return 0;
}

/* 1: the answer is there; 0: that was an interim one. */
static int take_head(struct reeve_client_exchange *exchange)
{
    struct wire *wire = exchange->wire;
    struct reeve_client_response *answer = answer_parse(&exchange->scan, wire_bytes(wire));
    int status;

    if (!answer)
        return -1;
    wire_consume(wire, exchange->scan.length);
    exchange->scan = (struct head_scan){0};
    status = answer->status;
    if (status < 200) {
        answer_free(answer);
        return take_interim(exchange, status);
    }
    exchange->answer = answer;
    look_at_answer(exchange);
    return exchange_begin_body(exchange) == -1 ? -1 : 1;
}

/* What cannot be an answer does not become one by looking again. */
static int no_answer(struct reeve_client_exchange *exchange, int error)
{
    exchange->head_error = error == EPIPE ? ECONNRESET : error;
    return fail(exchange->head_error);
}

/* Without waiting. 1: the answer's head is there; 0: not yet; -1. */
static int advance_head(struct reeve_client_exchange *exchange)
{
    struct wire *wire = exchange->wire;
    ssize_t n;
    int result;

    if (exchange->head_error)
        return fail(exchange->head_error);
    if (exchange->is_connecting) /* whoever writes sends it once more */
        return 0;
    while (!exchange->answer) {
        result = answer_scan(&exchange->scan, wire_bytes(wire), wire_buffered(wire),
                             exchange->limits.max_head);
        if (result == 0) {
            n = wire_fill(wire);
            if (n == -1 && errno == EAGAIN)
                return 0;
            if (n <= 0)
                return no_answer(exchange, n == 0 ? ECONNRESET : errno);
            exchange->has_heard = true;
        } else if (result == -1 || take_head(exchange) == -1) {
            return no_answer(exchange, errno);
        }
    }
    return 1;
}

/* ---- sending ---- */

/* Whether the service has answered meanwhile. -1: it will take no more. */
static int look_for_answer(struct reeve_client_exchange *exchange)
{
    if (!exchange->answer && !exchange->wire->reader && exchange->wire->can_read &&
        advance_head(exchange) == -1)
        exchange->is_cut = true; /* whoever asks for the answer will see why */
    return exchange->is_cut ? fail(EPIPE) : 0;
}

static void skip_sent(struct iovec **pieces, int *count, size_t n)
{
    while (*count > 0 && n >= (*pieces)->iov_len) {
        n -= (*pieces)->iov_len;
        ++*pieces;
        --*count;
    }
    if (*count > 0) {
        (*pieces)->iov_base = (char *)(*pieces)->iov_base + n;
        (*pieces)->iov_len -= n;
    }
}

/* All of them. The pieces are changed. */
static int send_pieces(struct reeve_client_exchange *exchange, struct iovec *pieces, int count)
{
    struct wire *wire = exchange->wire;
    unsigned events;
    ssize_t n;

    while (count > 0) {
        if (take_turns(exchange) == -1 || look_for_answer(exchange) == -1)
            return -1;
        n = wire_send(wire, pieces, count);
        if (n >= 0) {
            exchange->sent_at = clock_ns();
            skip_sent(&pieces, &count, (size_t)n);
            continue;
        }
        if (errno != EAGAIN) {
            exchange->is_cut = true;
            return fail(EPIPE);
        }
        events = WIRE_WRITE | (exchange->answer || wire->reader ? 0 : WIRE_READ);
        if (exchange_wait(exchange, events, exchange->limits.idle) == -1)
            return -1;
    }
    return 0;
}

/* Until the service says that it wants the body, says anything else, or a second has passed without
 * a word: there are those that never say it (RFC 9110, section 10.1.1). */
static int await_continue(struct reeve_client_exchange *exchange)
{
    uint64_t end = clock_ns() + CONTINUE_WAIT, now;
    int reason;

    while (!exchange->may_send && (now = clock_ns()) < end) {
        if (look_for_answer(exchange) == -1)
            return -1;
        if (exchange->may_send)
            break;
        coro_note(CALL_CLIENT, exchange->site);
        reason = wire_wait(exchange->wire, WIRE_NEWS | (exchange->wire->reader ? 0 : WIRE_READ),
                           exchange_time(exchange, end - now));
        if (exchange->error)
            return fail(exchange->error);
        if (reason && (reason != ETIMEDOUT || coro_cancelled(coro_current()) ||
                       exchange_time(exchange, 1) == 0))
            return exchange_fail(exchange, reason);
    }
    exchange->may_send = true;
    return exchange->is_cut ? fail(EPIPE) : 0;
}

/* The head and the body that was given with it. That the service does not take it is no failure
 * yet: it may have answered. */
static int send_request(struct reeve_client_exchange *exchange)
{
    const struct ask *ask = &exchange->ask;
    bool has_body = ask->body != NULL, is_asking = !exchange->may_send && has_body;
    struct iovec pieces[2] = {{exchange->head->data, exchange->head->end},
                              {(void *)(uintptr_t)ask->body, ask->body_size}};
    int result = send_pieces(exchange, pieces, has_body && !is_asking ? 2 : 1);

    if (result == 0 && is_asking) {
        result = await_continue(exchange);
        pieces[1] = (struct iovec){(void *)(uintptr_t)ask->body, ask->body_size};
        if (result == 0)
            result = send_pieces(exchange, pieces + 1, 1);
    }
    if (result == 0)
        exchange->is_sent = !ask_is_streamed(ask);
    return result == -1 && errno != EPIPE ? -1 : 0;
}

/* ---- once more ---- */

/* A kept connection that was closed before a byte of the answer had come, most likely before the
 * request came there. */
static bool may_retry(const struct reeve_client_exchange *exchange)
{
    return exchange->wire->was_used && !exchange->has_heard && !exchange->has_streamed &&
           !exchange->is_retried && !exchange->error && exchange->head &&
           ask_is_idempotent(&exchange->ask);
}

static void begin_sending(struct reeve_client_exchange *exchange)
{
    const struct ask *ask = &exchange->ask;

    exchange->to_send = ask_is_streamed(ask) && !ask->is_chunked ? ask->body_size : 0;
    exchange->is_sent = exchange->is_cut = false;
    exchange->may_send = !ask->request->expects_continue;
}

static int retry(struct reeve_client_exchange *exchange)
{
    int error;

    exchange->is_retried = true;
    exchange->head_error = 0;
    wire_close(exchange->wire);
    begin_sending(exchange);
    exchange->is_connecting = true;
    error = exchange_connect(exchange);
    exchange->is_connecting = false;
    return error ? exchange_fail(exchange, error) : send_request(exchange);
}

/* ---- the exchange ---- */

static int write_head(struct reeve_client_exchange *exchange)
{
    int error;

    exchange->head = wire_buffer_take();
    error = exchange->head ? ask_write(&exchange->ask, exchange->head) : ENOMEM;
    return error ? exchange_fail(exchange, error) : 0;
}

int exchange_begin(struct reeve_client_exchange *exchange, double whole)
{
    const struct ask *ask = &exchange->ask;
    int error;

    if (!coro_current())
        return exchange_fail(exchange, EDEADLK);
    ask_get_limits(ask->request, whole, &exchange->limits);
    if (!exchange->ends_at)
        exchange->ends_at = exchange->limits.whole == CORO_FOREVER
                                ? CORO_FOREVER
                                : clock_ns() + exchange->limits.whole;
    if (write_head(exchange) == -1)
        return -1;
    coro_note(CALL_CLIENT, exchange->site);
    error = origin_take(ask->url.origin, ask->request->is_alone,
                        exchange_time(exchange, exchange->limits.answer), &exchange->wire);
    if (!error && exchange->wire->fd == -1)
        error = exchange_connect(exchange);
    if (error)
        return exchange_fail(exchange, error);
    begin_sending(exchange);
    return send_request(exchange);
}

/* The limit begins anew with each piece of the request that somebody else sends meanwhile. */
static uint64_t time_for_head(const struct reeve_client_exchange *exchange, uint64_t began)
{
    uint64_t ns = exchange->limits.answer, now = clock_ns();
    uint64_t since = exchange->sent_at > began ? exchange->sent_at : began;

    if (ns != CORO_FOREVER)
        ns = now - since < ns ? ns - (now - since) : 0;
    return exchange_time(exchange, ns);
}

static int wait_for_head(struct reeve_client_exchange *exchange, uint64_t began)
{
    int reason;

    do {
        coro_note(CALL_CLIENT, exchange->site);
        reason = wire_wait(exchange->wire, WIRE_READ, time_for_head(exchange, began));
        if (exchange->error)
            return fail(exchange->error);
    } while (reason == ETIMEDOUT && !coro_cancelled(coro_current()) &&
             time_for_head(exchange, began) > 0);
    return reason ? exchange_fail(exchange, reason) : 0;
}

int exchange_head(struct reeve_client_exchange *exchange)
{
    uint64_t began = clock_ns();
    int result;

    if (exchange->error)
        return fail(exchange->error);
    while (!exchange->answer) {
        result = advance_head(exchange);
        if (result == 1)
            break;
        if (result == -1 && !ask_is_streamed(&exchange->ask) && may_retry(exchange)) {
            if (retry(exchange) == -1)
                return -1;
            continue;
        }
        if (result == -1)
            return exchange_fail(exchange, errno);
        if (wait_for_head(exchange, began) == -1)
            return -1;
    }
    wire_buffer_give(&exchange->head);
    return 0;
}

/* ---- a body that comes piece by piece ---- */

static int send_piece(struct reeve_client_exchange *exchange, const void *data, size_t size)
{
    char line[20];
    int length = snprintf(line, sizeof line, "%zx\r\n", size);
    bool is_chunked = exchange->ask.is_chunked;
    struct iovec pieces[3] = {{line, is_chunked ? (size_t)length : 0},
                              {(void *)(uintptr_t)data, size},
                              {(void *)(uintptr_t) "\r\n", is_chunked ? 2 : 0}};

    return send_pieces(exchange, pieces, 3);
}

/* The first piece shows whether a kept connection is still one. */
static int send_or_retry(struct reeve_client_exchange *exchange, const void *data, size_t size)
{
    int result;

    if (await_continue(exchange) == 0) {
        result = send_piece(exchange, data, size);
        if (result == 0 || errno != EPIPE)
            return result;
    }
    if (exchange->is_reading || !may_retry(exchange)) /* nobody else may wait for it */
        return -1;
    if (retry(exchange) == -1 || await_continue(exchange) == -1)
        return -1;
    return send_piece(exchange, data, size);
}

int exchange_write(struct reeve_client_exchange *exchange, const void *data, size_t size)
{
    if (exchange->error)
        return fail(exchange->error);
    if (!ask_is_streamed(&exchange->ask) || exchange->is_sent ||
        (!exchange->ask.is_chunked && size > exchange->to_send))
        return fail(EMSGSIZE);
    if (size == 0) /* which would be the end of a chunked body */
        return 0;
    if (send_or_retry(exchange, data, size) == -1)
        return -1;
    exchange->has_streamed = true;
    if (!exchange->ask.is_chunked)
        exchange->to_send -= size;
    return 0;
}

int exchange_finish(struct reeve_client_exchange *exchange)
{
    struct iovec end = {(void *)(uintptr_t) "0\r\n\r\n", 5};

    if (exchange->error)
        return fail(exchange->error);
    if (exchange->is_sent)
        return 0;
    if (exchange->is_cut)
        return fail(EPIPE);
    if (exchange->to_send > 0)
        return fail(EMSGSIZE);
    if (exchange->ask.is_chunked &&
        (await_continue(exchange) == -1 || send_pieces(exchange, &end, 1) == -1))
        return -1;
    exchange->is_sent = true;
    return 0;
}

/* ---- reading, and the end ---- */

ssize_t exchange_read(struct reeve_client_exchange *exchange, void *buffer, size_t size)
{
    ssize_t n;

    if (size == 0)
        return fail(EINVAL);
    if (!exchange->answer && exchange_head(exchange) == -1)
        return -1;
    for (;;) {
        if (exchange->error)
            return fail(exchange->error);
        n = exchange_take_body(exchange, buffer, size);
        if (n > 0 && take_turns(exchange) == -1)
            return -1;
        if (n >= 0)
            return n;
        if (errno != EAGAIN)
            return exchange_fail(exchange, errno);
        if (exchange_wait(exchange, WIRE_READ, exchange->limits.idle) == -1)
            return -1;
    }
}

/* For how long the connection may be kept; 0: not at all. */
static uint64_t keep_for(struct reeve_client_exchange *exchange)
{
    const struct reeve_client_response *answer = exchange->answer;
    bool is_kept = !exchange->error && answer && exchange->is_sent && !exchange->is_cut &&
                   answer->head.is_keep_alive && !exchange->ask.is_alone &&
                   exchange_is_read_out(exchange);

    if (!is_kept)
        return 0;
    if (!answer->has_keep_alive)
        return ORIGIN_IDLE_NS;
    if (answer->keep_alive < 2)
        return answer->keep_alive * KEPT_BARELY;
    return (answer->keep_alive - 1) * NS_PER_SEC;
}

void exchange_end(struct reeve_client_exchange *exchange)
{
    int saved = errno;

    wire_buffer_give(&exchange->head);
    if (exchange->wire)
        origin_give(exchange->wire, keep_for(exchange));
    exchange->wire = NULL;
    if (!exchange->is_answer_taken)
        answer_free(exchange->answer);
    exchange->answer = NULL;
    errno = saved;
}
