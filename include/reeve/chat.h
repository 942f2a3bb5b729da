/* reeve/chat.h: line protocols and their like, as asynchat has them: a connection whose input is cut
 * into pieces by terminators, and whose output is a queue of bytes and producers.
 *
 * An application serves such connections when a listener of the configuration has
 * `protocol = chat` and names it as its `app`; and it makes some itself with reeve_chat_connect.
 * There are two styles:
 *
 *   callbacks   collect_incoming_data and found_terminator are called for what has come. Each runs
 *               on a coroutine and may suspend; those of one connection run one after the other, and
 *               meanwhile what comes waits in the kernel, so that the peer is held back. A
 *               connection in between costs some hundred bytes, and moves to the next build when
 *               that adopts it.
 *   coroutine   serve is called once for the whole conversation and reads with reeve_chat_read_until
 *               and its like. It stays with the build that began it.
 *
 * Unless a call says otherwise it may be made from wherever in the worker's thread there is the
 * connection: from its callbacks, from those of others, from tasks. A connection is there until its
 * handle_close has returned (callbacks), serve has returned (coroutine), or reeve_chat_close was
 * called for one that the application made without a protocol. What is sent is gathered and leaves
 * when the code that sends it waits or returns. Since 1.3, all of it. */
#ifndef REEVE_CHAT_H
#define REEVE_CHAT_H

#include <reeve/app.h>
#include <reeve/shared.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct reeve_chat reeve_chat;

/* What is common to connections of a kind. Lives as long as the build: a static const. */
typedef struct reeve_chat_protocol {
    uint32_t size;    /* REEVE_CHAT_PROTOCOL */
    uint32_t version; /* of what reeve_chat_data() points to, for adopt */
    const char *name; /* tells the protocols of an app apart, across its builds; required */

    /* The connection has been made: sets the first terminator, greets. Without it there is none at
     * first. -1 ends the connection. May be NULL. [suspends] */
    int (*on_connect)(reeve_chat *chat);
    /* Bytes before a terminator, in as many pieces as they come in. They are good until it returns,
     * or somebody reads from the connection. NULL: reeve collects them, for reeve_chat_collected.
     * -1 goes to handle_error. [suspends] */
    int (*collect_incoming_data)(reeve_chat *chat, const void *data, size_t size);
    /* The terminator has come. -1 goes to handle_error. Required, unless there is serve. [suspends]
     */
    int (*found_terminator)(reeve_chat *chat);
    /* The connection has ended, however: nothing can be sent or read any more, and afterwards it is
     * gone. For what belongs to it. error: 0, it was closed by one of the two; or an errno value.
     * Called once for every connection whose on_connect was called. May be NULL. [suspends] */
    void (*handle_close)(reeve_chat *chat, int error);
    /* Something is wrong. What is sent here is still sent, and then the connection is closed:
     *   EMSGSIZE   no terminator within max_input
     *   ETIMEDOUT  nothing was received for idle_timeout
     *   ENOBUFS    more than max_output waits for a peer that does not read: nothing more can be sent
     *   other      the errno that a callback had when it returned -1 (EIO for 0)
     * NULL: it is closed, and a callback's failure logged. Not for what the network does: see
     * handle_close. [suspends] */
    void (*handle_error)(reeve_chat *chat, int error);

    /* In place of all of the above: the conversation. When it returns, what was sent leaves, and the
     * connection is closed. -1 is logged.
     *
     * This and the callbacks are cancelled, if they wait, once the peer is known to have gone (unless
     * the app's client_gone in the configuration is "ignore"), but not for an end that they have
     * asked for themselves, and handle_close never is. What a callback begins, tasks and scopes,
     * ends with it. [suspends] */
    int (*serve)(reeve_chat *chat);

    /* A connection of the build before, which has this protocol's name, is offered, with its data,
     * terminator and queues as they are; `version` is that build's. 0: it is this build's from now
     * on. -1: it stays. It is asked when it is between two callbacks, has no producer and no
     * subscription with a callback. NULL: all stay. Must not suspend, and should be quick. */
    int (*adopt)(reeve_chat *chat, uint32_t version);
    /* The worker ends, and the drain's time is over: a last word. What is sent here is still sent,
     * and then the connection is closed. NULL: it is just closed. Must not suspend. */
    void (*farewell)(reeve_chat *chat);

    /* 0 stands for the default. */
    size_t max_input;  /* bytes without a terminator, when reeve collects; 64 KiB */
    size_t max_output; /* bytes that wait to be sent: beyond, the peer is given up; 1 MiB */
    size_t high_water; /* from here on reeve_chat_write waits, and producers pause; 64 KiB, or half
                             of max_output if that is less */
    size_t low_water;  /* down to here; 16 KiB, or a quarter of high_water */
    double idle_timeout; /* seconds without a byte from the peer, while no callback runs; 300;
                             negative: for ever */
} reeve_chat_protocol;

/* The first member: {REEVE_CHAT_PROTOCOL, .name = "lines", ...} */
#define REEVE_CHAT_PROTOCOL .size = sizeof(reeve_chat_protocol)

/* ---- the connection ---- */

/* One pointer of the application's own. It is for handle_close to free. */
REEVE_API void reeve_chat_set_data(reeve_chat *chat, void *data);
REEVE_API void *reeve_chat_data(const reeve_chat *chat);

/* The build that has it now. */
REEVE_API reeve_module *reeve_chat_module(const reeve_chat *chat);
/* "127.0.0.1:54321", "[::1]:54321" or "unix"; good as long as the connection. */
REEVE_API const char *reeve_chat_peer(reeve_chat *chat);
/* The name of the listener that it came from; "" for one that was made here. */
REEVE_API const char *reeve_chat_listener(const reeve_chat *chat);

