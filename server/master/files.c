/* files.c: see files.h. Everything happens relative to a folder's descriptor, so a folder that is
 * moved or replaced meanwhile stays the one it was when it was opened. */
#include "master/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DRAFT_MAX (FILES_NAME_MAX + 8)

static void close_quietly(int fd)
{
    int error = errno;

    close(fd);
    errno = error;
}

static int open_folder(int parent, const char *name, int flags, bool is_made)
{
    int fd;

    flags |= O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    fd = openat(parent, name, flags);
    if (fd != -1 || errno != ENOENT || !is_made)
        return fd;
    if (mkdirat(parent, name, 0700) != 0 && errno != EEXIST)
        return -1;
    return openat(parent, name, flags);
}

/* The folder `name` in one that is open, which is closed. */
static int enter(int parent, const char *name, bool is_made)
{
    int fd;

    if (parent == -1)
        return -1;
    fd = open_folder(parent, name, O_NOFOLLOW, is_made);
    close_quietly(parent);
    return fd;
}

int files_folder(const char *path, const char *room, const char *part, bool is_made)
{
    int fd = enter(open_folder(AT_FDCWD, path, 0, is_made), room, is_made);

    return part == NULL ? fd : enter(fd, part, is_made);
}

void files_name(char name[FILES_NAME_MAX], uint64_t number, const char *suffix)
{
    snprintf(name, FILES_NAME_MAX, "%" PRIu64 ".%s", number, suffix);
}

static void draft_name(char draft[DRAFT_MAX], const char *name)
{
    snprintf(draft, DRAFT_MAX, ".%s.draft", name);
}

/* The number in a name that files_name could have made; 0: it could not. */
static uint64_t number_of(const char *name, const char *suffix)
{
    uint64_t number = strtoull(name, NULL, 10);
    char again[FILES_NAME_MAX];

    files_name(again, number, suffix);
    return number <= FILES_NUMBER_MAX && strcmp(name, again) == 0 ? number : 0;
}

static bool is_draft(const char *name, const char *suffix)
{
    char inner[FILES_NAME_MAX], again[DRAFT_MAX];

    files_name(inner, strtoull(name + 1, NULL, 10), suffix);
    draft_name(again, inner);
    return strcmp(name, again) == 0;
}

static int add_number(struct files_list *list, uint64_t number)
{
    uint64_t *more = reallocarray(list->numbers, list->count + 1, sizeof(*more));

    if (more == NULL)
        return -1;
    list->numbers = more;
    more[list->count++] = number;
    return 0;
}

static int in_order(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static int list_entries(DIR *dir, const char *suffix, struct files_list *list,
                        files_on_foreign *on_foreign, void *arg)
{
    const struct dirent *entry;
    uint64_t number;

    while (errno = 0, (entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;

        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        number = number_of(name, suffix);
        if (number != 0 && add_number(list, number) != 0)
            return -1;
        if (number == 0 && is_draft(name, suffix))
            unlinkat(dirfd(dir), name, 0);
        else if (number == 0 && on_foreign != NULL)
            on_foreign(name, arg);
    }
    return errno == 0 ? 0 : -1;
}

int files_list(int folder, const char *suffix, struct files_list *list_out,
               files_on_foreign *on_foreign, void *arg)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), status, error;
    DIR *dir = fd == -1 ? NULL : fdopendir(fd);

    *list_out = (struct files_list){.count = 0};
    if (dir == NULL) {
        if (fd != -1)
            close_quietly(fd);
        return -1;
    }
    status = list_entries(dir, suffix, list_out, on_foreign, arg);
    error = errno;
    closedir(dir);
    if (status != 0) {
        free(list_out->numbers);
        *list_out = (struct files_list){.count = 0};
        errno = error;
    } else if (list_out->count > 1) {
        qsort(list_out->numbers, list_out->count, sizeof(uint64_t), in_order);
    }
    return status;
}

/* A regular file and its size. -1 with errno. */
static int open_file(int folder, const char *name, off_t *size_out)
{
    /* O_NONBLOCK: a FIFO of that name must not hold us up. */
    /* A module that is staged in memory has no other name than its link in /proc. */
    int links = strncmp(name, "/proc/", strlen("/proc/")) == 0 ? 0 : O_NOFOLLOW;
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | links);
    struct stat st;

    if (fd == -1)
        return -1;
    if (fstat(fd, &st) == 0) {
        *size_out = st.st_size;
        if (S_ISREG(st.st_mode))
            return fd;
        errno = EINVAL;
    }
    close_quietly(fd);
    return -1;
}

