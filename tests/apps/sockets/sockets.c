/* sockets: WebSockets of every kind, by path. What their callbacks were told stands in the log, each line
 * with "journal: " before it. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <reeve/async.h>
#include <reeve/websocket.h>

#define MIB (1u << 20)

#ifndef VERSION
#define VERSION "1"
#endif

#ifndef FIELDS
#define FIELDS
#endif

#ifndef COMMAND_PING
#define COMMAND_PING 0 /* the default */
#endif

/* ---- the journal ---- */

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void note(const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    reeve_log(NULL, REEVE_LOG_INFO, "journal: %s", text);
}

static const char *name_of(int result)
{
    return result == -1 ? strerrorname_np(errno) : "ok";
}

static int say(reeve_websocket *ws, const char *text)
{
    return reeve_websocket_send(ws, text, strlen(text), REEVE_TEXT);
}

static const char *text_of(const reeve_websocket_message *message)
{
    return message->data;
}

static void on_close(reeve_websocket *ws, int code, const char *reason)
{
    const char *name = reeve_websocket_data(ws);

    note("%s closed %d %s", name ? name : "-", code, reason);
}

/* ---- echoes ---- */

static int on_echo(reeve_websocket *ws, const reeve_websocket_message *message)
{
    return reeve_websocket_send(ws, message->data, message->size, message->kind);
}

static const reeve_websocket_protocol echo = {
    REEVE_WEBSOCKET_PROTOCOL, .name = "echo",         .on_message = on_echo,
    .max_message = 32 * MIB,  .max_output = 64 * MIB,
};

static const reeve_websocket_protocol context = {
    REEVE_WEBSOCKET_PROTOCOL, .name = "context",      .on_message = on_echo,
    .max_message = 32 * MIB,  .max_output = 64 * MIB, .keeps_context = true,
};

static const reeve_websocket_protocol uncompressed = {
    REEVE_WEBSOCKET_PROTOCOL,
    .name = "plain",
    .on_message = on_echo,
    .no_compression = true,
};

static const reeve_websocket_protocol in_coroutine = {
    REEVE_WEBSOCKET_PROTOCOL,
    .name = "coroutine",
    .max_message = 32 * MIB,
    .max_output = 64 * MIB,
};

static int serve_coroutine(reeve_websocket *ws)
{
    reeve_websocket_message message;
    int more;

    while ((more = reeve_websocket_receive(ws, &message, REEVE_FOREVER)) == 1)
        if (reeve_websocket_write(ws, message.data, message.size, message.kind, REEVE_FOREVER) ==
            -1)
            break;
    note("coroutine %s %d", name_of(more), reeve_websocket_close_code(ws));
    return 0;
}

/* ---- commands: a text says what is to be done ---- */

static int send_to(reeve_websocket *ws, void *text)
{
    return say(ws, text), 0;
}

/* More than a client that does not read can be sent. */
static int flood(reeve_websocket *ws)
{
    static const char zeros[100000];

    for (int i = 0; i < 10000; i++)
        if (reeve_websocket_send(ws, zeros, sizeof(zeros), REEVE_BINARY) == -1) {
            note("flood %s, pending %s", name_of(-1),
                 reeve_websocket_pending(ws) < 2 * MIB ? "little" : "much");
            return 0;
        }
    note("flood ok");
    return 0;
}

static int write_much(reeve_websocket *ws, double seconds)
{
    static const char zeros[100000];
    int result = 0;

    for (int i = 0; i < 100 && result == 0; i++)
        result = reeve_websocket_write(ws, zeros, sizeof(zeros), REEVE_BINARY, seconds);
    note("write %s", name_of(result));
    return 0;
}

static int sleep_then(reeve_websocket *ws, const char *seconds)
{
    int result = reeve_sleep(strtod(seconds, NULL));

    note("slept %s", name_of(result));
    return say(ws, "slept") == -1 ? 0 : 0;
}

static int shared_to_all(reeve_websocket *ws, const char *text)
{
    reeve_shared *shared = reeve_shared_new(text, strlen(text));
    int result = reeve_websocket_send_shared(ws, shared, REEVE_TEXT);

    reeve_websocket_send_shared(ws, shared, REEVE_BINARY);
    reeve_shared_release(shared);
    return result;
}

/* What each call says to what it cannot do. */
static int try_wrong_calls(reeve_websocket *ws)
{
    reeve_websocket_message message;
    char text[512], long_reason[125];
    int length = 0;

    memset(long_reason, 'x', 124);
    long_reason[124] = '\0';
#define TRY(what, call) \
    length += snprintf(text + length, sizeof(text) - (size_t)length, what " %s; ", name_of(call))
    TRY("bad text", reeve_websocket_send(ws, "\xff", 1, REEVE_TEXT));
    TRY("no kind", reeve_websocket_send(ws, "x", 1, (reeve_websocket_kind)7));
    TRY("long ping", reeve_websocket_ping(ws, long_reason, 126));
    TRY("1005", reeve_websocket_close(ws, 1005, NULL));
    TRY("999", reeve_websocket_close(ws, 999, NULL));
    TRY("-1", reeve_websocket_close(ws, -1, NULL));
    TRY("long reason", reeve_websocket_close(ws, 1000, long_reason));
    TRY("bad reason", reeve_websocket_close(ws, 1000, "\xff"));
    TRY("receive", reeve_websocket_receive(ws, &message, 0));
#undef TRY
    return say(ws, text);
}

