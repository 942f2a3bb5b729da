/* conditions.h: entity-tags, dates and the If-* headers of RFC 9110. Pure logic; strings are
 * borrowed. */
#ifndef FILES_CONDITIONS_H
#define FILES_CONDITIONS_H

#include <stdbool.h>
#include <time.h>

#define DATE_SIZE 30 /* "Sun, 06 Nov 1994 08:49:37 GMT" and its NUL */

/* What a file is compared by. */
struct validators {
    const char *etag; /* strong, with its quotes */
    time_t modified;
};

/* The request's headers; NULL where one is missing. */
struct conditions {
    const char *if_match;
    const char *if_unmodified_since;
    const char *if_none_match;
    const char *if_modified_since;
    time_t now; /* a year of two digits is read relative to it */
};

enum condition_verdict {
    CONDITION_HOLDS,        /* go on */
    CONDITION_NOT_MODIFIED, /* answer 304 */
    CONDITION_FAILED        /* answer 412 */
};

/* Weighs the conditions of a GET or HEAD in the order of section 13.2.2. */
enum condition_verdict conditions_check(const struct conditions *conditions,
                                        const struct validators *file);

/* Section 13.1.5: whether Range may be obeyed, the client having a part of this very file. */
bool if_range_holds(const char *if_range, const struct validators *file, time_t now);

/* Whether `list`, "*" or entity-tags with commas between, has `etag`. A weak tag equals no other
 * when the comparison is to be strong (section 8.8.3.2). A malformed list has nothing behind its
 * flaw. */
bool etag_list_has(const char *list, const char *etag, bool is_strong);

/* A date in any of the three formats of section 5.6.7. False for anything else. */
bool date_parse(const char *text, time_t now, time_t *date_out);

/* The one format that is sent. The years go from 0 to 9999. */
void date_format(time_t date, char text_out[DATE_SIZE]);

#endif
