/* company.c: every kind of connection there is, each of which says which build answers: HTTP, a line
 * chat, a WebSocket, a stream of events. Built many times over with another NUMBER each. */
#include <reeve/app.h>
#include <reeve/async.h>
#include <reeve/chat.h>
#include <reeve/pubsub.h>
#include <reeve/websocket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef NUMBER
#define NUMBER 0
#endif
#define TEXT_OF(number) #number
#define TEXT(number)    TEXT_OF(number)
#define ANSWER          "build " TEXT(NUMBER)

#define CHANNEL "company:ticks"

/* Builds differ in size, too, and in what lies where. */
static char padding[NUMBER % 7 * 4096 + 1] = {1};

/* ---- WebSocket ---- */

static int on_message(reeve_websocket *ws, const reeve_websocket_message *message)
{
    if (message->size > 0 && ((const char *)message->data)[0] == 's' && reeve_sleep(0.01) == -1)
        return -1;
    return reeve_websocket_send(ws, ANSWER, sizeof ANSWER - 1, REEVE_TEXT);
}

static void on_close(reeve_websocket *ws, int code, const char *reason)
{
    (void)code, (void)reason;
    free(reeve_websocket_data(ws));
}

static int adopt_websocket(reeve_websocket *ws, uint32_t version)
{
    (void)ws;
    return version == 1 ? 0 : -1;
}

static const reeve_websocket_protocol sockets = {
    REEVE_WEBSOCKET_PROTOCOL, .version = 1,         .name = "company",
    .on_message = on_message, .on_close = on_close, .adopt = adopt_websocket,
};

static int socket_view(reeve_environ *environ, reeve_start_response *start_response)
{
    reeve_websocket *ws = reeve_websocket_accept(environ, start_response, &sockets);

    if (ws)
        reeve_websocket_set_data(ws, strdup("of this connection"));
    return 0;
}

/* ---- chat ---- */

static int on_connect(reeve_chat *chat)
{
    reeve_chat_set_data(chat, strdup("of this connection"));
    return reeve_chat_set_terminator(chat, "\n", 1);
}

static int found_terminator(reeve_chat *chat)
{
    size_t size;

    if (reeve_chat_collected(chat, &size)[0] == 's' && reeve_sleep(0.01) == -1)
        return -1;
    return reeve_chat_push(chat, ANSWER "\n", sizeof ANSWER);
}

static void handle_close(reeve_chat *chat, int error)
{
    (void)error;
    free(reeve_chat_data(chat));
}

static int adopt_chat(reeve_chat *chat, uint32_t version)
{
    (void)chat;
    return version == 1 ? 0 : -1;
}

static const reeve_chat_protocol lines = {
    REEVE_CHAT_PROTOCOL,
    .version = 1,
    .name = "company",
    .on_connect = on_connect,
    .handle_close = handle_close,
    .found_terminator = found_terminator,
    .adopt = adopt_chat,
    .idle_timeout = -1,
};

/* ---- events ---- */

static int tick(void *arg, void **value_out)
{
    (void)arg, (void)value_out;
    return reeve_publish(CHANNEL, ANSWER, sizeof ANSWER - 1);
}

/* The stream stays with the build that began it, and says so; what it tells comes from the build
 * whose turn it is. */
static int events_view(reeve_environ *environ, reeve_start_response *start_response)
{
    reeve_subscription *subscription = reeve_subscription_new(CHANNEL, 16, REEVE_SLOW_DROP_OLDEST);
    reeve_publication publication;
    char event[256];
    int length;

    if (!subscription)
        return -1;
    start_response(environ, "200 OK", REEVE_HEADERS({"Content-Type", "text/event-stream"}));
    if (reeve_flush(environ) == -1)
        return -1;
    while (reeve_subscription_next(subscription, &publication, REEVE_FOREVER) == 0) {
        length = snprintf(event, sizeof event, "data: %s\n\n", (const char *)publication.data);
        if (publication.data &&
            (reeve_write(environ, event, (size_t)length) == -1 || reeve_flush(environ) == -1))
            return -1;
    }
    return -1;
}

/* ---- HTTP ---- */

static int company(reeve_environ *environ, reeve_start_response *start_response)
{
    if (strcmp(reeve_path(environ), "/socket") == 0)
        return socket_view(environ, start_response);
    if (strcmp(reeve_path(environ), "/events") == 0)
        return events_view(environ, start_response);
    start_response(environ, "200 OK", REEVE_HEADERS({"Content-Type", "text/plain"}));
    return reeve_write(environ, ANSWER "\n", sizeof ANSWER);
}

static int on_start(reeve_module *module)
{
    return reeve_job_every(module, "tick", 0.5 * padding[0], tick, NULL);
}

static const reeve_websocket_protocol *const websockets[] = {&sockets, NULL};

REEVE_APP(.name = "company", .version = "1." TEXT(NUMBER), .application = company,
          .on_start = on_start, .chat = &lines, .websockets = websockets);
