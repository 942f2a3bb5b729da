/* cache.c: spares a file that is asked for again its openat2, its read and the texts of its
 * headers; what is left is one fstat. That shows when the file was written, replaced or removed. A
 * folder or a symbolic link exchanged on the way there it cannot show: so the whole cache is
 * emptied every second. */
#include "cache.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "beneath.h"
#include "types.h"

#define SLOTS      256         /* descriptors the cache holds at most */
#define SMALL_FILE (16 * 1024) /* up to here contents are kept, to leave with the head */
#define LARGE_FILE (4 << 20)   /* from here on sending costs so much that opening is nothing */
#define FRESH_FOR  100         /* milliseconds, more than any tick of the kernel's clock */

struct cache {
    int root;
    time_t emptied_at;         /* monotonic seconds */
    struct file *slots[SLOTS]; /* by hash of the path; of two that meet, the later stays */
};

/* ---- a file ---- */

void file_release(struct file *file)
{
    if (--file->references > 0)
        return;
    close(file->fd);
    free(file);
}

/* What is served is as old as it claims: a time in the future becomes now (RFC 9110
 * section 8.8.2.1). */
static time_t sane_time(time_t modified)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (modified < 0)
        return 0;
    return modified < now.tv_sec ? modified : now.tv_sec;
}

/* Both ways of changing a file show in the tag: writing to it in the time, putting another in its
 * place in the inode, since copies often keep size and time. */
static void describe(struct file *file, const struct stat *status)
{
    file->modified = sane_time(status->st_mtim.tv_sec);
    file->type = type_of(file->path);
    file->changed = status->st_ctim;
    file->inode = status->st_ino;
    date_format(file->modified, file->last_modified);
    snprintf(file->length, sizeof(file->length), "%" PRId64, file->size);
    snprintf(file->etag, sizeof(file->etag), "\"%" PRIx64 "-%" PRIx64 "-%" PRIx64 "\"",
             (uint64_t)status->st_mtim.tv_sec * 1000000000 + (uint64_t)status->st_mtim.tv_nsec,
             (uint64_t)file->size, file->inode);
}

/* A file that shrinks meanwhile is served as short as it was read. -1: errno. */
static int read_contents(struct file *file, char *buffer)
{
    int64_t done = 0;

    while (done < file->size) {
        ssize_t got = pread(file->fd, buffer + done, (size_t)(file->size - done), done);

        if (got < 0)
            return -1;
        if (got == 0)
            file->size = done;
        done += got;
    }
    file->contents = buffer;
    return 0;
}

/* The struct, its contents and its path in one piece of memory. */
static struct file *file_new(const char *path, int fd, const struct stat *status)
{
    size_t path_size = strlen(path) + 1;
    size_t contents_size = status->st_size <= SMALL_FILE ? (size_t)status->st_size : 0;
    struct file *file = malloc(sizeof(*file) + path_size + contents_size);

    if (file == NULL)
        return NULL;
    *file = (struct file){.fd = fd, .size = status->st_size, .references = 1};
    file->path = (char *)(file + 1);
    memcpy(file->path, path, path_size);
    if (status->st_size <= SMALL_FILE && read_contents(file, file->path + path_size) != 0) {
        free(file);
        return NULL;
    }
    describe(file, status);
    return file;
}

static int check_kind(mode_t mode)
{
    if (S_ISREG(mode))
        return 0;
    errno = S_ISDIR(mode) ? EISDIR : ENOENT;
    return -1;
}

static struct file *file_open(int root, const char *path)
{
    struct file *file = NULL;
    struct stat status;
    int fd = open_beneath(root, path, 0);

    if (fd == -1)
        return NULL;
    if (fstat(fd, &status) == 0 && check_kind(status.st_mode) == 0)
        file = file_new(path, fd, &status);
    if (file == NULL) {
        int error = errno;

        close(fd);
        errno = error;
    }
    return file;
}

/* The time of change (ctime) moves when a file is written, and when its name is taken from it. */
static bool is_current(const struct file *file)
{
    struct stat status;

    return fstat(file->fd, &status) == 0 && status.st_nlink > 0 &&
           status.st_ctim.tv_sec == file->changed.tv_sec &&
           status.st_ctim.tv_nsec == file->changed.tv_nsec;
}

/* A file written twice within one tick of the kernel's clock keeps its time of change, so what
 * changed just now is not to be judged by it. */
static bool is_fresh(const struct file *file)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (now.tv_sec - file->changed.tv_sec) * 1000 +
               (now.tv_nsec - file->changed.tv_nsec) / 1000000 <
           FRESH_FOR;
}

/* ---- the cache ---- */

static void forget(struct file **slot)
{
    if (*slot != NULL)
        file_release(*slot);
    *slot = NULL;
}

static void empty(struct cache *cache)
{
    for (size_t i = 0; i < SLOTS; i++)
        forget(&cache->slots[i]);
}

static void empty_if_old(struct cache *cache)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now); /* no system call */
    if (now.tv_sec == cache->emptied_at)
        return;
    cache->emptied_at = now.tv_sec;
    empty(cache);
}

/* FNV-1a */
static struct file **slot_of(struct cache *cache, const char *path)
{
    uint32_t hash = 2166136261u;

    for (; *path != '\0'; path++)
        hash = (hash ^ (unsigned char)*path) * 16777619u;
    return &cache->slots[hash % SLOTS];
}

static struct file *open_and_keep(struct cache *cache, struct file **slot, const char *path)
{
    struct file *file = file_open(cache->root, path);

    if (file == NULL && (errno == EMFILE || errno == ENFILE)) {
        empty(cache); /* then perhaps there is a descriptor */
        file = file_open(cache->root, path);
    }
    if (file == NULL || file->size > LARGE_FILE || is_fresh(file))
        return file;
    forget(slot);
    file->references++;
    return *slot = file;
}

struct cache *cache_new(int root)
{
    struct cache *cache = calloc(1, sizeof(*cache));

    if (cache != NULL)
        cache->root = root;
    return cache;
}

void cache_free(struct cache *cache)
{
    empty(cache);
    free(cache);
}

struct file *cache_open(struct cache *cache, const char *path)
{
    struct file **slot;

    empty_if_old(cache);
    slot = slot_of(cache, path);
    if (*slot != NULL && strcmp((*slot)->path, path) == 0) {
        if (is_current(*slot)) {
            (*slot)->references++;
            return *slot;
        }
        forget(slot);
    }
    return open_and_keep(cache, slot, path);
}
