/* pubsub_queues.c: subscriptions that a coroutine asks for the next publication. What is queued is
 * shared with the others of this worker, and at most `capacity` publications. */
#include <errno.h>
#include <stdlib.h>

#include "app/strand.h"
#include "base/holder.h"
#include "live/pubsub_private.h"
#include "net/payload.h"
#include "runtime/coro.h"
#include "runtime/line.h"

#define CAPACITY 256

struct queued {
    STAILQ_ENTRY(queued) entry;
    struct payload *payload;
    uint64_t missed; /* just before it */
};

/* Lifetime: of the scope it was made in; when it was stopped it only stays there, so that whoever
 * asks it all the same learns that. */
struct queue {
    struct reeve_subscription common; /* first */
    struct channel *channel;          /* for its name */
    STAILQ_HEAD(, queued) items;
    size_t count, capacity;
    uint64_t missed;      /* behind the last one */
    struct payload *last; /* what was taken last is good until the next call */
    struct line line;     /* who waits for the next: one at most */
    reeve_slow slow;
    bool is_cut, is_stopped, is_asked;
};

static int fail(int error)
{
    errno = error;
    return -1;
}

/* ---- what comes in ---- */

static struct queued *pull(struct queue *queue)
{
    struct queued *item = STAILQ_FIRST(&queue->items);

    STAILQ_REMOVE_HEAD(&queue->items, entry);
    queue->count--;
    return item;
}

static void discard(struct queued *item)
{
    payload_unref(item->payload);
    free(item);
}

/* What is lost is told with what comes next. */
static void drop_oldest(struct queue *queue)
{
    struct queued *oldest = pull(queue), *next = STAILQ_FIRST(&queue->items);

    *(next ? &next->missed : &queue->missed) += oldest->missed + 1;
    discard(oldest);
    pubsub_count_lost(1);
}

static bool put(struct queue *queue, struct arrival *arrival)
{
    struct payload *payload = arrival_payload(arrival);
    struct queued *item = payload ? malloc(sizeof *item) : NULL;

    if (!item) {
        queue->missed++;
        return false;
    }
    *item = (struct queued){.payload = payload_ref(payload), .missed = queue->missed};
    queue->missed = 0;
    STAILQ_INSERT_TAIL(&queue->items, item, entry);
    queue->count++;
    return true;
}

static bool take(struct subscriber *subscriber, struct arrival *arrival)
{
    struct queue *queue = (struct queue *)subscriber;
    bool is_queued;

    if (queue->count >= queue->capacity && queue->slow == REEVE_SLOW_CUT_OFF) {
        queue->is_cut = true;
        channels_leave(subscriber);
        return false;
    }
    if (queue->count >= queue->capacity)
        drop_oldest(queue);
    is_queued = put(queue, arrival);
    line_give(&queue->line);
    return is_queued;
}

static void miss(struct subscriber *subscriber, uint64_t count)
{
    struct queue *queue = (struct queue *)subscriber;

    queue->missed += count;
    line_give(&queue->line);
}

static const struct subscriber_kind kind = {.take = take, .miss = miss};

/* ---- what is taken ---- */

static bool has_something(const struct queue *queue)
{
    return queue->count > 0 || queue->missed > 0;
}

static int give(struct queue *queue, reeve_publication *publication_out)
{
    struct queued *item;

    *publication_out = (reeve_publication){.channel = queue->channel->name};
    if (queue->count == 0) {
        publication_out->missed = queue->missed;
        queue->missed = 0;
        return 0;
    }
    item = pull(queue);
    queue->last = item->payload;
    publication_out->data = queue->last->data;
    publication_out->size = queue->last->size;
    publication_out->missed = item->missed;
    free(item);
    return 0;
}

static int wait(struct queue *queue, double seconds)
{
    uint64_t ns = strand_limit(seconds);
    struct line_place place;
    int reason;

    if (!coro_current())
        return fail(ns == 0 ? ETIMEDOUT : EDEADLK);
    queue->is_asked = true;
    reason = line_wait(&queue->line, &place, "publication", ns);
    queue->is_asked = false;
    return reason ? fail(reason) : 0;
}

int reeve_subscription_next(reeve_subscription *subscription, reeve_publication *publication_out,
                            double seconds)
{
    struct queue *queue = (struct queue *)subscription;

    coro_note(CALL_SUBSCRIPTION, __builtin_return_address(0));
    if (subscription->subscriber.kind != &kind)
        return fail(EINVAL);
    if (queue->is_asked)
        return fail(EBUSY);
    payload_unref(queue->last);
    queue->last = NULL;
    if (queue->is_stopped)
        return fail(ECANCELED);
    if (!has_something(queue) && queue->is_cut)
        return fail(ENOBUFS);
    if (!has_something(queue) && wait(queue, seconds) == -1)
        return -1;
    if (!has_something(queue)) /* it was stopped when it had just got something */
        return fail(ECANCELED);
    return give(queue, publication_out);
}

/* ---- begin and end ---- */

static void stop(reeve_subscription *subscription)
{
    struct queue *queue = (struct queue *)subscription;

    channels_leave(&subscription->subscriber);
    while (queue->count > 0)
        discard(pull(queue));
    queue->missed = 0;
    queue->is_stopped = true;
    line_dismiss(&queue->line, ECANCELED);
}

/* The scope's tasks have ended: nobody waits. */
static void on_scope_end(void *arg)
{
    struct queue *queue = arg;

    stop(&queue->common);
    payload_unref(queue->last);
    channel_unref(queue->channel);
    free(queue);
}

static reeve_subscription *give_up(struct queue *queue, int error)
{
    if (queue)
        channels_leave(&queue->common.subscriber);
    free(queue);
    errno = error;
    return NULL;
}

reeve_subscription *reeve_subscription_new(const char *channel, size_t capacity, reeve_slow slow)
{
    struct queue *queue;

    if (slow != REEVE_SLOW_DROP_OLDEST && slow != REEVE_SLOW_CUT_OFF)
        return give_up(NULL, EINVAL);
    if (!coro_current())
        return give_up(NULL, EDEADLK);
    queue = calloc(1, sizeof *queue);
    if (!queue)
        return give_up(NULL, ENOMEM);
    queue->common.stop = stop;
    queue->capacity = capacity > 0 ? capacity : CAPACITY;
    queue->slow = slow;
    STAILQ_INIT(&queue->items);
    TAILQ_INIT(&queue->line);
    if (channels_join(&queue->common.subscriber, &kind, channel) == -1 ||
        !reeve_scope_on_end(on_scope_end, queue))
        return give_up(queue, errno);
    queue->channel = channel_ref(queue->common.subscriber.channel);
    return &queue->common;
}
