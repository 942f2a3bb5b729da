/* websocket_private.h: one WebSocket, for the files of which each does a part of it.
 *
 * Lifetime: from websocket_accept.c until nobody uses the session any more. The application has it
 * until on_close, or the view, has returned; from then on it is only the rest of a closing handshake,
 * and has left the generation. */
#ifndef LIVE_WEBSOCKET_PRIVATE_H
#define LIVE_WEBSOCKET_PRIVATE_H

#include <reeve/websocket.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "live/session.h"
#include "net/payload.h"
#include "wire/ws_frame.h"
#include "wire/ws_message.h"

struct coro;
struct reeve_environ;
struct ws_deflater;
struct ws_inflater;

/* A protocol as the application gave it, filled up to its full size, with the defaults; one for all
 * WebSockets that have the same. */
struct websocket_terms {
    LIST_ENTRY(websocket_terms) entry;
    unsigned refs;
    reeve_websocket_protocol protocol;
    uint64_t ping_ns; /* 0: never */
    uint64_t close_ns;
};

enum websocket_state {
    WEBSOCKET_OPEN,
    WEBSOCKET_CLOSING, /* this side has sent its close frame: the peer's is awaited */
    WEBSOCKET_ENDED    /* nothing is received or sent any more */
};

/* What has come for the application. */
struct incoming {
    char *data;
    void *memory; /* what data lies in; NULL: the stream's buffer, or `pinned` */
    size_t size : 61;
    size_t kind : 3; /* enum incoming_kind */
};

enum incoming_kind { INCOMING_NONE, INCOMING_TEXT, INCOMING_BINARY, INCOMING_PONG };

struct reeve_websocket {
    struct session session;        /* first */
    struct websocket_terms *terms; /* NULL: it has left its generation */
    struct reeve_environ *request; /* the view's, while that runs; then NULL */
    struct coro *receiver;         /* waits in reeve_websocket_receive */
    char *subprotocol;             /* NULL: none */

    struct ws_messages messages;
    struct ws_deflater *deflater; /* its own, with context; NULL: that of all */
    struct ws_inflater *inflater; /* ... */
    struct incoming current;      /* the application has it */
    struct incoming waiting;      /* it is the next one: nothing is read meanwhile */
    struct buf *pinned;           /* `current` lies there; NULL: it does not */
    unsigned budget;              /* so much may be taken before others have their turn */

    char *pong;           /* owed to the latest ping: length, then bytes; NULL: none */
    unsigned pongs_due;   /* so many pings of the application's are not answered */
    uint64_t pinged_at;   /* clock_ns() */
    uint64_t wake_at;     /* the alarm rings then; 0: it was not set */
    uint64_t close_by;    /* what is closing is looked at then; 0: not yet known */
    uint64_t close_ns;    /* as the terms' */
    size_t unsent_before; /* at the last look */

    char *reason;                   /* of its end; NULL: none */
    uint16_t code;                  /* of its end; 0: it is open */
    uint8_t out_bits;               /* the peer's window for what is compressed; 0: nothing is */
    uint8_t state;                  /* enum websocket_state */
    bool has_begun;                 /* the view has returned */
    bool is_open_due, is_close_due; /* the callbacks */
    bool is_broken;                 /* it ended by no closing handshake */
    bool is_in_close;               /* on_close runs */
    bool is_given_up;               /* the peer takes too little */
    bool is_told;                   /* the application knows that it has ended */
    bool is_cancelled;
    bool is_done; /* the application has nothing to do with it any more */
    bool had_farewell;
};

/* ---- websocket_terms.c ---- */

/* Of `protocol`, or for NULL of all defaults: held once. NULL: EINVAL, it is none; ENOMEM. */
struct websocket_terms *terms_of(const reeve_websocket_protocol *protocol);
struct websocket_terms *terms_ref(struct websocket_terms *terms);
void terms_unref(struct websocket_terms *terms); /* NULL: nothing */

/* ---- websocket_codec.c ---- */

