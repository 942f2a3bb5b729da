/* negotiation.h: what a client would rather have, by its Accept and Accept-Encoding (RFC 9110
 * section 12). Qualities are in thousandths: 0 is "not acceptable". */
#ifndef WEB_NEGOTIATION_H
#define WEB_NEGOTIATION_H

#include <stdbool.h>

/* Of a media type without parameters ("text/html") for the Accept header; 1000 without one (NULL).
 * By the most specific range that fits; ranges with parameters but q fit nothing.
 * *specificity_out: 0: nothing fits, 1: "*" "/" "*", 2: "text/" "*", 3: the type itself. */
unsigned negotiation_type_quality(const char *accept, const char *type, int *specificity_out);

/* The index of the best of `types`, which end with NULL: the highest quality, then the most specific
 * range, then the first. 0 when none is acceptable. */
unsigned negotiation_best_type(const char *accept, const char *const *types);

enum negotiation_gzip {
    NEGOTIATION_PLAIN,  /* not compressed */
    NEGOTIATION_GZIP,   /* gzip, where it is worth while */
    NEGOTIATION_REFUSED /* gzip only: it shall not come as it is */
};
/* By the Accept-Encoding header, which may be NULL. */
enum negotiation_gzip negotiation_gzip(const char *accept_encoding);

#endif