ssize_t files_read_bytes(int fd, char *buffer, size_t size)
{
    size_t got = 0;

    while (got < size) {
        ssize_t n = read(fd, buffer + got, size - got);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    return (ssize_t)got;
}

char *files_read(int folder, const char *name, size_t max, size_t *size_out)
{
    off_t size;
    int fd = open_file(folder, name, &size);
    char *text = NULL;
    ssize_t n;

    if (fd == -1)
        return NULL;
    if ((uint64_t)size > max)
        errno = EFBIG;
    else
        text = malloc((size_t)size + 1);
    if (text != NULL) {
        n = files_read_bytes(fd, text, (size_t)size);
        if (n >= 0) {
            text[n] = '\0';
            *size_out = (size_t)n;
        } else {
            free(text);
            text = NULL;
        }
    }
    close_quietly(fd);
    return text;
}

int files_write_bytes(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        data += n;
        size -= (size_t)n;
    }
    return 0;
}

static int open_draft(int folder, const char *draft)
{
    unlinkat(folder, draft, 0); /* of one who was killed; it may be a hard link: never truncate */
    return openat(folder, draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
}

/* Ends a draft: closed, and renamed when its status is 0. Some file systems tell only at the close
 * that the disk is full. */
static int settle_draft(int folder, const char *draft, const char *name, int fd, int status)
{
    if (status != 0)
        close_quietly(fd);
    else
        status = close(fd);
    if (status == 0 && renameat(folder, draft, folder, name) == 0)
        return 0;
    status = errno;
    unlinkat(folder, draft, 0);
    errno = status;
    return -1;
}

int files_write(int folder, const char *name, const char *data, size_t size)
{
    char draft[DRAFT_MAX];
    int fd;

    draft_name(draft, name);
    fd = open_draft(folder, draft);
    if (fd == -1)
        return -1;
    return settle_draft(folder, draft, name, fd, files_write_bytes(fd, data, size));
}

/* What read and write can do for any pair of file systems. */
static int copy_by_hand(int from, int to)
{
    char buffer[64 * 1024];
    ssize_t n;

    while ((n = files_read_bytes(from, buffer, sizeof(buffer))) > 0)
        if (files_write_bytes(to, buffer, (size_t)n) != 0)
            return -1;
    return n == 0 ? 0 : -1;
}

/* All `size` bytes, shared with the original where the file system can. */
static int copy_bytes(int from, int to, off_t size)
{
    off_t left = size;
    struct stat st;

    while (left > 0) {
        ssize_t n = copy_file_range(from, NULL, to, NULL, (size_t)left, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        left -= n;
    }
    if (left > 0 && copy_by_hand(from, to) != 0) /* goes on where the two descriptors stand */
        return -1;
    if (fstat(to, &st) != 0)
        return -1;
    if (st.st_size == size)
        return 0;
    errno = EIO; /* cut or grown meanwhile */
    return -1;
}

static int keep_copy(int folder, const char *name, const char *draft, int from, off_t size)
{
    int fd = open_draft(folder, draft);

    if (fd == -1)
        return -1;
    return settle_draft(folder, draft, name, fd, copy_bytes(from, fd, size));
}

static int keep_link(int folder, const char *name, const char *draft, const char *path)
{
    int status, error;

    unlinkat(folder, draft, 0);
    if (linkat(AT_FDCWD, path, folder, draft, 0) != 0)
        return -1;
    status = renameat(folder, draft, folder, name);
    error = errno;
    /* Renaming over another link of the same file does nothing, and leaves the draft. */
    unlinkat(folder, draft, 0);
    errno = error;
    return status;
}

int files_keep(int folder, const char *name, const char *path)
{
    char draft[DRAFT_MAX];
    off_t size;
    int fd = open_file(AT_FDCWD, path, &size), status = -1;

    if (fd == -1)
        return -1;
    draft_name(draft, name);
    if (size == 0)
        errno = ENODATA;
    else if (keep_link(folder, name, draft, path) == 0)
        status = 0;
    else /* EXDEV, EPERM, EMLINK ...: whatever stood against the link, a copy may do */
        status = keep_copy(folder, name, draft, fd, size);
    close_quietly(fd);
    return status;
}
