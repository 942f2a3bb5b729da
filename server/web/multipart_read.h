/* multipart_read.h: a multipart body of a request, pulled piece by piece; the ground of
 * reeve_form_read. */
#ifndef WEB_MULTIPART_READ_H
#define WEB_MULTIPART_READ_H

#include "web/form_part.h"
#include "web/multipart.h"

#define MULTIPART_PIECE 65536u /* the most that is read, and given, at once */

struct reeve_multipart {
    reeve_environ *environ;
    struct multipart parser;
    uint64_t max_size, size; /* of the body, so far */
    char *buffer;            /* NULL: all is given back */
    size_t at, end;          /* of it: not looked at yet */
    struct span piece;       /* data of the part that reeve_multipart_read has not given yet */
    bool is_within;          /* a part, whose end has not been seen */
    bool is_over;            /* the body is */
    int status;              /* not 0: it has failed, for good */
    struct reeve_part part;
    char *memory; /* of the part */
};

/* Begins with a body that has that boundary. Lives in the request's memory. 0 or a status. */
int multipart_begin(reeve_environ *environ, const char *boundary, const reeve_form_limits *limits,
                    struct reeve_multipart **multipart_out);
/* Gives back what it holds, before the request's end. */
void multipart_close(struct reeve_multipart *multipart);

/* To the next part, whose headers are then in the parser; false in is_within: there is none, and
 * the body was well-formed. 0 or a status. [suspends] */
int multipart_advance(struct reeve_multipart *multipart);
/* Some of its data, until the next call; the length is 0 at its end. 0 or a status. [suspends] */
int multipart_pull(struct reeve_multipart *multipart, struct span *piece_out);

#endif