/* What all share that keep no context. NULL: ENOMEM. */
struct ws_deflater *codec_deflater(void);
struct ws_inflater *codec_inflater(void);
struct ws_deflater *codec_new_deflater(void); /* with context */
/* A whole frame, compressed, held once. NULL: it is not worth it, or memory has run out. */
struct payload *codec_compress(struct ws_deflater *deflater, int bits, reeve_websocket_kind kind,
                               const void *data, size_t size);
/* The same of shared bytes, made once; it is `shared`'s. `is_compressed` is a wish. NULL: ENOMEM. */
struct payload *codec_form(struct reeve_shared *shared, reeve_websocket_kind kind,
                           bool is_compressed);

/* ---- websocket_input.c ---- */

/* What may be taken before others have their turn: messages, and some of it for each read. */
#define WEBSOCKET_BUDGET 256

/* Takes what has come until something waits for the application, or there is nothing more. */
void websocket_read(struct reeve_websocket *ws);
/* What waits is what the application has from now on. */
void websocket_take(struct reeve_websocket *ws);
/* The application has done with it. */
void websocket_release(struct reeve_websocket *ws);
/* Forgets what waits. */
void websocket_drop_waiting(struct reeve_websocket *ws);
/* Nothing more will be read: what the application has stays where it is, without the stream. */
void websocket_detach_input(struct reeve_websocket *ws);

/* ---- websocket_send.c ---- */

/* 0, or -1: ENOMEM, EPIPE. */
int websocket_send_control(struct reeve_websocket *ws, enum ws_opcode opcode, const void *data,
                           size_t size);
void websocket_answer_ping(struct reeve_websocket *ws, const void *data, size_t size);
/* The pong that is owed leaves, if there is room. */
void websocket_pay_pong(struct reeve_websocket *ws);
void websocket_forward(struct session *session, struct forward *forward,
                       struct publication *publication);

/* ---- websocket_call.c ---- */

/* A callback is due. */
bool websocket_has_work(const struct reeve_websocket *ws);
void websocket_work(struct duty *duty);

/* ---- websocket_time.c ---- */

/* What the server's own pings say, by which it knows their pongs. */
#define WEBSOCKET_PING "reeve"

/* Pings, closes or gives up what is due, and sets the alarm. */
void websocket_keep_time(struct reeve_websocket *ws);

/* ---- websocket_close.c ---- */

/* The close frame leaves; nothing, if it is closing already. -1: it was. */
int websocket_begin_close(struct reeve_websocket *ws, int code, const char *reason);
/* The peer's close frame has come. */
void websocket_peer_closes(struct reeve_websocket *ws, int code, const char *reason, size_t size);
/* The peer breaks the protocol: it is told, and that is the end. */
void websocket_refuse(struct reeve_websocket *ws, int code, const char *why);
/* The connection has broken. */
void websocket_lose(struct reeve_websocket *ws);
/* The closing handshake is done, or not waited for any more. */
void websocket_end(struct reeve_websocket *ws);

/* ---- websocket.c ---- */

static inline struct reeve_websocket *websocket_of(struct session *session)
{
    return (struct reeve_websocket *)(void *)session;
}

/* It is of the style of callbacks. */
static inline bool websocket_calls(const struct reeve_websocket *ws)
{
    return ws->terms && ws->terms->protocol.on_message;
}

/* Nothing can be sent. */
static inline bool websocket_is_shut(const struct reeve_websocket *ws)
{
    return ws->state != WEBSOCKET_OPEN;
}

extern const struct session_kind websocket_kind;

/* Counts one in a figure of its columns. */
#define WEBSOCKET_COUNT(ws, figure) websocket_count((ws), offsetof(struct board_column, figure))
void websocket_count(struct reeve_websocket *ws, size_t figure);

/* The protocol of that name, in the list of its build; or NULL. */
const reeve_websocket_protocol *websocket_find_protocol(const struct generation *generation,
                                                        const char *name);

#endif
