/* restart.h: what a rolling restart shares with the other actions that replace workers. */
#ifndef MASTER_RESTART_H
#define MASTER_RESTART_H

#include "master/receipt.h"
#include "master/roll.h"

enum outcome restart_outcome(enum roll_end end);
/* Ends the running action, with the workers that serve now and the time it took. */
void restart_end(struct master *master, enum outcome outcome, const char *reason);

#endif
