/* websocket_accept.c: from a request to a WebSocket: whether it is one, and the answer. What is wrong
 * with it is answered by the view's own start_response, as any view would. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app/generation.h"
#include "app/request.h"
#include "base/log.h"
#include "http/status.h"
#include "live/websocket_private.h"
#include "net/conn.h"
#include "net/net.h"
#include "wire/ws_deflate.h"
#include "wire/ws_handshake.h"

/* ---- refusing ---- */

static bool is_hop_by_hop(const char *name)
{
    return strcmp(name, "Upgrade") == 0 || strcmp(name, "Connection") == 0;
}

/* The answer of a view: it may replace what the application has begun, and goes through filters. */
static struct reeve_websocket *refuse(struct reeve_environ *request, reeve_start_response *start,
                                      int status, const char *why, const struct ws_header *headers)
{
    reeve_header list[8] = {{"Content-Type", "text/plain; charset=utf-8"}}, *next = list + 1;
    const struct iovec pieces[] = {{(void *)(uintptr_t)why, strlen(why)}, {(char[]){'\n'}, 1}};

    for (; headers && headers->name; headers++)
        if (!is_hop_by_hop(headers->name))
            *next++ = (reeve_header){headers->name, headers->value};
    if (start(request, status_line(status), list) == 0)
        reeve_writev(request, pieces, 2);
    errno = EPROTO;
    return NULL;
}

static bool is_in(const char *const *list, const char *text)
{
    for (; *list; list++)
        if (strcmp(*list, text) == 0)
            return true;
    return false;
}

/* Only browsers say where they come from, and only for them it is a protection. */
static bool may_come(const struct reeve_environ *request, const char *const *origins)
{
    const char *origin = reeve_request_header(request, "Origin");

    return !origins || !origin || is_in(origins, origin);
}

static void shake_hands(const struct reeve_environ *request,
                        const reeve_websocket_protocol *protocol, struct ws_handshake *out)
{
    const struct ws_request asked = {
        .method = reeve_method(request),
        .minor = request->head.minor,
        .upgrade = reeve_request_header(request, "Upgrade"),
        .connection = reeve_request_header(request, "Connection"),
        .key = reeve_request_header(request, "Sec-WebSocket-Key"),
        .version = reeve_request_header(request, "Sec-WebSocket-Version"),
        .protocol = reeve_request_header(request, "Sec-WebSocket-Protocol"),
        .extensions = reeve_request_header(request, "Sec-WebSocket-Extensions"),
    };
    const struct ws_offer offer = {
        .subprotocols = protocol->subprotocols,
        .has_deflate = !protocol->no_compression && codec_deflater() && codec_inflater(),
        .keeps_context = protocol->keeps_context,
    };

    ws_handshake(&asked, &offer, out);
}

/* ---- accepting ---- */

/* When the request ends the callbacks begin, or the coroutine has. In the request's memory. */
struct end_of_view {
    struct reeve_environ *request;
    struct reeve_websocket *ws; /* NULL: it was not accepted */
};

static void on_end_of_view(void *arg)
{
    const struct end_of_view *end = arg;
    struct reeve_websocket *ws = end->ws;
    bool has_failed = end->request->result != 0;

    if (!ws)
        return;
    ws->request = NULL;
    ws->has_begun = true;
    if (!websocket_calls(ws)) {
        ws->is_done = true;
        websocket_release(ws);
        websocket_begin_close(ws, has_failed ? REEVE_CLOSE_FAILED : REEVE_CLOSE_NORMAL, NULL);
    } else if (has_failed) {
        websocket_begin_close(ws, REEVE_CLOSE_FAILED, NULL);
    }
    session_look_soon(&ws->session);
}

static struct end_of_view *watch_view(struct reeve_environ *request)
{
    struct end_of_view *end = reeve_alloc(request, sizeof *end);

    if (!end)
        return NULL;
    *end = (struct end_of_view){.request = request};
    return reeve_on_close(request, on_end_of_view, end) == 0 ? end : NULL;
}

static int set_up_deflate(struct reeve_websocket *ws, const struct ws_deflate_terms *deflate)
{
    struct ws_inflater *inflater = NULL;

    if (deflate->is_on) {
        ws->out_bits = deflate->out_bits;
        if (deflate->keeps_out && !(ws->deflater = codec_new_deflater()))
            return -1;
        if (deflate->keeps_in && !(ws->inflater = ws_inflater_new(deflate->in_bits, true)))
            return -1;
        inflater = ws->inflater ? ws->inflater : codec_inflater();
    }
    ws_messages_init(&ws->messages, ws->terms->protocol.max_message, inflater);
    return 0;
}

static void discard(struct reeve_websocket *ws)
{
    if (!ws)
        return;
    ws_deflater_free(ws->deflater);
    ws_inflater_free(ws->inflater);
    free(ws->subprotocol);
    free(ws);
}

