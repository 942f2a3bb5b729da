/* ws_frame.c: see ws_frame.h. A frame's head stays in the driver's buffer until the first byte of
 * its payload has come, so that the unmasked payload can be put where its mask was: then there is a
 * byte to spare behind it. */
#include "wire/ws_frame.h"

#include <string.h>

#include "base/utf8.h"

#define BIT_FINAL  0x80
#define BIT_RSV1   0x40
#define BITS_RSV   0x70
#define BIT_MASKED 0x80
#define MASK_SIZE  4

_Static_assert(sizeof(struct ws_decoder) <= 40, "there is one for each connection");

/* A head that is whole, or, while error is 0 and is_whole is false, is not there yet. */
struct head {
    uint64_t length; /* of the payload */
    uint8_t size;    /* its own bytes; while it is not whole: at least */
    uint8_t opcode;
    bool is_final, is_compressed, is_control, is_whole;
    uint16_t error;
    const char *why;
};

void ws_decoder_init(struct ws_decoder *d, size_t max_message, bool has_deflate)
{
    *d = (struct ws_decoder){.most = max_message != 0 ? max_message : UINT64_MAX,
                             .has_deflate = has_deflate};
}

void ws_decoder_set_limit(struct ws_decoder *d, size_t max_message)
{
    d->most = max_message != 0 ? max_message : UINT64_MAX;
}

void ws_decoder_end(struct ws_decoder *d)
{
    d->has_ended = true;
    d->opcode = 0;
    d->left = 0;
}

/* ---- masks ---- */

/* The mask for the byte that follows `count` others. */
static uint32_t mask_behind(uint32_t mask, size_t count)
{
    char key[2 * MASK_SIZE];

    memcpy(key, &mask, MASK_SIZE);
    memcpy(key + MASK_SIZE, &mask, MASK_SIZE);
    memcpy(&mask, key + count % MASK_SIZE, MASK_SIZE);
    return mask;
}

/* `to` is `from`, or before it. The bytes lie anywhere, hence memcpy: to the processor it is a load
 * and a store. 32 at a time are all loaded before the first is stored, which allows it to be wide.
 */
static void unmask(char *to, const char *from, size_t length, uint32_t mask)
{
    uint64_t wide = (uint64_t)mask << 32 | mask, words[4];
    char key[MASK_SIZE];
    size_t at = 0;

    for (; length - at >= sizeof words; at += sizeof words) {
        memcpy(words, from + at, sizeof words);
        for (unsigned i = 0; i < 4; i++)
            words[i] ^= wide;
        memcpy(to + at, words, sizeof words);
    }
    for (; length - at >= sizeof wide; at += sizeof wide) {
        memcpy(words, from + at, sizeof wide);
        words[0] ^= wide;
        memcpy(to + at, words, sizeof wide);
    }
    memcpy(key, &mask, sizeof key);
    for (; at < length; at++)
        to[at] = (char)(from[at] ^ key[at % MASK_SIZE]);
}

void ws_frame_mask(char *data, size_t length, const char key[4])
{
    uint32_t mask;

    memcpy(&mask, key, sizeof mask);
    unmask(data, data, length, mask);
}

/* ---- heads ---- */

static void refuse(struct head *head, uint16_t code, const char *why)
{
    head->error = code;
    head->why = why;
}

/* Which frames may stand here (sections 5.2, 5.4 and 5.5; RFC 7692 section 6). */
static void check_first_byte(struct head *head, const struct ws_decoder *d, uint8_t byte)
{
    head->opcode = byte & 0x0f;
    head->is_final = byte & BIT_FINAL;
    head->is_compressed = byte & BIT_RSV1;
    head->is_control = head->opcode >= WS_OPCODE_CLOSE;
    if ((byte & BITS_RSV & ~BIT_RSV1) || (head->is_compressed && !d->has_deflate))
        refuse(head, WS_CODE_PROTOCOL, "a reserved bit is set");
    else if (head->opcode > (head->is_control ? WS_OPCODE_PONG : WS_OPCODE_BINARY))
        refuse(head, WS_CODE_PROTOCOL, "a frame with a reserved opcode");
    else if (head->is_compressed && (head->is_control || head->opcode == WS_OPCODE_CONTINUATION))
        refuse(head, WS_CODE_PROTOCOL, "a compressed frame that begins no message");
    else if (head->is_control && !head->is_final)
        refuse(head, WS_CODE_PROTOCOL, "a control frame in fragments");
    else if (head->opcode == WS_OPCODE_CONTINUATION && d->opcode == 0)
        refuse(head, WS_CODE_PROTOCOL, "a continuation of no message");
    else if (!head->is_control && head->opcode != WS_OPCODE_CONTINUATION && d->opcode != 0)
        refuse(head, WS_CODE_PROTOCOL, "a message within a message");
}

