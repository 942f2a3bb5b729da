/* relay.h: idle connections of workers that drain, on their way to workers that serve. The master
 * passes the descriptor on; it never reads a byte of it. */
#ifndef MASTER_RELAY_H
#define MASTER_RELAY_H

#include <stdint.h>

struct master;
struct message;
struct worker;

/* MESSAGE_CONNECTION of a worker. */
void relay_pass(struct master *master, struct worker *from, const struct message *message);
/* Sends the DRAIN: when others serve, and unless the server is stopping, connections of the
 * listeners that will go on being served are asked for. When the whole server is drained, those that
 * are idle are soon closed. */
void relay_drain(const struct master *master, struct worker *leaving, uint64_t timeout);
/* Tells a worker that drains when somebody else serves: it did not know when it began. */
void relay_offer(const struct master *master, struct worker *leaving);
/* A worker has become ready: the same to all that drain. */
void relay_on_ready(const struct master *master);

#endif