static int obey(reeve_websocket *ws, const char *verb, const char *rest)
{
    const char *reason;

    if (strcmp(verb, "close") == 0) {
        reason = strchr(rest, ' ');
        return reeve_websocket_close(ws, atoi(rest), reason ? reason + 1 : NULL);
    }
    if (strcmp(verb, "sleep") == 0)
        return sleep_then(ws, rest);
    if (strcmp(verb, "ping") == 0)
        return reeve_websocket_ping(ws, rest, strlen(rest));
    if (strcmp(verb, "all") == 0)
        return reeve_websocket_each(reeve_websocket_module(ws), send_to, (void *)(uintptr_t)rest);
    if (strcmp(verb, "name") == 0)
        return reeve_websocket_set_data(ws, strdup(rest)), 0;
    if (strcmp(verb, "shared") == 0)
        return shared_to_all(ws, rest);
    if (strcmp(verb, "flood") == 0)
        return flood(ws);
    if (strcmp(verb, "write") == 0)
        return write_much(ws, strtod(rest, NULL));
    if (strcmp(verb, "wrong") == 0)
        return try_wrong_calls(ws);
    if (strcmp(verb, "crash") == 0)
        abort();
    if (strcmp(verb, "peer") == 0)
        return say(ws, reeve_websocket_peer(ws));
    if (strcmp(verb, "version") == 0)
        return say(ws, VERSION);
    return -1; /* and so it is closed with 1011 */
}

static int on_command(reeve_websocket *ws, const reeve_websocket_message *message)
{
    char verb[16] = "";
    const char *text = text_of(message), *rest = strchr(text, ' ');

    snprintf(verb, sizeof(verb), "%.*s", rest ? (int)(rest - text) : 15, text);
    return obey(ws, verb, rest ? rest + 1 : "");
}

static int on_pong(reeve_websocket *ws, const void *data, size_t size)
{
    char text[160];

    snprintf(text, sizeof(text), "pong of %.*s", (int)size, (const char *)data);
    return say(ws, text);
}

static int on_open(reeve_websocket *ws)
{
    note("open");
    return say(ws, "welcome");
}

static void on_command_close(reeve_websocket *ws, int code, const char *reason)
{
    char *name = reeve_websocket_data(ws);

    reeve_sleep(0.01); /* a callback as any other */
    note("%s closed %d %s, send %s", name ? name : "-", code, reason, name_of(say(ws, "late")));
    free(name);
}

static int adopt(reeve_websocket *ws, uint32_t version)
{
    say(ws, version == 1 ? "adopted by " VERSION : "odd");
    return 0;
}

static void farewell(reeve_websocket *ws)
{
    say(ws, "farewell");
}

static const char *const subprotocols[] = {"second", "first", NULL};
static const char *const origins[] = {"https://example.org", "http://localhost", NULL};

static const reeve_websocket_protocol command = {
    REEVE_WEBSOCKET_PROTOCOL,
    .version = 1,
    .name = "command",
    .on_open = on_open,
    .on_message = on_command,
    .on_pong = on_pong,
    .on_close = on_command_close,
    .adopt = adopt,
    .farewell = farewell,
    .subprotocols = subprotocols,
    .origins = origins,
    .ping_interval = COMMAND_PING,
};

static const reeve_websocket_protocol small = {
    REEVE_WEBSOCKET_PROTOCOL,     .name = "small",      .on_message = on_command,
    .on_close = on_command_close, .max_message = 1000,  .max_output = 300000,
    .ping_interval = 0.3,         .close_timeout = 0.1,
};

/* ---- odd views ---- */

static const reeve_websocket_protocol noted = {
    REEVE_WEBSOCKET_PROTOCOL,
    .name = "noted",
    .on_message = on_echo,
    .on_close = on_close,
};

static int accept_twice(reeve_environ *env, reeve_start_response *start)
{
    reeve_websocket *ws = reeve_websocket_accept(env, start, NULL);
    char text[200];

    if (!ws)
        return 0;
    snprintf(text, sizeof(text), "again %s; ",
             name_of(reeve_websocket_accept(env, start, NULL) ? 0 : -1));
    snprintf(text + strlen(text), 60, "write %s; ", name_of(reeve_write(env, "x", 1)));
    snprintf(text + strlen(text), 60, "start %s; ",
             name_of(start(env, "200 OK", REEVE_NO_HEADERS)));
    snprintf(text + strlen(text), 60, "read %s", reeve_read(env, text, 1) > 0 ? "ok" : "nothing");
    return say(ws, text);
}

