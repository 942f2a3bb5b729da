/* listing.h: a folder's contents as a page. */
#ifndef FILES_LISTING_H
#define FILES_LISTING_H

#include <stdbool.h>

#include <reeve/app.h>

struct listing {
    struct dirent **entries;
    int count;
    bool has_dotfiles; /* they are shown */
};

/* Reads the names in the folder `path` below the folder `root`, sorted; "" is the root itself.
 * Returns 0, or -1 with the errno of open_beneath or malloc and nothing for listing_fini to do. */
int listing_read(struct listing *listing, int root, const char *path, bool has_dotfiles);

/* Writes the page after start_response. Returns 0 or -1. [suspends] */
int listing_write(const struct listing *listing, reeve_environ *environ);

void listing_fini(struct listing *listing);

#endif
