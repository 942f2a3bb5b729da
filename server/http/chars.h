/* chars.h: what each byte may be in HTTP (RFC 9110 section 5.6.2) and in a URI (RFC 3986).
 *
 * One table for the whole room, so that a byte is looked up once and the grammar lives once. */
#ifndef HTTP_CHARS_H
#define HTTP_CHARS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum char_class {
    CHAR_TOKEN = 1,    /* tchar: methods, field names, transfer codings */
    CHAR_TARGET = 2,   /* pchar, '/' and '?': path and query, without the '%' of an escape */
    CHAR_REG_NAME = 4, /* unreserved and sub-delims: a host's name, without the '%' of an escape */
    CHAR_HEX = 8,
    CHAR_TEXT = 16, /* a field's value: all but control bytes, HTAB excepted (section 5.5) */
};

extern const uint8_t char_classes[256];

static inline bool char_is(char c, enum char_class class)
{
    return char_classes[(unsigned char)c] & class;
}

/* 0..15; the byte is CHAR_HEX. */
static inline unsigned char_hex_value(char c)
{
    unsigned letter = (unsigned char)c >> 6; /* 1 for A..F and a..f, 0 for digits */
    return ((unsigned char)c & 0xf) + 9 * letter;
}

static inline bool char_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A name or word that is ASCII without letters of upper case, against bytes in any case. */
static inline bool char_equals_lower(const char *data, const char *lower, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char c = data[i];
        if ((c >= 'A' && c <= 'Z' ? c | 0x20 : c) != lower[i])
            return false;
    }
    return true;
}

/* One tchar or more. */
bool char_is_token(const char *data, size_t length);

#endif