/* ---- input: terminators ---- */

/* What the input is cut at from now on, what has arrived already included: some bytes (1 to 4096),
 * or a number of bytes, after which found_terminator is called as well (0: at once), or nothing,
 * when all goes to collect_incoming_data. The terminator itself is dropped. After a length has been
 * reached there is no terminator until one is set. 0, or -1: EINVAL, ENOMEM. */
REEVE_API int reeve_chat_set_terminator(reeve_chat *chat, const void *bytes, size_t size);
REEVE_API int reeve_chat_set_length(reeve_chat *chat, uint64_t size);
REEVE_API void reeve_chat_set_no_terminator(reeve_chat *chat);

/* In found_terminator, if reeve collects: what has come before the terminator, with a NUL behind it
 * that does not count; size_out may be NULL. Good until found_terminator returns, or somebody reads
 * from the connection. NULL elsewhere, and from then on. */
REEVE_API char *reeve_chat_collected(reeve_chat *chat, size_t *size_out);

/* ---- input: reading, in serve, in callbacks, in tasks ---- */

/* Reads up to the next such terminator: its bytes without the terminator, in *data_out, with a NUL
 * behind them; good until the next read, or in a task beside callbacks until that waits. While
 * somebody reads no callback gets input. Their number, or -1:
 *   EMSGSIZE    no terminator within max_input: nothing was taken
 *   EPIPE       the peer has ended its side before: what it sent last is there for
 *               reeve_chat_read_some; or it is being closed
 *   ECONNRESET  it has gone
 *   ETIMEDOUT   nothing complete within `seconds`, or idle_timeout: nothing was taken
 *   EBUSY       another coroutine reads already
 *   ECANCELED, EDEADLK, ENOMEM, EINVAL
 * [suspends] */
REEVE_API ssize_t reeve_chat_read_until(reeve_chat *chat, const void *terminator, size_t size,
                                        char **data_out, double seconds);
/* The same with so many bytes, at most max_input (EMSGSIZE). [suspends] */
REEVE_API ssize_t reeve_chat_read_exactly(reeve_chat *chat, size_t size, char **data_out,
                                          double seconds);
/* What there is, once there is something. 0: the peer has ended its side, and all was read.
 * [suspends] */
REEVE_API ssize_t reeve_chat_read_some(reeve_chat *chat, void *buffer, size_t size, double seconds);

/* ---- output ---- */

/* Queues bytes behind what is queued already. 0, or -1: EPIPE, it has ended or is about to
 * (reeve_chat_close_when_done); ENOBUFS, more than max_output waits: it is cut off; ENOMEM. Does not
 * suspend. */
REEVE_API int reeve_chat_push(reeve_chat *chat, const void *data, size_t size);
REEVE_API int reeve_chat_push_shared(reeve_chat *chat, reeve_shared *shared);
REEVE_API int reeve_chat_printf(reeve_chat *chat, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same, then waits while more than high_water is queued, until low_water. ETIMEDOUT: it still
 * is. [suspends] */
REEVE_API int reeve_chat_write(reeve_chat *chat, const void *data, size_t size, double seconds);

/* Queues a producer behind what is queued already: when its turn has come its next is asked for
 * pieces, and paused while high_water is reached; close is called exactly once, at its end, when it
 * is discarded, or when the connection ends, and before handle_close. Both run on a coroutine of
 * their own, beside the callbacks. What is pushed afterwards comes behind all of it. -1 of next ends
 * the connection, and is logged. One that waits counts as 256 bytes against max_output. 0, or -1 as
 * above; then close is not called. */
REEVE_API int reeve_chat_push_with_producer(reeve_chat *chat, reeve_iterable producer);

/* Bytes that wait to be sent, without what producers will add. */
REEVE_API size_t reeve_chat_pending(const reeve_chat *chat);

/* ---- the end ---- */

/* Closes it once all that was queued has been sent; nothing more is read or queued. */
REEVE_API void reeve_chat_close_when_done(reeve_chat *chat);
/* Closes it at once; what was queued is lost. handle_close follows soon, never within this call. */
REEVE_API void reeve_chat_close(reeve_chat *chat);
/* Forgets what is queued to be sent, producers included, and what has arrived and was not looked
 * at. A piece of which a part has been sent already goes on to its end. */
REEVE_API void reeve_chat_discard_buffers(reeve_chat *chat);

/* Nothing that is sent now will arrive. */
REEVE_API bool reeve_chat_is_gone(const reeve_chat *chat);

/* ---- several ---- */

/* Calls `each` for every connection of this build in this worker, until it returns non-zero; returns
 * what it returned last. It must not suspend; it may send, and close. */
REEVE_API int reeve_chat_each(reeve_module *module, int (*each)(reeve_chat *chat, void *arg),
                              void *arg);

/* Connects to a server, as reeve_connect does, and speaks with it by the same calls. With a
 * protocol its callbacks are called as for any other connection (on_connect first, and
 * handle_close, also when it ends before they could be), it belongs to the build, and it may be
 * gone as soon as this coroutine waits again; protocols of connections that shall move to the next
 * build stand in that build's `chats`. Without one it is for reading and writing as in serve, with
 * all limits at their defaults, belongs to the innermost scope, and is closed at the end of that,
 * as by reeve_chat_close_when_done, unless it was before. NULL: as reeve_connect; EINVAL.
 * [suspends] */
REEVE_API reeve_chat *reeve_chat_connect(const char *host, const char *service,
                                         const reeve_chat_protocol *protocol, void *data,
                                         double seconds);

#ifdef __cplusplus
}
#endif
#endif
