/* base64.h: base64 as HTTP has it (RFC 4648 section 4). */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stddef.h>
#include <sys/types.h>

/* Decodes all of `text` into `out`, which has room for strlen(text) / 4 * 3 + 3 bytes. The number of
 * bytes, or -1: it is not base64. The padding may be missing; bits that mean nothing are zero. */
ssize_t base64_decode(const char *text, unsigned char *out);

/* The length of what `size` bytes are encoded to, without the NUL. */
static inline size_t base64_length(size_t size)
{
    return (size + 2) / 3 * 4;
}

/* Encodes them into out[0..base64_length(size)], padded, with a NUL. */
void base64_encode(const unsigned char *data, size_t size, char *out);

#endif