static void check_second_byte(struct head *head, uint8_t byte)
{
    uint8_t length = byte & ~BIT_MASKED;

    head->size = (uint8_t)(2 + (length < 126 ? 0 : length == 126 ? 2 : 8) + MASK_SIZE);
    head->length = length;
    if (!(byte & BIT_MASKED))
        refuse(head, WS_CODE_PROTOCOL, "a frame that is not masked");
    else if (head->is_control && length > WS_CONTROL_MAX)
        refuse(head, WS_CODE_PROTOCOL, "a control frame that is too long");
    else if (head->opcode == WS_OPCODE_CLOSE && length == 1)
        refuse(head, WS_CODE_PROTOCOL, "half a close code");
}

/* `width` bytes of length, the most significant one first. */
static void read_length(struct head *head, const char *bytes, unsigned width)
{
    head->length = 0;
    for (unsigned i = 0; i < width; i++)
        head->length = head->length << 8 | (uint8_t)bytes[i];
    if (head->length >> 63)
        refuse(head, WS_CODE_PROTOCOL, "a length with its first bit set");
    else if (head->length < (width == 2 ? 126 : 65536))
        refuse(head, WS_CODE_PROTOCOL, "a length in more bytes than it needs");
}

uint64_t ws_decoder_limit(const struct ws_decoder *d, bool is_compressed)
{
    uint64_t slack = is_compressed ? d->most / 8 + 1024 : 0;

    return slack > UINT64_MAX - d->most ? UINT64_MAX : d->most + slack;
}

static void check_limit(struct head *head, const struct ws_decoder *d)
{
    bool is_compressed = d->opcode != 0 ? d->is_compressed : head->is_compressed;
    uint64_t limit = ws_decoder_limit(d, is_compressed);

    /* More than it was declared by then, if the limit has become smaller meanwhile. */
    if (!head->is_control && (d->declared > limit || head->length > limit - d->declared))
        refuse(head, WS_CODE_TOO_LARGE, "the message is too large");
}

/* Each byte is looked at as soon as it is there. */
static struct head read_head(const struct ws_decoder *d, const char *bytes, size_t length)
{
    struct head head = {.size = 2 + MASK_SIZE};
    unsigned width;

    if (length > 0)
        check_first_byte(&head, d, (uint8_t)bytes[0]);
    if (length < 2 || head.error != 0)
        return head;
    check_second_byte(&head, (uint8_t)bytes[1]);
    width = head.size - 2u - MASK_SIZE;
    if (length < 2 + width || head.error != 0)
        return head;
    if (width > 0)
        read_length(&head, bytes + 2, width);
    if (head.error == 0)
        check_limit(&head, d);
    head.is_whole = length >= head.size;
    return head;
}

/* ---- items ---- */

static void fail(struct ws_decoder *d, struct ws_item *item, uint16_t code, const char *why)
{
    ws_decoder_end(d);
    *item = (struct ws_item){.kind = WS_ERROR, .code = code, .why = why};
}

bool ws_frame_is_code(unsigned code)
{
    return (code >= 1000 && code <= 1014 && code != 1004 && code != WS_CODE_NONE && code != 1006) ||
           (code >= 3000 && code <= 4999);
}

static void take_close(struct ws_decoder *d, struct ws_item *item)
{
    const unsigned char *payload = (const unsigned char *)item->data;
    unsigned code = item->size != 0 ? (unsigned)payload[0] << 8 | payload[1] : WS_CODE_NONE;

    if (item->size != 0) {
        item->data += 2;
        item->size -= 2;
        if (!ws_frame_is_code(code)) {
            fail(d, item, WS_CODE_PROTOCOL, "a close code that is none");
            return;
        }
    }
    if (!utf8_is_valid(item->data, item->size)) {
        fail(d, item, WS_CODE_BAD_DATA, "a reason that is not UTF-8");
        return;
    }
    item->kind = WS_CLOSE;
    item->code = (uint16_t)code;
    ws_decoder_end(d);
}

/* It is all there. */
static size_t take_control(struct ws_decoder *d, char *bytes, const struct head *head,
                           struct ws_item *item)
{
    char *mask_at = bytes + head->size - MASK_SIZE;
    uint32_t mask;

