/* body.c: the framing of request bodies, one byte of it at a time (RFC 9112 sections 6 and 7.1).
 *
 * Every byte that is not data must be the one that the grammar wants there: a decoder that is
 * lenient is one that a proxy in front of it can be made to disagree with. */
#include "http/body.h"

#include "http/chars.h"

/* Bytes of framing that carry nothing are worth this much in advance; more must be earned by data,
 * of which a chunk signature (about 100 bytes for 8 KiB and more) is the dearest in use. */
#define OVERHEAD_MAX            16384
#define DATA_A_BYTE_OF_OVERHEAD 64

enum step {
    SIZE_FIRST, /* the first digit of a chunk's size */
    SIZE,       /* more digits, an extension, or the line's end */
    EXT_AFTER,  /* white space behind a size, a name or a value: only ';' may follow */
    EXT_NAME,   /* behind ';', before its name has begun */
    EXT_IN_NAME,
    EXT_NAME_WS, /* white space behind the name: '=' or ';' */
    EXT_VALUE,   /* behind '=' */
    EXT_IN_VALUE,
    EXT_QUOTED,
    EXT_ESCAPED,
    EXT_UNQUOTED, /* behind the closing quote */
    SIZE_LF,
    DATA_CR, /* behind the chunk's data */
    DATA_LF,
    TRAILER, /* the beginning of a trailer line, or of the last, empty one */
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    LAST_LF,
    ENDED,
    BAD,
    TOO_LARGE,
};

enum body_state body_init(struct body *body, const struct head *head, uint64_t max_body)
{
    *body = (struct body){.max_body = max_body, .is_chunked = head->is_chunked, .step = ENDED};
    if (head->is_chunked) {
        body->step = SIZE_FIRST;
        return BODY_MORE;
    }
    if (max_body && head->content_length > max_body) {
        body->step = TOO_LARGE;
        return BODY_TOO_LARGE;
    }
    body->left = body->total = head->content_length;
    return body->left ? BODY_DATA : BODY_END;
}

static bool is_white(char c)
{
    return c == ' ' || c == '\t';
}

/* A further digit; false when the size is past what can be counted, or zeros in front of it are. */
static bool add_digit(struct body *body, char c)
{
    if (body->size >> 59) /* so that it stays an off_t */
        return false;
    body->size = body->size << 4 | char_hex_value(c);
    return body->size || ++body->overhead <= OVERHEAD_MAX;
}

/* Behind a size, or an extension that could end here. */
static enum step after_part(char c)
{
    return c == '\r' ? SIZE_LF : c == ';' ? EXT_NAME : is_white(c) ? EXT_AFTER : BAD;
}

static enum step in_size(struct body *body, char c)
{
    if (char_is(c, CHAR_HEX))
        return add_digit(body, c) ? SIZE : BAD;
    return body->step == SIZE_FIRST ? BAD : after_part(c);
}

/* chunk-ext (RFC 9112 section 7.1.1), with the white space that a recipient has to bear. */
static enum step in_extension(enum step step, char c)
{
    bool is_token = char_is(c, CHAR_TOKEN);

    switch (step) {
    case EXT_AFTER:
        return is_white(c) ? EXT_AFTER : c == ';' ? EXT_NAME : BAD;
    case EXT_NAME:
        return is_white(c) ? EXT_NAME : is_token ? EXT_IN_NAME : BAD;
    case EXT_IN_NAME:
        if (is_token)
            return EXT_IN_NAME;
        return c == '=' ? EXT_VALUE : is_white(c) ? EXT_NAME_WS : after_part(c);
    case EXT_NAME_WS:
        return is_white(c) ? EXT_NAME_WS : c == '=' ? EXT_VALUE : c == ';' ? EXT_NAME : BAD;
    case EXT_VALUE:
        return is_white(c) ? EXT_VALUE : c == '"' ? EXT_QUOTED : is_token ? EXT_IN_VALUE : BAD;
    case EXT_IN_VALUE:
        return is_token ? EXT_IN_VALUE : after_part(c);
    case EXT_QUOTED:
        if (!char_is(c, CHAR_TEXT))
            return BAD;
        return c == '"' ? EXT_UNQUOTED : c == '\\' ? EXT_ESCAPED : EXT_QUOTED;
    case EXT_ESCAPED:
        return char_is(c, CHAR_TEXT) ? EXT_QUOTED : BAD;
    default: /* EXT_UNQUOTED */
        return after_part(c);
    }
}

/* Trailers obey the grammar of header lines; their content is nobody's business here. */
static enum step in_trailer(enum step step, char c)
{
    switch (step) {
    case TRAILER:
        return c == '\r' ? LAST_LF : char_is(c, CHAR_TOKEN) ? TRAILER_NAME : BAD;
    case TRAILER_NAME:
        return c == ':' ? TRAILER_VALUE : char_is(c, CHAR_TOKEN) ? TRAILER_NAME : BAD;
    case TRAILER_VALUE:
        return c == '\r' ? TRAILER_LF : char_is(c, CHAR_TEXT) ? TRAILER_VALUE : BAD;
    case TRAILER_LF:
        return c == '\n' ? TRAILER : BAD;
    default:
        return c == '\n' ? ENDED : BAD;
    }
}

/* The size is complete: the limit is checked before a byte of the chunk is taken. */
static enum step begin_data(struct body *body)
{
    uint64_t size = body->size, earned = size / DATA_A_BYTE_OF_OVERHEAD;

    body->size = 0;
    if (size == 0)
        return TRAILER;
    if (size > INT64_MAX - body->total)
        return body->max_body ? TOO_LARGE : BAD;
    if (body->max_body && size > body->max_body - body->total)
        return TOO_LARGE;
    body->total += size;
    body->left = size;
    body->overhead -= earned < body->overhead ? (uint32_t)earned : body->overhead;
    return DATA_CR;
}

static enum step after_byte(struct body *body, char c)
{
    enum step step = body->step;

    if (step <= SIZE)
        return in_size(body, c);
    if (step == SIZE_LF)
        return c == '\n' ? begin_data(body) : BAD;
    if (step == DATA_CR)
        return c == '\r' ? DATA_LF : BAD;
    if (step == DATA_LF)
        return c == '\n' ? SIZE_FIRST : BAD;
    if (++body->overhead > OVERHEAD_MAX)
        return BAD;
    return step < SIZE_LF ? in_extension(step, c) : in_trailer(step, c);
}

static enum body_state state_of(const struct body *body)
{
    if (body->left)
        return BODY_DATA;
    switch (body->step) {
    case ENDED:
        return BODY_END;
    case BAD:
        return BODY_BAD;
    case TOO_LARGE:
        return BODY_TOO_LARGE;
    default:
        return BODY_MORE;
    }
}

enum body_state body_step(struct body *body, const char *data, size_t length, size_t *framing_out)
{
    size_t at = 0;

    while (state_of(body) == BODY_MORE && at < length)
        body->step = (uint8_t)after_byte(body, data[at++]);
    *framing_out = at;
    return state_of(body);
}

enum body_state body_took(struct body *body, uint64_t n)
{
    body->left -= n;
    return state_of(body);
}
