/* stage.c: reads the module into memory, looks at it there, writes it out. It does not load it:
 * what the code in it is good for is found out by preflight. */
#include "master/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sha2.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "master/files.h"

#define MODULE_MAX ((off_t)1 << 30)

/* A file's time is that of a coarse clock, so two changes within a tick of it look like one: only
 * the change of a file that was at rest for longer is sure to be seen. */
#define REST_NS    (20 * NS_PER_MS)
#define REST_TRIES 25

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

/* A time to come is nobody's clock: whoever writes now sets another. */
static bool is_at_rest(const struct stat *st)
{
    int64_t changed =
        (int64_t)st->st_mtim.tv_sec * (int64_t)NS_PER_SEC + (int64_t)st->st_mtim.tv_nsec;
    int64_t age = (int64_t)clock_wall_ns() - changed;

    return age > (int64_t)REST_NS || age < -(int64_t)REST_NS;
}

/* Waits until the file was not changed for a moment. */
static int await_rest(int fd, const char *path, struct stat *st_out, struct stage_result *result)
{
    const struct timespec moment = {.tv_nsec = REST_NS};

    for (int i = 0; i < REST_TRIES; i++) {
        if (fstat(fd, st_out) != 0)
            return problem(result, "%s cannot be read: %s", path, strerror(errno));
        if (is_at_rest(st_out))
            return check_file(path, st_out, result);
        nanosleep(&moment, NULL);
    }
    return problem(result, "%s keeps changing: is a build still running?", path);
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
    char *file;
    ssize_t n;

    if (await_rest(fd, path, &before, result) != 0)
        return NULL;
    file = malloc((size_t)before.st_size);
    if (file == NULL) {
        problem(result, "memory has run out");
        return NULL;
    }
    n = files_read_bytes(fd, file, (size_t)before.st_size);
    if (n < 0) {
        problem(result, "%s cannot be read: %s", path, strerror(errno));
    } else if (n != before.st_size || !is_unchanged(fd, &before)) {
        problem(result, "%s changed while it was copied: is a build still running?", path);
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

/* A memory file of the master's, for want of a folder. */
static bool is_open_file(const char *path)
{
    return strncmp(path, "/proc/", strlen("/proc/")) == 0;
}

static int open_copy(const char *to, struct stage_result *result)
{
    if (is_open_file(to))
        return open(to, O_WRONLY | O_TRUNC | O_CLOEXEC);
    if (make_folder(to, result) != 0)
        return -1;
    return open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
}

static int save(const char *to, const char *file, size_t size, struct stage_result *result)
{
    int fd = open_copy(to, result), is_written, error;

    if (fd == -1 && result->problem[0] != '\0')
        return -1;
    if (fd == -1)
        return problem(result, "the module cannot be staged: %s: %s", to, strerror(errno));
    is_written = files_write_bytes(fd, file, size) == 0;
    error = errno;
    if (close(fd) != 0 && is_written) { /* some file systems tell only now that the disk is full */
        is_written = 0;
        error = errno;
    }
    if (is_written)
        return 0;
    if (!is_open_file(to))
        unlink(to);
    return problem(result, "the module cannot be staged: %s: %s", to, strerror(error));
}

static int examine(const char *path, const char *file, size_t size, struct stage_result *result)
{
    struct elf_facts facts;

    if (elf_read(file, size, path, &facts) != 0)
        return problem(result, "%s %s", path, facts.problem);
    memcpy(result->build_id, facts.build_id, sizeof(result->build_id));
    memcpy(result->warnings, facts.warnings, sizeof(result->warnings));
    result->size = size;
    if (SHA256Data((const uint8_t *)file, size, result->sha256) == NULL)
        return problem(result, "%s cannot be summed up: %s", path, strerror(errno));
    return 0;
}

int stage_copy(const char *from, const char *to, struct stage_result *result)
{
    /* O_NONBLOCK: a FIFO of that name must not hold us up. */
    int fd = open(from, O_RDONLY | O_CLOEXEC | O_NONBLOCK), status = -1;
    size_t size;
    char *file;

    memset(result, 0, sizeof(*result));
    if (fd == -1)
        return problem(result, "%s cannot be read: %s", from, strerror(errno));
    file = load(fd, from, &size, result);
    close(fd);
    if (file == NULL)
        return -1;
    status = examine(from, file, size, result);
    if (status == 0)
        status = save(to, file, size, result);
    free(file);
    return status;
}
