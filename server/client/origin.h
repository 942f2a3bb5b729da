/* origin.h: the connections of this worker to other services, by origin: how many there may be, who
 * waits for one, and which idle ones are kept.
 *
 * They are the worker's, not an application's: nothing here points into a module. */
#ifndef CLIENT_ORIGIN_H
#define CLIENT_ORIGIN_H

#include <stdbool.h>
#include <stdint.h>

#include "client/wire.h"

struct event_base;

#define ORIGIN_CONNECTIONS 64  /* at most, of one origin */
#define ORIGIN_IDLE        16  /* at most, of one origin */
#define ORIGIN_IDLE_ALL    256 /* at most, of all */
#define ORIGIN_IDLE_NS     (60 * NS_PER_SEC)
#define ORIGIN_LIMITED     256 /* origins with limits of their own */

/* One table a process. 0 or -1. */
int origin_open(struct event_base *base);
/* From now on nothing is kept idle. */
void origin_drain(void);
/* None may be in use. */
void origin_close(void);

struct event_base *origin_base(void);

/* A connection to that origin: one that was kept (connected, and quiet), or when there is none, or
 * is_fresh, one that is still to be connected (fd -1). Waits at most `ns` when there are too many:
 * first come, first served. 0, or an errno value. [suspends] */
int origin_take(const char *name, bool is_fresh, uint64_t ns, struct wire **wire_out);
/* Gives it back: to be kept idle for `ns` at most; 0: it is closed. */
void origin_give(struct wire *wire, uint64_t ns);

/* Closes the one that is idle for longest, of all origins, to have its descriptor. False: there is
 * none. */
bool origin_spare_one(void);

/* 0, or -1 with ENOMEM, ENOSPC. */
int origin_limit(const char *name, unsigned connections, unsigned idle);

#endif
