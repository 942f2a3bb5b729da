/* ws_message.c: see ws_message.h. What is compressed is gathered as it came, and inflated when it
 * is whole: so it needs the inflater for no longer than a call, and a client that never ends its
 * messages holds no more than it has sent. */
#include "wire/ws_message.h"

#include <stdlib.h>
#include <string.h>

#include "wire/ws_deflate.h"

#define ROOM_MIN 128

_Static_assert(sizeof(struct ws_messages) <= 80, "there is one for each connection");

void ws_messages_init(struct ws_messages *m, size_t max_message, struct ws_inflater *inflater)
{
    *m = (struct ws_messages){.inflater = inflater};
    ws_decoder_init(&m->decoder, max_message, inflater != NULL);
}

void ws_messages_limit(struct ws_messages *m, size_t max_message)
{
    ws_decoder_set_limit(&m->decoder, max_message);
}

static void forget(struct ws_messages *m)
{
    free(m->gathered);
    m->gathered = NULL;
    m->size = m->room = 0;
}

void ws_messages_fini(struct ws_messages *m)
{
    forget(m);
}

static void fail(struct ws_messages *m, struct ws_item *item, uint16_t code, const char *why)
{
    *item = (struct ws_item){.kind = WS_ERROR, .code = code, .why = why};
    ws_decoder_end(&m->decoder);
}

static void fail_for_text(struct ws_messages *m, struct ws_item *item)
{
    fail(m, item, WS_CODE_BAD_DATA, "a text that is not UTF-8");
}

static void fail_for_memory(struct ws_messages *m, struct ws_item *item)
{
    fail(m, item, WS_CODE_FAILED, "memory has run out");
}

/* Room for `more` bytes and a NUL: twice as much as there was, so that bytes that come one by one
 * are not copied for each of them; but not beyond `most`. 0 or -1. */
static int reserve(struct ws_messages *m, size_t more, uint64_t most)
{
    size_t wanted = m->size + more + 1, room = 2 * m->room > ROOM_MIN ? 2 * m->room : ROOM_MIN;
    char *grown;

    if (wanted <= m->room)
        return 0;
    if (room - 1 > most)
        room = (size_t)most + 1;
    if (room < wanted)
        room = wanted;
    grown = realloc(m->gathered, room);
    if (grown == NULL)
        return -1;
    m->gathered = grown;
    m->room = room;
    return 0;
}

/* The message, in memory that goes over to the receiver. */
static void hand_over(struct ws_messages *m, struct ws_item *item, bool is_text)
{
    m->gathered[m->size] = '\0';
    *item = (struct ws_item){.kind = WS_MESSAGE,
                             .is_text = is_text,
                             .data = m->gathered,
                             .size = m->size,
                             .memory = m->gathered};
    m->gathered = NULL;
    m->size = m->room = 0;
}

/* ---- compressed ---- */

/* Into m->gathered, which is empty. Checks text as it comes out. */
static enum ws_inflated inflate_all(struct ws_messages *m, bool is_text, uint16_t *code_out)
{
    uint64_t most = m->decoder.most;
    enum ws_inflated result;
    size_t more;

    do {
        /* A byte of room more than a message may have tells that there is too much. */
        if (reserve(m, 1, most) == -1)
            return WS_INFLATE_NO_MEMORY;
        result = ws_inflate_some(m->inflater, m->gathered + m->size, m->room - m->size, &more);
        if (is_text && !utf8_put(&m->text, m->gathered + m->size, more))
            *code_out = WS_CODE_BAD_DATA;
        m->size += more;
        if (m->size > most)
            *code_out = WS_CODE_TOO_LARGE;
    } while (result == WS_INFLATE_FULL && *code_out == 0);
    return result;
}

static void inflate_message(struct ws_messages *m, struct ws_item *item)
{
    char *compressed = m->gathered;
    bool is_text = item->is_text;
    enum ws_inflated result;
    uint16_t code = 0;

    if (compressed != NULL)
        ws_inflate_begin(m->inflater, compressed, m->size);
    else
        ws_inflate_begin(m->inflater, item->data, item->size);
    m->gathered = NULL;
    m->size = m->room = 0;
    result = inflate_all(m, is_text, &code);
    free(compressed);
    if (code == WS_CODE_TOO_LARGE)
        fail(m, item, code, "the message is too large when it is inflated");
    else if (result == WS_INFLATE_NO_MEMORY)
        fail_for_memory(m, item);
    else if (result == WS_INFLATE_BAD)
        fail(m, item, WS_CODE_BAD_DATA, "a compressed message that does not inflate");
    else if (code != 0 || (is_text && !utf8_is_complete(&m->text)))
        fail_for_text(m, item);
    else
        hand_over(m, item, is_text);
}

/* ---- pieces ---- */

static int gather(struct ws_messages *m, const struct ws_item *piece)
{
    /* In the last frame it is known how much will come. */
    uint64_t most = m->decoder.is_final ? m->size + piece->size + piece->missing
                                        : ws_decoder_limit(&m->decoder, piece->is_compressed);

    if (piece->size == 0 && m->gathered != NULL)
        return 0;
    if (reserve(m, piece->size, most) == -1)
        return -1;
    if (piece->size > 0)
        memcpy(m->gathered + m->size, piece->data, piece->size);
    m->size += piece->size;
    return 0;
}

/* True: `item` is to be given, as a message or an error. */
static bool take_piece(struct ws_messages *m, struct ws_item *item)
{
    bool is_whole = item->is_first && item->is_last;

    if (item->is_first)
        m->text = (struct utf8_pieces){.length = 0};
    if (item->is_text && !item->is_compressed &&
        (!utf8_put(&m->text, item->data, item->size) ||
         (item->is_last && !utf8_is_complete(&m->text)))) {
        fail_for_text(m, item);
        return true;
    }
    if (!is_whole && gather(m, item) == -1) {
        fail_for_memory(m, item);
        return true;
    }
    if (!item->is_last)
        return false;
    if (item->is_compressed) {
        inflate_message(m, item);
    } else if (is_whole) {
        item->kind = WS_MESSAGE;
        item->data[item->size] = '\0';
    } else {
        hand_over(m, item, item->is_text);
    }
    return true;
}

size_t ws_messages_next(struct ws_messages *m, char *bytes, size_t length, struct ws_item *item_out)
{
    size_t taken = 0;

    do {
        taken += ws_decode(&m->decoder, bytes + taken, length - taken, item_out);
    } while (item_out->kind == WS_PIECE && !take_piece(m, item_out));
    if (m->decoder.has_ended)
        forget(m);
    return taken;
}
