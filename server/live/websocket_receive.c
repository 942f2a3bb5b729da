/* websocket_receive.c: the style of coroutines: the view, or a task of it, asks for the next message. */
#include <errno.h>

#include "app/strand.h"
#include "base/clock.h"
#include "base/holder.h"
#include "live/websocket_private.h"
#include "runtime/coro.h"

static int fail(int error)
{
    errno = error;
    return -1;
}

static bool is_decided(const struct reeve_websocket *ws)
{
    return ws->waiting.kind != INCOMING_NONE || ws->state == WEBSOCKET_ENDED;
}

static int wait_once(struct reeve_websocket *ws, uint64_t ns)
{
    int reason;

    session_flush(&ws->session);
    ws->receiver = coro_current();
    reason = coro_wait_for("WebSocket message", ns);
    ws->receiver = NULL;
    return reason;
}

/* What there is by the end of the wait counts, however that came. */
static int wait_for_message(struct reeve_websocket *ws, double seconds)
{
    uint64_t ns = strand_limit(seconds), begun = clock_ns(), gone = 0;
    int reason = 0;

    while (!is_decided(ws) && !reason) {
        reason = wait_once(ws, ns == CORO_FOREVER ? ns : ns - gone);
        gone = clock_ns() - begun;
        if (ns != CORO_FOREVER && gone > ns)
            gone = ns;
    }
    return is_decided(ws) ? 0 : fail(reason);
}

/* Behind it there may be a ping, and the application may be long in coming back. */
static int take(struct reeve_websocket *ws, reeve_websocket_message *message_out)
{
    const struct stream *stream = &ws->session.stream;

    websocket_take(ws);
    if (stream_length(stream) > 0 || stream->is_readable)
        session_look_soon(&ws->session);
    *message_out = (reeve_websocket_message){
        .data = ws->current.data,
        .size = ws->current.size,
        .kind = ws->current.kind == INCOMING_TEXT ? REEVE_TEXT : REEVE_BINARY};
    return 1;
}

static int receive(struct reeve_websocket *ws, reeve_websocket_message *message_out, double seconds)
{
    websocket_release(ws);
    websocket_read(ws);
    if (wait_for_message(ws, seconds) == -1)
        return -1;
    if (ws->waiting.kind != INCOMING_NONE)
        return take(ws, message_out);
    ws->is_told = true;
    return ws->is_broken ? fail(ECONNRESET) : 0;
}

int reeve_websocket_receive(reeve_websocket *ws, reeve_websocket_message *message_out,
                            double seconds)
{
    int result;

    coro_note(CALL_WEBSOCKET_RECEIVE, __builtin_return_address(0));
    if (!coro_current() || websocket_calls(ws))
        return fail(EDEADLK);
    if (ws->receiver)
        return fail(EBUSY);
    session_use(&ws->session);
    result = receive(ws, message_out, seconds);
    session_drop(&ws->session);
    return result;
}
