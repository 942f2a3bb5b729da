/* range.h: the Range header of RFC 9110 section 14. Pure logic. */
#ifndef FILES_RANGE_H
#define FILES_RANGE_H

#include <stddef.h>
#include <stdint.h>

#define RANGE_LIMIT 16 /* parts in one answer; who asks for more gets the whole file */

struct range {
    int64_t first; /* both ends belong to it, as in the header */
    int64_t last;
};

struct range_set {
    struct range items[RANGE_LIMIT]; /* in the order asked for, none overlapping another */
    size_t count;
};

enum range_verdict {
    RANGE_WHOLE,        /* ignore the header: malformed, another unit, or abusive */
    RANGE_PARTS,        /* answer 206 with the set, which has at least one item */
    RANGE_UNSATISFIABLE /* answer 416 */
};

/* What `header`, the value of Range, asks of a file of `size` bytes. */
enum range_verdict range_parse(const char *header, int64_t size, struct range_set *set_out);

int64_t range_size(const struct range *range);

#endif
