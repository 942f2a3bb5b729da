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

#endif
