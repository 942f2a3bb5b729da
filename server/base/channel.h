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
/* To be raised when a message changes its meaning or its form: after an upgrade the workers of one
 * version speak with the master of the next. */
#define CHANNEL_PROTOCOL 3

enum message_type {
    /* master to worker */
    MESSAGE_PREPARE = 1, /* app, generation, text: path of the staged module: load and init it */
    MESSAGE_COMMIT,      /* app, generation, value: COMMIT_KEEP or 0: new requests go to it */
    MESSAGE_ABORT,       /* app, generation: forget it */
    MESSAGE_START,       /* everything was committed: accept connections */
    MESSAGE_LAST_CALL,   /* nobody accepts after you: take the connections that are queued */
    MESSAGE_DRAIN,       /* value: deadline in ns from now; accept no more, finish, exit;
                          * generation: DRAIN_HAND_ON or 0, text: with it, of which listeners:
                          * their identities (base/identity.h), one behind the other */
    MESSAGE_STOP,        /* exit at once */
    MESSAGE_REOPEN,      /* log files */
    /* worker to master */
    MESSAGE_PREPARED,  /* app, generation, value: ns it took */
    MESSAGE_REFUSED,   /* app, generation, text: why */
    MESSAGE_COMMITTED, /* app, generation, value: enum handover, text: why it was refused */
    MESSAGE_READY,     /* the answer to START: accepting */
    MESSAGE_UNLOADED, /* app, generation, value: 1: the mapping is gone, verified; else text: why */
    MESSAGE_LEAVING,  /* draining was begun, for whatever reason; value: LEAVING_CUT: it is at its
                       * end, and something had to be cut off; or 0 */
    /* both ways */
    MESSAGE_CONNECTION, /* fd: an idle connection of a worker that drains, for another worker;
                         * value: CONNECTION_KEEP or 0, generation: 1: it has asked something
                         * before, text: the identity of its listener; more lines may follow.
                         * Without fd: it was lost on the way */
    MESSAGE_STACKS,     /* value: the question's number: which coroutines are suspended, and where?
                         * The answer has the same number, and an fd: base/stacks.h; or it has
                         * none, and a text: why not */
};

/* The value of COMMIT: the build that was live stays loaded, and prepared, until ABORT retires it
 * or COMMIT makes it live again. Without, it is retired at once. */
#define COMMIT_KEEP 1

#define LEAVING_CUT 1

/* In DRAIN: others serve these listeners, so idle connections of theirs are handed to them instead
 * of being closed. */
#define DRAIN_HAND_ON 1
/* In CONNECTION, to a worker that drains: nobody else can take it. */
#define CONNECTION_KEEP 1

/* The value of COMMITTED: what became of the state that the former build gave the new one. */
enum handover {
    HANDOVER_NONE, /* nothing to hand over, or nobody to take it from */
    HANDOVER_DONE,
    HANDOVER_REFUSED_BY_OLD,
    HANDOVER_REFUSED_BY_NEW,
    HANDOVER_OTHER_VERSION, /* the new one does not understand that version of the state */
};

struct message {
    uint32_t type; /* enum message_type */
    uint32_t app;  /* index into config.apps and the board's app table */
    uint64_t generation;
    uint64_t value;
    const char *text; /* "" when there is none; received: valid during the callback */
    int *fd;          /* a descriptor that travels along; NULL: none. Whoever takes it over sets it
                       * to -1: channel_send when it returns 0, a callback that keeps it */
};

struct channel;
/* message is NULL when the other end has gone; the channel may be freed within. */
typedef void channel_on_message(struct channel *channel, const struct message *message, void *arg);
/* All that had to be queued was sent; the channel may not be freed within. */
typedef void channel_on_flushed(void *arg);

int channel_pair(int fds_out[2]); /* non-blocking, close-on-exec; 0 or -1 */
/* Takes over fd, non-blocking or not. NULL with errno; fd is still the caller's then. */
struct channel *channel_new(struct event_base *base, int fd, channel_on_message *on_message,
                            void *arg);
void channel_free(struct channel *channel);
/* 0 when it was sent or queued, or -1 with errno when the other end has gone (EPIPE, ECONNRESET),
 * memory has run out, or the kernel takes no more descriptors for now (ETOOMANYREFS). One that it
 * refuses after it was queued is closed, and its message arrives without. Longer texts are cut.
 * Never calls on_message. */
int channel_send(struct channel *channel, const struct message *message);
/* Nothing is queued: with descriptors, for whoever would rather keep the next one for now. */
bool channel_is_flushed(const struct channel *channel);
void channel_when_flushed(struct channel *channel, channel_on_flushed *on_flushed);
/* Something lies there to be read, or the other end has gone. */
bool channel_has_input(const struct channel *channel);
int channel_fd(const struct channel *channel);

const char *message_name(enum message_type type);

#endif
