/* pubsub_transport.h: what carries publications from worker to worker: a ring of shared memory for
 * each (pubsub_ring.c), or one day a broker.
 *
 * It knows nothing of subscribers: only which channels this worker wants. Lifetime: the process. */
#ifndef LIVE_PUBSUB_TRANSPORT_H
#define LIVE_PUBSUB_TRANSPORT_H

#include <stddef.h>
#include <stdint.h>

struct payload;
struct room;

/* A channel's name, 1 to 255 bytes; with a NUL behind them. */
struct topic {
    const char *name;
    size_t length;
    uint64_t hash; /* ring_hash of it */
};

/* What has arrived. Name and bytes are good until `arrived` returns. */
struct arrival {
    struct topic topic;
    const void *data; /* with a NUL behind it */
    size_t size;
    uint64_t mark;               /* for those who came at this mark, or before it */
    struct payload *payload;     /* the bytes in memory of their own, once somebody has asked */
    struct reeve_shared *shared; /* likewise, for sessions */
};

struct transport_owner {
    /* Both on the loop's stack, and return how much work that was, in subscribers. */
    /* In the order of publishing for each publisher. */
    size_t (*arrived)(struct arrival *arrival);
    /* So many may not have arrived, in whatever channels. */
    size_t (*missed)(uint64_t count);
};

struct transport {
    /* 0, or -1: EMSGSIZE, ENOMEM. It arrives later, never within this call, in this worker, too. */
    int (*publish)(const struct topic *topic, const void *data, size_t size);
    /* What is published in the channel from now on has to arrive: said once, until drop. 0 or -1. */
    int (*want)(const struct topic *topic);
    void (*drop)(const struct topic *topic);
    /* Of now: what was published before, and arrives later, bears a lower one. */
    uint64_t (*mark)(void);
    void (*close)(void);
};

/* NULL with errno. */
const struct transport *pubsub_ring_open(struct room *room, const struct transport_owner *owner);

#endif
