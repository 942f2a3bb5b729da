/* form_part.h: one field of a form, and what its headers say of it (RFC 7578 section 4.2). */
#ifndef WEB_FORM_PART_H
#define WEB_FORM_PART_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <reeve/form.h>

struct reeve_part {
    STAILQ_ENTRY(reeve_part) entry;
    const char *name, *filename, *type; /* filename NULL: not a file */
    const char *head;                   /* header lines, each with a NUL behind it; "" at the end */
    uint64_t size;
    char *data;  /* NULL: in the file */
    size_t room; /* of data, when it is the part's own to free; else 0 */
    int fd;      /* -1: none */
};

/* Bytes that part_describe needs for a part of that many bytes of headers. */
static inline size_t part_room(size_t head_length)
{
    return 2 * head_length + 3;
}

/* Fills in a part in place of what was in it: `head` as the parser leaves it, copied into `memory`
 * with what is made of it. 0, or the status to refuse with, 400 or 415, and a sentence. */
int part_describe(struct reeve_part *part, const char *head, size_t head_length, char *memory,
                  const char **error_out);

#endif
