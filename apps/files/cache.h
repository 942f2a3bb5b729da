/* cache.h: open files with what their answers need, shared by the requests that send them. */
#ifndef FILES_CACHE_H
#define FILES_CACHE_H

#include <stdint.h>
#include <time.h>

#include "conditions.h"

/* One regular file as it was when it was opened. Lives as long as somebody holds it. */
struct file {
    int fd;
    int64_t size;
    time_t modified;
    const char *type;     /* media type, constant */
    const char *contents; /* all of a small file; NULL: send it from fd */
    char length[24];      /* size, in digits */
    char etag[64];
    char last_modified[DATE_SIZE];

    /* cache.c's own */
    unsigned references;
    struct timespec changed;
    uint64_t inode;
    char *path;
};

struct cache;

/* A cache of the files below the folder `root`, a descriptor that stays the caller's. NULL:
 * ENOMEM. */
struct cache *cache_new(int root);
void cache_free(struct cache *cache);

/* The file at `path`, relative to the root, to be released by the caller. NULL with errno: that of
 * open_beneath, EISDIR for a folder, ENOENT for what is neither, ENOMEM. */
struct file *cache_open(struct cache *cache, const char *path);
void file_release(struct file *file);

#endif
