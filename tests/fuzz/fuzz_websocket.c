/* fuzz_websocket.c: any bytes through the WebSocket codec: frames, raw or masked here; messages
 * there and back through permessage-deflate; handshakes.
 *
 * Aborts when bytes that come in pieces give something else than the same bytes at once, when a
 * message is larger than it may be or a text no UTF-8, when more memory is held than has come, or
 * when an answer to a handshake is none that its client has asked for. The input: a byte of
 * options, a byte that decides the cuts, and what the options say. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "wire/ws_deflate.h"
#include "wire/ws_extensions.h"
#include "wire/ws_message.h"

#define REQUIRE(condition)                                                  \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                        \
        }                                                                   \
    } while (0)

enum { HAS_DEFLATE = 1, KEEPS_CONTEXT = 2, /* 4, 8: how long a message may be */ IS_NARROW = 16 };
enum { RAW = 0, MASKED = 1, ROUND = 2, HANDSHAKE = 3 }; /* the two upper bits */

struct bytes {
    char *data;
    size_t length;
};

/* A driver that keeps what it has not taken. */
struct driver {
    struct ws_messages messages;
    size_t most;
    struct bytes had, log;
    size_t received;
    bool has_ended;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put(struct bytes *b, const void *data, size_t size)
{
    b->data = realloc(b->data, b->length + size + 1);
    REQUIRE(b->data != NULL);
    if (size > 0)
        memcpy(b->data + b->length, data, size);
    b->length += size;
}

/* ---- frames ---- */

static void check_item(const struct driver *d, const struct ws_item *item)
{
    REQUIRE(!d->has_ended);
    switch (item->kind) {
    case WS_MORE:
    case WS_PIECE:
        REQUIRE(!"an item that is none");
        return;
    case WS_MESSAGE:
        REQUIRE(item->size <= d->most);
        REQUIRE(item->data[item->size] == '\0');
        REQUIRE(!item->is_text || utf8_is_valid(item->data, item->size));
        return;
    case WS_PING:
    case WS_PONG:
        REQUIRE(item->size <= WS_CONTROL_MAX);
        return;
    case WS_CLOSE:
        REQUIRE(item->size <= WS_REASON_MAX && utf8_is_valid(item->data, item->size));
        REQUIRE(ws_frame_is_code(item->code) || (item->code == WS_CODE_NONE && item->size == 0));
        return;
    case WS_ERROR:
        REQUIRE(item->code == 1002 || item->code == 1007 || item->code == 1009);
        REQUIRE(item->why != NULL);
        return;
    }
}

static void write_down(struct driver *d, const struct ws_item *item)
{
    const uint16_t head[] = {(uint16_t)item->kind, item->code, item->is_text};

    check_item(d, item);
    d->has_ended = item->kind == WS_CLOSE || item->kind == WS_ERROR;
    put(&d->log, head, sizeof head);
    put(&d->log, &item->size, sizeof item->size);
    put(&d->log, item->data, item->size);
    free(item->memory);
}

static void receive(struct driver *d, const char *bytes, size_t size)
{
    struct bytes now = {.length = 0};
    struct ws_item item;
    size_t at = 0, held;

    /* Just as long as it has to be. */
    now.length = d->had.length + size;
    now.data = malloc(now.length > 0 ? now.length : 1);
    REQUIRE(now.data != NULL);
    if (d->had.length > 0)
        memcpy(now.data, d->had.data, d->had.length);
    if (size > 0)
        memcpy(now.data + d->had.length, bytes, size);
    d->received += size;
    for (;;) {
        at += ws_messages_next(&d->messages, now.data + at, now.length - at, &item);
        REQUIRE(at <= now.length);
        if (item.kind == WS_MORE)
            break;
        write_down(d, &item);
    }
    REQUIRE(now.length - at < WS_INPUT_MIN);
    held = ws_messages_held(&d->messages);
    REQUIRE(held <= 128 || held <= 2 * d->received + 2);
    REQUIRE(held <= 128 || held <= ws_decoder_limit(&d->messages.decoder, true) + 1);
    REQUIRE(held == 0 || !d->has_ended);
    free(d->had.data);
    d->had = (struct bytes){.length = 0};
    put(&d->had, now.data + at, now.length - at);
    free(now.data);
}

static struct ws_inflater *shared_inflater(void)
{
    static struct ws_inflater *shared;

