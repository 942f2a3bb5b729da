/* trial.c: a client within the process that it asks: the other end of a socketpair, on the same
 * loop. It reads answers whole, but believes an endless one after its first megabyte. */
#include "app/trial.h"

#include <ctype.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <http_parser.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app/generation.h"
#include "app/room.h"
#include "app/route.h"
#include "base/clock.h"
#include "net/conn.h"
#include "net/listener.h"

#define ANSWER_MAX (1u << 20)

struct trial {
    struct generation *generation;
    void (*on_end)(const char *refusal, void *arg);
    void *arg;

    const struct route *route;
    const char *const *path; /* the one that is asked for */

    /* Of one request. */
    struct event event;
    int fd; /* -1: none */
    http_parser parser;
    size_t received;
    bool is_whole;
    char reason[64];
};

void trial_step(const struct room *room, const char *format, ...)
{
    va_list args;

    if (!room->step)
        return;
    va_start(args, format);
    vsnprintf(room->step, room->step_size, format, args);
    va_end(args);
}

static void hang_up(struct trial *trial)
{
    if (trial->fd == -1)
        return;
    event_del(&trial->event);
    close(trial->fd);
    trial->fd = -1;
}

static void end(struct trial *trial, const char *refusal)
{
    hang_up(trial);
    trial->on_end(refusal, trial->arg);
    free(trial);
}

static void refuse(struct trial *trial, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void refuse(struct trial *trial, const char *format, ...)
{
    char what[256], text[768];
    va_list args;

    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    snprintf(text, sizeof text, "selftest_paths: GET %.400s %s", *trial->path, what);
    end(trial, text);
}

/* ---- the answer ---- */

static int on_status(http_parser *parser, const char *at, size_t length)
{
    struct trial *trial = parser->data;
    size_t used = strlen(trial->reason), room = sizeof trial->reason - 1 - used;

    memcpy(trial->reason + used, at, length < room ? length : room);
    return 0;
}

static int on_message_complete(http_parser *parser)
{
    struct trial *trial = parser->data;

    trial->is_whole = true;
    return 0;
}

static const http_parser_settings callbacks = {.on_status = on_status,
                                               .on_message_complete = on_message_complete};

static void ask(struct trial *trial);

/* The connection has ended, or enough was read. */
static void judge(struct trial *trial, bool is_enough)
{
    unsigned status = trial->parser.status_code;

    hang_up(trial);
    if (!trial->is_whole && !is_enough) {
        refuse(trial, trial->received ? "was answered in part only" : "was not answered");
        return;
    }
    if (status < 200 || status > 399) {
        refuse(trial, "answered %u %s", status, trial->reason);
        return;
    }
    trial->path++;
    ask(trial);
}

/* One read a wake-up: the app has its turns in between. */
static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct trial *trial = arg;
    char bytes[16384];
    ssize_t n = read(fd, bytes, sizeof bytes);

    (void)what;
    if (n == -1 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0)
        trial->received += (size_t)n;
    if (!trial->is_whole)
        http_parser_execute(&trial->parser, &callbacks, bytes, n > 0 ? (size_t)n : 0);
    if (n <= 0 || HTTP_PARSER_ERRNO(&trial->parser) != HPE_OK)
        judge(trial, false);
    else if (trial->received > ANSWER_MAX)
        judge(trial, true);
}

/* ---- the request ---- */

/* A mount is as the operator wrote it, a target has only ASCII. */
static void put_mount(FILE *out, const char *mount)
{
    for (; *mount; mount++) {
        unsigned char c = (unsigned char)*mount;

        if (isalnum(c) || strchr("/-._~!$&'()*+,;=:@", c))
            putc(c, out);
        else
            fprintf(out, "%%%02X", c);
    }
}

/* To be freed; NULL when memory has run out. */
static char *make_request(const struct trial *trial, size_t *length_out)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, length_out);

    if (!out)
        return NULL;
    fputs("GET ", out);
    put_mount(out, trial->route->mount);
    fprintf(out,
            "%s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: reeve-preflight\r\n"
            "Accept: */*\r\nConnection: close\r\n\r\n",
            *trial->path);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

static int send_request(const struct trial *trial)
{
    size_t length = 0;
    char *text = make_request(trial, &length);
    ssize_t n;

    if (!text)
        return -1;
    n = send(trial->fd, text, length, MSG_NOSIGNAL);
    free(text);
    if (n >= 0 && (size_t)n < length)
        errno = EMSGSIZE; /* it does not fit into a socket's buffer */
    return n == (ssize_t)length ? 0 : -1;
}

static int connect_to(struct trial *trial, struct room *room)
{
    static const struct sockaddr peer = {.sa_family = AF_UNIX};
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == -1)
        return -1;
    trial->fd = fds[0];
    event_assign(&trial->event, room->net.base, trial->fd, EV_READ | EV_PERSIST, on_readable,
                 trial);
    room->net.now = clock_ns();
    if (conn_open(&room->net, fds[1], room->door, &peer) == -1)
        return -1;
    return event_add(&trial->event, NULL);
}

static void ask(struct trial *trial)
{
    struct room *room = trial->generation->app->room;

    if (!trial->path || !*trial->path) {
        end(trial, NULL);
        return;
    }
    trial_step(room, "in the answer to GET %s (selftest_paths)", *trial->path);
    trial->received = 0;
    trial->is_whole = false;
    memset(trial->reason, 0, sizeof trial->reason);
    http_parser_init(&trial->parser, HTTP_RESPONSE);
    trial->parser.data = trial;
    if (connect_to(trial, room) == -1 || send_request(trial) == -1)
        refuse(trial, "could not be asked: %s", strerror(errno));
}

/* The first listener and route that lead to the app. */
static bool find_way(struct trial *trial, struct room *room)
{
    unsigned app = (unsigned)(trial->generation->app - room->apps);

    for (unsigned i = 0; i < room->config->listen_count; i++) {
        const struct route_table *table = &room->routes[i];

        for (size_t j = 0; j < table->count; j++) {
            if (table->routes[j].app != app)
                continue;
            trial->route = &table->routes[j];
            room->door = listener_new(&room->net, -1, i, 0); /* never started */
            return room->door != NULL;
        }
    }
    return false;
}

void trial_run(struct generation *generation, void (*on_end)(const char *refusal, void *arg),
               void *arg)
{
    struct trial *trial = calloc(1, sizeof *trial);

    if (!trial) {
        on_end("memory has run out", arg);
        return;
    }
    trial->generation = generation;
    trial->on_end = on_end;
    trial->arg = arg;
    trial->fd = -1;
    trial->path = generation->descriptor->selftest_paths;
    if (trial->path && *trial->path && !find_way(trial, generation->app->room))
        refuse(trial, "could not be asked: no listener leads to the app");
    else
        ask(trial);
}
