/* websocket_call.c: the callbacks of a WebSocket, one after the other in one run of its duty, as long as
 * there is something for them. */
#include "app/generation.h"
#include "base/log.h"
#include "live/websocket_private.h"
#include "runtime/coro.h"

bool websocket_has_work(const struct reeve_websocket *ws)
{
    if (!ws->has_begun || !websocket_calls(ws))
        return false;
    return ws->state == WEBSOCKET_OPEN ? ws->is_open_due || ws->waiting.kind != INCOMING_NONE
                                       : ws->is_close_due;
}

/* Nobody wonders that what was cancelled has failed, or what could not send any more. */
static void close_failed(struct reeve_websocket *ws, const char *callback)
{
    const struct generation *generation = ws->session.member.generation;

    if (!ws->is_cancelled && !websocket_is_shut(ws)) {
        log_warnx("%s %llu: %s of a WebSocket with %s (%s) failed", generation->app->config->name,
                  (unsigned long long)generation->number, callback, session_peer(&ws->session),
                  ws->terms->protocol.name);
        member_failed(&ws->session.member);
    }
    websocket_begin_close(ws, REEVE_CLOSE_FAILED, NULL);
}

static void call_open(struct reeve_websocket *ws)
{
    int (*on_open)(reeve_websocket *) = ws->terms->protocol.on_open;

    ws->is_open_due = false;
    if (on_open && on_open(ws) == -1)
        close_failed(ws, "on_open");
}

static int give(struct reeve_websocket *ws)
{
    const struct incoming *incoming = &ws->current;
    const reeve_websocket_message message = {
        .data = incoming->data,
        .size = incoming->size,
        .kind = incoming->kind == INCOMING_TEXT ? REEVE_TEXT : REEVE_BINARY};

    if (incoming->kind == INCOMING_PONG)
        return ws->terms->protocol.on_pong(ws, incoming->data, incoming->size);
    return ws->terms->protocol.on_message(ws, &message);
}

static void call_incoming(struct reeve_websocket *ws, struct duty *duty)
{
    websocket_take(ws);
    if (give(ws) == -1)
        close_failed(ws, ws->current.kind == INCOMING_PONG ? "on_pong" : "on_message");
    duty_end_call(duty); /* its tasks may look at it */
    websocket_release(ws);
}

static void call_close(struct reeve_websocket *ws)
{
    void (*on_close)(reeve_websocket *, int, const char *) = ws->terms->protocol.on_close;

    ws->is_close_due = false;
    ws->is_in_close = true;
    if (on_close)
        on_close(ws, ws->code, ws->reason ? ws->reason : "");
}

static bool is_cancelled(void)
{
    const struct coro *coro = coro_current();

    return coro && coro_cancelled(coro);
}

void websocket_work(struct duty *duty)
{
    struct reeve_websocket *ws = websocket_of(session_of_duty(duty));

    while (websocket_has_work(ws) && !is_cancelled()) {
        if (ws->is_close_due)
            call_close(ws);
        else if (ws->is_open_due)
            call_open(ws);
        else
            call_incoming(ws, duty);
        duty_end_call(duty);
        websocket_read(ws);
    }
    ws->is_done = ws->is_in_close;
}