    if (shared == NULL)
        shared = ws_inflater_new(15, false);
    REQUIRE(shared != NULL);
    return shared;
}

/* All of it, in pieces of at most `piece` bytes, other ones each time. */
static struct bytes run(const struct bytes *input, uint8_t options, size_t piece)
{
    static const size_t most[] = {16, 300, 5000, 1 << 16};
    struct ws_inflater *own = options & KEEPS_CONTEXT ? ws_inflater_new(15, true) : NULL;
    struct driver d = {.most = most[options >> 2 & 3]};
    uint32_t seed = (uint32_t)piece;

    ws_messages_init(&d.messages, d.most,
                     options & HAS_DEFLATE ? (own ? own : shared_inflater()) : NULL);
    for (size_t at = 0, n; at < input->length; at += n) {
        seed = seed * 1664525u + 1013904223u;
        n = piece == SIZE_MAX ? input->length : 1 + (seed >> 16) % piece;
        n = n < input->length - at ? n : input->length - at;
        receive(&d, input->data + at, n);
    }
    ws_messages_fini(&d.messages);
    ws_inflater_free(own);
    free(d.had.data);
    return d.log;
}

static void check_frames(const struct bytes *input, uint8_t options, uint8_t cuts)
{
    struct bytes whole = run(input, options, SIZE_MAX), parts = run(input, options, cuts + 1u);

    REQUIRE(whole.length == parts.length);
    REQUIRE(whole.length == 0 || memcmp(whole.data, parts.data, whole.length) == 0);
    free(whole.data);
    free(parts.data);
}

/* Frames as they are written by hand: their first byte, a length, and so many bytes. */
static struct bytes mask_frames(const uint8_t *data, size_t size)
{
    static const char key[4] = {0x12, (char)0x9a, 0x7f, 0x00};
    struct bytes out = {.length = 0};

