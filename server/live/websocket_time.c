/* websocket_time.c: what a WebSocket does by the clock: pings a silent peer, gives up one that does not
 * answer, or that does not close or read. One alarm serves all; it is set anew when it has rung, and
 * not with each byte. */
#include <errno.h>

#include "base/clock.h"
#include "live/websocket_private.h"

static void wake_at(struct reeve_websocket *ws, uint64_t at, uint64_t now)
{
    if (ws->wake_at > now && ws->wake_at <= at)
        return;
    ws->wake_at = at;
    session_wake_in(&ws->session, at - now);
}

/* ---- while it is open ---- */

static void keep_alive(struct reeve_websocket *ws, uint64_t now)
{
    struct stream *stream = &ws->session.stream;
    uint64_t interval = ws->terms->ping_ns;

    if (interval == 0)
        return;
    if (ws->waiting.kind != INCOMING_NONE) { /* what is not read cannot be missed */
        wake_at(ws, now + interval, now);
        return;
    }
    if (ws->pinged_at <= stream->received_at && now >= stream->received_at + interval) {
        websocket_send_control(ws, WS_OPCODE_PING, WEBSOCKET_PING, sizeof WEBSOCKET_PING - 1);
        ws->pinged_at = now;
    }
    if (ws->pinged_at <= stream->received_at)
        wake_at(ws, stream->received_at + interval, now);
    else if (now < ws->pinged_at + interval)
        wake_at(ws, ws->pinged_at + interval, now);
    else
        stream_lose(stream, ETIMEDOUT);
}

/* ---- while it closes ---- */

static void begin_to_wait(struct reeve_websocket *ws, uint64_t now)
{
    ws->close_by = now + ws->close_ns;
    ws->unsent_before = ws->session.stream.unsent;
    wake_at(ws, ws->close_by, now);
}

/* The time for the peer's answer counts from when this side's last word has left. One that goes on
 * reading has the time that it takes, unless it was given up for that. */
static void wait_for_end(struct reeve_websocket *ws, uint64_t now)
{
    struct stream *stream = &ws->session.stream;
    bool has_left = stream->unsent == 0;

    if (ws->close_by == 0)
        begin_to_wait(ws, now);
    else if (now < ws->close_by)
        wake_at(ws, ws->close_by, now);
    else if (has_left && (ws->unsent_before == 0 || ws->is_given_up))
        websocket_end(ws); /* from here on the stream has a limit of its own */
    else if (stream->unsent < ws->unsent_before && !ws->is_given_up)
        begin_to_wait(ws, now);
    else
        stream_lose(stream, ETIMEDOUT);
}

void websocket_keep_time(struct reeve_websocket *ws)
{
    uint64_t now = clock_ns();

    if (ws->state == WEBSOCKET_OPEN)
        keep_alive(ws, now);
    else
        wait_for_end(ws, now);
}
