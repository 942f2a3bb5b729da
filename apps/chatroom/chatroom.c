/* chatroom: one room for people with a browser (a WebSocket) and people with a terminal (a plain TCP
 * connection, `nc 127.0.0.1 8081`), in whichever worker each of them has landed.
 *
 * What anybody says is published in one channel, as one line, and the server hands it on to every
 * connection that has subscribed, here and in the other workers, without asking this code. So all
 * there is to do is to know a guest's name, and to put it before what the guest says.
 *
 * Deploying a new build of it throws nobody out: `adopt` takes the guests over, names and all, and
 * what they say next is answered by the new code. */
#include <reeve/app.h>
#include <reeve/chat.h>
#include <reeve/pubsub.h>
#include <reeve/websocket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "page.h"

#define CHANNEL   "chatroom"
#define NAME_MOST 24
#define TEXT_MOST 2000

/* To be raised when struct guest changes: then the guests of the build before stay with that. */
#define GUEST_VERSION 1

/* What is known of a connection. It is the connection's data, freed when that ends. */
struct guest {
    char name[NAME_MOST + 1]; /* "": has not said it yet */
};

/* ---- the room ---- */

/* The length of the character of UTF-8 that begins there, or 0: it is none. */
static size_t character(const char *text, size_t size)
{
    const unsigned char *bytes = (const unsigned char *)text;
    size_t length = bytes[0] < 0x80   ? 1
                    : bytes[0] < 0xC2 ? 0
                    : bytes[0] < 0xE0 ? 2
                    : bytes[0] < 0xF0 ? 3
                    : bytes[0] < 0xF5 ? 4
                                      : 0;

    if (length > size)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((bytes[i] & 0xC0) != 0x80)
            return 0;
    /* Not longer than needed, no half of a pair, not beyond the last one. */
    if ((bytes[0] == 0xE0 && bytes[1] < 0xA0) || (bytes[0] == 0xED && bytes[1] > 0x9F) ||
        (bytes[0] == 0xF0 && bytes[1] < 0x90) || (bytes[0] == 0xF4 && bytes[1] > 0x8F))
        return 0;
    return length;
}

/* Terminals may send anything, and so may who writes an address by hand; but a WebSocket's text is
 * UTF-8, and one that is not would not be sent to the browsers. */
static void make_utf8(char *text, size_t size)
{
    for (size_t at = 0, length; at < size; at += length) {
        length = character(text + at, size - at);
        if (length == 0) {
            text[at] = '?';
            length = 1;
        }
    }
}

/* A line is a line: whatever would break it, or a terminal, becomes a space. */
static size_t clean(char *to, size_t most, const char *text, size_t size)
{
    size_t length = size < most ? size : most;

    while (length > 0 && length < size && ((unsigned char)text[length] & 0xC0) == 0x80)
        length--; /* never half a character */
    for (size_t i = 0; i < length; i++)
        to[i] = (unsigned char)text[i] < ' ' || text[i] == 0x7f ? ' ' : text[i];
    to[length] = '\0';
    make_utf8(to, length);
    return length;
}

static int publish(const char *name, const char *between, const char *text)
{
    char line[NAME_MOST + TEXT_MOST + 16];
    int length = snprintf(line, sizeof line, "%s%s%s\n", name, between, text);

    return reeve_publish(CHANNEL, line, (size_t)length);
}

static int say(const struct guest *guest, const char *text, size_t size)
{
    char cleaned[TEXT_MOST + 1];

    return clean(cleaned, TEXT_MOST, text, size) > 0 ? publish(guest->name, ": ", cleaned) : 0;
}

static int enter(struct guest *guest, const char *name, size_t size)
{
    if (clean(guest->name, NAME_MOST, name, size) == 0)
        strcpy(guest->name, "somebody");
    return publish(guest->name, "", " has come");
}

static void leave(struct guest *guest)
{
    if (guest && guest->name[0])
        publish(guest->name, "", " has gone");
    free(guest);
}

/* ---- with a browser ---- */

static int on_open(reeve_websocket *ws)
{
    struct guest *guest = reeve_websocket_data(ws);

    /* Subscribed first, so the guest sees itself come. */
    if (reeve_websocket_subscribe(ws, CHANNEL, REEVE_TEXT, REEVE_SLOW_CUT_OFF) == -1)
        return -1;
    return enter(guest, guest->name, strlen(guest->name));
}

