/* live.c: an application for the benchmarks of long-lived connections: the same things as the peers
 * do (lws.c, chatloop.c), and streams of events.
 *
 *   /echo       a WebSocket that sends back what comes, by callbacks
 *   /coroutine  the same, by a coroutine
 *   /listen     gets what is sent to /publish
 *   /events     Server-Sent Events: gets what /tell publishes
 *   /           an ordinary answer
 *   chat        a line is sent back */
#include <reeve/chat.h>
#include <reeve/events.h>
#include <reeve/pubsub.h>
#include <reeve/websocket.h>
#include <string.h>

#define NEWS   "bench:news"
#define EVENTS "bench:events"

/* ---- WebSockets ---- */

static int send_back(reeve_websocket *ws, const reeve_websocket_message *message)
{
    return reeve_websocket_send(ws, message->data, message->size, message->kind);
}

static const reeve_websocket_protocol echo = {REEVE_WEBSOCKET_PROTOCOL, .name = "echo",
                                              .on_message = send_back};

static int echo_view(reeve_environ *environ, reeve_start_response *start_response)
{
    reeve_websocket_accept(environ, start_response, &echo);
    return 0;
}

static const reeve_websocket_protocol conversation = {REEVE_WEBSOCKET_PROTOCOL,
                                                      .name = "conversation"};

static int coroutine_view(reeve_environ *environ, reeve_start_response *start_response)
{
    reeve_websocket *ws = reeve_websocket_accept(environ, start_response, &conversation);
    reeve_websocket_message message;

    while (ws && reeve_websocket_receive(ws, &message, -1) == 1)
        if (send_back(ws, &message) == -1)
            break;
    return 0;
}

static int listen_from_now(reeve_websocket *ws)
{
    return reeve_websocket_subscribe(ws, NEWS, REEVE_TEXT, REEVE_SLOW_CUT_OFF);
}

static int publish(reeve_websocket *ws, const reeve_websocket_message *message)
{
    (void)ws;
    return reeve_publish(NEWS, message->data, message->size);
}

/* It never gets a message, but without on_message it would have to be a coroutine. */
static const reeve_websocket_protocol listener = {REEVE_WEBSOCKET_PROTOCOL, .name = "listener",
                                                  .on_open = listen_from_now,
                                                  .on_message = publish};
static const reeve_websocket_protocol publisher = {REEVE_WEBSOCKET_PROTOCOL, .name = "publisher",
                                                   .on_message = publish};

static int listen_view(reeve_environ *environ, reeve_start_response *start_response)
{
    reeve_websocket_accept(environ, start_response, &listener);
    return 0;
}

static int publish_view(reeve_environ *environ, reeve_start_response *start_response)
{
    reeve_websocket_accept(environ, start_response, &publisher);
    return 0;
}

/* ---- events ---- */

static int events_view(reeve_environ *environ, reeve_start_response *start_response)
{
    reeve_subscription *news = reeve_subscription_new(EVENTS, 0, REEVE_SLOW_CUT_OFF);

    if (!news || reeve_events_begin(environ, start_response) == -1)
        return -1;
    return reeve_events_follow(environ, news, -1);
}

static int hello_view(reeve_environ *environ, reeve_start_response *start_response)
{
    start_response(environ, "200 OK", REEVE_HEADERS({"Content-Type", "text/plain"}));
    return reeve_write(environ, "Hello, World!\n", 14);
}

static int tell_view(reeve_environ *environ, reeve_start_response *start_response)
{
    if (reeve_publish(EVENTS, "news", 4) == -1)
        return -1;
    return hello_view(environ, start_response);
}

/* ---- lines ---- */

static int until_newline(reeve_chat *chat)
{
    return reeve_chat_set_terminator(chat, "\n", 1);
}

static int send_line_back(reeve_chat *chat)
{
    size_t size;
    char *line = reeve_chat_collected(chat, &size);

    line[size] = '\n'; /* in place of the NUL behind it */
    return reeve_chat_push(chat, line, size + 1);
}

static const reeve_chat_protocol lines = {REEVE_CHAT_PROTOCOL, .name = "lines",
                                          .on_connect = until_newline,
                                          .found_terminator = send_line_back};

static int application(reeve_environ *environ, reeve_start_response *start_response)
{
    static const struct {
        const char *path;
        reeve_application *view;
    } views[] = {
        {"/echo", echo_view},       {"/coroutine", coroutine_view}, {"/listen", listen_view},
        {"/publish", publish_view}, {"/events", events_view},       {"/tell", tell_view},
    };

    for (size_t i = 0; i < sizeof views / sizeof *views; i++)
        if (strcmp(reeve_path(environ), views[i].path) == 0)
            return views[i].view(environ, start_response);
    return hello_view(environ, start_response);
}

REEVE_APP(.name = "live", .version = "1.0.0", .application = application, .chat = &lines);
