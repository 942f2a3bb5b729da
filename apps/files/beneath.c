/* beneath.c: the one place where names from clients meet the file system. The kernel itself watches
 * each step of the path (openat2, Linux 5.6), so no "..", no symbolic link and no race between them
 * leads out. */
#include "beneath.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

/* O_NONBLOCK: a FIFO without a writer must not hold up the worker. */
#define FLAGS (O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)

int open_beneath(int root, const char *path, int flags)
{
    struct open_how how = {.flags = (unsigned)(FLAGS | flags),
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    long fd = -1;

    /* EAGAIN: something was renamed while the kernel walked up a "..", so it could not be sure. */
    for (int tries = 0; tries < 4; tries++) {
        fd = syscall(SYS_openat2, root, path, &how, sizeof(how));
        if (fd != -1 || errno != EAGAIN)
            break;
    }
    return (int)fd;
}

int scan_beneath(int root, const char *path, struct dirent ***entries_out)
{
    int folder = open_beneath(root, path, O_DIRECTORY);
    int count, error;

    if (folder == -1)
        return -1;
    count = scandirat(folder, ".", entries_out, NULL, alphasort);
    error = errno;
    close(folder);
    errno = error;
    return count;
}