static int on_message(reeve_websocket *ws, const reeve_websocket_message *message)
{
    return say(reeve_websocket_data(ws), message->data, message->size);
}

static void on_close(reeve_websocket *ws, int code, const char *reason)
{
    (void)code, (void)reason;
    leave(reeve_websocket_data(ws));
}

static int adopt_websocket(reeve_websocket *ws, uint32_t version)
{
    (void)ws;
    return version == GUEST_VERSION ? 0 : -1;
}

static const reeve_websocket_protocol browsers = {
    REEVE_WEBSOCKET_PROTOCOL, .name = "chatroom",           .version = GUEST_VERSION,
    .on_open = on_open,       .on_message = on_message,     .on_close = on_close,
    .adopt = adopt_websocket, .max_message = 4 * TEXT_MOST,
};

/* ---- with a terminal ---- */

static int on_connect(reeve_chat *chat)
{
    struct guest *guest = calloc(1, sizeof *guest);

    if (!guest)
        return -1;
    reeve_chat_set_data(chat, guest);
    reeve_chat_set_terminator(chat, "\n", 1);
    return reeve_chat_printf(chat, "What is your name?\n");
}

/* A line is there: reeve has collected it, since there is no collect_incoming_data. */
static int found_terminator(reeve_chat *chat)
{
    struct guest *guest = reeve_chat_data(chat);
    size_t size;
    const char *line = reeve_chat_collected(chat, &size);

    if (size > 0 && line[size - 1] == '\r')
        size--;
    if (guest->name[0])
        return say(guest, line, size);
    if (reeve_chat_subscribe(chat, CHANNEL, REEVE_SLOW_CUT_OFF) == -1)
        return -1;
    return enter(guest, line, size);
}

static void handle_close(reeve_chat *chat, int error)
{
    (void)error;
    leave(reeve_chat_data(chat));
}

static int adopt_chat(reeve_chat *chat, uint32_t version)
{
    (void)chat;
    return version == GUEST_VERSION ? 0 : -1;
}

static void farewell(reeve_chat *chat)
{
    reeve_chat_printf(chat, "The server restarts: please connect again.\n");
}

static const reeve_chat_protocol terminals = {
    REEVE_CHAT_PROTOCOL,
    .name = "chatroom",
    .version = GUEST_VERSION,
    .on_connect = on_connect,
    .found_terminator = found_terminator,
    .handle_close = handle_close,
    .adopt = adopt_chat,
    .farewell = farewell,
    .max_input = 4 * TEXT_MOST,
    .idle_timeout = -1, /* who only listens is welcome, too */
};

/* ---- over HTTP ---- */

static int socket_view(reeve_environ *environ, reeve_start_response *start_response)
{
    const char *name = reeve_query_get(environ, "name");
    struct guest *guest = calloc(1, sizeof *guest);
    reeve_websocket *ws;

    if (!guest)
        return -1;
    if (name)
        clean(guest->name, NAME_MOST, name, strlen(name));
    ws = reeve_websocket_accept(environ, start_response, &browsers);
    if (ws)
        reeve_websocket_set_data(ws, guest);
    else
        free(guest); /* no WebSocket was asked for, and the answer says so */
    return 0;
}

static int page_view(reeve_environ *environ, reeve_start_response *start_response)
{
    start_response(
        environ, "200 OK",
        REEVE_HEADERS({"Content-Type", "text/html; charset=utf-8"},
                      {"Content-Security-Policy", "default-src 'none'; script-src 'unsafe-inline'; "
                                                  "style-src 'unsafe-inline'; connect-src *"}));
    return reeve_write(environ, page, sizeof page - 1);
}

static int not_found(reeve_environ *environ, reeve_start_response *start_response)
{
    start_response(environ, "404 Not Found", REEVE_HEADERS({"Content-Type", "text/plain"}));
    return reeve_write(environ, "There is only a page here, and its socket.\n", 43);
}

static int chatroom(reeve_environ *environ, reeve_start_response *start_response)
{
    const char *path = reeve_path(environ);

    if (strcmp(path, "/socket") == 0)
        return socket_view(environ, start_response);
    if (strcmp(path, "/") == 0 || !*path)
        return page_view(environ, start_response);
    return not_found(environ, start_response);
}

static const reeve_websocket_protocol *const websockets[] = {&browsers, NULL};

REEVE_APP(.name = "chatroom", .version = "1.0.0", .application = chatroom, .chat = &terminals,
          .websockets = websockets);
