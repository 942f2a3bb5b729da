/* websocket_subscribe.c: what is published in a channel goes straight to a WebSocket. */
#include <errno.h>
#include <reeve/pubsub.h>

#include "live/pubsub.h"
#include "live/websocket_private.h"

int reeve_websocket_subscribe(reeve_websocket *ws, const char *channel, reeve_websocket_kind kind,
                              reeve_slow slow)
{
    if (kind != REEVE_TEXT && kind != REEVE_BINARY) {
        errno = EINVAL;
        return -1;
    }
    if (reeve_websocket_is_closing(ws)) {
        errno = EPIPE;
        return -1;
    }
    return pubsub_forward(&ws->session, channel, (int)kind, slow);
}

int reeve_websocket_unsubscribe(reeve_websocket *ws, const char *channel)
{
    return pubsub_unforward(&ws->session, channel);
}
