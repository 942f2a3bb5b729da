/* listener.h: accepts connections from a socket that the master bound, a bounded number a wake-up.
 *
 * Pauses while descriptors have run out or max_connections is reached; goes on when a connection
 * has closed, or after a moment. Leaves connections to siblings that have less to do (net->share);
 * what they have not taken a moment later it takes all the same. */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include <stdint.h>

struct listener;
struct net;

/* `index` is the one in config->listens, `port` the TCP port (0: a Unix socket). Does not accept
 * yet. NULL with errno. The descriptor stays the caller's. */
struct listener *listener_new(struct net *net, int fd, unsigned index, unsigned port);
void listener_free(struct listener *listener);

/* What is accepted is no HTTP: net->on_stream takes it. */
void listener_set_stream(struct listener *listener);

void listener_start(struct listener *listener);
void listener_stop(struct listener *listener);
/* Accepts what waits now, as far as there is room: the last thing before the socket is closed. */
void listener_take_queued(struct listener *listener);

/* There is a place again. */
void listener_resume_paused(struct net *net);

unsigned listener_index(const struct listener *listener);
unsigned listener_port(const struct listener *listener);

#endif
