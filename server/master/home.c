/* home.c: state folder, lock, spool and pid file. Two servers never share a folder by accident, and
 * what a killed one left behind is removed by the next. */
#include "master/home.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "master/sentence.h"

#define PRIVATE_NAME "reeve-"

/* ---- folders ---- */

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

/* ---- the lock ---- */

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

/* ---- the spool ---- */

/* The lock is ours, so nobody uses what lies in there, but after an exec in place the workers do.
 * A folder from which nothing can be loaded still keeps the history. */
static int make_spool(struct home *home, bool is_clean, char **error_out)
{
    char *path;

    if (asprintf(&path, "%s/spool", home->folder) < 0)
        return sentence_set(error_out, "memory has run out");
    if (is_clean)
        remove_tree(path);
    home->spool = spool_in(path, error_out);
    free(path);
    if (home->spool == NULL && errno == ENOEXEC && !home->is_private) {
        char *other = NULL;

        home->spool = spool_in_memory(&other); /* else the first sentence says it best */
        free(other);
    }
    return home->spool == NULL ? -1 : 0;
}

/* ---- a folder of our own ---- */

/* A private folder whose master is no more. One that another is about to lock says no pid yet. */
static bool is_left_over(const char *folder)
{
    char path[PATH_MAX + sizeof("/lock")];
    struct stat st;
    int lock, pid;
    bool is_free;

    snprintf(path, sizeof(path), "%s/lock", folder);
    if (lstat(folder, &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid())
        return false;
    lock = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (lock == -1)
        return false;
    pid = read_pid(lock);
    is_free = pid > 0 && flock(lock, LOCK_EX | LOCK_NB) == 0;
    close(lock);
    return is_free;
}

static void remove_left_over(const char *place)
{
    DIR *dir = opendir(place);
    char path[PATH_MAX];
    struct dirent *entry;

    if (dir == NULL)
        return;
    while ((entry = readdir(dir)) != NULL) {
        if (strncmp(entry->d_name, PRIVATE_NAME, strlen(PRIVATE_NAME)) != 0 ||
            strlen(entry->d_name) != strlen(PRIVATE_NAME "XXXXXX"))
            continue;
        snprintf(path, sizeof(path), "%s/%s", place, entry->d_name);
        if (is_left_over(path))
            remove_tree(path);
    }
    closedir(dir);
}

/* What is of no use is removed again. */
static int make_private_in(struct home *home, const char *place)
{
    char *why = NULL;
    int status = -1;

    if (place == NULL || place[0] != '/')
        return -1;
    remove_left_over(place);
    if (asprintf(&home->folder, "%s/" PRIVATE_NAME "XXXXXX", place) < 0) {
        home->folder = NULL;
        return -1;
    }
    if (mkdtemp(home->folder) == NULL) {
        free(home->folder);
        home->folder = NULL;
        return -1;
    }
    home->is_private = true;
    if (take_lock(home, &why) == 0 && make_spool(home, true, &why) == 0)
        status = 0;
    else
        home_close(home);
    free(why);
    return status;
}

static int make_private(struct home *home, char **error_out)
{
    const char *const places[] = {getenv("TMPDIR"), "/tmp", "/dev/shm", "/var/tmp"};

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        if (make_private_in(home, places[i]) == 0)
            return 0;
    home->spool = spool_in_memory(error_out);
    if (home->spool != NULL)
        return 0;
    if (error_out != NULL && *error_out != NULL) {
        char *why = *error_out;

        *error_out = NULL;
        sentence_set(error_out, "no temporary folder can be used, and %s: set state_dir", why);
        free(why);
    }
    return -1;
}

/* ---- opening ---- */

int home_open(struct home *home, const char *state_dir, char **error_out)
{
    *home = (struct home){.lock = -1};
    if (state_dir == NULL)
        return make_private(home, error_out);
    home->folder = strdup(state_dir);
    if (home->folder == NULL)
        return sentence_set(error_out, "memory has run out");
    if (make_folders(home->folder) != 0)
        sentence_set(error_out, "state_dir: %s: %s", state_dir, strerror(errno));
    else if (take_lock(home, error_out) == 0 && make_spool(home, true, error_out) == 0)
        return 0;
    home_close(home);
    return -1;
}

int home_adopt(struct home *home, const char *folder, int lock, bool is_private, char **error_out)
{
    *home = (struct home){.lock = -1};
    if (folder == NULL) {
        home->spool = spool_in_memory(error_out);
        return home->spool == NULL ? -1 : 0;
    }
    home->folder = strdup(folder);
    if (home->folder == NULL)
        return sentence_set(error_out, "memory has run out");
    home->is_private = is_private;
    if (make_spool(home, false, error_out) != 0) {
        free(home->folder);
        *home = (struct home){.lock = -1};
        return -1;
    }
    home->lock = lock;
    fcntl(lock, F_SETFD, FD_CLOEXEC);
    return 0;
}

void home_tell(const struct home *home, bool has_warned)
{
    void (*say)(const char *, ...) = has_warned ? log_info : log_warnx;

    if (home->folder == NULL)
        say("no place for state: staged modules are kept in memory, and the history is lost at the "
            "end (set state_dir)");
    else if (home->is_private)
        say("no state_dir: staged modules and history are kept in %s until the end", home->folder);
    else if (spool_folder(home->spool) == NULL)
        log_info("modules cannot be loaded from %s, which is mounted noexec: staged ones are kept "
                 "in memory",
                 home->folder);
}

/* ---- the pid file, and the end ---- */

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
    const char *folder = home->spool == NULL ? NULL : spool_folder(home->spool);

    if (home->pid_file != NULL)
        remove_pid_file(home->pid_file);
    if (home->is_private)
        remove_tree(home->folder);
    else if (home->lock != -1 && folder != NULL)
        remove_tree(folder);
    if (home->lock != -1)
        close(home->lock);
    free(home->pid_file);
    spool_free(home->spool);
    free(home->folder);
    *home = (struct home){.lock = -1};
}
