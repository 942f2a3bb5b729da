/* stage.c: reads the module into memory, looks at it there, writes it out. It does not load it:
 * what the code in it is good for is found out by preflight. */
#include "master/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MODULE_MAX ((off_t)1 << 30)

static int problem(struct stage_result *result, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static int problem(struct stage_result *result, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(result->problem, sizeof(result->problem), format, args);
    va_end(args);
    return -1;
}

static int check_file(const char *path, const struct stat *st, struct stage_result *result)
{
    if (!S_ISREG(st->st_mode))
        return problem(result, "%s is no regular file", path);
    if (st->st_size == 0)
        return problem(result, "%s is empty", path);
    if (st->st_size > MODULE_MAX)
        return problem(result, "%s is larger than 1 GiB", path);
    return 0;
}

/* Up to `size` bytes; fewer only at the end of the file. -1 with errno. */
static ssize_t read_whole(int fd, char *buffer, size_t size)
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

static int write_whole(int fd, const char *data, size_t size)
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

static bool is_unchanged(int fd, const struct stat *before)
{
    struct stat now;

    return fstat(fd, &now) == 0 && now.st_size == before->st_size &&
           now.st_mtim.tv_sec == before->st_mtim.tv_sec &&
           now.st_mtim.tv_nsec == before->st_mtim.tv_nsec;
}

/* The whole of an open module in memory, to be freed; NULL with the problem. */
static char *load(int fd, const char *path, size_t *size_out, struct stage_result *result)
{
    struct stat before;
    const char *wrong;
    char *file;
    ssize_t n;

    if (fstat(fd, &before) != 0) {
        problem(result, "%s cannot be read: %s", path, strerror(errno));
        return NULL;
    }
    if (check_file(path, &before, result) != 0)
        return NULL;
    file = malloc((size_t)before.st_size);
    if (file == NULL) {
        problem(result, "memory has run out");
        return NULL;
    }
    n = read_whole(fd, file, (size_t)before.st_size);
    if (n < 0) {
        problem(result, "%s cannot be read: %s", path, strerror(errno));
    } else if (n != before.st_size || !is_unchanged(fd, &before)) {
        problem(result, "%s changed while it was copied: is a build still running?", path);
    } else if ((wrong = elf_problem(file, (size_t)n)) != NULL) {
        problem(result, "%s %s", path, wrong);
    } else {
        *size_out = (size_t)n;
        return file;
    }
    free(file);
    return NULL;
}

static int make_folder(const char *file, struct stage_result *result)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(file, '/');

    snprintf(folder, sizeof(folder), "%.*s", (int)(slash - file), file);
    if (mkdir(folder, 0700) != 0 && errno != EEXIST)
        return problem(result, "the spool cannot be used: %s: %s", folder, strerror(errno));
    return 0;
}

static int save(const char *to, const char *file, size_t size, struct stage_result *result)
{
    int fd, is_written, error;

    if (make_folder(to, result) != 0)
        return -1;
    fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd == -1)
        return problem(result, "the module cannot be staged: %s: %s", to, strerror(errno));
    is_written = write_whole(fd, file, size) == 0;
    error = errno;
    if (close(fd) != 0 && is_written) { /* some file systems tell only now that the disk is full */
        is_written = 0;
        error = errno;
    }
    if (is_written)
        return 0;
    unlink(to);
    return problem(result, "the module cannot be staged: %s: %s", to, strerror(error));
}

int stage_copy(const char *from, const char *to, struct stage_result *result)
{
    /* O_NONBLOCK: a FIFO of that name must not hold us up. */
    int fd = open(from, O_RDONLY | O_CLOEXEC | O_NONBLOCK), status = -1;
    size_t size;
    char *file;

    result->problem[0] = '\0';
    result->build_id[0] = '\0';
    if (fd == -1)
        return problem(result, "%s cannot be read: %s", from, strerror(errno));
    file = load(fd, from, &size, result);
    close(fd);
    if (file == NULL)
        return -1;
    elf_build_id(file, size, result->build_id);
    status = save(to, file, size, result);
    free(file);
    return status;
}
