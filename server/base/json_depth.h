/* json_depth.h: cJSON recurses, a hundred bytes of stack and more for each bracket: so brackets are
 * counted before it sees a text. */
#ifndef BASE_JSON_DEPTH_H
#define BASE_JSON_DEPTH_H

#include <stdbool.h>

/* No more than `most` brackets are open at a time. The text need not be JSON. */
bool json_is_shallow(const char *text, int most);

#endif
