/* route.h: from a listener and a path to an app: the longest mount wins. */
#ifndef APP_ROUTE_H
#define APP_ROUTE_H

#include <stddef.h>

#include "base/config.h"

struct route {
    const char *mount; /* "" for "/" */
    size_t length;
    unsigned app; /* index into config->apps */
};

struct route_table {
    struct route *routes; /* longest first */
    size_t count;
};

/* One table for each of config->listens; empty for those that do not speak HTTP. NULL when memory has run out. */
struct route_table *route_tables_new(const struct config *config);
void route_tables_free(struct route_table *tables, const struct config *config);

/* The route whose mount is `path` or a whole-segment prefix of it; NULL. */
const struct route *route_find(const struct route_table *table, const char *path, size_t length);

#endif
