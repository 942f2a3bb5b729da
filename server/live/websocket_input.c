/* websocket_input.c: from the stream's bytes to what the application gets, one at a time. Control frames
 * are dealt with on the way; data that comes after a close is dropped. On whichever stack. */
#include <stdlib.h>
#include <string.h>

#include "base/board.h"
#include "live/websocket_private.h"
#include "net/net.h"

/* So much lies in the stream's buffer at most: a longer message is gathered by the codec. */
#define INPUT_MOST (64u << 10)
/* Of the budget; a message costs 1, and more if it is long: a short one may have been inflated. */
#define READ_COSTS   32
#define BYTES_OF_ONE (16u << 10)

_Static_assert(INPUT_MOST >= WS_INPUT_MIN, "a control frame has to lie there whole");

static bool is_in_stream(const struct incoming *incoming)
{
    return incoming->kind != INCOMING_NONE && !incoming->memory;
}

/* ---- what the application has ---- */

void websocket_take(struct reeve_websocket *ws)
{
    ws->current = ws->waiting;
    ws->waiting.kind = INCOMING_NONE;
}

void websocket_release(struct reeve_websocket *ws)
{
    if (ws->current.kind == INCOMING_NONE)
        return;
    free(ws->current.memory);
    buf_give(&ws->session.stream.net->ins, &ws->pinned);
    ws->current = (struct incoming){.kind = INCOMING_NONE};
}

void websocket_drop_waiting(struct reeve_websocket *ws)
{
    if (ws->waiting.kind != INCOMING_NONE)
        free(ws->waiting.memory);
    ws->waiting = (struct incoming){.kind = INCOMING_NONE};
}

/* What the application has in the stream's buffer keeps that, so that reading can go on in another. */
static bool pin(struct reeve_websocket *ws)
{
    if (!is_in_stream(&ws->current) || ws->pinned)
        return true;
    ws->pinned = stream_pin(&ws->session.stream, 0);
    return ws->pinned != NULL;
}

void websocket_detach_input(struct reeve_websocket *ws)
{
    struct stream *stream = &ws->session.stream;

    if (!is_in_stream(&ws->current) || ws->pinned)
        return;
    stream_consume(stream, stream_length(stream));
    ws->pinned = stream_pin(stream, 0);
}

/* ---- what comes ---- */

static void spend(struct reeve_websocket *ws, size_t cost)
{
    ws->budget -= cost < ws->budget ? (unsigned)cost : ws->budget;
}

static void take_message(struct reeve_websocket *ws, const struct ws_item *item)
{
    spend(ws, 1 + item->size / BYTES_OF_ONE);
    if (ws->state != WEBSOCKET_OPEN) {
        free(item->memory);
        return;
    }
    WEBSOCKET_COUNT(ws, messages_in);
    ws->waiting = (struct incoming){.data = item->data,
                                    .size = item->size,
                                    .memory = item->memory,
                                    .kind = item->is_text ? INCOMING_TEXT : INCOMING_BINARY};
}

static bool is_own_pong(const struct ws_item *item)
{
    return item->size == sizeof WEBSOCKET_PING - 1 &&
           memcmp(item->data, WEBSOCKET_PING, item->size) == 0;
}

/* Only what the application has asked for is its business: nobody makes it run by pongs. */
static void take_pong(struct reeve_websocket *ws, const struct ws_item *item)
{
    if (ws->pongs_due == 0 || ws->state != WEBSOCKET_OPEN || is_own_pong(item))
        return;
    ws->pongs_due--;
    if (websocket_calls(ws) && ws->terms->protocol.on_pong)
        ws->waiting =
            (struct incoming){.data = item->data, .size = item->size, .kind = INCOMING_PONG};
}

/* False: there have to be more bytes. */
static bool take_item(struct reeve_websocket *ws)
{
    struct stream *stream = &ws->session.stream;
    struct ws_item item;

    if (stream_length(stream) == 0)
        return false;
    stream_consume(stream, ws_messages_next(&ws->messages, stream_bytes(stream),
                                            stream_length(stream), &item));
    switch (item.kind) {
    case WS_MESSAGE:
        take_message(ws, &item);
        break;
    case WS_PING:
        websocket_answer_ping(ws, item.data, item.size);
        break;
    case WS_PONG:
        take_pong(ws, &item);
        break;
    case WS_CLOSE:
        websocket_peer_closes(ws, item.code, item.data, item.size);
        break;
    case WS_ERROR:
        websocket_refuse(ws, item.code, item.why);
        break;
    case WS_MORE:
    case WS_PIECE:
        return false;
    }
    return true;
}

static bool fill(struct reeve_websocket *ws)
{
    struct stream *stream = &ws->session.stream;

    if (!stream->is_readable || !pin(ws))
        return false;
    spend(ws, READ_COSTS);
    return stream_fill(stream, INPUT_MOST) > 0;
}

/* When all was used up the stream comes back in the loop's next round, and not before. */
static bool may_go_on(struct reeve_websocket *ws)
{
    struct stream *stream = &ws->session.stream;

    if (ws->state == WEBSOCKET_ENDED || ws->waiting.kind != INCOMING_NONE || stream->is_gone ||
        stream->is_again)
        return false;
    if (ws->budget > 0)
        return true;
    ws->budget = WEBSOCKET_BUDGET;
    stream_again(stream);
    return false;
}

void websocket_read(struct reeve_websocket *ws)
{
    struct stream *stream = &ws->session.stream;

    if (!ws->session.has_stream)
        return;
    while (may_go_on(ws))
        if (!take_item(ws) && !fill(ws)) {
            if (stream->is_eof)
                websocket_lose(ws);
            break;
        }
    if (!is_in_stream(&ws->waiting) && (!is_in_stream(&ws->current) || ws->pinned))
        stream_rest(stream);
}
