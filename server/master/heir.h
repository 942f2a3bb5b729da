/* heir.h: a new image of the master takes over what the former one left (bequest.h): first, in a
 * child of the former, it says whether it could; then, by an exec in place, it does. */
#ifndef MASTER_HEIR_H
#define MASTER_HEIR_H

#include "base/config.h"
#include "master/succession.h"

struct master;

/* The variable by which the document's descriptor comes to the new image, and the option by which
 * it comes to the one that is only to check it. */
#define HEIR_VARIABLE "REEVE_SUCCESSION"
#define HEIR_OPTION   "check-upgrade"

/* The descriptor that HEIR_VARIABLE gives, which is taken out of the environment; -1: none, this is
 * an ordinary start. */
int heir_document(void);

/* The check: says on stdout, as {"nonce":...,"version":...} or {"nonce":...,"refusal":...}, whether
 * this binary can go on with the document, with `config` (NULL: `problem` says why there is none).
 * Every current build is tried in a process of its own. Returns the exit status. */
int heir_answer(struct config *config, const char *problem, int document);

/* ---- the taking over, in this order; each 0, or -1 with a sentence ---- */

/* The configuration can be used in the place of the one in force; it learns what was worked out at
 * the start. */
int heir_compare(const struct succession *succession, struct config *config, char **error_out);
/* State folder, history, listeners. */
int heir_take_places(struct master *master, const struct succession *succession, char **error_out);
int heir_take_board(struct master *master, const struct succession *succession, char **error_out);
/* Catalog, workers, the action: once the master has its parts. */
int heir_take_state(struct master *master, const struct succession *succession, char **error_out);

#endif
