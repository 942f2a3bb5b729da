/* reeve/websocket.h: WebSockets (RFC 6455), with permessage-deflate (RFC 7692).
 *
 * A view turns its request into a WebSocket with reeve_websocket_accept:
 *
 *     static int room(reeve_environ *environ, reeve_start_response *start_response)
 *     {
 *         reeve_websocket *ws = reeve_websocket_accept(environ, start_response, &protocol);
 *
 *         if (ws)
 *             reeve_websocket_set_data(ws, ...);
 *         return 0;
 *     }
 *
 * There are two styles:
 *
 *   callbacks   the protocol has on_message: once the view has returned 0, callbacks are called for
 *               what has come. Each runs on a coroutine and may suspend; those of one WebSocket run
 *               one after the other, and meanwhile further messages wait, while pings are answered.
 *               A WebSocket in between costs less than 1 KB, and moves to the next build when that
 *               adopts it.
 *   coroutine   it has none: the view goes on, with reeve_websocket_receive, and the WebSocket is
 *               closed when it returns. It stays with the build that began it.
 *
 * The server answers pings, sends its own, carries out the closing handshake, and checks all that
 * comes: a peer that breaks the protocol is told by the close code that the RFC has for it (1002,
 * 1007 for text that is no UTF-8, 1009 for what is too large). What is sent is gathered and leaves
 * when the code that sends it waits or returns.
 *
 * Unless a call says otherwise it may be made from wherever in the worker's thread there is the
 * WebSocket: from its callbacks, from those of others, from tasks. It is there until on_close has
 * returned (callbacks), or the view has (coroutine). Since 1.3, all of it. */
#ifndef REEVE_WEBSOCKET_H
#define REEVE_WEBSOCKET_H

#include <reeve/app.h>
#include <reeve/shared.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct reeve_websocket reeve_websocket;

typedef enum reeve_websocket_kind { REEVE_TEXT = 1, REEVE_BINARY = 2 } reeve_websocket_kind;

typedef struct reeve_websocket_message {
    const void *data; /* with a NUL behind it that does not count */
    size_t size;
    reeve_websocket_kind kind; /* REEVE_TEXT: it is UTF-8 */
} reeve_websocket_message;

/* Codes of reeve_websocket_close; applications have 3000 to 4999 for their own. */
#define REEVE_CLOSE_NORMAL     1000
#define REEVE_CLOSE_GOING_AWAY 1001
#define REEVE_CLOSE_NO_CODE    1005 /* on_close only: the peer gave none */
#define REEVE_CLOSE_LOST       1006 /* on_close only: the connection broke */
#define REEVE_CLOSE_POLICY     1008
#define REEVE_CLOSE_FAILED     1011
#define REEVE_CLOSE_RESTART    1012
#define REEVE_CLOSE_LATER      1013

/* What is common to WebSockets of a kind. Lives as long as the build: a static const. */
typedef struct reeve_websocket_protocol {
    uint32_t size;    /* REEVE_WEBSOCKET_PROTOCOL */
    uint32_t version; /* of what reeve_websocket_data() points to, for adopt */
    const char *name; /* tells the protocols of an app apart, across its builds; required */

    /* The handshake is done and the view has returned. -1 closes it, with 1011. Not called for one that
     * has ended by then. May be NULL. [suspends] */
    int (*on_open)(reeve_websocket *ws);
    /* A message, good until this returns. -1 closes it, with 1011, and is logged, unless it is closing
     * already. [suspends] */
    int (*on_message)(reeve_websocket *ws, const reeve_websocket_message *message);
    /* A pong to a ping of the application's own. May be NULL. [suspends] */
    int (*on_pong)(reeve_websocket *ws, const void *data, size_t size);
    /* It has ended: code and reason are those of the peer, or of this side if that closed it first,
     * or REEVE_CLOSE_LOST. Nothing can be sent any more, and afterwards it is gone. Called once for
     * each one that was accepted. May be NULL. [suspends] */
    void (*on_close)(reeve_websocket *ws, int code, const char *reason);

    /* A WebSocket of the build before, which has this protocol's name, is offered, with its data, if
     * this one stands in the descriptor's .websockets; `version` is that build's. 0: it is this build's from now on. -1: it stays. It is asked when
     * it is between two callbacks; subscriptions by reeve_websocket_subscribe move along, and the
     * limits and times below are this build's, but not what the handshake has settled: subprotocol
     * and compression. NULL: all stay. Must not suspend, and should be quick. */
    int (*adopt)(reeve_websocket *ws, uint32_t version);
    /* The worker ends, and the drain's time is over: a last word, or a close in words of its own.
     * Afterwards it is closed with 1012 if it is still open. May be NULL. Must not suspend. */
    void (*farewell)(reeve_websocket *ws);

    /* Subprotocols, best first, ended by NULL: the first one that the client offers is chosen. NULL:
     * none. */
    const char *const *subprotocols;
    /* Origins that browsers may come from ("https://example.org"), ended by NULL: others get 403.
     * NULL: all may. */
    const char *const *origins;

    /* 0 stands for the default. */
    size_t max_message;   /* bytes, inflated: longer ones get 1009; 1 MiB */
    size_t max_output;    /* bytes that wait to be sent: beyond, see reeve_websocket_send; 1 MiB */
    size_t high_water;    /* from here on reeve_websocket_write waits; 64 KiB */
    size_t low_water;     /* down to here; 16 KiB */
    double ping_interval; /* seconds without a byte from the peer, then it is pinged; after as many
                             more it is given up; 30; negative: never */
    double close_timeout; /* seconds that the peer has to answer a close; 5 */
    bool no_compression;  /* permessage-deflate is declined */
    bool keeps_context;   /* ... is done across messages, when the client lets it: smaller messages
                             for up to 300 KB of memory a connection */
} reeve_websocket_protocol;