static int fail_after(reeve_environ *env, reeve_start_response *start)
{
    reeve_websocket *ws = reeve_websocket_accept(env, start, &noted);

    if (ws)
        reeve_websocket_set_data(ws, (void *)(uintptr_t) "failed view");
    return -1;
}

static int too_late(reeve_environ *env, reeve_start_response *start)
{
    if (start(env, "200 OK", REEVE_NO_HEADERS) == -1 || reeve_write(env, "plain", 5) == -1 ||
        reeve_flush(env) == -1)
        return -1;
    note("too late: %s", name_of(reeve_websocket_accept(env, start, &noted) ? 0 : -1));
    return 0;
}

/* The callbacks wait for the view. */
static int slow_view(reeve_environ *env, reeve_start_response *start)
{
    reeve_websocket *ws = reeve_websocket_accept(env, start, &noted);

    if (!ws)
        return 0;
    reeve_websocket_set_data(ws, (void *)(uintptr_t) "slow view");
    say(ws, "not yet");
    note("view slept %s", name_of(reeve_sleep(0.3)));
    return say(ws, "now") == -1 ? 0 : 0;
}

static int receive_in_task(void *arg, void **value_out)
{
    reeve_websocket_message message;

    (void)value_out;
    note("task %s", name_of(reeve_websocket_receive(arg, &message, REEVE_FOREVER)));
    return 0;
}

static void receive_beside(reeve_websocket *ws)
{
    reeve_future *task = reeve_spawn(receive_in_task, ws);
    reeve_websocket_message message;

    reeve_sleep(0);
    note("beside it %s", name_of(reeve_websocket_receive(ws, &message, 0)));
    reeve_future_cancel(task);
    reeve_await(task, REEVE_FOREVER, NULL);
}

/* ?limit=SECONDS&beside: what receive says in all the cases that there are. */
static int receive(reeve_environ *env, reeve_start_response *start)
{
    const char *limit = reeve_query_get(env, "limit");
    reeve_websocket *ws = reeve_websocket_accept(env, start, &in_coroutine);
    reeve_websocket_message message;
    int result;

    if (!ws)
        return 0;
    if (reeve_query_get(env, "beside"))
        receive_beside(ws);
    do {
        result = reeve_websocket_receive(ws, &message, limit ? strtod(limit, NULL) : -1);
        note("receive %s %.20s", name_of(result), result == 1 ? text_of(&message) : "");
        if (result == 1 && strcmp(message.data, "close") == 0)
            reeve_websocket_close(ws, 4000, "bye");
        if (result == 1 && strcmp(message.data, "sleep") == 0) {
            note("view slept %s", name_of(reeve_sleep(3600)));
            return -1;
        }
        if (result == 1 && strcmp(message.data, "return") == 0)
            return 0;
    } while (result == 1);
    note("code %d", reeve_websocket_close_code(ws));
    return result;
}

/* ---- which is which ---- */

static int accept_as(reeve_environ *env, reeve_start_response *start,
                     const reeve_websocket_protocol *protocol)
{
    reeve_websocket *ws = reeve_websocket_accept(env, start, protocol);
    const char *subprotocol = ws ? reeve_websocket_subprotocol(ws) : NULL;

    if (subprotocol)
        say(ws, subprotocol);
    return 0;
}

static int run_coroutine(reeve_environ *env, reeve_start_response *start)
{
    reeve_websocket *ws = reeve_websocket_accept(env, start, &in_coroutine);

    return ws ? serve_coroutine(ws) : 0;
}

static int application(reeve_environ *env, reeve_start_response *start)
{
    static const struct {
        const char *path;
        const reeve_websocket_protocol *protocol;
        reeve_application *view;
    } paths[] = {
        {"/echo", &echo, NULL},          {"/context", &context, NULL},
        {"/plain", &uncompressed, NULL}, {"/command", &command, NULL},
        {"/small", &small, NULL},        {"/coroutine", NULL, run_coroutine},
        {"/receive", NULL, receive},     {"/sleeping", NULL, receive},
        {"/twice", NULL, accept_twice},  {"/failing", NULL, fail_after},
        {"/late", NULL, too_late},       {"/slow-view", NULL, slow_view},
    };

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        if (strcmp(reeve_path(env), paths[i].path) == 0)
            return paths[i].view ? paths[i].view(env, start)
                                 : accept_as(env, start, paths[i].protocol);
    return start(env, "404 Not Found", REEVE_NO_HEADERS);
}

static const reeve_websocket_protocol *const websockets[] = {&command, &echo, NULL};

REEVE_APP(.name = "sockets", .version = VERSION, .application = application,
          .websockets = websockets, FIELDS);
