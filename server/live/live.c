/* live.c: see live.h. */
#include "live/live.h"

#include "live/chat.h"
#include "live/pubsub.h"
#include "live/websocket.h"

int live_open(struct room *room)
{
    return pubsub_open(room);
}

void live_close(void)
{
    websocket_close_codec();
    pubsub_close();
}

void live_on_stream(struct net *net, int fd, const struct listener *listener,
                    const struct sockaddr *peer)
{
    chat_accept(net, fd, listener, peer);
}
