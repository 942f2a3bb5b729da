/* roll.h: replacing every worker, one at a time (action_restart in action.h): what the pool tells a
 * running restart. */
#ifndef MASTER_ROLL_H
#define MASTER_ROLL_H

#include <stdbool.h>

struct master;
struct worker;

void roll_on_ready(struct master *master, struct worker *worker);

/* It drains, or ended (`how` is the end of a sentence), unasked or not. True when its successor is
 * starting already. */
bool roll_on_leaving(struct master *master, const struct worker *worker);
bool roll_on_gone(struct master *master, const struct worker *worker, const char *how);

/* The server stops: a verdict for whoever waits. Without a restart nothing happens. */
void roll_stop(struct master *master);

#endif
