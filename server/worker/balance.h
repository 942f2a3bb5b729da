/* balance.h: new connections go to workers that have little to do.
 *
 * Whoever wakes up first would take them otherwise, and long-lived ones pile up in one worker. The
 * scoreboard says what each has: no worker is asked, and none waits for another. */
#ifndef WORKER_BALANCE_H
#define WORKER_BALANCE_H

#include <stdint.h>

struct board;

/* How many connections worker `id` may take before it has clearly more to do than the least busy of
 * those that accept, too; 0: it has. `now` is clock_ns(). */
unsigned balance_share(const struct board *board, unsigned id, uint64_t now);

#endif
