/* pubsub.c: publishing, and what stands between transport and channels. Neither knows the other. */
#include "live/pubsub.h"

#include <errno.h>

#include "app/room.h"
#include "live/pubsub_private.h"

static struct {
    const struct transport *transport; /* NULL: it is not open */
    struct board_slot *slot;
} process;

static size_t on_arrived(struct arrival *arrival)
{
    struct channels_count count = channels_deliver(arrival);

    board_add(&process.slot->delivered, count.taken);
    board_add(&process.slot->missed, count.lost);
    return count.taken + count.lost;
}

static size_t on_missed(uint64_t count)
{
    pubsub_count_lost(count);
    return channels_miss(count);
}

void pubsub_count_lost(uint64_t count)
{
    board_add(&process.slot->missed, count);
}

int pubsub_open(struct room *room)
{
    static const struct transport_owner owner = {.arrived = on_arrived, .missed = on_missed};

    process.slot = room->slot;
    process.transport = pubsub_ring_open(room, &owner);
    if (!process.transport)
        return -1;
    if (channels_open(process.transport) == 0)
        return 0;
    process.transport->close();
    process.transport = NULL;
    return -1;
}

void pubsub_close(void)
{
    if (!process.transport)
        return;
    channels_close();
    process.transport->close();
    process.transport = NULL;
}

int reeve_publish(const char *channel, const void *data, size_t size)
{
    struct topic topic;

    if (channels_check(channel, &topic) == -1)
        return -1;
    if (!process.transport) {
        errno = ECANCELED;
        return -1;
    }
    if (process.transport->publish(&topic, data, size) == -1)
        return -1;
    board_add(&process.slot->published, 1);
    return 0;
}

void reeve_unsubscribe(reeve_subscription *subscription)
{
    if (subscription)
        subscription->stop(subscription);
}
