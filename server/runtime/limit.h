/* limit.h: time limits for very many holders: a list for each class, oldest first, and one timer
 * for all.
 *
 * All in a class have the same limit, so joining at the tail keeps a list sorted: start, restart
 * and stop are O(1). A limit never fires early, and late by at most LIMIT_TICK. */
#ifndef RUNTIME_LIMIT_H
#define RUNTIME_LIMIT_H

#include <stdint.h>
#include <sys/queue.h>

#define LIMIT_TICK 100000000ull /* ns: 100 ms */

struct event_base;
struct limits;

struct limit { /* embedded in the holder; all zero: stopped */
    TAILQ_ENTRY(limit) entry;
    uint64_t since;   /* clock_ns() */
    unsigned running; /* 0, or the class + 1 */
};

/* The limit was stopped just before; the callback may start it again, stop others, or free its
 * holder. */
typedef void limit_on_expire(struct limit *limit, unsigned class, void *arg);

/* durations[i] in ns; a class of 0 never expires. NULL with errno. */
struct limits *limits_new(struct event_base *base, const uint64_t *durations, unsigned classes,
                          limit_on_expire *on_expire, void *arg);
void limits_free(struct limits *limits);

/* Starts or restarts `limit` in a class, counted from `now` (clock_ns(), of a moment ago at most),
 * or from when the one before it was started, if that is later. */
void limit_start(struct limits *limits, struct limit *limit, unsigned class, uint64_t now);
void limit_stop(struct limits *limits, struct limit *limit);

/* Expires everything that is in the class now. */
void limits_expire_class(struct limits *limits, unsigned class);

#endif
