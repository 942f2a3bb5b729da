/* form_file.c: makes, writes and keeps temporary files.
 *
 * A file that is kept gets its name in one step when it is complete, so that nobody ever sees half
 * of one; and what cannot be completed leaves nothing behind. */
#include "web/form_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <reeve/async.h>

#include "web/form_part.h"

#define COPY_PIECE 65536u
#define NAME_TRIES 100

/* ---- making and writing ---- */

/* For file systems without O_TMPFILE: it has a name for a moment. */
static int create_named(const char *folder)
{
    char *path;
    int fd, error;

    if (asprintf(&path, "%s/reeve-XXXXXX", folder) == -1)
        return -1;
    fd = mkostemp(path, O_CLOEXEC);
    error = errno;
    if (fd != -1)
        unlink(path);
    free(path);
    errno = error;
    return fd;
}

int file_create(const char *folder)
{
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd == -1 && (errno == EOPNOTSUPP || errno == EISDIR))
        fd = create_named(folder);
    return fd;
}

int file_write(int fd, const void *data, size_t size)
{
    const char *at = data;

    while (size > 0) {
        ssize_t n = write(fd, at, size);

        if (n == -1 && errno != EINTR)
            return -1;
        if (n > 0) {
            at += n;
            size -= (size_t)n;
        }
    }
    return 0;
}

/* ---- keeping: each of these returns 0, or -1 with errno ---- */

struct save {
    const struct reeve_part *part;
    const char *path;
    unsigned flags;
    char *folder; /* of path */
    char *beside; /* a name in it that nobody has: path with a random ending */
    int result, error;
};

/* A name to try, beside the one it is to have in the end. */
static int choose_name(struct save *save)
{
    uint64_t random;

    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        return -1;
    sprintf(save->beside, "%s/.reeve-%016llx", save->folder, (unsigned long long)random);
    return 0;
}

/* The file called `beside` gets its name, or is gone. */
static int move_into_place(struct save *save)
{
    unsigned how = save->flags & REEVE_SAVE_REPLACE ? 0 : RENAME_NOREPLACE;
    int result = renameat2(AT_FDCWD, save->beside, AT_FDCWD, save->path, how), error = errno;

    if (result == -1)
        unlink(save->beside);
    errno = error;
    return result;
}

/* Gives a file without a name one. A link never replaces, so that takes one more step. */
static int link_file(struct save *save)
{
    char self[64];
    int result = -1;

    snprintf(self, sizeof self, "/proc/self/fd/%d", save->part->fd);
    if (!(save->flags & REEVE_SAVE_REPLACE))
        return linkat(AT_FDCWD, self, AT_FDCWD, save->path, AT_SYMLINK_FOLLOW);
    errno = EEXIST;
    for (int i = 0; i < NAME_TRIES && result == -1 && errno == EEXIST; i++)
        if (choose_name(save) == 0)
            result = linkat(AT_FDCWD, self, AT_FDCWD, save->beside, AT_SYMLINK_FOLLOW);
    return result == 0 ? move_into_place(save) : -1;
}

static int copy_bytes(int from, int to)
{
    char *buffer = malloc(COPY_PIECE);
    off_t at = 0;
    ssize_t n = -1;

    if (!buffer)
        return -1;
    while ((n = pread(from, buffer, COPY_PIECE, at)) > 0 && file_write(to, buffer, (size_t)n) == 0)
        at += n;
    free(buffer);
    return n == 0 ? 0 : -1;
}

static int fill_copy(const struct save *save, int to)
{
    const struct reeve_part *part = save->part;
    int result = part->fd == -1 ? file_write(to, reeve_part_data(part), (size_t)part->size)
                                : copy_bytes(part->fd, to);

    return result == 0 && (save->flags & REEVE_SAVE_SYNC) ? fsync(to) : result;
}

static int copy_file(struct save *save)
{
    int to = -1, error;

    errno = EEXIST;
    for (int i = 0; i < NAME_TRIES && to == -1 && errno == EEXIST; i++)
        if (choose_name(save) == 0)
            to = open(save->beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (to == -1)
        return -1;
    if (fill_copy(save, to) == -1) {
        error = errno;
        unlink(save->beside);
        close(to);
        errno = error;
        return -1;
    }
    close(to);
    return move_into_place(save);
}

static int sync_folder(const char *path)
{
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), result, error;

    if (folder == -1)
        return -1;
    result = fsync(folder);
    error = errno;
    close(folder);
    errno = error;
    return result;
}

/* A file that has been given a name already is copied: two names of one file would change
 * together. */
static bool is_nameless(int fd)
{
    struct stat status;

    return fd != -1 && fstat(fd, &status) == 0 && status.st_nlink == 0;
}

/* Elsewhere, or where a nameless file cannot be linked, it takes a copy. */
static bool needs_copy(int error)
{
    return error == EXDEV || error == ENOENT || error == EPERM || error == EOPNOTSUPP;
}

static int link_or_fail(struct save *save, bool *needs_copy_out)
{
    *needs_copy_out = true;
    if (!is_nameless(save->part->fd))
        return -1;
    if ((save->flags & REEVE_SAVE_SYNC) && fsync(save->part->fd) == -1) {
        *needs_copy_out = false;
        return -1;
    }
    if (link_file(save) == 0)
        return 0;
    *needs_copy_out = needs_copy(errno);
    return -1;
}

static int save_file(struct save *save)
{
    bool is_to_copy;
    int result = link_or_fail(save, &is_to_copy);

    if (result == -1 && is_to_copy)
        result = copy_file(save);
    if (result == 0 && (save->flags & REEVE_SAVE_SYNC))
        result = sync_folder(save->folder);
    return result;
}

/* In a thread of its own, or on the loop. */
static void run_save(void *arg)
{
    struct save *save = arg;

    save->result = save_file(save);
    save->error = errno;
}

/* On the loop when it is quick: a link, or a copy of what fits into one piece; in a thread
 * otherwise, if there is one. */
static int save_anyhow(struct save *save)
{
    bool is_to_copy = true;

    if (!(save->flags & REEVE_SAVE_SYNC)) {
        if (link_or_fail(save, &is_to_copy) == 0)
            return 0;
        if (!is_to_copy)
            return -1;
        if (save->part->size <= COPY_PIECE)
            return copy_file(save);
    }
    if (reeve_offload(run_save, save) == -1) {
        if (errno != EDEADLK) /* an on_loop module: it waits for the disk */
            return -1;
        run_save(save);
    }
    errno = save->error;
    return save->result;
}

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return strdup(".");
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

int reeve_part_save(const reeve_part *part, const char *path, unsigned flags)
{
    struct save save = {.part = part, .path = path, .flags = flags, .folder = folder_of(path)};
    struct stat there;
    int result = -1, error = ENOMEM;

    save.beside = save.folder ? malloc(strlen(save.folder) + 32) : NULL;
    if (save.beside) {
        errno = EEXIST;
        if ((flags & REEVE_SAVE_REPLACE) || lstat(path, &there) == -1)
            result = save_anyhow(&save);
        error = errno;
    }
    free(save.beside);
    free(save.folder);
    errno = error;
    return result;
}
