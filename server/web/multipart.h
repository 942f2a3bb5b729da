/* multipart.h: where the parts of a multipart/form-data body begin and end (RFC 2046 section 5.1,
 * RFC 7578), from bytes that come in any pieces.
 *
 * A parser is told the bytes as they arrive and says what comes next in them. It knows nothing of
 * requests, and never needs more of the body than one part's headers: data is pointed at where it
 * lies. Each byte is looked at twice at most, whatever the body has in place of a boundary. */
#ifndef WEB_MULTIPART_H
#define WEB_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/head.h"

#define MULTIPART_BOUNDARY_MAX 70

struct multipart_limits {
    size_t max_parts;
    size_t max_head; /* bytes of a part's headers; also of what stands around the parts */
    size_t max_headers;
};

enum multipart_event {
    MULTIPART_MORE, /* all was looked at */
    MULTIPART_PART, /* a part's headers are complete: parser->head */
    MULTIPART_DATA, /* *data_out: some of the part's bytes, until the next call */
    MULTIPART_ENDS, /* the part does */
    MULTIPART_BAD   /* parser->status and ->error; final */
};

struct multipart {
    struct multipart_limits limits;
    char delimiter[4 + MULTIPART_BOUNDARY_MAX]; /* CR LF "--" boundary */
    size_t delimiter_length;
    size_t matched;  /* bytes of it that were the last ones looked at: held back until they are data
                        or a boundary */
    size_t borrowed; /* of those: the end of a line that belongs to the headers, so never data */
    int step;        /* private, as the next three */
    size_t outside;  /* bytes before the first boundary or behind the last; padding */
    size_t line;     /* offset in head of the header line that is not complete yet */
    size_t headers;  /* lines so far */
    size_t parts;    /* so far */
    char *head;      /* the header lines of this part with a NUL in place of each CR LF, and another
                       behind the last */
    size_t head_length; /* without that last one */
    uint64_t compared;  /* bytes held against the delimiter so far: what a hostile body could make
                          grow faster than itself */
    int status;
    const char *error; /* a sentence */
};

/* Whether a boundary is one: 1 to 70 bytes of bchars, the last no space. */
bool multipart_is_boundary(const char *boundary, size_t length);

/* The boundary is one. 0, or -1 with ENOMEM. */
int multipart_init(struct multipart *parser, const char *boundary,
                   const struct multipart_limits *limits);
void multipart_fini(struct multipart *parser);

/* Looks at data[0..size) up to the next event, which is the same however the bytes were cut, but
 * for the cuts of data. *used_out bytes were looked at and do not come again. MULTIPART_MORE is
 * returned only when all were. */
enum multipart_event multipart_step(struct multipart *parser, const char *data, size_t size,
                                    size_t *used_out, struct span *data_out);

/* The body is over: 0, or -1 (status and error) when the last boundary has not come. */
int multipart_finish(struct multipart *parser);

#endif
