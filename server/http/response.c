/* response.c: checks and formats a response's head. */
#include "http/response.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/types.h>

#include "http/chars.h"

int response_status_code(const char *status)
{
    if (!char_is_digit(status[0]) || !char_is_digit(status[1]) || !char_is_digit(status[2]) ||
        status[3] != ' ')
        return -1;
    if (status[0] < '2' || status[0] > '5')
        return -1;
    for (const char *p = status + 4; *p; p++)
        if (!char_is(*p, CHAR_TEXT))
            return -1;
    return (status[0] - '0') * 100 + (status[1] - '0') * 10 + (status[2] - '0');
}

struct special {
    const char *name;
    size_t length;
    enum response_field field;
};

#define SPECIAL(name, field)          \
    {                                 \
        name, sizeof(name) - 1, field \
    }

/* PEP 3333's hop-by-hop list is that of RFC 2616 section 13.5.1, and the proxies' own
 * Proxy-Connection. */
static const struct special specials[] = {
    SPECIAL("Date", FIELD_DATE),
    SPECIAL("Server", FIELD_SERVER),
    SPECIAL("Content-Length", FIELD_CONTENT_LENGTH),
    SPECIAL("Connection", FIELD_HOP_BY_HOP),
    SPECIAL("Keep-Alive", FIELD_HOP_BY_HOP),
    SPECIAL("Proxy-Authenticate", FIELD_HOP_BY_HOP),
    SPECIAL("Proxy-Authorization", FIELD_HOP_BY_HOP),
    SPECIAL("Proxy-Connection", FIELD_HOP_BY_HOP),
    SPECIAL("TE", FIELD_HOP_BY_HOP),
    SPECIAL("Trailer", FIELD_HOP_BY_HOP),
    SPECIAL("Trailers", FIELD_HOP_BY_HOP),
    SPECIAL("Transfer-Encoding", FIELD_HOP_BY_HOP),
    SPECIAL("Upgrade", FIELD_HOP_BY_HOP),
};

/* The length rules out nearly all of them, for the price of a comparison. */
static enum response_field kind_of(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof specials / sizeof specials[0]; i++)
        if (specials[i].length == length && strcasecmp(name, specials[i].name) == 0)
            return specials[i].field;
    return FIELD_PLAIN;
}

/* The length of a run of bytes of one kind that ends with NUL, or -1. */
static ssize_t token_length(const char *name)
{
    size_t n = 0;

    while (char_is(name[n], CHAR_TOKEN))
        n++;
    return name[n] == '\0' && n > 0 ? (ssize_t)n : -1;
}

static ssize_t value_length(const char *value)
{
    size_t n = 0;

    while (char_is(value[n], CHAR_TEXT))
        n++;
    return value[n] == '\0' ? (ssize_t)n : -1;
}

enum response_field response_put_field(struct buf *out, const char *name, const char *value)
{
    ssize_t name_size = token_length(name), value_size = value ? value_length(value) : -1;
    enum response_field kind;
    char *p;

    errno = EINVAL;
    if (name_size == -1 || value_size == -1)
        return FIELD_BAD;
    kind = kind_of(name, (size_t)name_size);
    if (kind == FIELD_HOP_BY_HOP)
        return kind;
    if (buf_reserve(out, (size_t)(name_size + value_size) + 4) == -1)
        return FIELD_BAD;
    p = out->data + out->end;
    memcpy(p, name, (size_t)name_size);
    p += name_size;
    *p++ = ':';
    *p++ = ' ';
    memcpy(p, value, (size_t)value_size);
    p += value_size;
    *p++ = '\r';
    *p++ = '\n';
    out->end = (size_t)(p - out->data);
    return kind;
}

int64_t response_length_of(const char *value)
{
    int64_t n = 0;

    if (!*value)
        return -1;
    for (; *value; value++) {
        if (!char_is_digit(*value) || n > (INT64_MAX - 9) / 10)
            return -1;
        n = n * 10 + (*value - '0');
    }
    return n;
}

void response_put_number(struct buf *out, uint64_t n)
{
    char digits[20];
    int i = sizeof digits;

    do
        digits[--i] = (char)('0' + n % 10);
    while (n /= 10);
    memcpy(out->data + out->end, digits + i, sizeof digits - (size_t)i);
    out->end += sizeof digits - (size_t)i;
}

void response_put_chunk_size(struct buf *out, uint64_t n)
{
    char digits[18];
    int i = sizeof digits;

    digits[--i] = '\n';
    digits[--i] = '\r';
    do
        digits[--i] = "0123456789abcdef"[n & 15];
    while (n >>= 4);
    memcpy(out->data + out->end, digits + i, sizeof digits - (size_t)i);
    out->end += sizeof digits - (size_t)i;
}