/* The first member: {REEVE_WEBSOCKET_PROTOCOL, .name = "room", ...} */
#define REEVE_WEBSOCKET_PROTOCOL .size = sizeof(reeve_websocket_protocol)

/* Answers a request with the handshake. NULL: it was answered otherwise, and the view returns 0 too:
 *   400  the handshake is malformed              403  the Origin is not among those allowed
 *   405  the method is not GET                   426  it asks for no WebSocket, or another version
 *   503  memory has run out, or bytes of a response were sent already
 * After it the request has its answer: nothing can be written to it, and request_timeout counts no
 * more. `protocol` NULL stands for one with all defaults. Not for on_loop modules without on_message
 * (EDEADLK: 500). Does not suspend. */
REEVE_API reeve_websocket *reeve_websocket_accept(reeve_environ *environ,
                                                  reeve_start_response *start_response,
                                                  const reeve_websocket_protocol *protocol);

/* One pointer of the application's own. It is for on_close to free. */
REEVE_API void reeve_websocket_set_data(reeve_websocket *ws, void *data);
REEVE_API void *reeve_websocket_data(const reeve_websocket *ws);

/* The build that has it now. */
REEVE_API reeve_module *reeve_websocket_module(const reeve_websocket *ws);
/* The subprotocol that was chosen, or NULL. */
REEVE_API const char *reeve_websocket_subprotocol(const reeve_websocket *ws);
/* "127.0.0.1:54321", "[::1]:54321" or "unix"; good as long as the WebSocket. */
REEVE_API const char *reeve_websocket_peer(reeve_websocket *ws);

/* ---- sending ---- */

/* Queues a message. 0, or -1: EPIPE, it has ended or is closing; EILSEQ, a text that is no UTF-8;
 * ENOBUFS, more than max_output would wait for a peer that does not read: the message is dropped with
 * all others that wait, and the peer is given up (close 1008); EINVAL, no such kind; ENOMEM. A single
 * message may be longer than max_output, while nothing else waits. Does not suspend. */
REEVE_API int reeve_websocket_send(reeve_websocket *ws, const void *data, size_t size,
                                   reeve_websocket_kind kind);
REEVE_API int reeve_websocket_send_shared(reeve_websocket *ws, reeve_shared *shared,
                                          reeve_websocket_kind kind);
/* The same, then waits while more than high_water is queued, until low_water. ETIMEDOUT: it still
 * is; EDEADLK: it would have to wait where nothing can. The message is queued in either case.
 * [suspends] */
REEVE_API int reeve_websocket_write(reeve_websocket *ws, const void *data, size_t size,
                                    reeve_websocket_kind kind, double seconds);
/* A ping with up to 125 bytes (EMSGSIZE). Those of the server itself say "reeve": on_pong is not called
 * for one that says the same. */
REEVE_API int reeve_websocket_ping(reeve_websocket *ws, const void *data, size_t size);
/* Bytes that wait to be sent. */
REEVE_API size_t reeve_websocket_pending(const reeve_websocket *ws);

/* Begins the closing handshake: what was queued before is sent first, what the peer still sends is
 * dropped. The reason is UTF-8 of at most 123 bytes, NULL for none. on_close follows, never within
 * this call. 0, or -1: EINVAL, such a code or reason may not be sent; EPIPE, it is closing already. */
REEVE_API int reeve_websocket_close(reeve_websocket *ws, int code, const char *reason);
/* It has ended, or is closing: nothing that is sent now will arrive. */
REEVE_API bool reeve_websocket_is_closing(const reeve_websocket *ws);

/* ---- receiving, in the style of coroutines ---- */

/* The next message, good until the next call. 1; 0: it was closed, by the peer or this side, see
 * reeve_websocket_close_code; or -1: ECONNRESET, it broke (or the peer broke the protocol); ETIMEDOUT,
 * nothing within `seconds` (negative: for ever); EBUSY, another coroutine receives; ECANCELED; EDEADLK,
 * also for one with callbacks. A view whose peer goes while it waits for something else is cancelled,
 * as that of any request whose client has gone (`client_gone`). [suspends] */
REEVE_API int reeve_websocket_receive(reeve_websocket *ws, reeve_websocket_message *message_out,
                                      double seconds);
/* As on_close is told; 0 while it is open. */
REEVE_API int reeve_websocket_close_code(const reeve_websocket *ws);

/* ---- several ---- */

/* Calls `each` for every WebSocket of this build in this worker, until it returns non-zero; returns
 * what it returned last. It must not suspend; it may send, and close. */
REEVE_API int reeve_websocket_each(reeve_module *module,
                                   int (*each)(reeve_websocket *ws, void *arg), void *arg);

#ifdef __cplusplus
}
#endif
#endif
