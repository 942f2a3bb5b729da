/* pubsub_callbacks.c: subscriptions that call the application, as background work of its build: the
 * build's end stops them, and their code is not called any more. */
#include <errno.h>
#include <stdlib.h>

#include "app/generation.h"
#include "live/pubsub_private.h"

/* Lifetime: until it was stopped. One that the build's end has stopped stays as it is until that is
 * unloaded: the application may stop it once more. It holds its generation until it is stopped. */
struct callback {
    struct reeve_subscription common; /* first */
    struct belonging belonging;       /* of the generation's background work */
    struct generation *generation;
    reeve_on_publication *on_publication;
    void *arg;
    bool is_over; /* the build's end has stopped it */
};

static void call(struct callback *callback, const reeve_publication *publication)
{
    struct generation *generation = callback->generation;
    const struct room *room = generation->app->room;

    /* Whatever it lets go of, its code stays until it has returned. */
    generation_hold(generation, HOLD_SUBSCRIPTION);
    room_do(room, STEP_TASK, generation);
    callback->on_publication(&callback->common, publication, callback->arg);
    room_do(room, STEP_NONE, generation);
    generation_release(generation, HOLD_SUBSCRIPTION);
}

static bool take(struct subscriber *subscriber, struct arrival *arrival)
{
    const reeve_publication publication = {
        .channel = subscriber->channel->name, .data = arrival->data, .size = arrival->size};

    call((struct callback *)subscriber, &publication);
    return true;
}

static void miss(struct subscriber *subscriber, uint64_t count)
{
    const reeve_publication publication = {.channel = subscriber->channel->name, .missed = count};

    call((struct callback *)subscriber, &publication);
}

static const struct subscriber_kind kind = {.take = take, .miss = miss};

/* ---- the end ---- */

static struct callback *of_belonging(struct belonging *belonging)
{
    return (struct callback *)((char *)belonging - offsetof(struct callback, belonging));
}

static void on_end(struct belonging *belonging)
{
    struct callback *callback = of_belonging(belonging);

    channels_leave(&callback->common.subscriber);
    callback->is_over = true;
    generation_release(callback->generation, HOLD_SUBSCRIPTION);
}

static void on_free(struct belonging *belonging)
{
    free(of_belonging(belonging));
}

static void stop(reeve_subscription *subscription)
{
    struct callback *callback = (struct callback *)subscription;
    struct generation *generation = callback->generation;

    if (callback->is_over)
        return;
    channels_leave(&subscription->subscriber);
    background_abandon(&callback->belonging);
    free(callback);
    generation_release(generation, HOLD_SUBSCRIPTION);
}

/* ---- the begin ---- */

static reeve_subscription *fail(int error)
{
    errno = error;
    return NULL;
}

reeve_subscription *reeve_subscribe(reeve_module *module, const char *channel,
                                    reeve_on_publication *on_publication, void *arg)
{
    struct generation *generation = generation_of(module);
    struct callback *callback;
    int error;

    if (!on_publication)
        return fail(EINVAL);
    if (generation->background.is_over)
        return fail(ECANCELED);
    callback = calloc(1, sizeof *callback);
    if (!callback)
        return fail(ENOMEM);
    *callback = (struct callback){.common = {.stop = stop},
                                  .belonging = {.stop = on_end, .free = on_free},
                                  .generation = generation,
                                  .on_publication = on_publication,
                                  .arg = arg};
    if (channels_join(&callback->common.subscriber, &kind, channel) == -1) {
        error = errno;
        free(callback);
        return fail(error);
    }
    background_adopt(generation, &callback->belonging);
    generation_hold(generation, HOLD_SUBSCRIPTION);
    return &callback->common;
}
