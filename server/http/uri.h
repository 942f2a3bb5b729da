/* uri.h: percent-decoding and the checks of a path and an authority (RFC 3986). */
#ifndef HTTP_URI_H
#define HTTP_URI_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Decodes a raw path (no query) once into out[0..length], NUL-terminated; out may be as long as
 * length + 1, and may be raw itself. Returns the decoded length or -1 when it has a bad escape,
 * decodes to a NUL or another control byte, does not begin with '/', or has a "." or ".." segment
 * before or after decoding. */
ssize_t uri_decode_path(const char *raw, size_t length, char *out);

/* Decodes a query or form component likewise: '+' is a space. -1 for a bad escape or a NUL. */
ssize_t uri_decode_component(const char *raw, size_t length, char *out);

/* All bytes are allowed in the path and query of a target (RFC 3986 sections 3.3 and 3.4; '#' is
 * not), and escapes are whole. */
bool uri_is_target(const char *raw, size_t length);

/* host [ ":" port ] (RFC 3986 section 3.2.2 without userinfo; the port may be empty, and is at most
 * 65535). An empty host is not one. */
bool uri_is_authority(const char *raw, size_t length);

#endif
