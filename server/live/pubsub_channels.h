/* pubsub_channels.h: the channels of this worker that somebody has subscribed to, and the way from
 * what arrives to the subscribers. What becomes of it there is their kind's concern. */
#ifndef LIVE_PUBSUB_CHANNELS_H
#define LIVE_PUBSUB_CHANNELS_H

#include <reeve/pubsub.h>

#include "live/pubsub.h"
#include "live/pubsub_transport.h"

struct subscriber_kind {
    /* On the loop's stack. It may leave, and be freed, and others may come and leave meanwhile.
     * False: it has lost this one. */
    bool (*take)(struct subscriber *subscriber, struct arrival *arrival);
    /* So many may have been lost that were for it. NULL: it is not told. As take. */
    void (*miss)(struct subscriber *subscriber, uint64_t count);
};

/* Lifetime: in the table while it has subscribers; its memory while somebody refers to it. */
struct channel {
    struct channel *next;      /* of its bucket */
    LIST_ENTRY(channel) entry; /* of all */
    LIST_HEAD(, subscriber) subscribers;
    unsigned refs;
    struct topic topic;
    char name[];
};

int channels_open(const struct transport *transport);
void channels_close(void);

/* 0, or -1: EINVAL, it is no name. */
int channels_check(const char *name, struct topic *topic_out);

/* 0, or -1: EINVAL, ENOMEM, or the transport's. */
int channels_join(struct subscriber *subscriber, const struct subscriber_kind *kind,
                  const char *name);
/* No more is taken. Nothing, if it has left already. */
void channels_leave(struct subscriber *subscriber);

struct channel *channel_ref(struct channel *channel);
void channel_unref(struct channel *channel); /* NULL: nothing */

struct channels_count {
    size_t taken, lost;
};
/* To all subscribers of its channel. */
struct channels_count channels_deliver(struct arrival *arrival);
/* To all of all. Returns how many these are. */
size_t channels_miss(uint64_t count);

/* The arrival's bytes, with a NUL behind them, in memory that can be kept by reference: the
 * arrival's to release. NULL: ENOMEM. */
struct payload *arrival_payload(struct arrival *arrival);

#endif
