/* home.c: state folder, lock, spool and pid file. Two servers never share a folder by accident, and
 * what a killed one left behind is removed by the next. */
#include "master/home.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "master/sentence.h"

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    remove(path); /* what cannot be removed costs disk space, nothing more */
    return 0;
}

static void remove_tree(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* As mkdir -p; only the last folder is private to us. */
static int make_folders(const char *path)
{
    char part[PATH_MAX];
    size_t length = strlen(path);

    if (length >= sizeof(part)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    for (size_t i = 1; i < length; i++) {
        if (path[i] != '/')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0755) != 0 && errno != EEXIST)
            return -1;
    }
    return mkdir(path, 0700) != 0 && errno != EEXIST ? -1 : 0;
}

static int make_private(struct home *home, char **error_out)
{
    const char *base = getenv("TMPDIR");

    if (base == NULL || base[0] != '/')
        base = "/tmp";
    if (asprintf(&home->folder, "%s/reeve-XXXXXX", base) < 0) {
        home->folder = NULL;
        return sentence_set(error_out, "memory has run out");
    }
    if (mkdtemp(home->folder) == NULL) {
        int error = errno;

        free(home->folder);
        home->folder = NULL;
        return sentence_set(error_out, "no temporary folder could be made in %s: %s", base,
                            strerror(error));
    }
    home->is_private = true;
    return 0;
}

/* Who holds the lock, as far as its file tells; 0: unknown. */
static int read_pid(int fd)
{
    char text[32] = "";

    if (pread(fd, text, sizeof(text) - 1, 0) <= 0)
        return 0;
    return atoi(text);
}

static int take_lock(struct home *home, char **error_out)
{
    char path[PATH_MAX];
    int other;

    snprintf(path, sizeof(path), "%s/lock", home->folder);
    home->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (home->lock == -1)
        return sentence_set(error_out, "state_dir: %s: %s", path, strerror(errno));
    if (flock(home->lock, LOCK_EX | LOCK_NB) == 0) {
        if (ftruncate(home->lock, 0) == 0)
            dprintf(home->lock, "%d\n", (int)getpid());
        return 0;
    }
    if (errno != EWOULDBLOCK)
        return sentence_set(error_out, "state_dir: %s: %s", path, strerror(errno));
    other = read_pid(home->lock);
    if (other > 0)
        return sentence_set(error_out, "state_dir %s is in use by another reeve, pid %d",
                            home->folder, other);
    return sentence_set(error_out, "state_dir %s is in use by another reeve", home->folder);
}

static int make_spool(struct home *home, char **error_out)
{
    struct statvfs vfs;

    if (asprintf(&home->spool, "%s/spool", home->folder) < 0) {
        home->spool = NULL;
        return sentence_set(error_out, "memory has run out");
    }
    remove_tree(home->spool); /* the lock is ours, so nobody uses what lies there */
    if (mkdir(home->spool, 0700) != 0 && errno != EEXIST)
        return sentence_set(error_out, "%s: %s", home->spool, strerror(errno));
    if (statvfs(home->spool, &vfs) == 0 && (vfs.f_flag & ST_NOEXEC) != 0)
        return sentence_set(error_out,
                            "%s is on a file system mounted noexec, modules cannot be loaded from "
                            "there: set state_dir to another place",
                            home->spool);
    return 0;
}

int home_open(struct home *home, const char *state_dir, char **error_out)
{
    *home = (struct home){.lock = -1};
    if (state_dir == NULL) {
        if (make_private(home, error_out) != 0)
            return -1;
    } else {
        home->folder = strdup(state_dir);
        if (home->folder == NULL)
            return sentence_set(error_out, "memory has run out");
        if (make_folders(home->folder) != 0) {
            sentence_set(error_out, "state_dir: %s: %s", state_dir, strerror(errno));
            home_close(home);
            return -1;
        }
    }
    if (take_lock(home, error_out) == 0 && make_spool(home, error_out) == 0)
        return 0;
    home_close(home);
    return -1;
}

int home_write_pid(struct home *home, const char *path, char **error_out)
{
    char draft[PATH_MAX];
    int fd, is_written;

    snprintf(draft, sizeof(draft), "%s.%d", path, (int)getpid());
    fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd == -1)
        return sentence_set(error_out, "pid_file: %s: %s", draft, strerror(errno));
    is_written = dprintf(fd, "%d\n", (int)getpid()) > 0;
    if (close(fd) != 0 || !is_written || rename(draft, path) != 0) {
        sentence_set(error_out, "pid_file: %s: %s", path, strerror(errno));
        unlink(draft);
        return -1;
    }
    home->pid_file = strdup(path);
    return 0;
}

static void remove_pid_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), pid;

    if (fd == -1)
        return;
    pid = read_pid(fd);
    close(fd);
    if (pid == getpid()) /* else a successor has written its own */
        unlink(path);
}

void home_close(struct home *home)
{
    if (home->pid_file != NULL)
        remove_pid_file(home->pid_file);
    if (home->is_private)
        remove_tree(home->folder);
    else if (home->lock != -1 && home->spool != NULL)
        remove_tree(home->spool);
    if (home->lock != -1)
        close(home->lock);
    free(home->pid_file);
    free(home->spool);
    free(home->folder);
    *home = (struct home){.lock = -1};
}
