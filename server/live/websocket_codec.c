/* websocket_codec.c: frames with what is compressed, for one WebSocket or for many; and the compressor
 * and the decompressor that all share which keep no context. */
#include <stdlib.h>
#include <string.h>

#include "live/shared.h"
#include "live/websocket.h"
#include "live/websocket_private.h"
#include "wire/ws_deflate.h"

/* Higher levels make chat messages and JSON hardly smaller, and cost a multiple of the time. */
#define LEVEL 4
/* Bytes below which compressing saves less than it costs. With context short ones are worth it. */
#define THRESHOLD         256
#define CONTEXT_THRESHOLD 32

#define HEAD_MOST 10

/* The process's. */
static struct ws_deflater *deflater;
static struct ws_inflater *inflater;

struct ws_deflater *codec_deflater(void)
{
    if (!deflater)
        deflater = ws_deflater_new(LEVEL, THRESHOLD, false);
    return deflater;
}

struct ws_inflater *codec_inflater(void)
{
    if (!inflater)
        inflater = ws_inflater_new(WS_WINDOW_MAX, false);
    return inflater;
}

struct ws_deflater *codec_new_deflater(void)
{
    return ws_deflater_new(LEVEL, CONTEXT_THRESHOLD, true);
}

void websocket_close_codec(void)
{
    ws_deflater_free(deflater);
    ws_inflater_free(inflater);
    deflater = NULL;
    inflater = NULL;
}

static enum ws_opcode opcode_of(reeve_websocket_kind kind)
{
    return kind == REEVE_TEXT ? WS_OPCODE_TEXT : WS_OPCODE_BINARY;
}

/* The head's length follows from what the message is compressed to, so that is moved up to it. */
struct payload *codec_compress(struct ws_deflater *by, int bits, reeve_websocket_kind kind,
                               const void *data, size_t size)
{
    struct payload *payload, *fitting;
    size_t length, head;

    if (!by || size < (by == deflater ? THRESHOLD : CONTEXT_THRESHOLD))
        return NULL;
    payload = payload_new(HEAD_MOST + ws_deflate_room(size));
    if (!payload)
        return NULL;
    length = ws_deflate(by, bits, data, size, payload->data + HEAD_MOST);
    if (length == 0) {
        payload_unref(payload);
        return NULL;
    }
    head = ws_frame_head(opcode_of(kind), true, true, length, payload->data);
    memmove(payload->data + head, payload->data + HEAD_MOST, length);
    payload->size = head + length;
    if ((fitting = realloc(payload, sizeof *payload + payload->size)))
        payload = fitting;
    return payload;
}

static struct payload *plain(reeve_websocket_kind kind, const struct payload *bytes)
{
    char head[HEAD_MOST];
    size_t length = ws_frame_head(opcode_of(kind), true, false, bytes->size, head);
    struct payload *payload = payload_new(length + bytes->size);

    if (!payload)
        return NULL;
    memcpy(payload->data, head, length);
    memcpy(payload->data + length, bytes->data, bytes->size);
    return payload;
}

/* Where compressing is not worth it that form is the plain one. */
struct payload *codec_form(struct reeve_shared *shared, reeve_websocket_kind kind,
                           bool is_compressed)
{
    const struct payload *bytes = shared->forms[SHARED_BYTES];
    bool is_text = kind == REEVE_TEXT;
    struct payload **form;

    if (!is_compressed) {
        form = &shared->forms[is_text ? SHARED_TEXT : SHARED_BINARY];
        if (!*form)
            *form = plain(kind, bytes);
        return *form;
    }
    form = &shared->forms[is_text ? SHARED_TEXT_DEFLATED : SHARED_BINARY_DEFLATED];
    if (!*form)
        *form = codec_compress(codec_deflater(), WS_WINDOW_MAX, kind, bytes->data, bytes->size);
    if (!*form && codec_form(shared, kind, false))
        *form = payload_ref(codec_form(shared, kind, false));
    return *form;
}
