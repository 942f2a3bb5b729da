/* listeners.h: the listening sockets. The master opens them, hands them down and never accepts.
 *
 * They outlive a configuration: a new one takes over those that are open and listen where it wants
 * to, and what clients have queued there stays. Opening comes first and can be taken back; only the
 * commit closes anything. */
#ifndef MASTER_LISTENERS_H
#define MASTER_LISTENERS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/config.h"

struct listeners;

/* No socket is open. NULL when memory has run out. */
struct listeners *listeners_new(void);

/* A socket as it comes from systemd, or goes from one image of the master to the next. */
struct listeners_inherited {
    int fd;
    const char *name;    /* of LISTEN_FDNAMES, or of its `listen`; NULL: none */
    const char *address; /* as its `listen` said it; NULL: no `listen` had it yet */
    bool is_ours;        /* reeve made it: backlog, mode and a Unix socket's file are our concern */
};

/* Takes sockets that are open already; they are ours to close from now on, also when this fails.
 * A `listen` finds its own by its address, else by its name. 0, or -1 with a sentence when one is
 * no listening stream socket: none of them is open then. */
int listeners_inherit(struct listeners *listeners, const struct listeners_inherited *sockets,
                      size_t count, char **error_out);

/* Opens what `config` needs and is not open yet; its addresses learn where their sockets really
 * are. "127.0.0.1:0" finds the port again that it got before. What is open is not touched.
 * Returns the descriptors in the order of config->listens, valid until the next commit or abandon,
 * or NULL with a sentence: what was opened is closed again then. */
const int *listeners_prepare(struct listeners *listeners, struct config *config, char **error_out);

/* What was prepared is in force: the other sockets are closed, with the files of Unix sockets, and
 * backlog and mode are set where they have changed. Cannot fail. */
void listeners_commit(struct listeners *listeners);

/* Back to the former set: what was opened for the prepared one is closed. */
void listeners_abandon(struct listeners *listeners);

/* Of the set in force, in the order of its config->listens; -1 after listeners_shut. NULL before
 * the first commit. */
const int *listeners_fds(const struct listeners *listeners);

/* Closes those in force, with the files of Unix sockets, but keeps in mind what they were;
 * listeners_reopen opens them at the same addresses and ports. 0, or -1 with a sentence: none is open
 * then. */
void listeners_rest(struct listeners *listeners);
/* While they are closed, once no worker has them open: keeps their ports for them. */
void listeners_reserve(struct listeners *listeners);
int listeners_reopen(struct listeners *listeners, char **error_out);
/* The address of a socket in force that is not ours to close and open; NULL: there is none. */
const char *listeners_passed(const struct listeners *listeners);

/* What became of the i-th `listen` by the set that was prepared last: "added" or "kept". */
const char *listeners_change(const struct listeners *listeners, size_t i);
/* Between prepare and commit: the address of the i-th socket that the commit will close; NULL:
 * there are no more. */
const char *listeners_removed(const struct listeners *listeners, size_t i);

/* Every open socket, for the next image to inherit. Its texts are valid until the next call that
 * changes anything. */
size_t listeners_count(const struct listeners *listeners);
struct listeners_inherited listeners_socket(const struct listeners *listeners, size_t i);

/* Closes them and removes the files of Unix sockets that are still ours. The descriptors of both
 * sets are -1 then. Twice is fine. */
void listeners_shut(struct listeners *listeners);
void listeners_free(struct listeners *listeners);

#endif
