/* talker: a chat protocol whose lines say what it is to do. Compiled with -DBUILD=N it is build N, which adopts the
 * connections of others unless compiled with -DSTAYS. Options: style = "serve" (coroutine style), idle (seconds),
 * max_input, max_output, high (bytes). What it was called for it counts, see "notes". */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <reeve/async.h>
#include <reeve/chat.h>

#ifndef BUILD
#define BUILD 1
#endif

unsigned reeve_test_cancel_nth(unsigned n) __attribute__((weak));

/* What has happened in this build and worker. */
static struct {
    int connected, closed, producers, producers_closed, cancelled;
    int given_up, told_so; /* handle_close, handle_error with ENOBUFS */
} notes;

/* ---- producers ---- */

struct letters {
    size_t left;
    char piece[1000];
};

static int letters_next(void *state, const void **data, size_t *size)
{
    struct letters *letters = state;

    if (letters->left == 0)
        return 0;
    *data = letters->piece;
    *size = letters->left < sizeof letters->piece ? letters->left : sizeof letters->piece;
    letters->left -= *size;
    return 1;
}

static void letters_close(void *state)
{
    notes.producers_closed++;
    free(state);
}

static int produce(reeve_chat *chat, size_t size)
{
    struct letters *letters = malloc(sizeof *letters);

    letters->left = size;
    memset(letters->piece, 'p', sizeof letters->piece);
    notes.producers++;
    if (reeve_chat_push_with_producer(
            chat,
            (reeve_iterable){.next = letters_next, .close = letters_close, .state = letters}) == 0)
        return 0;
    letters_close(letters);
    return -1;
}

/* ---- as a client ---- */

static int tell_error(reeve_chat *chat)
{
    return reeve_chat_printf(chat, "%s\n", strerrorname_np(errno));
}

/* One line there, and its answer. */
static int relay(reeve_chat *chat, char *where, const char *line)
{
    char *service = strrchr(where, ':'), *data;
    reeve_scope scope;
    reeve_chat *server;

    if (service && strncmp(where, "unix:", 5) != 0)
        *service++ = '\0';
    reeve_scope_begin(&scope, 10);
    server = reeve_chat_connect(where, service, NULL, NULL, 5);
    if (!server || reeve_chat_printf(server, "%s\r\n", line) == -1 ||
        reeve_chat_read_until(server, "\n", 1, &data, 5) == -1)
        tell_error(chat);
    else
        reeve_chat_printf(chat, "%s\n", data);
    return reeve_scope_end(&scope);
}

/* The same in callbacks, which pass the answer on to whoever has asked. It belongs to both: the last one frees it. */
struct call {
    unsigned users;
    reeve_future *answered;
    char line[200], answer[200];
};

static void drop_call(struct call *call)
{
    if (--call->users > 0)
        return;
    reeve_future_release(call->answered);
    free(call);
}

static int called_connect(reeve_chat *server)
{
    struct call *call = reeve_chat_data(server);

    reeve_chat_set_terminator(server, "\n", 1);
    return reeve_chat_printf(server, "%s\r\n", call->line);
}

static int called_found(reeve_chat *server)
{
    struct call *call = reeve_chat_data(server);

    snprintf(call->answer, sizeof call->answer, "%s", reeve_chat_collected(server, NULL));
    reeve_chat_close_when_done(server);
    return 0;
}

static void called_close(reeve_chat *server, int error)
{
    struct call *call = reeve_chat_data(server);

    (void)error;
    reeve_future_resolve(call->answered, NULL);
    drop_call(call);
    notes.closed++;
}

static const reeve_chat_protocol called = {
    REEVE_CHAT_PROTOCOL, .name = "called", .on_connect = called_connect,
    .found_terminator = called_found, .handle_close = called_close};

static int call(reeve_chat *chat, char *where, const char *line)
{
    char *service = strrchr(where, ':');
    struct call *one;

    if (!service || !line)
        return reeve_chat_push(chat, "what?\n", 6);
    one = calloc(1, sizeof *one);
    *service++ = '\0';
    one->users = 2;
    snprintf(one->line, sizeof one->line, "%s", line);
    one->answered = reeve_future_hold(reeve_future_new());
    notes.connected++;
    if (!reeve_chat_connect(where, service, &called, one, 5)) {
        tell_error(chat);
        one->users--;
        notes.connected--;
    } else if (reeve_await(one->answered, 5, NULL) == 0) {
        reeve_chat_printf(chat, "%s\n", one->answer);
    }
    drop_call(one);
    return 0;
}

/* ---- commands ---- */

/* The connection's own: what it is told to remember, and whether it counts. */
struct talk {
    char word[64];
    bool counts;
};

