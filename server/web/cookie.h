/* cookie.h: the pairs of a Cookie header, and the text of a Set-Cookie one (RFC 6265). No requests,
 * no memory of its own. */
#ifndef WEB_COOKIE_H
#define WEB_COOKIE_H

#include <stdbool.h>
#include <sys/types.h>

#include <reeve/form.h>

#include "http/head.h"

/* Where one is in a Cookie header. */
struct cookie_walk {
    const char *at;
    unsigned count; /* pairs so far, those passed over among them */
};

/* The next pair that counts; false at the end. */
bool cookie_next(struct cookie_walk *walk, struct span *name_out, struct span *value_out);

/* Writes a Set-Cookie value as snprintf does: returns its length, also when it did not fit; -1 with
 * EINVAL for what reeve_cookie_format refuses. The struct has its full size. */
ssize_t cookie_write(const reeve_cookie *cookie, char *out, size_t size);

#endif