    memcpy(&mask, mask_at, sizeof mask);
    unmask(mask_at, bytes + head->size, (size_t)head->length, mask);
    item->data = mask_at;
    item->size = (size_t)head->length;
    if (head->opcode == WS_OPCODE_CLOSE)
        take_close(d, item);
    else
        item->kind = head->opcode == WS_OPCODE_PING ? WS_PING : WS_PONG;
    return head->size + (size_t)head->length;
}

static void begin_frame(struct ws_decoder *d, const struct head *head, const char *mask_at)
{
    if (head->opcode != WS_OPCODE_CONTINUATION) {
        d->opcode = head->opcode;
        d->is_compressed = head->is_compressed;
        d->is_begun = false;
        d->declared = 0;
    }
    d->declared += head->length;
    d->left = head->length;
    d->is_final = head->is_final;
    memcpy(&d->mask, mask_at, sizeof d->mask);
}

/* The payload at `from`, of which `there` bytes have come, is unmasked to `to`. Returns how many
 * were taken. */
static size_t take_piece(struct ws_decoder *d, char *to, const char *from, size_t there,
                         struct ws_item *item)
{
    size_t size = there < d->left ? there : (size_t)d->left;

    unmask(to, from, size, d->mask);
    d->mask = mask_behind(d->mask, size);
    d->left -= size;
    *item = (struct ws_item){
        .kind = WS_PIECE,
        .is_first = !d->is_begun,
        .is_last = d->is_final && d->left == 0,
        .is_text = d->opcode == WS_OPCODE_TEXT,
        .is_compressed = d->is_compressed,
        .data = to,
        .size = size,
        .missing = d->left,
    };
    d->is_begun = true;
    if (item->is_last) {
        d->opcode = 0;
        d->declared = 0;
    }
    return size;
}

size_t ws_decode(struct ws_decoder *d, char *bytes, size_t length, struct ws_item *item_out)
{
    struct head head;
    uint64_t wanted;

    *item_out = (struct ws_item){.kind = WS_MORE};
    if (d->has_ended)
        return length;
    if (d->left > 0) {
        item_out->missing = d->left;
        return length == 0 ? 0 : take_piece(d, bytes, bytes, length, item_out);
    }
    head = read_head(d, bytes, length);
    if (head.error != 0) {
        fail(d, item_out, head.error, head.why);
        return length;
    }
    wanted = head.size + head.length;
    if (!head.is_whole ||
        length < (head.is_control || head.length == 0 ? wanted : head.size + 1u)) {
        item_out->missing = wanted - length;
        return 0;
    }
    if (head.is_control)
        return take_control(d, bytes, &head, item_out);
    begin_frame(d, &head, bytes + head.size - MASK_SIZE);
    return head.size + take_piece(d, bytes + head.size - MASK_SIZE, bytes + head.size,
                                  length - head.size, item_out);
}

/* ---- what is sent ---- */

static void write_number(char *out, uint64_t number, unsigned width)
{
    for (unsigned i = 0; i < width; i++)
        out[i] = (char)(number >> 8 * (width - 1 - i));
}

size_t ws_frame_head(enum ws_opcode opcode, bool is_final, bool is_compressed, uint64_t length,
                     char out[10])
{
    unsigned width = length < 126 ? 0 : length < 65536 ? 2 : 8;

    out[0] = (char)((is_final ? BIT_FINAL : 0) | (is_compressed ? BIT_RSV1 : 0) | (int)opcode);
    out[1] = (char)(width == 0 ? length : width == 2 ? 126 : 127);
    write_number(out + 2, length, width);
    return 2 + width;
}

size_t ws_frame_head_masked(enum ws_opcode opcode, bool is_final, bool is_compressed,
                            uint64_t length, const char key[4], char out[14])
{
    size_t size = ws_frame_head(opcode, is_final, is_compressed, length, out);

    out[1] = (char)(out[1] | BIT_MASKED);
    memcpy(out + size, key, MASK_SIZE);
    return size + MASK_SIZE;
}

size_t ws_frame_close(uint16_t code, const char *reason, char out[WS_CONTROL_MAX])
{
    size_t length = reason != NULL ? strlen(reason) : 0;

    if (code == WS_CODE_NONE)
        return 0;
    if (length > WS_REASON_MAX) {
        /* No character is cut in two: it does not go on at the cut. */
        for (length = WS_REASON_MAX; length > 0 && (reason[length] & 0xc0) == 0x80;)
            length--;
    }
    write_number(out, code, 2);
    if (length > 0)
        memcpy(out + 2, reason, length);
    return 2 + length;
}
