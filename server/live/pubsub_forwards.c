/* pubsub_forwards.c: subscriptions of sessions: what is published goes to the connection without
 * any code of an application in between. How it looks on the wire is the session's concern. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "live/pubsub_channels.h"
#include "live/session.h"
#include "live/shared.h"

static int fail(int error)
{
    errno = error;
    return -1;
}

/* ---- what arrives ---- */

/* All sessions of the worker share what the first one has made. */
static reeve_shared *shared_of(struct arrival *arrival)
{
    struct payload *payload;

    if (arrival->shared)
        return arrival->shared;
    payload = arrival_payload(arrival);
    arrival->shared = payload ? calloc(1, sizeof *arrival->shared) : NULL;
    if (arrival->shared) {
        arrival->shared->refs = 1;
        arrival->shared->forms[SHARED_BYTES] = payload_ref(payload);
    }
    return arrival->shared;
}

static bool take(struct subscriber *subscriber, struct arrival *arrival)
{
    struct forward *forward = (struct forward *)subscriber;
    struct session *session = forward->session;
    struct publication publication = {.channel = subscriber->channel->name,
                                      .shared = shared_of(arrival)};

    if (!publication.shared)
        return false;
    session_use(session);
    session->kind->forward(session, forward, &publication);
    session_drop(session);
    return true;
}

static const struct subscriber_kind kind = {.take = take};

/* ---- coming and going ---- */

static struct forward *find(struct session *session, const char *channel)
{
    struct forward *forward;

    LIST_FOREACH (forward, &session->forwards, entry)
        if (strcmp(forward->subscriber.channel->name, channel) == 0)
            return forward;
    return NULL;
}

static void end(struct forward *forward)
{
    channels_leave(&forward->subscriber);
    LIST_REMOVE(forward, entry);
    free(forward);
}

int pubsub_forward(struct session *session, const char *channel, int as, reeve_slow slow)
{
    struct forward *forward;
    struct topic topic;
    int error;

    if (channels_check(channel, &topic) == -1)
        return -1;
    if (slow != REEVE_SLOW_DROP_OLDEST && slow != REEVE_SLOW_CUT_OFF)
        return fail(EINVAL);
    if (find(session, channel))
        return fail(EEXIST);
    forward = calloc(1, sizeof *forward);
    if (!forward)
        return fail(ENOMEM);
    forward->session = session;
    forward->slow = slow;
    forward->kind = as;
    if (channels_join(&forward->subscriber, &kind, channel) == -1) {
        error = errno;
        free(forward);
        return fail(error);
    }
    LIST_INSERT_HEAD(&session->forwards, forward, entry);
    return 0;
}

int pubsub_unforward(struct session *session, const char *channel)
{
    struct forward *forward = channel ? find(session, channel) : NULL;

    if (!forward)
        return fail(ENOENT);
    end(forward);
    return 0;
}

void pubsub_drop_session(struct session *session)
{
    struct forward *forward;

    while ((forward = LIST_FIRST(&session->forwards)))
        end(forward);
}
