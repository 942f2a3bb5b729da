/* pubsub.h: publish/subscribe as the other files of this room see it. What applications see is
 * reeve/pubsub.h; how it gets from worker to worker is pubsub_transport.h. */
#ifndef LIVE_PUBSUB_H
#define LIVE_PUBSUB_H

#include <reeve/pubsub.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct channel;
struct room;
struct session;
struct subscriber_kind;

/* 0, or -1 with errno. */
int pubsub_open(struct room *room);
/* Nobody is subscribed any more. */
void pubsub_close(void);

/* Whoever gets what is published in one channel; embedded. See pubsub_channels.h. */
struct subscriber {
    LIST_ENTRY(subscriber) entry; /* of the channel's */
    const struct subscriber_kind *kind;
    struct channel *channel; /* NULL: it has left */
    uint64_t since;          /* the transport's mark when it came */
};

/* A publication on its way to the sessions of this worker: what it looks like on their wires is
 * made when the first one asks for it, and shared by all. */
struct publication {
    const char *channel;
    reeve_shared *shared; /* its bytes; see shared.h */
};

/* A session's subscription: what is published in the channel goes straight to it. */
struct forward {
    struct subscriber subscriber;
    LIST_ENTRY(forward) entry; /* of session->forwards */
    struct session *session;
    reeve_slow slow;
    int kind; /* the session's own use: reeve_websocket_kind */
};

/* 0, or -1: EINVAL, ENOMEM, EEXIST. */
int pubsub_forward(struct session *session, const char *channel, int kind, reeve_slow slow);
/* 0, or -1: ENOENT. */
int pubsub_unforward(struct session *session, const char *channel);
/* All of its own end. */
void pubsub_drop_session(struct session *session);

#endif
