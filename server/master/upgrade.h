/* upgrade.h: the master becomes a new binary by an exec in place: the same process, with the same
 * children, sockets, links and scoreboard; then the workers are rolled. */
#ifndef MASTER_UPGRADE_H
#define MASTER_UPGRADE_H

#include <stdbool.h>
#include <sys/types.h>

#include "master/action.h"

struct upgrade;

/* Checks `binary` (NULL: the file that this process was started from) in a child and becomes it.
 * Lines: {"step":"check","binary":"..."}, {"step":"exec"}; the exec closes the stream. A binary
 * that is no good ends the action as "rejected"; nothing has changed then. */
enum action_start action_upgrade(struct master *master, const char *binary,
                                 const struct action_listener *listener, const char **detail_out);

/* True when `pid` is the check's process. NULL is fine. */
bool upgrade_reap(struct upgrade *upgrade, pid_t pid, int status);
/* The server stops: the upgrade is given up, unless the exec is done. */
void upgrade_stop(struct master *master);

/* In the new image, which has taken everything over: rolls the workers, and ends the action. `from`
 * is the version of the former image. */
void upgrade_go_on(struct master *master, const char *from);

#endif
