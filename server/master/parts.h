/* parts.h: the master's parts, made and freed. Each of these answers 0, or -1 with one sentence in
 * *error_out; parts_free takes apart whatever there is by then. */
#ifndef MASTER_PARTS_H
#define MASTER_PARTS_H

#include <event2/event.h>

#include "base/config.h"
#include "master/signals.h"

struct master;

/* What the outside can refuse: folders, addresses. */
int parts_take_places(struct master *master, struct config *config, char **error_out);
int parts_make_board(struct master *master, char **error_out);
/* What only a machine at its end refuses. `leave` is master->leaving's. */
int parts_make(struct master *master, signals_on_signal *on_signal, event_callback_fn leave,
               char **error_out);
/* Tells the history what only the master knows. */
void parts_own_history(struct master *master);
void parts_free(struct master *master);

#endif
