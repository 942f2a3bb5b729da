/* pubsub_private.h: what the two styles of subscription have in common. */
#ifndef LIVE_PUBSUB_PRIVATE_H
#define LIVE_PUBSUB_PRIVATE_H

#include "live/pubsub_channels.h"

struct reeve_subscription {
    struct subscriber subscriber;
    void (*stop)(reeve_subscription *subscription); /* the application does */
};

/* The scoreboard is to say so. */
void pubsub_count_lost(uint64_t count);

#endif
