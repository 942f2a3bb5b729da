/* listening.h: one listening socket, made here or passed by whoever started us. For listeners.c. */
#ifndef MASTER_LISTENING_H
#define MASTER_LISTENING_H

#include <stdbool.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include "base/config.h"
#include "base/sock.h"
#include "master/listeners.h"

/* An open socket. */
struct listening {
    TAILQ_ENTRY(listening) entry;
    int fd;
    int reserved; /* of a TCP socket that is shut: nobody else's connection gets its port; -1 */
    char *name;
    char *wanted; /* the address as its `listen` says it; NULL: no `listen` had it yet */
    struct sock_address address; /* where it really is */
    bool is_ours;
    struct stat file; /* of a Unix socket that is ours */
    int backlog;      /* -1: not known, nor is the mode */
    unsigned mode;
    bool is_in_force, is_prepared; /* in which of the two sets it is */
};

/* What a `listen` says of its socket. */
struct wish {
    char *name, *address;
    int backlog;
    unsigned mode;
};

/* Opens it; in no set yet. `is_shared`: beside one that is at the same port and allows it now. NULL
 * with errno. */
struct listening *listening_open(const struct config_listen *listen, bool is_shared);

/* Takes over one that is open. NULL with a sentence: the descriptor is the caller's still. */
struct listening *listening_inherit(const struct listeners_inherited *from, char **error_out);

/* What was opened before becomes what is wished now, and takes its texts. Where that fails, the
 * socket serves on as it is. */
void listening_adjust(struct listening *socket, struct wish *wish);

/* False: a Unix socket whose file somebody has removed; it is open, but nobody finds it. */
bool listening_is_reachable(const struct listening *socket);

/* Closes it, and removes a Unix socket's file if that is still the one we made; what it was stays
 * known, for listening_open_again: 0, or -1 with errno. */
void listening_shut(struct listening *socket);
int listening_open_again(struct listening *socket);
/* Until then its port is kept for it, as far as that goes; no process may have it open any more. */
void listening_reserve(struct listening *socket);
void listening_free(struct listening *socket);

#endif
