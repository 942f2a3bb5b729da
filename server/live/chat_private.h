/* chat_private.h: a chat, for the files of this room that make up one.
 *
 * chat.c its life; chat_input.c what is called for what has come; chat_read.c who reads instead;
 * chat_output.c what waits to be sent; chat_connect.c those that are made here. */
#ifndef LIVE_CHAT_PRIVATE_H
#define LIVE_CHAT_PRIVATE_H

#include <reeve/async.h>
#include <reeve/chat.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "live/session.h"
#include "wire/splitter.h"

struct buf;
struct chat_output;
struct coro;

/* What is to be done next in the application's code. */
enum chat_deed {
    DEED_NONE,
    DEED_CONNECT,
    DEED_COLLECT,
    DEED_FOUND,
    DEED_ERROR,
    DEED_CLOSE,
    DEED_SERVE
};

enum chat_stage {
    CHAT_NEW,  /* nothing of the application has run yet */
    CHAT_OPEN, /* until handle_close, serve has returned, the application has let go of it */
    CHAT_ENDED
};

/* Who reads in place of the callbacks, on its stack. */
struct chat_reader {
    struct coro *coro;
    struct splitter *splitter; /* looks at the input as well; NULL: counts bytes */
};

struct reeve_chat {
    struct session session; /* first: it is found by it */
    const reeve_chat_protocol *protocol;
    struct splitter splitter;
    struct chat_output *output; /* producers, and what waits behind them; NULL: there are none */
    struct chat_reader *reader; /* NULL: nobody reads */
    struct buf *kept; /* input that callbacks may look at although reading is over; or NULL */
    char *piece;      /* in found_terminator: what came before it */
    size_t piece_size;
    char *sealed; /* where a NUL stands in the input, in place of `under`; NULL: nowhere */
    reeve_scope_hook *hook; /* of the scope that a plain one belongs to; NULL: none does any more */
    uint64_t rested_at;     /* clock_ns() when a callback that had waited returned */
    uint64_t refused_by;    /* the generation that would not adopt it */
    int error;              /* for handle_error; 0: none */
    enum chat_stage stage;
    enum chat_deed doing; /* that has been begun, and may wait */
    char under;
    bool is_error_told; /* handle_error has been called */
    bool is_finishing;  /* nothing more is read or queued; once all is sent it is closed */
    bool is_own_end;    /* ... as the callback that runs wants it */
    bool is_dropping;   /* nothing of the input is wanted any more: a callback was cancelled */
    bool is_lost;       /* that the stream has gone was noticed */
    bool has_waited;    /* the callback that runs */
    bool yields;        /* others have their turn first */
    bool is_unsure;     /* something was read: a reset that came with it has not been told */
};

/* ---- chat.c ---- */

static inline struct reeve_chat *chat_of(struct session *session)
{
    return (struct reeve_chat *)session;
}

/* With a stream that is open; zero besides. [on the loop's stack or on another] */
void chat_begin(struct reeve_chat *chat, struct generation *generation,
                const reeve_chat_protocol *protocol);
struct reeve_chat *chat_new(void);
/* Without a protocol: there are no callbacks. */
bool chat_is_plain(const struct reeve_chat *chat);
/* What such a one is begun with. */
extern const reeve_chat_protocol chat_plain;

/* Nobody has one without a protocol any more. */
void chat_let_go(struct reeve_chat *chat);
/* Once all is sent it is closed. */
void chat_finish(struct reeve_chat *chat);
/* For handle_error, or the end if there is none. */
void chat_fail(struct reeve_chat *chat, int error);
/* The same, of a limit. */
void chat_cut_off(struct reeve_chat *chat, int error);

size_t chat_max_input(const struct reeve_chat *chat);
size_t chat_max_output(const struct reeve_chat *chat);
size_t chat_high_water(const struct reeve_chat *chat);
size_t chat_low_water(const struct reeve_chat *chat);
uint64_t chat_idle_limit(const struct reeve_chat *chat); /* ns; 0: none */

/* ---- chat_input.c ---- */

/* Reads what it has to in order to know. Does nothing that is the application's. */
enum chat_deed chat_next(struct reeve_chat *chat);
/* The duty's work. [suspends] */
void chat_work(struct duty *duty);

/* The most that is read at once: a whole piece and its terminator fit. */
size_t chat_read_most(const struct reeve_chat *chat);
/* Reads what has come: false, when there is nothing for now. A reset that came together with bytes
 * shows by no event of its own; it is looked for, unless an answer is on its way, which finds it. */
bool chat_fill(struct reeve_chat *chat);
/* The first `data` bytes of the input are given away, with a NUL behind them, and with the `mark`
 * bytes that follow they are taken. */
char *chat_take(struct reeve_chat *chat, size_t data, size_t mark);
/* What the NUL stands on is put back: before anything else is done with the input. */
void chat_unseal(struct reeve_chat *chat);

/* ---- chat_output.c ---- */

/* On the loop's stack: goes on with producers, as far as that is possible. */
void chat_look_at_output(struct reeve_chat *chat);

#endif
