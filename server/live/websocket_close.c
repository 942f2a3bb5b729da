/* websocket_close.c: how a WebSocket ends: the closing handshake from either side (RFC 6455 section 7),
 * errors, a broken connection. On whichever stack: what the application is told follows from the loop. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "live/websocket_private.h"
#include "wire/ws_deflate.h"

static int fail(int error)
{
    errno = error;
    return -1;
}

/* What on_close will be told is what came first. */
static void note_reason(struct reeve_websocket *ws, int code, const char *reason, size_t size)
{
    if (ws->code)
        return;
    ws->code = (uint16_t)code;
    ws->reason = size > 0 ? strndup(reason, size) : NULL;
}

static void send_close(struct reeve_websocket *ws, int code, const char *reason)
{
    char payload[WS_CONTROL_MAX];

    if (ws->state == WEBSOCKET_OPEN)
        websocket_send_control(ws, WS_OPCODE_CLOSE, payload,
                               ws_frame_close((uint16_t)code, reason, payload));
}

static void free_output(struct reeve_websocket *ws)
{
    free(ws->pong);
    ws->pong = NULL;
    ws_deflater_free(ws->deflater);
    ws->deflater = NULL;
}

int websocket_begin_close(struct reeve_websocket *ws, int code, const char *reason)
{
    if (websocket_is_shut(ws))
        return fail(EPIPE);
    note_reason(ws, code, reason, reason ? strlen(reason) : 0);
    send_close(ws, code, reason);
    ws->state = WEBSOCKET_CLOSING;
    websocket_drop_waiting(ws);
    free_output(ws);
    session_look_soon(&ws->session);
    return 0;
}

void websocket_end(struct reeve_websocket *ws)
{
    if (ws->state == WEBSOCKET_ENDED)
        return;
    ws->state = WEBSOCKET_ENDED;
    ws->is_close_due = websocket_calls(ws);
    ws->close_by = 0;
    websocket_drop_waiting(ws);
    free_output(ws);
    ws_messages_fini(&ws->messages);
    ws_inflater_free(ws->inflater);
    ws->inflater = NULL;
    if (ws->session.has_stream) {
        websocket_detach_input(ws);
        stream_shut(&ws->session.stream);
    }
    session_look_soon(&ws->session);
}

void websocket_peer_closes(struct reeve_websocket *ws, int code, const char *reason, size_t size)
{
    note_reason(ws, code, reason, size);
    send_close(ws, code, NULL);
    websocket_end(ws);
}

void websocket_refuse(struct reeve_websocket *ws, int code, const char *why)
{
    ws->is_broken |= ws->state == WEBSOCKET_OPEN;
    note_reason(ws, code, why, strlen(why));
    send_close(ws, code, why);
    websocket_end(ws);
}

void websocket_lose(struct reeve_websocket *ws)
{
    ws->is_broken |= ws->state == WEBSOCKET_OPEN;
    note_reason(ws, REEVE_CLOSE_LOST, NULL, 0);
    websocket_end(ws);
}

/* ---- what applications call ---- */

static bool may_send(int code, const char *reason)
{
    return code >= 0 && ws_frame_is_code((unsigned)code) &&
           (!reason || (strlen(reason) <= WS_REASON_MAX && utf8_is_valid(reason, strlen(reason))));
}

int reeve_websocket_close(reeve_websocket *ws, int code, const char *reason)
{
    if (!may_send(code, reason))
        return fail(EINVAL);
    if (websocket_begin_close(ws, code, reason) == -1)
        return -1;
    ws->is_told = true;
    return 0;
}

bool reeve_websocket_is_closing(const reeve_websocket *ws)
{
    return websocket_is_shut(ws);
}

int reeve_websocket_close_code(const reeve_websocket *ws)
{
    return ws->code;
}
