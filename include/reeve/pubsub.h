/* reeve/pubsub.h: messages to whoever has subscribed to a channel, in all workers.
 *
 * A channel is a name that publishers and subscribers agree on; nobody has to make it. Names are the
 * server's, shared by its applications: "chatroom:lobby" is a good one. What a worker publishes
 * arrives everywhere in the order of publishing, in its own subscriptions, too; what several publish
 * may arrive in different orders. It is delivered at most once, and only to subscriptions that were
 * there when it was published; nothing is kept. A publisher never waits for a subscriber, and learns
 * nothing about them: what is too slow loses, see below. Since 1.3, all of it. */
#ifndef REEVE_PUBSUB_H
#define REEVE_PUBSUB_H

#include <reeve/app.h>
#include <reeve/chat.h>
#include <reeve/websocket.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct reeve_publication {
    const char *channel;
    const void *data; /* with a NUL behind it that does not count; NULL: only `missed` is told */
    size_t size;
    uint64_t missed; /* publications that this subscription may have lost just before this one: its
                        queue was full, or this worker did not get round to them */
} reeve_publication;

/* Publishes. 0, or -1: EINVAL, the channel's name has no byte or more than 255; EMSGSIZE, with that
 * and 40 bytes more than an eighth of `pubsub_ring` in the configuration; ENOMEM; ECANCELED, the
 * worker ends. From wherever in the worker's thread, init and fini included. In the throwaway process
 * it reaches nobody else. Does not suspend. */
REEVE_API int reeve_publish(const char *channel, const void *data, size_t size);

typedef struct reeve_subscription reeve_subscription;

/* Calls on_publication, on the loop's stack, for all that is published from now on. It must not
 * suspend, and should be quick: nothing else runs meanwhile; it may send to connections, and stop
 * its own subscription and others. What was lost is told at once, with a publication without data.
 * Belongs to the build, and goes on until it is stopped, or the build's background work ends: it
 * takes no requests any more, and its last request and connection have ended. So in a deployment
 * two builds get the same for a while, as several workers always do. From anywhere, init included.
 * NULL: ENOMEM, EINVAL, ECANCELED: it is too late. */
typedef void reeve_on_publication(reeve_subscription *subscription,
                                  const reeve_publication *publication, void *arg);
REEVE_API reeve_subscription *reeve_subscribe(reeve_module *module, const char *channel,
                                              reeve_on_publication *on_publication, void *arg);
/* No further call. Not for one that the build's end has stopped, but in fini, where it does no harm;
 * nor twice. One that is asked (below) lives on until its scope ends, and who waits for its next
 * publication, or asks for it later, gets ECANCELED: so one coroutine can end what another is busy
 * with. NULL: nothing. Does not suspend. */
REEVE_API void reeve_unsubscribe(reeve_subscription *subscription);

/* ---- in the style of coroutines ---- */

/* What happens to a subscriber whose queue is full. */
typedef enum reeve_slow {
    REEVE_SLOW_DROP_OLDEST, /* it loses what it has not taken for longest, and is told how many */
    REEVE_SLOW_CUT_OFF      /* its subscription ends: ENOBUFS */
} reeve_slow;

/* A subscription that is asked. It queues at most `capacity` publications, 0: 256. Belongs to the
 * innermost scope, and goes with it: a long loop opens a scope for each round. NULL: ENOMEM, EINVAL,
 * EDEADLK. */
REEVE_API reeve_subscription *reeve_subscription_new(const char *channel, size_t capacity,
                                                     reeve_slow slow);
/* The next one, good until the next call. One without data only tells what was missed. 0, or -1:
 * ETIMEDOUT; ENOBUFS, it was cut off, after what it had was taken; ECANCELED, also when it was
 * stopped; EDEADLK; EBUSY, another coroutine waits; EINVAL, it is none that is asked. [suspends] */
REEVE_API int reeve_subscription_next(reeve_subscription *subscription,
                                      reeve_publication *publication_out, double seconds);

/* ---- straight to a connection ---- */

/* Sends all that is published in a channel on to the connection, as it is, without any code of the
 * application in between: for a WebSocket as messages of that kind, framed and compressed once for
 * all of a worker's. (REEVE_TEXT: what is no UTF-8 is left out.) One that does not read and has more
 * than max_output waiting is cut off, as by reeve_websocket_send and reeve_chat_push, or with
 * REEVE_SLOW_DROP_OLDEST is left out until it reads again. What was missed is not told. Ends with
 * the connection. 0, or -1:
 * EINVAL, ENOMEM, EPIPE; EEXIST: it is subscribed already. Unsubscribing: ENOENT. */
REEVE_API int reeve_websocket_subscribe(reeve_websocket *ws, const char *channel,
                                        reeve_websocket_kind kind, reeve_slow slow);
REEVE_API int reeve_websocket_unsubscribe(reeve_websocket *ws, const char *channel);
REEVE_API int reeve_chat_subscribe(reeve_chat *chat, const char *channel, reeve_slow slow);
REEVE_API int reeve_chat_unsubscribe(reeve_chat *chat, const char *channel);

#ifdef __cplusplus
}
#endif
#endif
