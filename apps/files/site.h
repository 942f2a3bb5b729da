/* site.h: what the options say is to be served. */
#ifndef FILES_SITE_H
#define FILES_SITE_H

#include <stdbool.h>

#include <reeve/app.h>

#include "cache.h"

/* One for each loaded build in each worker, from init to fini. */
struct site {
    int root;          /* the folder, as an O_PATH descriptor */
    const char *index; /* the module's */
    bool has_listing;
    bool has_dotfiles;
    struct cache *cache;
};

/* NULL when an option is wrong, reeve_refuse having been told why. */
struct site *site_new(reeve_module *module);
void site_free(struct site *site);

#endif