static int say_counted(reeve_chat *chat, const char *bytes, size_t size)
{
    unsigned sum = 0;

    for (size_t i = 0; i < size; i++)
        sum += (unsigned char)bytes[i];
    return reeve_chat_printf(chat, "%zu bytes, sum %u\n", size, sum);
}

static int do_nap(reeve_chat *chat, const char *seconds)
{
    if (reeve_sleep(strtod(seconds, NULL)) == 0)
        return reeve_chat_push(chat, "slept\n", 6);
    notes.cancelled += errno == ECANCELED;
    return -1;
}

static int do_flood(reeve_chat *chat, size_t size)
{
    static char bytes[10000];

    memset(bytes, 'f', sizeof bytes);
    for (; size > 0; size -= sizeof bytes < size ? sizeof bytes : size)
        if (reeve_chat_push(chat, bytes, sizeof bytes) == -1)
            return 0; /* see handle_error */
    return reeve_chat_push(chat, "\n", 1);
}

static int do_write(reeve_chat *chat, size_t size)
{
    static char bytes[10000];

    memset(bytes, 'w', sizeof bytes);
    for (; size > 0; size -= sizeof bytes < size ? sizeof bytes : size)
        if (reeve_chat_write(chat, bytes, sizeof bytes, 20) == -1)
            return -1;
    return reeve_chat_push(chat, "\n", 1);
}

static int do_read(reeve_chat *chat)
{
    char *data;
    ssize_t n = reeve_chat_read_until(chat, "\r\n.\r\n", 5, &data, 10);

    if (n == -1)
        return tell_error(chat);
    say_counted(chat, data, (size_t)n);
    n = reeve_chat_read_exactly(chat, 4, &data, 10);
    return n == -1 ? tell_error(chat) : reeve_chat_printf(chat, "%s\n", data);
}

static int say_hey(reeve_chat *chat, void *count)
{
    ++*(int *)count;
    return reeve_chat_push(chat, "hey\n", 4);
}

static int say_notes(reeve_chat *chat)
{
    return reeve_chat_printf(chat,
                             "connected %d closed %d producers %d/%d cancelled %d given up %d/%d\n",
                             notes.connected, notes.closed, notes.producers_closed, notes.producers,
                             notes.cancelled, notes.told_so, notes.given_up);
}

/* All there is to wait for, with the n-th wait cancelled (in a build with a sanitizer); "left 0": somebody was. */
static int tour(reeve_chat *chat, unsigned nth, char *where)
{
    char *data, copy[100];

    snprintf(copy, sizeof copy, "%s", where); /* it lies in what is read on into */
    if (reeve_test_cancel_nth)
        reeve_test_cancel_nth(nth);
    reeve_chat_read_until(chat, "\n", 1, &data, 0.02);
    reeve_chat_read_exactly(chat, 10, &data, 0.02);
    produce(chat, 300000);
    reeve_chat_push(chat, "\n", 1);
    do_write(chat, 300000);
    relay(chat, copy, "echo relayed");
    return reeve_chat_printf(chat, "left %u\n",
                             reeve_test_cancel_nth ? reeve_test_cancel_nth(0) : 1);
}

static int command(reeve_chat *chat, char *line)
{
    struct talk *talk = reeve_chat_data(chat);
    char *name = strsep(&line, " "), *rest = line ? line : name + strlen(name);
    int count = 0;

    if (strcmp(name, "echo") == 0)
        return reeve_chat_printf(chat, "%s\n", rest);
    if (strcmp(name, "nap") == 0)
        return do_nap(chat, rest);
    if (strcmp(name, "produce") == 0)
        return produce(chat, strtoul(rest, NULL, 10)) == 0 ? reeve_chat_push(chat, "\n", 1) : -1;
    if (strcmp(name, "flood") == 0)
        return do_flood(chat, strtoul(rest, NULL, 10));
    if (strcmp(name, "write") == 0)
        return do_write(chat, strtoul(rest, NULL, 10));
    if (strcmp(name, "count") == 0) {
        talk->counts = true;
        return reeve_chat_set_length(chat, strtoul(rest, NULL, 10));
    }
    if (strcmp(name, "read") == 0)
        return do_read(chat);
    if (strcmp(name, "remember") == 0)
        return snprintf(talk->word, sizeof talk->word, "%s", rest) > 0 ? 0 : -1;
    if (strcmp(name, "recall") == 0)
        return reeve_chat_printf(chat, "build %d: %s\n", BUILD, talk->word);
    if (strcmp(name, "who") == 0)
        return reeve_chat_printf(chat, "%s at %s, pid %d\n", reeve_chat_peer(chat),
                                 reeve_chat_listener(chat), (int)getpid());
    if (strcmp(name, "each") == 0) {
        reeve_chat_each(reeve_chat_module(chat), say_hey, &count);
        return reeve_chat_printf(chat, "%d\n", count);
    }
    if (strcmp(name, "relay") == 0) {
        name = strsep(&rest, " ");
        return relay(chat, name, rest);
    }
    if (strcmp(name, "call") == 0) {
        name = strsep(&rest, " ");
        return call(chat, name, rest);
    }
    if (strcmp(name, "tour") == 0) {
        name = strsep(&rest, " ");
        return tour(chat, (unsigned)strtoul(name, NULL, 10), rest);
    }
    if (strcmp(name, "fail") == 0) {
        errno = EDOM;
        return -1;
    }
    if (strcmp(name, "close") == 0)
        reeve_chat_close_when_done(chat);
    if (strcmp(name, "cut") == 0)
        reeve_chat_close(chat);
    if (strcmp(name, "notes") == 0)
        return say_notes(chat);
    if (strcmp(name, "die") == 0)
        raise(SIGKILL);
    return 0;
}

