/* rest.h: the server out of rotation: it takes no connections and has no workers, but goes on
 * otherwise: control socket, figures, history, deployments. `drain` gets it there, losing nothing,
 * and `resume` opens it again where it listened before. */
#ifndef MASTER_REST_H
#define MASTER_REST_H

#include <stdbool.h>

#include "master/action.h"

struct master;
struct worker;

/* No listening socket is open, and nobody is spawned: it drains, or rests. */
bool rest_is_on(const struct master *master);

/* False: an action of this kind makes no sense to a server that rests, for the reason that
 * *detail_out says. */
bool rest_allows(const struct master *master, enum action_kind kind, const char **detail_out);

void rest_on_ready(struct master *master, const struct worker *worker);
/* It ended (`how` is the end of a sentence), asked to or not. True: it wants no successor. */
bool rest_on_gone(struct master *master, const struct worker *worker, const char *how);

/* Opens again what is about to drain, without waiting for the end of the workers that do: false, with
 * *detail_out, when that cannot be. */
bool rest_cancel(struct master *master, const char **detail_out);
/* The server stops: whoever waits for a drain or a resume is told so. */
void rest_stop(struct master *master);
void rest_free(struct master *master);

#endif
