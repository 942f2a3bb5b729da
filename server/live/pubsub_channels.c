/* pubsub_channels.c: see pubsub_channels.h. Keeps nothing that was published. */
#include "live/pubsub_channels.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/ring.h"
#include "net/payload.h"

#define NAME_MOST     255
#define BUCKETS_FIRST 64u

static struct {
    const struct transport *transport;
    struct channel **buckets;
    size_t bucket_count; /* a power of two */
    size_t count;
    LIST_HEAD(, channel) all;
    struct subscriber *next; /* whose turn is next, while something is delivered */
    struct channel *next_channel;
} process;

static int fail(int error)
{
    errno = error;
    return -1;
}

int channels_open(const struct transport *transport)
{
    process.buckets = calloc(BUCKETS_FIRST, sizeof(struct channel *));
    if (!process.buckets)
        return -1;
    process.transport = transport;
    process.bucket_count = BUCKETS_FIRST;
    process.count = 0;
    process.next = NULL;
    process.next_channel = NULL;
    LIST_INIT(&process.all);
    return 0;
}

void channels_close(void)
{
    free(process.buckets);
    process.buckets = NULL;
    process.transport = NULL;
}

int channels_check(const char *name, struct topic *topic_out)
{
    size_t length = name ? strnlen(name, NAME_MOST + 1) : 0;

    if (length == 0 || length > NAME_MOST)
        return fail(EINVAL);
    *topic_out = (struct topic){.name = name, .length = length, .hash = ring_hash(name, length)};
    return 0;
}

/* ---- the table ---- */

static struct channel **bucket_of(uint64_t hash)
{
    return &process.buckets[hash & (process.bucket_count - 1)];
}

static struct channel *find(const struct topic *topic)
{
    struct channel *channel = *bucket_of(topic->hash);

    while (channel &&
           (channel->topic.hash != topic->hash || channel->topic.length != topic->length ||
            memcmp(channel->name, topic->name, topic->length) != 0))
        channel = channel->next;
    return channel;
}

/* Without memory for more buckets the lists are longer. */
static void grow(void)
{
    size_t count = process.bucket_count * 2;
    struct channel **buckets = calloc(count, sizeof(struct channel *)), *channel;

    if (!buckets)
        return;
    free(process.buckets);
    process.buckets = buckets;
    process.bucket_count = count;
    LIST_FOREACH (channel, &process.all, entry) {
        struct channel **bucket = bucket_of(channel->topic.hash);

        channel->next = *bucket;
        *bucket = channel;
    }
}

static struct channel *add(const struct topic *topic)
{
    struct channel *channel = calloc(1, sizeof *channel + topic->length + 1);
    struct channel **bucket;

    if (!channel) {
        errno = ENOMEM;
        return NULL;
    }
    memcpy(channel->name, topic->name, topic->length);
    channel->topic = *topic;
    channel->topic.name = channel->name;
    channel->refs = 1;
    LIST_INIT(&channel->subscribers);
    if (process.transport->want(&channel->topic) == -1) {
        free(channel);
        return NULL;
    }
    if (process.count >= process.bucket_count)
        grow();
    bucket = bucket_of(topic->hash);
    channel->next = *bucket;
    *bucket = channel;
    LIST_INSERT_HEAD(&process.all, channel, entry);
    process.count++;
    return channel;
}

static void drop(struct channel *channel)
{
    struct channel **place = bucket_of(channel->topic.hash);

    while (*place != channel)
        place = &(*place)->next;
    *place = channel->next;
    if (process.next_channel == channel)
        process.next_channel = LIST_NEXT(channel, entry);
    LIST_REMOVE(channel, entry);
    process.count--;
    process.transport->drop(&channel->topic);
    channel_unref(channel);
}

struct channel *channel_ref(struct channel *channel)
{
    channel->refs++;
    return channel;
}

void channel_unref(struct channel *channel)
{
    if (channel && --channel->refs == 0)
        free(channel);
}

/* ---- subscribers ---- */

/* At the head: who comes while something is delivered was not there when it was published. */
int channels_join(struct subscriber *subscriber, const struct subscriber_kind *kind,
                  const char *name)
{
    struct topic topic;
    struct channel *channel;

    if (channels_check(name, &topic) == -1)
        return -1;
    if (!process.transport) /* the process ends */
        return fail(ECANCELED);
    channel = find(&topic);
    if (!channel && !(channel = add(&topic)))
        return -1;
    subscriber->kind = kind;
    subscriber->channel = channel;
    subscriber->since = process.transport->mark();
    LIST_INSERT_HEAD(&channel->subscribers, subscriber, entry);
    return 0;
}

void channels_leave(struct subscriber *subscriber)
{
    struct channel *channel = subscriber->channel;

    if (!channel)
        return;
    subscriber->channel = NULL;
    if (process.next == subscriber)
        process.next = LIST_NEXT(subscriber, entry);
    LIST_REMOVE(subscriber, entry);
    if (LIST_EMPTY(&channel->subscribers))
        drop(channel);
}

/* ---- what arrives ---- */

struct payload *arrival_payload(struct arrival *arrival)
{
    if (arrival->payload)
        return arrival->payload;
    arrival->payload = payload_new(arrival->size + 1);
    if (!arrival->payload) {
        errno = ENOMEM;
        return NULL;
    }
    memcpy(arrival->payload->data, arrival->data, arrival->size + 1);
    arrival->payload->size = arrival->size;
    return arrival->payload;
}

/* Whoever leaves is skipped (channels_leave), so that each may go, and any other. */
struct channels_count channels_deliver(struct arrival *arrival)
{
    struct channel *channel = process.transport ? find(&arrival->topic) : NULL;
    struct channels_count count = {0};
    struct subscriber *subscriber;

    if (!channel)
        return count;
    channel_ref(channel);
    for (subscriber = LIST_FIRST(&channel->subscribers); subscriber; subscriber = process.next) {
        process.next = LIST_NEXT(subscriber, entry);
        if (subscriber->since > arrival->mark)
            continue;
        if (subscriber->kind->take(subscriber, arrival))
            count.taken++;
        else
            count.lost++;
    }
    channel_unref(channel);
    reeve_shared_release(arrival->shared);
    payload_unref(arrival->payload);
    return count;
}

static size_t miss_in(struct channel *channel, uint64_t missed)
{
    struct subscriber *subscriber;
    size_t count = 0;

    for (subscriber = LIST_FIRST(&channel->subscribers); subscriber; subscriber = process.next) {
        process.next = LIST_NEXT(subscriber, entry);
        if (subscriber->kind->miss)
            subscriber->kind->miss(subscriber, missed);
        count++;
    }
    return count;
}

/* New channels come at the head, and one that goes is skipped (drop). */
size_t channels_miss(uint64_t missed)
{
    struct channel *channel;
    size_t count = 0;

    for (channel = LIST_FIRST(&process.all); channel; channel = process.next_channel) {
        process.next_channel = LIST_NEXT(channel, entry);
        channel_ref(channel);
        count += miss_in(channel, missed);
        channel_unref(channel);
    }
    return count;
}