/* ---- in callbacks ---- */

static int on_connect(reeve_chat *chat)
{
    notes.connected++;
    reeve_chat_set_data(chat, calloc(1, sizeof(struct talk)));
    return reeve_chat_set_terminator(chat, "\r\n", 2);
}

static int found(reeve_chat *chat)
{
    struct talk *talk = reeve_chat_data(chat);
    size_t size;
    char *line = reeve_chat_collected(chat, &size);

    if (!talk->counts)
        return command(chat, line);
    talk->counts = false;
    reeve_chat_set_terminator(chat, "\r\n", 2);
    return say_counted(chat, line, size);
}

static void handle_close(reeve_chat *chat, int error)
{
    notes.closed++;
    notes.given_up += error == ENOBUFS;
    reeve_sleep(0.001);
    free(reeve_chat_data(chat));
}

static void handle_error(reeve_chat *chat, int error)
{
    notes.told_so += error == ENOBUFS;
    reeve_chat_printf(chat, "sorry: %s\n", strerrorname_np(error));
}

static int adopt(reeve_chat *chat, uint32_t version)
{
    struct talk *talk = reeve_chat_data(chat);

    (void)version;
    return strcmp(talk->word, "stay") == 0 ? -1 : 0;
}

static void farewell(reeve_chat *chat)
{
    reeve_chat_push(chat, "farewell\n", 9);
}

/* ---- in a coroutine ---- */

static int serve(reeve_chat *chat)
{
    struct talk talk = {.word = ""};
    char *line;
    ssize_t n;

    notes.connected++;
    reeve_chat_set_data(chat, &talk);
    reeve_chat_push(chat, "hello\n", 6);
    while ((n = reeve_chat_read_until(chat, "\r\n", 2, &line, REEVE_FOREVER)) >= 0 &&
           command(chat, line) == 0)
        ;
    notes.closed++;
    return n == -1 && errno == EPIPE ? 0 : n == -1 ? -1 : 0;
}

/* ---- */

static reeve_chat_protocol protocol = {REEVE_CHAT_PROTOCOL,
                                       .name = "talker",
                                       .version = BUILD,
                                       .on_connect = on_connect,
                                       .found_terminator = found,
                                       .handle_close = handle_close,
                                       .handle_error = handle_error,
#ifndef STAYS
                                       .adopt = adopt,
#endif
                                       .farewell = farewell};

static size_t number(const reeve_module *module, const char *option)
{
    const char *text = reeve_option(module, option);

    return text ? strtoul(text, NULL, 10) : 0;
}

static int init(reeve_module *module)
{
    const char *style = reeve_option(module, "style"), *idle = reeve_option(module, "idle");

    if (style && strcmp(style, "serve") == 0)
        protocol.serve = serve;
    protocol.idle_timeout = idle ? strtod(idle, NULL) : 0;
    protocol.max_input = number(module, "max_input");
    protocol.max_output = number(module, "max_output");
    protocol.high_water = number(module, "high");
#ifdef STAYS
    (void)adopt;
#endif
    return 0;
}

/* "build N\n", and what was noted */
static int talker(reeve_environ *env, reeve_start_response *start_response)
{
    const char *text =
        reeve_printf(env, "build %d: %d connected, %d closed, producers %d/%d\n", BUILD,
                     notes.connected, notes.closed, notes.producers_closed, notes.producers);

    start_response(env, "200 OK", REEVE_NO_HEADERS);
    return reeve_write(env, text, strlen(text));
}

REEVE_APP(.name = "talker", .version = "1.0.0", .application = talker, .init = init,
          .chat = &protocol);
