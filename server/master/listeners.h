/* listeners.h: the listening sockets. The master opens them, hands them down and never accepts. */
#ifndef MASTER_LISTENERS_H
#define MASTER_LISTENERS_H

#include "base/config.h"

struct listeners;

/* One for each of config->listens, whose addresses learn the port that the kernel chose.
 * NULL with one sentence in *error_out; none is open then. */
struct listeners *listeners_open(struct config *config, char **error_out);

/* In the order of config->listens. -1 after listeners_shut. */
const int *listeners_fds(const struct listeners *listeners);

/* Closes them and removes the files of Unix sockets that are still ours. Twice is fine. */
void listeners_shut(struct listeners *listeners);
void listeners_free(struct listeners *listeners);

#endif
