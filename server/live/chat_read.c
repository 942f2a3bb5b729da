/* chat_read.c: reading from a chat where code goes from top to bottom: in serve, in a callback, in a
 * task. One coroutine reads at a time; while it does no callback gets input. */
#include <errno.h>
#include <string.h>

#include "app/descriptors.h"
#include "base/board.h"
#include "base/clock.h"
#include "base/holder.h"
#include "live/chat_private.h"
#include "net/stream.h"
#include "runtime/coro.h"
#include "runtime/fdwait.h"

/* One call. */
struct reading {
    struct reeve_chat *chat;
    struct chat_reader reader;
    uint64_t deadline, begun;
};

static int fail(int error)
{
    errno = error;
    return -1;
}

/* ---- beginning and end ---- */

/* The chat may end meanwhile; its memory stays until `leave`. */
static int enter(struct reading *reading, struct reeve_chat *chat, struct splitter *splitter,
                 double seconds)
{
    int reason;

    if (!coro_current())
        return fail(EDEADLK);
    if (chat->reader)
        return fail(EBUSY);
    *reading = (struct reading){.chat = chat,
                                .reader = {.coro = coro_current(), .splitter = splitter},
                                .deadline = deadline_after(seconds),
                                .begun = clock_ns()};
    session_use(&chat->session);
    chat->reader = &reading->reader;
    reason = fd_take_turns();
    chat_unseal(chat);
    chat->piece = NULL; /* what comes in may move it */
    if (!reason)
        return 0;
    chat->reader = NULL;
    session_drop(&chat->session);
    return fail(reason);
}

/* What is left may be for the callbacks. */
static ssize_t leave(struct reading *reading, ssize_t result)
{
    struct reeve_chat *chat = reading->chat;
    int saved = errno;

    chat->reader = NULL;
    if (!chat->session.member.duty.is_working)
        session_look_soon(&chat->session);
    session_drop(&chat->session);
    errno = saved;
    return result;
}

/* ---- waiting ---- */

/* Until the time is over, or the peer has been silent for too long. */
static uint64_t patience(const struct reading *reading)
{
    const struct stream *stream = &reading->chat->session.stream;
    uint64_t left = deadline_left(reading->deadline), idle = chat_idle_limit(reading->chat), until;

    if (idle == 0)
        return left;
    until = idle + (stream->received_at > reading->begun ? stream->received_at : reading->begun);
    idle = deadline_left(until);
    return left < idle ? left : idle;
}

static int why_no_more(const struct reeve_chat *chat)
{
    const struct stream *stream = &chat->session.stream;

    if (chat->is_finishing || stream->is_eof)
        return EPIPE;
    return stream->is_gone ? ECONNRESET : 0;
}

/* Something has come. 0, or -1: nothing will, or not in time. [suspends] */
static int read_more(struct reading *reading)
{
    struct reeve_chat *chat = reading->chat;
    struct stream *stream = &chat->session.stream;
    int reason = 0, error;

    for (;;) {
        if (!chat->is_finishing && !stream->is_gone && chat_fill(chat))
            return 0;
        error = why_no_more(chat);
        if (error || reason)
            return fail(error ? error : reason);
        stream_rest(stream);
        reason = coro_wait_for("chat input", patience(reading));
    }
}

/* ---- what applications call ---- */

static ssize_t give(struct reading *reading, size_t data, size_t mark, char **data_out)
{
    struct reeve_chat *chat = reading->chat;

    *data_out = chat_take(chat, data, mark);
    splitter_forget(&chat->splitter);
    member_count(&chat->session.member, messages_in);
    return (ssize_t)data;
}

static ssize_t read_until(struct reading *reading, char **data_out)
{
    struct reeve_chat *chat = reading->chat;
    const struct stream *stream = &chat->session.stream;
    size_t data, mark, length;
    bool is_found;

    for (;;) {
        length = chat->is_finishing ? 0 : stream_length(stream);
        is_found = splitter_look(reading->reader.splitter, length > 0 ? stream_bytes(stream) : NULL,
                                 length, &data, &mark);
        if (data > chat_max_input(chat))
            return fail(EMSGSIZE);
        if (is_found)
            return give(reading, data, mark, data_out);
        if (read_more(reading) == -1)
            return -1;
    }
}

ssize_t reeve_chat_read_until(reeve_chat *chat, const void *terminator, size_t size,
                              char **data_out, double seconds)
{
    struct splitter splitter;
    struct reading reading;
    ssize_t n = -1;

    *data_out = NULL;
    coro_note(CALL_CHAT_READ, __builtin_return_address(0));
    splitter_init(&splitter);
    if (splitter_set_bytes(&splitter, terminator, size) == 0 &&
        enter(&reading, chat, &splitter, seconds) == 0)
        n = leave(&reading, read_until(&reading, data_out));
    splitter_fini(&splitter);
    return n;
}

static ssize_t read_exactly(struct reading *reading, size_t size, char **data_out)
{
    const struct stream *stream = &reading->chat->session.stream;

    while (reading->chat->is_finishing || stream_length(stream) < size)
        if (read_more(reading) == -1)
            return -1;
    return give(reading, size, 0, data_out);
}

ssize_t reeve_chat_read_exactly(reeve_chat *chat, size_t size, char **data_out, double seconds)
{
    struct reading reading;

    *data_out = NULL;
    coro_note(CALL_CHAT_READ, __builtin_return_address(0));
    if (size > chat_max_input(chat))
        return fail(EMSGSIZE);
    if (enter(&reading, chat, NULL, seconds) == -1)
        return -1;
    return leave(&reading, read_exactly(&reading, size, data_out));
}

static ssize_t read_some(struct reading *reading, void *buffer, size_t size)
{
    struct reeve_chat *chat = reading->chat;
    struct stream *stream = &chat->session.stream;
    size_t n;

    while (chat->is_finishing || stream_length(stream) == 0)
        if (read_more(reading) == -1)
            return stream->is_eof && !chat->is_finishing ? 0 : -1;
    n = stream_length(stream) < size ? stream_length(stream) : size;
    memcpy(buffer, stream_bytes(stream), n);
    stream_consume(stream, n);
    splitter_forget(&chat->splitter);
    return (ssize_t)n;
}

ssize_t reeve_chat_read_some(reeve_chat *chat, void *buffer, size_t size, double seconds)
{
    struct reading reading;

    coro_note(CALL_CHAT_READ, __builtin_return_address(0));
    if (size == 0)
        return fail(EINVAL);
    if (enter(&reading, chat, NULL, seconds) == -1)
        return -1;
    return leave(&reading, read_some(&reading, buffer, size));
}
