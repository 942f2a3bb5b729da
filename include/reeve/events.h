/* reeve/events.h: Server-Sent Events, the stream that EventSource reads in a browser.
 *
 *     static int stream(reeve_environ *environ, reeve_start_response *start_response)
 *     {
 *         reeve_subscription *news = reeve_subscription_new("news", 0, REEVE_SLOW_CUT_OFF);
 *
 *         if (news == NULL || reeve_events_begin(environ, start_response) == -1)
 *             return -1;
 *         return reeve_events_follow(environ, news, 15);
 *     }
 *
 * A stream goes on until its client has gone, and holds its build and its worker for as long: an
 * application ends its streams in on_drain, and the browser connects anew; reeve_events_follow sees
 * to that itself. request_timeout, where it is set, ends them, too. Whoever was cut off comes back after a few seconds, and says which event
 * it has seen last, if these had ids.
 *
 * Two coroutines that send to one stream take turns, or their events mix. Since 1.3, all of it. */
#ifndef REEVE_EVENTS_H
#define REEVE_EVENTS_H

#include <reeve/app.h>
#include <reeve/pubsub.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Begins the response, and sends its head: 200, text/event-stream, not to be cached by anybody nor
 * held back by a proxy. From now on the request is cancelled when its client has gone
 * (reeve_cancel_when_gone). Other headers: a filter adds them. 0, or -1 as start_response and
 * reeve_flush; ECANCELED, too, for a HEAD request, which has its whole answer with this.
 * [suspends] */
REEVE_API int reeve_events_begin(reeve_environ *environ, reeve_start_response *start_response);

/* Sends an event. `event` is its type (NULL: "message") and `id` its number or name (NULL: that of
 * the one before stays), both one line; `data` is UTF-8 of any number of lines, which may end with
 * CR, LF or both: it arrives with LF between them. It leaves when the coroutine waits. 0, or -1:
 * EINVAL, there is a CR, LF or NUL in event or id; ENOMEM; or as reeve_write. [suspends] */
REEVE_API int reeve_events_send(reeve_environ *environ, const char *event, const char *id,
                                const void *data, size_t size);

/* Sends what a browser takes no notice of: it keeps connections open that would be closed as idle on
 * their way, and shows whether the client is still there. One line, as event; NULL: none. Errors
 * likewise. [suspends] */
REEVE_API int reeve_events_comment(reeve_environ *environ, const char *comment);

/* The id of the last event that this client has seen before it came back, or NULL. It is what the
 * client says. Lives as long as the request. Does not suspend. */
REEVE_API const char *reeve_events_last_id(const reeve_environ *environ);

/* Sends each publication on, as the data of an event without type or id, and a comment after each
 * `keep_alive` seconds of silence (REEVE_FOREVER: none; 0: EINVAL); what was missed is told in a
 * comment. Goes on until the stream is over, and then returns 0: the client has gone, or was too
 * slow (REEVE_SLOW_CUT_OFF), the subscription was stopped, the request cancelled, or the build or
 * the worker is about to go, which is seen after the next event or comment. -1: as
 * reeve_subscription_next and reeve_write. [suspends] */
REEVE_API int reeve_events_follow(reeve_environ *environ, reeve_subscription *subscription,
                                  double keep_alive);

#ifdef __cplusplus
}
#endif
#endif
