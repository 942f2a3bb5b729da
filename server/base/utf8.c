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

size_t utf8_sequence(const char *text, size_t length)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t need;

    if (length == 0)
        return 0;
    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    need = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
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
