/* body.h: where a request's body ends, strictly (RFC 9112 sections 6 and 7.1).
 *
 * A body decoder is told the bytes as they arrive and says which are framing and how many data
 * bytes follow. It copies nothing: the caller takes the data from its buffer, or reads up to
 * body_left() bytes from the socket straight into the application's memory. Chunk extensions and
 * trailers are checked, counted against limits and dropped. */
#ifndef HTTP_BODY_H
#define HTTP_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/head.h"

enum body_state {
    BODY_END,      /* complete: what follows is the next request */
    BODY_DATA,     /* body_left() > 0 data bytes come next */
    BODY_MORE,     /* the bytes given end within framing */
    BODY_BAD,      /* not valid chunked framing, or absurdly much of it: 400 */
    BODY_TOO_LARGE /* past max_body: 413 */
};

struct body {
    uint64_t left;     /* data bytes before the next framing or the end */
    uint64_t total;    /* data bytes announced so far */
    uint64_t max_body; /* 0: no limit */
    uint64_t size;     /* the chunk size being read */
    uint32_t overhead; /* bytes of extensions, trailers and zeros not yet outweighed by data */
    uint8_t step;      /* private */
    bool is_chunked;
};

/* BODY_TOO_LARGE right away when the declared length is past max_body, else BODY_END, BODY_DATA or
 * (chunked) BODY_MORE. */
enum body_state body_init(struct body *body, const struct head *head, uint64_t max_body);

/* Looks at data[0..length): sets *framing_out to the number of bytes to skip (they never come
 * again) and returns what follows them. With BODY_DATA nothing is skipped while body_left() > 0.
 * BODY_END, BODY_BAD and BODY_TOO_LARGE are final: asking again gives the same. */
enum body_state body_step(struct body *body, const char *data, size_t length, size_t *framing_out);

static inline uint64_t body_left(const struct body *body)
{
    return body->left;
}

/* n <= body_left() data bytes were taken. Returns the state then, as far as it is known without
 * looking on. */
enum body_state body_took(struct body *body, uint64_t n);

#endif
