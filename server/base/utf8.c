/* utf8.c: see utf8.h. */
#include "base/utf8.h"

#include <stdint.h>
#include <string.h>

/* The second byte says whether the form is overlong, a surrogate or too large (RFC 3629 section 4).
 */
static bool may_follow(unsigned char first, unsigned char second)
{
    switch (first) {
    case 0xe0:
        return second >= 0xa0 && second <= 0xbf;
    case 0xed:
        return second >= 0x80 && second <= 0x9f;
    case 0xf0:
        return second >= 0x90 && second <= 0xbf;
    case 0xf4:
        return second >= 0x80 && second <= 0x8f;
    default:
        return second >= 0x80 && second <= 0xbf;
    }
}

/* The length of the character that begins so, or 0. */
static size_t length_by(unsigned char first)
{
    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

size_t utf8_sequence(const char *text, size_t length)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t need;

    if (length == 0)
        return 0;
    need = length_by(p[0]);
    if (need < 2)
        return need;
    if (length < need || !may_follow(p[0], p[1]))
        return 0;
    for (size_t i = 2; i < need; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return need;
}

size_t utf8_span(const char *text, size_t length)
{
    size_t at = 0, step;
    uint64_t eight;

    while (at < length) {
        /* Most text is ASCII, so that eight bytes are looked at in one go. */
        while (length - at >= sizeof eight) {
            memcpy(&eight, text + at, sizeof eight);
            if (eight & 0x8080808080808080u)
                break;
            at += sizeof eight;
        }
        step = utf8_sequence(text + at, length - at);
        if (step == 0)
            break;
        at += step;
    }
    return at;
}

/* One byte more of a character that is not complete, or the first of one. */
static bool put_byte(struct utf8_pieces *pieces, char byte)
{
    unsigned char first = (unsigned char)pieces->begun[0], next = (unsigned char)byte;
    size_t need = length_by(pieces->length == 0 ? next : first);

    if (need == 0 || (pieces->length == 1 && !may_follow(first, next)) ||
        (pieces->length > 1 && (next & 0xc0) != 0x80))
        return false;
    if (pieces->length + 1u == need)
        pieces->length = 0;
    else
        pieces->begun[pieces->length++] = byte;
    return true;
}

bool utf8_put(struct utf8_pieces *pieces, const char *text, size_t length)
{
    size_t at = 0;

    while (at < length && pieces->length > 0)
        if (!put_byte(pieces, text[at++]))
            return false;
    at += utf8_span(text + at, length - at);
    /* What is left is bad, or a character that goes on in the next piece: three bytes at most. */
    while (at < length)
        if (!put_byte(pieces, text[at++]))
            return false;
    return true;
}
