/* bringup.h: how a fresh worker comes to run what the others run: PREPARE for every app's current
 * build, then COMMIT for each and START. */
#ifndef MASTER_BRINGUP_H
#define MASTER_BRINGUP_H

#include "base/channel.h"

struct master;
struct worker;

void bringup_begin(struct master *master, struct worker *worker);

/* Answers of a worker that is not current yet. */
void bringup_on_prepared(struct master *master, struct worker *worker,
                         const struct message *message);
void bringup_on_refused(struct master *master, struct worker *worker,
                        const struct message *message);

#endif
