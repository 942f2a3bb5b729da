/* websocket.c: a WebSocket as a session: what is done when something may be to do, by whom and in which
 * order; its move to the next build, its last word, its end. How each of these things is done stands in
 * the files beside this one. */
#include "live/websocket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app/generation.h"
#include "app/request.h"
#include "base/board.h"
#include "live/websocket_private.h"
#include "net/net.h"
#include "runtime/coro.h"
#include "wire/ws_deflate.h"

void websocket_count(struct reeve_websocket *ws, size_t figure)
{
    if (ws->session.is_member)
        member_count_at(&ws->session.member, figure);
}

/* ---- the peer ---- */

static void hang_up(struct reeve_websocket *ws)
{
    websocket_lose(ws);
    websocket_detach_input(ws);
    session_close(&ws->session);
}

static void look_at_peer(struct reeve_websocket *ws)
{
    struct stream *stream = &ws->session.stream;

    if (!stream->is_again)
        ws->budget = WEBSOCKET_BUDGET;
    websocket_read(ws);
    /* What waits for a callback that is about to begin is read on soon enough. */
    if (ws->waiting.kind != INCOMING_NONE &&
        (ws->session.member.duty.is_working || !websocket_calls(ws)))
        stream_look(stream);
    if (stream->is_gone) {
        hang_up(ws);
        return;
    }
    if (ws->state == WEBSOCKET_OPEN)
        websocket_pay_pong(ws);
    websocket_keep_time(ws);
}

/* ---- the application ---- */

/* Nobody is there for what it waits for. One that has been told may finish what it does. */
static void cancel(struct reeve_websocket *ws)
{
    struct reeve_environ *request = ws->request;

    if (ws->is_cancelled || ws->is_told || ws->is_in_close || ws->session.has_stream ||
        !ws->session.is_member ||
        ws->session.member.generation->app->config->client_gone == CLIENT_GONE_IGNORE)
        return;
    if (request && (!request->coro || request->has_returned))
        return;
    ws->is_cancelled = true;
    if (request) {
        request->is_abandoned = true;
        coro_cancel(request->coro, ECANCELED);
    } else {
        duty_cancel(&ws->session.member.duty);
    }
}

static bool has_message_or_end(const struct reeve_websocket *ws)
{
    return ws->waiting.kind != INCOMING_NONE || ws->state == WEBSOCKET_ENDED;
}

/* The application has no business with it any more: its code may go. */
static void leave(struct reeve_websocket *ws)
{
    terms_unref(ws->terms);
    ws->terms = NULL;
    session_leave(&ws->session);
    if (!ws->session.has_stream)
        session_end(&ws->session);
}

/* Each may be the last look: what it sets going may look again within. */
static void look_after_app(struct reeve_websocket *ws)
{
    if (ws->receiver && has_message_or_end(ws))
        coro_resume(ws->receiver, 0);
    else if (ws->request || ws->session.member.duty.is_working)
        cancel(ws);
    else if (ws->is_done)
        leave(ws);
    else if (websocket_has_work(ws))
        duty_begin(&ws->session.member.duty);
    else if (ws->session.is_member)
        member_settle(&ws->session.member);
}

static void look(struct session *session)
{
    struct reeve_websocket *ws = websocket_of(session);

    if (session->has_stream)
        look_at_peer(ws);
    look_after_app(ws);
}

/* ---- the next build ---- */

const reeve_websocket_protocol *websocket_find_protocol(const struct generation *generation,
                                                        const char *name)
{
    const reeve_websocket_protocol *const *protocols = generation->descriptor->websockets;

    for (; protocols && *protocols; protocols++)
        if (strcmp((*protocols)->name, name) == 0)
            return *protocols;
    return NULL;
}

/* What reeve_websocket_module answers while it is asked. */
static struct {
    const struct reeve_websocket *ws;
    struct generation *by;
} adopted;

static bool ask(struct reeve_websocket *ws, const struct websocket_terms *terms,
                struct generation *to)
{
    bool is_adopted;

    adopted.ws = ws;
    adopted.by = to;
    room_do(to->app->room, STEP_CONNECTION, to);
    is_adopted = terms->protocol.adopt(ws, ws->terms->protocol.version) == 0;
    room_do(to->app->room, STEP_NONE, to);
    adopted.ws = NULL;
    return is_adopted;
}

static bool is_at_rest(const struct reeve_websocket *ws)
{
    return websocket_calls(ws) && ws->has_begun && ws->state == WEBSOCKET_OPEN &&
           !websocket_has_work(ws);
}

static bool adopt(struct member *member, struct generation *to)
{
    struct reeve_websocket *ws = websocket_of(session_of_member(member));
    const reeve_websocket_protocol *protocol;
    struct websocket_terms *terms, *former = ws->terms;

    if (!is_at_rest(ws))
        return false;
    protocol = websocket_find_protocol(to, former->protocol.name);
    terms = protocol ? terms_of(protocol) : NULL;
    if (!terms || !terms->protocol.on_message || !terms->protocol.adopt || !ask(ws, terms, to)) {
        terms_unref(terms);
        return false;
    }
    ws->terms = terms;
    ws->close_ns = terms->close_ns;
    ws_messages_limit(&ws->messages, terms->protocol.max_message);
    terms_unref(former);
    session_look_soon(&ws->session); /* its alarm rings by the former one's interval, or never */
    return true;
}

/* ---- the end ---- */

static void farewell(struct member *member)
{
    struct reeve_websocket *ws = websocket_of(session_of_member(member));

    if (websocket_is_shut(ws))
        return;
    if (ws->terms->protocol.farewell)
        ws->terms->protocol.farewell(ws);
    websocket_begin_close(ws, REEVE_CLOSE_RESTART, NULL);
}

static void free_websocket(struct session *session)
{
    struct reeve_websocket *ws = websocket_of(session);

    board_sub(&session->stream.net->slot->websockets, 1);
    websocket_release(ws);
    websocket_drop_waiting(ws);
    terms_unref(ws->terms);
    free(ws->subprotocol);
    free(ws->reason);
    free(ws);
}

const struct session_kind websocket_kind = {.member = {.adopt = adopt, .farewell = farewell},
                                            .look = look,
                                            .forward = websocket_forward,
                                            .free = free_websocket};

/* ---- what applications call ---- */

void reeve_websocket_set_data(reeve_websocket *ws, void *data)
{
    ws->session.data = data;
}

void *reeve_websocket_data(const reeve_websocket *ws)
{
    return ws->session.data;
}

reeve_module *reeve_websocket_module(const reeve_websocket *ws)
{
    return generation_module(adopted.ws == ws ? adopted.by : ws->session.member.generation);
}

const char *reeve_websocket_subprotocol(const reeve_websocket *ws)
{
    return ws->subprotocol;
}

const char *reeve_websocket_peer(reeve_websocket *ws)
{
    return session_peer(&ws->session);
}

int reeve_websocket_each(reeve_module *module, int (*each)(reeve_websocket *ws, void *arg),
                         void *arg)
{
    struct member *member, *next;
    int result = 0;

    for (member = LIST_FIRST(&generation_of(module)->members); member && !result; member = next) {
        next = LIST_NEXT(member, entry);
        if (member->kind == &websocket_kind.member)
            result = each(websocket_of(session_of_member(member)), arg);
    }
    return result;
}
