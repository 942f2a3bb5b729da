/* spool.c: the two kinds of places for staged modules, and the proof, before the first is needed,
 * that one can be loaded from there. Stages nothing itself. */
#include "master/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "master/sentence.h"

/* The numbers that descriptors of modules in memory have: far from all others, and so many that a
 * number comes again only a thousand modules later. */
#define NUMBER_LEAST 1000
#define NUMBERS      1024

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

struct spool {
    char *folder;     /* NULL: in memory */
    int process;      /* in memory: the number under which /proc knows us */
    int least, limit; /* in memory: the numbers, without `limit` */
    int next;         /* tried first */
};

/* ---- proof ---- */

/* Whether code can be mapped from it; 0, or -1 with errno. What the mount says would not tell of a
 * security module's mind. */
static int try_code(int fd)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *code = mmap(NULL, page, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);

    if (code == MAP_FAILED)
        return -1;
    munmap(code, page);
    return 0;
}

static int try_folder(const char *folder, char **error_out)
{
    char *path;
    int fd, status;

    if (asprintf(&path, "%s/probe-XXXXXX", folder) < 0)
        return sentence_set(error_out, "memory has run out");
    fd = mkostemp(path, O_CLOEXEC);
    if (fd == -1) {
        int error = errno;

        free(path);
        sentence_set(error_out, "%s cannot be written by user %u: %s", folder, (unsigned)geteuid(),
                     strerror(error));
        errno = error;
        return -1;
    }
    unlink(path);
    free(path);
    status = try_code(fd);
    close(fd);
    if (status != 0) {
        sentence_set(error_out,
                     "%s is on a file system mounted noexec, modules cannot be loaded from there: "
                     "set state_dir to another place",
                     folder);
        errno = ENOEXEC;
    }
    return status;
}

/* ---- in a folder ---- */

struct spool *spool_in(const char *folder, char **error_out)
{
    struct spool *spool;

    if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
        int error = errno;

        sentence_set(error_out, "%s cannot be made: %s", folder, strerror(error));
        errno = error;
        return NULL;
    }
    if (try_folder(folder, error_out) != 0)
        return NULL;
    spool = calloc(1, sizeof(*spool));
    if (spool != NULL)
        spool->folder = strdup(folder);
    if (spool == NULL || spool->folder == NULL) {
        free(spool);
        sentence_set(error_out, "memory has run out");
        errno = ENOMEM;
        return NULL;
    }
    return spool;
}

/* ---- in memory ---- */

/* Where a kernel must be told that code will lie in it, and where one does not know the flag. */
static int make_memory(const char *name)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_EXEC);

    return fd == -1 && errno == EINVAL ? memfd_create(name, MFD_CLOEXEC) : fd;
}

/* Our number in /proc, which may be that of another process namespace; 0: no /proc. */
static int process_number(void)
{
    char text[32];
    ssize_t length = readlink("/proc/self", text, sizeof(text) - 1);

    if (length <= 0)
        return 0;
    text[length] = '\0';
    return atoi(text);
}

static int try_memory(struct spool *spool, char **error_out)
{
    int fd = make_memory("reeve-probe"), status;

    if (fd == -1)
        return sentence_set(error_out, "no file in memory could be made: %s", strerror(errno));
    status = try_code(fd);
    close(fd);
    if (status != 0)
        return sentence_set(error_out, "modules cannot be loaded from memory: %s", strerror(errno));
    spool->process = process_number();
    if (spool->process == 0)
        return sentence_set(error_out, "modules cannot be kept in memory, since /proc is not "
                                       "mounted");
    if (prctl(PR_GET_DUMPABLE) != 1)
        return sentence_set(error_out, "modules cannot be kept in memory, since workers may not "
                                       "look at the master's descriptors (the program has "
                                       "privileges of its own, or may not be read)");
    return 0;
}

struct spool *spool_in_memory(char **error_out)
{
    struct spool *spool = calloc(1, sizeof(*spool));
    struct rlimit limit = {.rlim_cur = 1024};

    if (spool == NULL) {
        sentence_set(error_out, "memory has run out");
        return NULL;
    }
    if (try_memory(spool, error_out) != 0) {
        spool_free(spool);
        return NULL;
    }
    getrlimit(RLIMIT_NOFILE, &limit);
    spool->least = limit.rlim_cur > 2 * NUMBER_LEAST ? NUMBER_LEAST : (int)limit.rlim_cur / 2;
    spool->limit = spool->least + NUMBERS;
    spool->next = spool->least;
    return spool;
}

/* The first free number from the next one on; after the last of ours from the least on. Past all of
 * ours, when so many are in use, any is right. */
static int number(struct spool *spool, int fd)
{
    int moved = -1;

    if (spool->next < spool->limit)
        moved = fcntl(fd, F_DUPFD_CLOEXEC, spool->next);
    if (moved == -1)
        moved = fcntl(fd, F_DUPFD_CLOEXEC, spool->least);
    if (moved != -1)
        spool->next = moved + 1 < spool->limit ? moved + 1 : spool->least;
    return moved;
}

static char *path_in_memory(struct spool *spool, const char *app, uint64_t generation, int *fd_out)
{
    char name[128], *path;
    int fd, moved, error;

    snprintf(name, sizeof(name), "%s-%" PRIu64 ".so", app, generation);
    fd = make_memory(name);
    if (fd == -1)
        return NULL;
    moved = number(spool, fd);
    error = errno;
    close(fd);
    errno = error;
    if (moved == -1)
        return NULL;
    if (asprintf(&path, "/proc/%d/fd/%d", spool->process, moved) < 0) {
        close(moved);
        errno = ENOMEM;
        return NULL;
    }
    *fd_out = moved;
    return path;
}

int spool_descriptor(const char *path)
{
    int process, fd, end = 0;

    if (sscanf(path, "/proc/%d/fd/%d%n", &process, &fd, &end) != 2 || path[end] != '\0')
        return -1;
    return fd;
}

/* ---- both ---- */

char *spool_path(struct spool *spool, const char *app, uint64_t generation, int *fd_out)
{
    char *path;

    *fd_out = -1;
    if (spool->folder == NULL)
        return path_in_memory(spool, app, generation, fd_out);
    /* Nor does a name come twice after a restart that counts its generations from 1 again. */
    if (asprintf(&path, "%s/%s/%" PRIu64 "-%" PRIx64 ".so", spool->folder, app, generation,
                 clock_wall_ns()) >= 0)
        return path;
    errno = ENOMEM;
    return NULL;
}

const char *spool_folder(const struct spool *spool)
{
    return spool->folder;
}

void spool_free(struct spool *spool)
{
    if (spool == NULL)
        return;
    free(spool->folder);
    free(spool);
}
