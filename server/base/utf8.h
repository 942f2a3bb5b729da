/* utf8.h: whether bytes are UTF-8 by the letter of RFC 3629: no overlong forms, no surrogates,
 * nothing beyond U+10FFFF. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

#define UTF8_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* The length of the character at the beginning, 1 to 4 bytes; 0: there is none. */
size_t utf8_sequence(const char *text, size_t length);

/* How many bytes from the beginning on are good. */
size_t utf8_span(const char *text, size_t length);

static inline bool utf8_is_valid(const char *text, size_t length)
{
    return utf8_span(text, length) == length;
}

/* Text that comes in pieces, cut anywhere. All zero at the beginning. */
struct utf8_pieces {
    char begun[3]; /* the first bytes of a character whose last one has not come */
    unsigned char length;
};

/* The next piece. False as soon as no further bytes can make it good: the first bad byte is seen in
 * the piece that has it. What comes after a false is not to be put. */
bool utf8_put(struct utf8_pieces *pieces, const char *text, size_t length);

/* The text may end here: no character is cut in two. */
static inline bool utf8_is_complete(const struct utf8_pieces *pieces)
{
    return pieces->length == 0;
}

#endif
