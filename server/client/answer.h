/* answer.h: an answer's head, from bytes to a checked struct (RFC 9112, section 4).
 *
 * As strict as with requests: what two readers could understand differently is refused. In two
 * steps, as http/head.h, of which it takes the scan of header lines and the struct. No sockets. */
#ifndef CLIENT_ANSWER_H
#define CLIENT_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "http/head.h"

#define ANSWER_LINES 256 /* of header fields, at most */

/* Looks at data[0..length), which begins where it began before. 0 when more is needed, 200 when the
 * head is complete (scan->length bytes of it), else -1 with EBADMSG or EMSGSIZE. `scan` is all zero
 * at the begin. The result does not depend on how the bytes came. */
int answer_scan(struct head_scan *scan, const char *data, size_t length, size_t max_head);

struct keeper;

/* An answer, as the public interface shows it. */
struct reeve_client_response {
    int status;
    struct head head;    /* fields, framing, is_keep_alive; spans are in `text` */
    unsigned keep_alive; /* for how many seconds the service says it will; 0: it does not */
    bool has_keep_alive;
    char *body; /* of a fetched one, NUL-terminated; NULL: empty */
    size_t body_size;
    LIST_ENTRY(reeve_client_response) entry;
    struct keeper *keeper; /* who frees it at the request's end; NULL: nobody */
    char *text;            /* behind the fields */
    struct head_field fields[];
};

/* Parses the head that answer_scan found in `data`, which is only read. NULL with errno: EBADMSG,
 * ENOMEM. */
struct reeve_client_response *answer_parse(const struct head_scan *scan, const char *data);
/* With its body. NULL is fine. */
void answer_free(struct reeve_client_response *answer);

#endif
