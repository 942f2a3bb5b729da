/* base64.h: base64 as credentials are sent in (RFC 4648 section 4). */
#ifndef WEB_BASE64_H
#define WEB_BASE64_H

#include <stddef.h>
#include <sys/types.h>

/* Decodes all of `text` into `out`, which has room for strlen(text) / 4 * 3 + 3 bytes. The number of
 * bytes, or -1: it is not base64. The padding may be missing; bits that mean nothing are zero. */
ssize_t base64_decode(const char *text, unsigned char *out);

#endif
