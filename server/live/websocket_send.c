/* websocket_send.c: what leaves: messages, for one or for many, pings and pongs. Nothing waits here but
 * reeve_websocket_write. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/board.h"
#include "base/holder.h"
#include "base/utf8.h"
#include "live/pubsub.h"
#include "live/shared.h"
#include "live/websocket_private.h"
#include "net/net.h"
#include "runtime/coro.h"
#include "wire/ws_deflate.h"

static int fail(int error)
{
    errno = error;
    return -1;
}

/* ---- control frames ---- */

int websocket_send_control(struct reeve_websocket *ws, enum ws_opcode opcode, const void *data,
                           size_t size)
{
    char head[10];

    return stream_send2(&ws->session.stream, head, ws_frame_head(opcode, true, false, size, head),
                        data, size);
}

/* While much is queued only the latest ping is answered (RFC 6455 section 5.5.3), so that a flood of
 * pings takes no memory. */
void websocket_answer_ping(struct reeve_websocket *ws, const void *data, size_t size)
{
    if (websocket_is_shut(ws))
        return;
    if (!ws->pong && ws->session.stream.unsent <= ws->terms->protocol.high_water) {
        websocket_send_control(ws, WS_OPCODE_PONG, data, size);
        return;
    }
    if (!ws->pong)
        ws->pong = malloc(1 + WS_CONTROL_MAX);
    if (!ws->pong)
        return;
    ws->pong[0] = (char)size;
    memcpy(ws->pong + 1, data, size);
}

static void send_pong(struct reeve_websocket *ws)
{
    if (!ws->pong)
        return;
    websocket_send_control(ws, WS_OPCODE_PONG, ws->pong + 1, (size_t)ws->pong[0]);
    free(ws->pong);
    ws->pong = NULL;
}

void websocket_pay_pong(struct reeve_websocket *ws)
{
    size_t high = ws->terms->protocol.high_water;

    if (!ws->pong)
        return;
    if (ws->session.stream.unsent <= high)
        send_pong(ws);
    else if (TAILQ_EMPTY(&ws->session.writers)) /* else they have asked already */
        stream_want_room(&ws->session.stream, high);
}

/* ---- room ---- */

static bool would_fit(struct reeve_websocket *ws, size_t size)
{
    struct stream *stream = &ws->session.stream;
    size_t most = ws->terms->protocol.max_output;

    if (stream->unsent + size <= most)
        return true;
    stream_flush(stream);
    /* To a peer that takes all a single message may be longer. */
    return stream->unsent == 0 || stream->unsent + size <= most;
}

/* It gets no more than the end of what it has a part of, and the reason. */
static int give_up(struct reeve_websocket *ws)
{
    WEBSOCKET_COUNT(ws, cut_off);
    ws->is_given_up = true;
    stream_discard(&ws->session.stream);
    websocket_begin_close(ws, REEVE_CLOSE_POLICY, "what was sent is not read");
    return fail(ENOBUFS);
}

static int put(struct reeve_websocket *ws, const void *head, size_t head_size, const void *data,
               size_t size)
{
    if (!would_fit(ws, head_size + size))
        return give_up(ws);
    return stream_send2(&ws->session.stream, head, head_size, data, size);
}

static int put_payload(struct reeve_websocket *ws, struct payload *payload)
{
    if (!would_fit(ws, payload->size))
        return give_up(ws);
    return stream_send_payload(&ws->session.stream, payload);
}

/* ---- messages ---- */

static int check_open(struct reeve_websocket *ws)
{
    if (!websocket_is_shut(ws))
        return 0;
    ws->is_told = true;
    return fail(EPIPE);
}

/* Also of one that is meant for many, where this peer's window is a smaller one. */
static int put_message(struct reeve_websocket *ws, const void *data, size_t size,
                       reeve_websocket_kind kind)
{
    struct payload *payload = NULL;
    char head[10];
    int result;

    if (ws->out_bits > 0)
        payload = codec_compress(ws->deflater ? ws->deflater : codec_deflater(), ws->out_bits, kind,
                                 data, size);
    if (!payload)
        return put(ws, head,
                   ws_frame_head(kind == REEVE_TEXT ? WS_OPCODE_TEXT : WS_OPCODE_BINARY, true,
                                 false, size, head),
                   data, size);
    result = put_payload(ws, payload);
    payload_unref(payload);
    if (result == -1)
        ws_deflater_forget(ws->deflater);
    return result;
}

