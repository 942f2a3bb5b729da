/* view_check.h: the letter of RFC 8259 where cJSON does not keep to it. What passes may still be no
 * JSON: that is for cJSON to find, which is asked next. */
#ifndef WEB_VIEW_CHECK_H
#define WEB_VIEW_CHECK_H

#include <cjson/cJSON.h>
#include <stddef.h>

#define VIEW_DEPTH_MOST 128u

/* Looks at a text before it is parsed: NULL, or what is wrong and where. A text that is terminated
 * after `length` bytes. */
const char *view_check_text(const char *text, size_t length, size_t *at_out);

/* At most how many values there are in it. */
size_t view_check_count(const char *text, size_t length);

/* Looks at what was parsed, which is no deeper than VIEW_DEPTH_MOST: 0, or the status to answer
 * with and what is wrong. */
int view_check_tree(const cJSON *json, const char **flaw_out);

#endif