static struct reeve_websocket *make(struct websocket_terms *terms, struct reeve_environ *request,
                                    const struct ws_handshake *handshake)
{
    struct reeve_websocket *ws = calloc(1, sizeof *ws);

    if (!ws)
        return NULL;
    ws->terms = terms;
    ws->request = request;
    ws->close_ns = terms->close_ns;
    ws->budget = WEBSOCKET_BUDGET;
    ws->is_open_due = terms->protocol.on_open != NULL;
    if (set_up_deflate(ws, &handshake->deflate) == 0 &&
        (!handshake->subprotocol || (ws->subprotocol = strdup(handshake->subprotocol))))
        return ws;
    discard(ws);
    return NULL;
}

/* What cannot be queued has lost the connection: the application learns it as any other loss. */
static void send_head(struct reeve_websocket *ws, struct room *room,
                      const struct ws_handshake *handshake)
{
    static const char status[] = "HTTP/1.1 101 Switching Protocols\r\n";
    struct stream *stream = &ws->session.stream;
    const struct ws_header *header;
    char line[512];
    int error = stream_send(stream, status, sizeof status - 1);

    for (header = handshake->headers; header->name && !error; header++) {
        int length = snprintf(line, sizeof line, "%s: %s\r\n", header->name, header->value);

        error = length < 0 || (size_t)length >= sizeof line;
        if (!error)
            error = stream_send(stream, line, (size_t)length);
    }
    if (room->net.now >= room->stamp_until)
        room_refresh_stamp(room, room->net.now);
    if (error || stream_send2(stream, room->stamp, room->stamp_length, "\r\n", 2) == -1)
        stream_lose(stream, ENOMEM);
}

static struct reeve_websocket *begin(struct reeve_environ *request, struct websocket_terms *terms,
                                     const struct ws_handshake *handshake)
{
    struct end_of_view *end = watch_view(request);
    struct reeve_websocket *ws = end ? make(terms, request, handshake) : NULL;

    if (!ws || request_upgrade(request, &ws->session.stream) == -1) {
        discard(ws);
        return NULL;
    }
    end->ws = ws;
    board_add(&request->room->slot->websockets, 1);
    session_begin(&ws->session, &websocket_kind, request->generation, websocket_work);
    send_head(ws, request->room, handshake);
    session_look_soon(&ws->session); /* sets the alarm */
    return ws;
}

/* A body would be taken for frames. */
static struct reeve_websocket *accept_as(struct reeve_environ *request, reeve_start_response *start,
                                         struct websocket_terms *terms)
{
    struct reeve_websocket *ws;
    struct ws_handshake handshake;

    shake_hands(request, &terms->protocol, &handshake);
    if (handshake.status != 101)
        return refuse(request, start, handshake.status, handshake.why, handshake.headers);
    if (reeve_content_length(request) != 0)
        return refuse(request, start, 400, "a handshake has no body", NULL);
    if (!may_come(request, terms->protocol.origins))
        return refuse(request, start, 403, "not from that Origin", NULL);
    ws = begin(request, terms, &handshake);
    return ws ? ws : refuse(request, start, 503, "no memory for a WebSocket", NULL);
}

static struct reeve_websocket *refuse_wrong_use(struct reeve_environ *request,
                                                reeve_start_response *start, int error,
                                                const char *why)
{
    log_warnx("%s %llu: reeve_websocket_accept: %s", request->generation->app->config->name,
              (unsigned long long)request->generation->number, why);
    refuse(request, start, 500, "Internal Server Error", NULL);
    errno = error;
    return NULL;
}

/* Nobody would know why its connections stay with the old build. Once a build. */
static void note_unlisted(const struct generation *generation,
                          const reeve_websocket_protocol *protocol)
{
    static uint64_t noted;

    if (!protocol->adopt || noted == generation->number ||
        websocket_find_protocol(generation, protocol->name))
        return;
    noted = generation->number;
    log_warnx("%s %llu: the WebSocket protocol \"%s\" has an adopt, but does not stand in the "
              "descriptor's .websockets: its connections do not move to the next build",
              generation->app->config->name, (unsigned long long)generation->number,
              protocol->name);
}

reeve_websocket *reeve_websocket_accept(reeve_environ *request, reeve_start_response *start,
                                        const reeve_websocket_protocol *protocol)
{
    struct reeve_websocket *ws;
    struct websocket_terms *terms;

    if (request->is_upgraded) {
        errno = EALREADY;
        return NULL;
    }
    terms = terms_of(protocol);
    if (!terms && errno == ENOMEM)
        return refuse(request, start, 503, "no memory for a WebSocket", NULL);
    if (!terms)
        return refuse_wrong_use(request, start, EINVAL, "the protocol is none");
    if (request->generation->descriptor->on_loop && !terms->protocol.on_message)
        ws = refuse_wrong_use(request, start, EDEADLK, "an on_loop module needs an on_message");
    else
        ws = accept_as(request, start, terms);
    if (!ws)
        terms_unref(terms);
    else
        note_unlisted(request->generation, &terms->protocol);
    return ws;
}
