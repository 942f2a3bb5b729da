/* session.h: what chats and WebSockets have in common: the stream, the membership, a timer, who waits
 * to write, and what is published straight to them.
 *
 * Lifetime: embedded in the kind's struct. The kind begins it, and says that it is over; the memory
 * goes when nobody uses it any more: no duty runs, no coroutine waits in it. */
#ifndef LIVE_SESSION_H
#define LIVE_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "app/member.h"
#include "live/wakes.h"
#include "net/stream.h"
#include "runtime/line.h"

struct forward;
struct publication;
struct session;

struct session_kind {
    struct member_kind member;
    /* Something may be to do: the stream has news, a duty rests, a timer has rung. On the loop's
     * stack; it may end the session, which is there until this has returned. */
    void (*look)(struct session *session);
    /* Sends what was published on; see pubsub.h. */
    void (*forward)(struct session *session, struct forward *forward,
                    struct publication *publication);
    /* The last use is over: frees the struct that it is in. The stream is closed already. */
    void (*free)(struct session *session);
};

struct session {
    const struct session_kind *kind;
    struct stream stream;
    struct member member;
    struct wake wake;    /* the kind's own: session_wake_in */
    struct soon soon;    /* session_look_soon */
    struct line writers; /* wait until there is room */
    LIST_HEAD(, forward) forwards;
    char *peer;     /* NULL: was not asked for */
    void *data;     /* the application's */
    unsigned users; /* those who look into it further down on the stack, or wait */
    size_t low;     /* writers go on there */
    bool has_stream, is_member;
    bool is_over; /* it goes as soon as nobody uses it */
};

/* Takes a stream that is open (stream_open, stream_take) in session->stream; the rest is zero.
 * `work` is the duty's for its callbacks. */
void session_begin(struct session *session, const struct session_kind *kind,
                   struct generation *generation, void (*work)(struct duty *duty));
struct session *session_of_duty(const struct duty *duty); /* of member->duty */
struct session *session_of_member(struct member *member);

/* Closes the stream; who waits to write learns it (EPIPE). */
void session_close(struct session *session);
/* It is no member any more, though its stream may have something to do: on the loop's stack, while no
 * duty runs. */
void session_leave(struct session *session);
/* ... and goes as soon as it can. */
void session_end(struct session *session);

/* While `users` is not 0 it stays. session_drop may free it. */
void session_use(struct session *session);
void session_drop(struct session *session);

/* look is called after `ns`, once; a second call replaces the first. */
void session_wake_in(struct session *session, uint64_t ns);
/* look is called from the loop, soon. From wherever. */
void session_look_soon(struct session *session);

/* Waits while more than `high` is queued, until `low`. 0, or -1: EPIPE, ETIMEDOUT ... [suspends] */
int session_wait_room(struct session *session, size_t high, size_t low, double seconds);
/* What was sent leaves: who has sent it waits or returns. */
void session_flush(struct session *session);

const char *session_peer(struct session *session); /* "" when memory has run out */
/* The configuration's name of its listener, "" if there is none. */
const char *session_listener(const struct session *session);

#endif
