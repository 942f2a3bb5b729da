/* response.h: what an application may put into a response's head, and how it is written.
 *
 * Checks and formats straight into a buffer; what the response as a whole means is the caller's. */
#ifndef HTTP_RESPONSE_H
#define HTTP_RESPONSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* The code of "200 OK", or -1: three digits from 200 to 599, a space, and a reason without control
 * bytes (RFC 9112 section 4). */
int response_status_code(const char *status);

/* What a header means to the server. */
enum response_field {
    FIELD_PLAIN,
    FIELD_DATE,
    FIELD_SERVER,
    FIELD_CONTENT_LENGTH,
    FIELD_HOP_BY_HOP, /* the server's business: Connection, Transfer-Encoding, Upgrade, ... */
    FIELD_BAD         /* the name is no token, or the value has a control byte */
};

/* Appends "Name: value\r\n" unless it is bad or hop-by-hop. FIELD_BAD also with ENOMEM when memory
 * has run out (errno is EINVAL else). */
enum response_field response_put_field(struct buf *out, const char *name, const char *value);

/* A Content-Length's value, or -1. */
int64_t response_length_of(const char *value);

/* Appends the decimal digits of n. Room for 20 must be there. */
void response_put_number(struct buf *out, uint64_t n);
/* "HEX\r\n", the line before a chunk. Room for 18 must be there. */
void response_put_chunk_size(struct buf *out, uint64_t n);

/* 204 and 304 have no body; neither has the answer to HEAD (RFC 9112 section 6.3). */
static inline bool response_has_body(int status)
{
    return status != 204 && status != 304;
}

#endif
