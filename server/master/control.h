/* control.h: the control socket: who may talk to the master, and how many, and how long. */
#ifndef MASTER_CONTROL_H
#define MASTER_CONTROL_H

#include <stdbool.h>

struct control;
struct master;

/* Listens at config->control, whose folder is made when it is missing. NULL, after one warning that
 * says why: the server runs without it then. */
struct control *control_new(struct master *master);

/* Another server answers at `path`: reevectl would speak to that one and mean this one. */
bool control_is_taken(const char *path);

/* Hangs up on everybody (actions go on, unheard) and removes the socket's file if it is still ours.
 * Before the pool and the deployments are freed. NULL is fine. */
void control_free(struct control *control);

#endif
