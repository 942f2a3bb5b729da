/* listeners.c: see listeners.h. A Unix socket's file is removed only while it is the very file that
 * was made here: a successor may have put its own in the place. */
#include "master/listeners.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sock.h"
#include "master/sentence.h"

struct listeners {
    const struct config *config;
    int *fds;           /* config->listen_count of them */
    struct stat *files; /* of Unix sockets */
};

static bool is_unix(const struct config_listen *listen)
{
    return listen->address.addr.any.sa_family == AF_UNIX;
}

static int open_one(struct listeners *listeners, struct config_listen *listen, size_t i,
                    char **error_out)
{
    listeners->fds[i] = sock_listen(&listen->address, listen->backlog, listen->mode);
    if (listeners->fds[i] == -1)
        return sentence_set(error_out, "cannot listen on %s: %s", listen->address.text,
                            strerror(errno));
    if (is_unix(listen))
        lstat(listen->address.addr.un.sun_path, &listeners->files[i]);
    return 0;
}

struct listeners *listeners_open(struct config *config, char **error_out)
{
    struct listeners *listeners = calloc(1, sizeof(*listeners));

    if (listeners == NULL)
        goto no_memory;
    listeners->config = config;
    listeners->fds = calloc(config->listen_count, sizeof(*listeners->fds));
    listeners->files = calloc(config->listen_count, sizeof(*listeners->files));
    if (listeners->fds == NULL || listeners->files == NULL)
        goto no_memory;
    memset(listeners->fds, 0xff, config->listen_count * sizeof(*listeners->fds)); /* all -1 */
    for (size_t i = 0; i < config->listen_count; i++) {
        if (open_one(listeners, &config->listens[i], i, error_out) != 0) {
            listeners_free(listeners);
            return NULL;
        }
    }
    return listeners;

no_memory:
    sentence_set(error_out, "memory has run out");
    if (listeners != NULL) {
        free(listeners->fds);
        free(listeners->files);
    }
    free(listeners);
    return NULL;
}

const int *listeners_fds(const struct listeners *listeners)
{
    return listeners->fds;
}

static void remove_file(const char *path, const struct stat *ours)
{
    struct stat st;

    if (lstat(path, &st) == 0 && st.st_dev == ours->st_dev && st.st_ino == ours->st_ino)
        unlink(path);
}

void listeners_shut(struct listeners *listeners)
{
    for (size_t i = 0; i < listeners->config->listen_count; i++) {
        const struct config_listen *listen = &listeners->config->listens[i];

        if (listeners->fds[i] == -1)
            continue;
        if (is_unix(listen))
            remove_file(listen->address.addr.un.sun_path, &listeners->files[i]);
        close(listeners->fds[i]);
        listeners->fds[i] = -1;
    }
}

void listeners_free(struct listeners *listeners)
{
    if (listeners == NULL)
        return;
    listeners_shut(listeners);
    free(listeners->fds);
    free(listeners->files);
    free(listeners);
}
