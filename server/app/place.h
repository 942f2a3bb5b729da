/* place.h: where in a build's code something is, as an offset that its file explains. */
#ifndef APP_PLACE_H
#define APP_PLACE_H

#include <stdint.h>

struct generation;
struct mapping;

/* Of the module that has `inside` in it. */
void place_find_mapping(const void *inside, struct mapping *mapping_out);

/* Where in the module, from its load address: `site` is where a call returns to, and the place is
 * within the call. When that is not in the module, since the call was its function's last deed and
 * became a jump, it is `entry`, where its code was entered. 0: not known. */
uint64_t place_in(const struct generation *generation, const char *site, const void *entry);

#endif
