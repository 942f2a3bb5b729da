/* paths.h: where things are when the operator does not say: shared by reeve and reevectl, so that
 * they agree. */
#ifndef BASE_PATHS_H
#define BASE_PATHS_H

/* All return allocated text; NULL with ENOMEM when memory has run out. */

/* Where the server puts its control socket: $RUNTIME_DIRECTORY/control.sock (systemd sets it), else
 * $XDG_RUNTIME_DIR/reeve/control.sock, else /run/reeve/control.sock. The folder need not be there
 * yet. */
char *paths_control(void);

/* Where a client looks for it: the first of the same three where there is a socket, else what
 * paths_control says. An operator's shell has no $RUNTIME_DIRECTORY and may have an
 * $XDG_RUNTIME_DIR that the service had not. */
char *paths_control_find(void);

/* $STATE_DIRECTORY, else $XDG_STATE_HOME/reeve, else /var/lib/reeve if it is there and writable.
 * NULL with errno ENOENT when there is none of them. */
char *paths_state_dir(void);

/* `path` as seen from the current directory; one that begins with '/' is only copied. Links are not
 * resolved, so that one which is changed later is followed. NULL with errno. */
char *paths_absolute(const char *path);

#endif
