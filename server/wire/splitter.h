/* splitter.h: where the data of a chat protocol end: at some bytes, after a length, or nowhere
 * (asynchat's terminators).
 *
 * It looks at the bytes that its driver has and has not taken yet, and remembers how far it has
 * looked: however the bytes come in, each is looked at once (twice when it may begin a terminator).
 * It owns no buffer and limits no length: how much may come without a terminator is the driver's
 * concern. */
#ifndef WIRE_SPLITTER_H
#define WIRE_SPLITTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPLITTER_MAX 4096 /* bytes of a terminator */

/* Embedded. Every field is private. */
struct splitter {
    uint64_t left; /* of a length: bytes still to be taken */
    size_t seen;   /* of bytes: how many of the driver's were looked at */
    union {
        char near[16];
        uint16_t *far; /* when longer: see splitter.c */
    } mark;            /* of bytes: the terminator */
    uint16_t length;   /* of it */
    uint16_t matched;  /* how many of its bytes the last ones seen are; length: it was found */
    uint8_t kind;
};

/* Begins without a terminator: everything is data. */
void splitter_init(struct splitter *s);
void splitter_fini(struct splitter *s);

/* From here on, which is the first byte that was not taken, the data end at ...
 * ... these bytes, 1 to SPLITTER_MAX, which are copied. -1 with errno EINVAL (length) or ENOMEM;
 * the former terminator stays. After it was found it goes on being the terminator. */
int splitter_set_bytes(struct splitter *s, const char *bytes, size_t length);
/* ... so many bytes. After that there is none, until it is set again. 0 is found without a byte. */
void splitter_set_length(struct splitter *s, uint64_t length);
/* ... nowhere. */
void splitter_set_none(struct splitter *s);

/* Looks at bytes[0..length), all that the driver has and has not taken, and so begins with those of
 * the call before that were not taken since. *data_out of them, from the first, are certainly data;
 * what follows these may be the beginning of a terminator and has to wait.
 *
 * True: what follows is the terminator, of *mark_out bytes (0 for a length). False: it is not there
 * yet, *mark_out is 0.
 *
 * A length of 0 is found without bytes: after each change of the terminator it is worth a look. */
bool splitter_look(struct splitter *s, const char *bytes, size_t length, size_t *data_out,
                   size_t *mark_out);

/* Both are to be told before anybody can change the terminator (a callback).
 *
 * The driver has taken n bytes of the data: up to all of them, which need not be taken at once. The
 * terminator, also a length of which nothing is left, is still to be found. */
void splitter_took(struct splitter *s, size_t n);
/* After a true look: it has taken so many bytes, all the data that were left and the mark. The search
 * begins anew, and a length is over. */
void splitter_passed(struct splitter *s, size_t n);

/* The driver has thrown away what it had. A length goes on counting what comes. */
void splitter_forget(struct splitter *s);

#endif
