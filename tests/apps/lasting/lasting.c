/* lasting: connections of each kind whose ends take their time. What happened stands in the log, each line with
 * "journal: " before it. Options: close_nap (seconds that the last callback takes), dial ("unix:PATH", to which each
 * worker makes two chats). Compiled with -DBUILD=N it is build N, which adopts the connections of others unless compiled
 * with -DSTAYS, and is no good with -DFAILS. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <reeve/app.h>
#include <reeve/async.h>
#include <reeve/chat.h>
#include <reeve/filter.h>
#include <reeve/websocket.h>

#ifndef BUILD
#define BUILD 1
#endif

static double close_nap;
static char dial[100];

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void note(const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    reeve_log(NULL, REEVE_LOG_INFO, "journal: %s", text);
}

static const char *nap(double seconds)
{
    return reeve_sleep(seconds) == 0 ? "ok" : strerrorname_np(errno);
}

/* ---- WebSocket: "nap S" takes its time, all else says which build this is ---- */

static int on_message(reeve_websocket *ws, const reeve_websocket_message *message)
{
    char text[30];

    if (strncmp(message->data, "nap ", 4) == 0)
        note("napped %s", nap(strtod((const char *)message->data + 4, NULL)));
    snprintf(text, sizeof text, "build %d", BUILD);
    return reeve_websocket_send(ws, text, strlen(text), REEVE_TEXT);
}

static void on_close(reeve_websocket *ws, int code, const char *reason)
{
    (void)ws, (void)reason;
    note("websocket closed %d, napped %s", code, nap(close_nap));
}

static int adopt_websocket(reeve_websocket *ws, uint32_t version)
{
    (void)ws, (void)version;
    return 0;
}

static const reeve_websocket_protocol callbacks = {
    REEVE_WEBSOCKET_PROTOCOL, .name = "lasting",    .on_message = on_message,
    .on_close = on_close,     .close_timeout = 600,
#ifndef STAYS
    .adopt = adopt_websocket,
#endif
};

static int serve_socket(reeve_environ *env, reeve_start_response *start_response)
{
    reeve_websocket *ws = reeve_websocket_accept(env, start_response, NULL);
    reeve_websocket_message message;

    while (ws && reeve_websocket_receive(ws, &message, REEVE_FOREVER) == 1)
        reeve_websocket_send(ws, message.data, message.size, message.kind);
    return 0;
}

/* ---- chat ---- */

static int on_connect(reeve_chat *chat)
{
    reeve_chat_set_terminator(chat, "\n", 1);
    return 0;
}

static int found_terminator(reeve_chat *chat)
{
    const char *line = reeve_chat_collected(chat, NULL);

    if (strncmp(line, "nap ", 4) == 0)
        note("napped %s", nap(strtod(line + 4, NULL)));
    return reeve_chat_printf(chat, "build %d\n", BUILD);
}

static void handle_close(reeve_chat *chat, int error)
{
    (void)chat;
    note("chat closed %s, napped %s", error ? strerrorname_np(error) : "0", nap(close_nap));
}

static int adopt_chat(reeve_chat *chat, uint32_t version)
{
    (void)chat, (void)version;
    return 0;
}

static void farewell(reeve_chat *chat)
{
    reeve_chat_push(chat, "farewell\n", 9);
}

static const reeve_chat_protocol lines = {
    REEVE_CHAT_PROTOCOL,          .name = "lasting",
    .on_connect = on_connect,     .found_terminator = found_terminator,
    .handle_close = handle_close, .farewell = farewell,
#ifndef STAYS
    .adopt = adopt_chat,
#endif
    .idle_timeout = -1,
};

/* ---- a client of somebody ---- */

static int dial_out(void *arg, void **value_out)
{
    reeve_chat *chat;

    (void)arg, (void)value_out;
    for (int i = 0; i < 2; i++) {
        chat = reeve_chat_connect(dial, NULL, &lines, NULL, 5);
        note("dialled %s", chat ? "ok" : strerrorname_np(errno));
        if (!chat || reeve_chat_push(chat, "hello\n", 6) == -1)
            return -1;
    }
    return 0;
}

/* ---- HTTP ---- */

static void on_filter_close(void *state)
{
    (void)state;
    note("filter closed");
}

static const reeve_filter filter = {.on_close = on_filter_close};

static int application(reeve_environ *env, reeve_start_response *start_response)
{
    const char *path = reeve_path(env);

    if (strcmp(path, "/filtered") == 0)
        reeve_filter_push(env, &filter, NULL);
    if (strcmp(path, "/socket") == 0 || strcmp(path, "/filtered") == 0) {
        reeve_websocket_accept(env, start_response, &callbacks);
        return 0;
    }
    if (strcmp(path, "/served") == 0)
        return serve_socket(env, start_response);
    if (strcmp(path, "/slow") == 0)
        nap(3600);
#ifdef FAILS
    return -1;
#endif
    start_response(env, "200 OK", REEVE_HEADERS({"Content-Type", "text/plain"}));
    return reeve_write(env, "lasting\n", 8);
}

static int on_start(reeve_module *module)
{
    return dial[0] ? reeve_spawn_background(module, dial_out, NULL, NULL) : 0;
}

static int init(reeve_module *module)
{
    const char *nap_option = reeve_option(module, "close_nap"),
               *dial_option = reeve_option(module, "dial");

    close_nap = nap_option ? strtod(nap_option, NULL) : 0;
    snprintf(dial, sizeof dial, "%s", dial_option ? dial_option : "");
    return 0;
}

static const reeve_websocket_protocol *const websockets[] = {&callbacks, NULL};

REEVE_APP(.name = "lasting", .version = "1.0.0", .application = application, .init = init,
          .on_start = on_start, .chat = &lines, .websockets = websockets);
