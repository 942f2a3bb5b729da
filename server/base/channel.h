/* channel.h: framed messages between master and worker, over a SOCK_SEQPACKET pair.
 *
 * A message arrives whole or not at all. What cannot be sent at once is queued, so neither side
 * ever waits for the other; an end that has gone is told by on_message(NULL), once. One meaning a
 * type; master and worker both include this list. */
#ifndef BASE_CHANNEL_H
#define BASE_CHANNEL_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHANNEL_TEXT_MAX 8192

enum message_type {
    /* master to worker */
    MESSAGE_PREPARE = 1, /* app, generation, text: path of the staged module: load and init it */
    MESSAGE_COMMIT,      /* app, generation: new requests go to it */
    MESSAGE_ABORT,       /* app, generation: forget it */
    MESSAGE_START,       /* everything was committed: accept connections */
    MESSAGE_LAST_CALL,   /* nobody accepts after you: take the connections that are queued */
    MESSAGE_DRAIN,       /* value: deadline in ns from now; accept no more, finish, exit */
    MESSAGE_STOP,        /* exit at once */
    MESSAGE_REOPEN,      /* log files */
    /* worker to master */
    MESSAGE_PREPARED,  /* app, generation, value: ns it took */
    MESSAGE_REFUSED,   /* app, generation, text: why */
    MESSAGE_COMMITTED, /* app, generation */
    MESSAGE_READY,     /* the answer to START: accepting */
    MESSAGE_UNLOADED, /* app, generation, value: 1: the mapping is gone, verified; else text: why */
    MESSAGE_LEAVING,  /* draining was begun, for whatever reason */
};

struct message {
    uint32_t type; /* enum message_type */
    uint32_t app;  /* index into config.apps and the board's app table */
    uint64_t generation;
    uint64_t value;
    const char *text; /* "" when there is none; received: valid during the callback */
};

struct channel;
/* message is NULL when the other end has gone; the channel may be freed within. */
typedef void channel_on_message(struct channel *channel, const struct message *message, void *arg);

int channel_pair(int fds_out[2]); /* non-blocking, close-on-exec; 0 or -1 */
/* Takes over fd, non-blocking or not. NULL with errno; fd is still the caller's then. */
struct channel *channel_new(struct event_base *base, int fd, channel_on_message *on_message,
                            void *arg);
void channel_free(struct channel *channel);
/* 0 when it was sent or queued, or -1 with errno when the other end has gone (EPIPE, ECONNRESET) or
 * memory has run out. Longer texts are cut. Never calls on_message. */
int channel_send(struct channel *channel, const struct message *message);
int channel_fd(const struct channel *channel);

const char *message_name(enum message_type type);

#endif
