/* control.h: the control socket: who may talk to the master, and how many, and how long. */
#ifndef MASTER_CONTROL_H
#define MASTER_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

struct control;
struct master;

/* Listens at config->control, whose folder is made when it is missing. NULL, after one warning that
 * says why: the server runs without it then. */
struct control *control_new(struct master *master);

/* Another server answers at `path`: reevectl would speak to that one and mean this one. */
bool control_is_taken(const char *path);

/* Nobody has an answer, or a line of one, still to be sent to him. NULL is fine. */
bool control_is_flushed(const struct control *control);

/* ---- over an exec in place ---- */

/* Nobody new is let in, or all are again; who comes meanwhile waits, and never finds nobody there.
 */
void control_pause(struct control *control, bool is_paused);
/* Nobody waits for an answer, but for the rest of a stream, and every line has been sent. */
bool control_is_quiet(const struct control *control);

/* The socket, and what its file was made as. */
struct control_place {
    int fd;
    uint64_t device, inode;
};
struct control_place control_place(const struct control *control);
/* Goes on where the former image was; the descriptor is the control's, also when this fails. NULL,
 * after a warning. */
struct control *control_adopt(struct master *master, const struct control_place *place);

/* Hangs up on everybody (actions go on, unheard) and removes the socket's file if it is still ours.
 * Before the pool and the deployments are freed. NULL is fine. */
void control_free(struct control *control);

#endif
