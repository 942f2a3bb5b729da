/* live.h: the long-lived connections of a worker, and what is published to them, as the worker sees
 * them. What applications see is reeve/chat.h, websocket.h and pubsub.h. */
#ifndef LIVE_LIVE_H
#define LIVE_LIVE_H

struct listener;
struct net;
struct room;
struct sockaddr;

/* One a process, once the room is open. 0, or -1 with errno. */
int live_open(struct room *room);
/* No connection may be left. */
void live_close(void);

/* net's callback: a connection to a chat listener. */
void live_on_stream(struct net *net, int fd, const struct listener *listener,
                    const struct sockaddr *peer);

#endif