static int put_shared(struct reeve_websocket *ws, reeve_shared *shared, reeve_websocket_kind kind)
{
    const struct payload *bytes = shared->forms[SHARED_BYTES];
    struct payload *form;

    if (ws->out_bits > 0 && ws->out_bits < WS_WINDOW_MAX)
        return put_message(ws, bytes->data, bytes->size, kind);
    form = codec_form(shared, kind, ws->out_bits > 0);
    if (!form)
        return fail(ENOMEM);
    ws_deflater_forget(ws->deflater);
    return put_payload(ws, form);
}

static bool is_kind(reeve_websocket_kind kind)
{
    return kind == REEVE_TEXT || kind == REEVE_BINARY;
}

static int send_one(struct reeve_websocket *ws, const void *data, size_t size,
                    reeve_websocket_kind kind)
{
    if (check_open(ws) == -1)
        return -1;
    if (!is_kind(kind))
        return fail(EINVAL);
    if (kind == REEVE_TEXT && !utf8_is_valid(data, size))
        return fail(EILSEQ);
    send_pong(ws);
    if (put_message(ws, data, size, kind) == -1)
        return -1;
    WEBSOCKET_COUNT(ws, messages_out);
    return 0;
}

int reeve_websocket_send(reeve_websocket *ws, const void *data, size_t size,
                         reeve_websocket_kind kind)
{
    return send_one(ws, data, size, kind);
}

static bool is_utf8(reeve_shared *shared)
{
    if (!shared->is_checked) {
        shared->is_utf8 =
            utf8_is_valid(shared->forms[SHARED_BYTES]->data, shared->forms[SHARED_BYTES]->size);
        shared->is_checked = true;
    }
    return shared->is_utf8;
}

int reeve_websocket_send_shared(reeve_websocket *ws, reeve_shared *shared,
                                reeve_websocket_kind kind)
{
    if (check_open(ws) == -1)
        return -1;
    if (!is_kind(kind))
        return fail(EINVAL);
    if (kind == REEVE_TEXT && !is_utf8(shared))
        return fail(EILSEQ);
    send_pong(ws);
    if (put_shared(ws, shared, kind) == -1)
        return -1;
    WEBSOCKET_COUNT(ws, messages_out);
    return 0;
}

void websocket_forward(struct session *session, struct forward *forward,
                       struct publication *publication)
{
    struct reeve_websocket *ws = websocket_of(session);

    if (websocket_is_shut(ws))
        return;
    if (forward->slow == REEVE_SLOW_DROP_OLDEST &&
        !would_fit(ws, publication->shared->forms[SHARED_BYTES]->size + 10)) {
        board_add(&session->stream.net->slot->missed, 1);
        return;
    }
    reeve_websocket_send_shared(ws, publication->shared, (reeve_websocket_kind)forward->kind);
}

int reeve_websocket_write(reeve_websocket *ws, const void *data, size_t size,
                          reeve_websocket_kind kind, double seconds)
{
    const reeve_websocket_protocol *protocol;

    coro_note(CALL_WEBSOCKET_SEND, __builtin_return_address(0));
    if (send_one(ws, data, size, kind) == -1)
        return -1;
    protocol = &ws->terms->protocol;
    if (ws->session.stream.unsent <= protocol->high_water)
        return 0;
    return session_wait_room(&ws->session, protocol->high_water, protocol->low_water, seconds);
}

int reeve_websocket_ping(reeve_websocket *ws, const void *data, size_t size)
{
    char head[10];

    if (check_open(ws) == -1)
        return -1;
    if (size > WS_CONTROL_MAX)
        return fail(EMSGSIZE);
    if (put(ws, head, ws_frame_head(WS_OPCODE_PING, true, false, size, head), data, size) == -1)
        return -1;
    ws->pongs_due++;
    return 0;
}

size_t reeve_websocket_pending(const reeve_websocket *ws)
{
    return ws->session.has_stream ? ws->session.stream.unsent : 0;
}