    while (size >= 2) {
        size_t length = data[1] < 250 ? data[1] : size - 2;
        char head[14];
        size_t head_size;

        length = length < size - 2 ? length : size - 2;
        head_size = ws_frame_head_masked(WS_OPCODE_TEXT, true, false, length, key, head);
        head[0] = (char)data[0];
        put(&out, head, head_size);
        put(&out, data + 2, length);
        ws_frame_mask(out.data + out.length - length, length, key);
        data += 2 + length;
        size -= 2 + length;
    }
    return out;
}

/* ---- there and back ---- */

static void inflate_back(struct ws_inflater *inflater, const char *packed, size_t packed_size,
                         const char *want, size_t size, size_t step)
{
    enum ws_inflated result = WS_INFLATE_FULL;
    char *out = malloc(step);
    size_t at = 0, more;

    ws_inflate_begin(inflater, packed, packed_size);
    while (result == WS_INFLATE_FULL) {
        result = ws_inflate_some(inflater, out, step, &more);
        REQUIRE(more <= size - at && (more == 0 || memcmp(out, want + at, more) == 0));
        at += more;
    }
    REQUIRE(result == WS_INFLATED && at == size);
    free(out);
}

/* Messages of a length that the first byte of each says. */
static void check_round(const uint8_t *data, size_t size, uint8_t options, uint8_t cuts)
{
    bool keeps = options & KEEPS_CONTEXT;
    int bits = 9 + cuts % 7;
    struct ws_deflater *deflater = ws_deflater_new(1 + cuts % 9, 0, keeps);
    struct ws_inflater *inflater = ws_inflater_new(bits, keeps);

    while (size > 1) {
        size_t length = data[0] * 16u < size - 1 ? data[0] * 16u : size - 1, packed_size;
        const char *message = (const char *)data + 1;
        char *packed = malloc(ws_deflate_room(length));

        packed_size = ws_deflate(deflater, bits, message, length, packed);
        REQUIRE(packed_size < length || packed_size == 0);
        if (packed_size > 0)
            inflate_back(inflater, packed, packed_size, message, length, 1u + cuts);
        free(packed);
        data += 1 + length;
        size -= 1 + length;
    }
    ws_deflater_free(deflater);
    ws_inflater_free(inflater);
}

/* ---- handshakes ---- */

/* What was agreed on is itself something that may be agreed on, and means the same. */
static void check_answer(const struct ws_handshake *answer)
{
    const struct ws_offer any = {.has_deflate = true, .keeps_context = true};
    struct ws_deflate_terms terms;
    char again[WS_EXTENSIONS_MAX];

    REQUIRE(strlen(answer->extensions) < WS_EXTENSIONS_MAX);
    REQUIRE(answer->deflate.is_on == (answer->extensions[0] != '\0'));
    if (!answer->deflate.is_on)
        return;
    REQUIRE(answer->deflate.out_bits >= 9 && answer->deflate.out_bits <= 15);
    REQUIRE(answer->deflate.in_bits >= 8 && answer->deflate.in_bits <= 15);
    REQUIRE(ws_extensions_agree(answer->extensions, &any, &terms, again) == 0 && terms.is_on);
    REQUIRE(terms.keeps_in == answer->deflate.keeps_in);
    REQUIRE(terms.keeps_out == answer->deflate.keeps_out);
    REQUIRE(terms.in_bits == answer->deflate.in_bits);
}

/* The values of the headers in lines; a line that is missing is a header that is. */
static void check_handshake(const uint8_t *data, size_t size, uint8_t options)
{
    static const char *const own[] = {"chat.v2", "chat", NULL};
    const struct ws_offer offer = {.subprotocols = own,
                                   .has_deflate = options & HAS_DEFLATE,
                                   .keeps_context = options & KEEPS_CONTEXT,
                                   .in_bits = options & IS_NARROW ? 10 : 0};
    char *text = malloc(size + 1), *rest = text, *lines[7];
    struct ws_handshake answer;
    size_t count;

    memcpy(text, data, size);
    text[size] = '\0';
    for (count = 0; count < 7; count++)
        lines[count] = strsep(&rest, "\n");
    ws_handshake(&(struct ws_request){lines[0], 1, lines[1], lines[2], lines[3], lines[4], lines[5],
                                      lines[6]},
                 &offer, &answer);
    REQUIRE(answer.status == 101 || answer.status == 400 || answer.status == 405 ||
            answer.status == 426);
    REQUIRE((answer.status == 101) == (answer.why == NULL));
    if (answer.status == 101)
        REQUIRE(strlen(answer.accept) == WS_ACCEPT_LENGTH && strlen(lines[3]) == 24);
    else
        REQUIRE(!answer.deflate.is_on && answer.subprotocol == NULL);
    REQUIRE(answer.subprotocol == NULL || strstr(lines[5], answer.subprotocol) != NULL);
    check_answer(&answer);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = {.length = 0};

    if (size < 2)
        return 0;
    switch (data[0] >> 6) {
    case RAW:
        put(&input, data + 2, size - 2);
        check_frames(&input, data[0], data[1]);
        break;
    case MASKED:
        input = mask_frames(data + 2, size - 2);
        check_frames(&input, data[0], data[1]);
        break;
    case ROUND:
        check_round(data + 2, size - 2, data[0], data[1]);
        break;
    case HANDSHAKE:
        check_handshake(data + 2, size - 2, data[0]);
        break;
    }
    free(input.data);
    return 0;
}
