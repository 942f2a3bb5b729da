/* chat.h: chats as the other files of this room see them. What applications see is reeve/chat.h. */
#ifndef LIVE_CHAT_H
#define LIVE_CHAT_H

struct listener;
struct net;
struct sockaddr;

/* A connection has come to a chat listener: takes fd over. */
void chat_accept(struct net *net, int fd, const struct listener *listener,
                 const struct sockaddr *peer);

#endif
