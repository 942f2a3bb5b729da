/* client.c: HTTP over the Unix socket, parsed by http-parser. It waits in one place, wait_for, and
 * nowhere without heeding the time limit and Ctrl-C. */
#include "client.h"

#include <errno.h>
#include <http_parser.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

#define ANSWER_MAX (256u * 1024 * 1024)

/* ---- waiting ---- */

static volatile sig_atomic_t was_interrupted;

static void on_interrupt(int number)
{
    (void)number;
    was_interrupted = 1;
}

void client_catch_interrupt(void)
{
    struct sigaction action = {.sa_handler = on_interrupt};
    sigset_t set;

    /* Blocked except inside ppoll: one that comes just before it is not missed. */
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static struct timespec time_left(uint64_t deadline)
{
    uint64_t now = clock_ns(), left = deadline > now ? deadline - now : 0;

    return (struct timespec){(time_t)(left / NS_PER_SEC), (long)(left % NS_PER_SEC)};
}

/* Until `fd` is ready for `events`. */
static enum client_end wait_for(const struct client *client, int fd, short events)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};
    sigset_t none;

    sigemptyset(&none);
    for (;;) {
        struct timespec left = time_left(client->deadline);
        int n = ppoll(&poll_fd, 1, client->deadline == 0 ? NULL : &left, &none);

        if (n > 0)
            return CLIENT_DONE;
        if (n == 0)
            return CLIENT_TIMED_OUT;
        if (was_interrupted)
            return CLIENT_INTERRUPTED;
        if (errno != EINTR)
            return CLIENT_FAILED;
    }
}

enum client_end client_pause(double seconds)
{
    struct timespec span = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    sigset_t none;

    sigemptyset(&none);
    ppoll(NULL, 0, &span, &none);
    return was_interrupted ? CLIENT_INTERRUPTED : CLIENT_DONE;
}

/* ---- connecting ---- */

static enum client_end fail(struct client *client, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static enum client_end fail(struct client *client, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(client->reason, sizeof client->reason, format, args);
    va_end(args);
    return CLIENT_FAILED;
}

static enum client_end end_of_errno(struct client *client, const char *doing)
{
    switch (errno) {
    case ENOENT:
    case ENOTDIR:
        fail(client, "no socket");
        return CLIENT_NOT_RUNNING;
    case ECONNREFUSED:
        fail(client, "nobody listens");
        return CLIENT_NOT_RUNNING;
    case EACCES:
    case EPERM:
        return CLIENT_DENIED;
    case EPIPE:
    case ECONNRESET:
        return CLIENT_LOST;
    default:
        return fail(client, "%s: %s", doing, strerror(errno));
    }
}

/* While the server's queue is full a Unix socket says EAGAIN and nothing tells when it has room: so
 * it is tried again, with Ctrl-C heeded meanwhile. */
static enum client_end connect_to(struct client *client, const struct sockaddr_un *address)
{
    while (connect(client->fd, (const struct sockaddr *)address, sizeof *address) != 0) {
        enum client_end end;

        if (errno != EAGAIN && errno != EINTR)
            return end_of_errno(client, address->sun_path);
        if (client->deadline != 0 && clock_ns() >= client->deadline)
            return CLIENT_TIMED_OUT;
        end = client_pause(0.02);
        if (end != CLIENT_DONE)
            return end;
    }
    return CLIENT_DONE;
}

enum client_end client_open(struct client *client, const char *path, double seconds)
{
    uint64_t span = (uint64_t)(seconds * (double)NS_PER_SEC);

    return client_open_until(client, path, seconds > 0 ? clock_ns() + span : 0);
}

enum client_end client_open_until(struct client *client, const char *path, uint64_t deadline)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct ucred peer = {.pid = 0};
    socklen_t size = sizeof peer;
    enum client_end end;

    *client = (struct client){.fd = -1, .deadline = deadline};
    if (strlen(path) >= sizeof address.sun_path)
        return fail(client, "%s: a socket's path may have %zu bytes", path,
                    sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, strlen(path) + 1);
    client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (client->fd == -1)
        return end_of_errno(client, "socket");
    end = connect_to(client, &address);
    if (end != CLIENT_DONE)
        return end;
    if (getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0)
        client->server = peer.pid;
    return CLIENT_DONE;
}

void client_close(struct client *client)
{
    if (client->fd != -1)
        close(client->fd);
    client->fd = -1;
}

/* ---- the answer ---- */

struct reading {
    struct client_answer *answer;
    size_t room;
    client_on_line *on_line;
    void *arg;
    char field[32]; /* the header that is being read; cut, and so never mistaken */
    char type[64];  /* Content-Type */
    bool is_value;  /* the last piece was of a value: the next of a field begins a new one */
    bool is_complete, is_enough, is_too_long;
};

static void append(char *text, size_t room, const char *more, size_t length)
{
    size_t used = strlen(text);

    if (length > room - used - 1)
        length = room - used - 1;
    memcpy(text + used, more, length);
    text[used + length] = '\0';
}

static int on_field(http_parser *parser, const char *at, size_t length)
{
    struct reading *reading = parser->data;

    if (reading->is_value)
        reading->field[0] = '\0';
    reading->is_value = false;
    append(reading->field, sizeof reading->field, at, length);
    return 0;
}

static int on_value(http_parser *parser, const char *at, size_t length)
{
    struct reading *reading = parser->data;

    reading->is_value = true;
    if (strcasecmp(reading->field, "Content-Type") == 0)
        append(reading->type, sizeof reading->type, at, length);
    return 0;
}

static int on_headers_complete(http_parser *parser)
{
    struct reading *reading = parser->data;

    reading->answer->status = (int)parser->status_code;
    reading->answer->is_stream = strncmp(reading->type, "application/x-ndjson", 20) == 0;
    return 0;
}

static int grow(struct reading *reading, size_t more)
{
    struct client_answer *answer = reading->answer;
    size_t wanted = answer->length + more + 1;
    char *text;

    if (wanted <= reading->room)
        return 0;
    wanted += wanted / 2 + 4096;
    text = wanted > ANSWER_MAX ? NULL : realloc(answer->text, wanted);
    if (text == NULL)
        return -1;
    answer->text = text;
    reading->room = wanted;
    return 0;
}

/* Hands on every whole line of answer->text, which keeps the rest. */
static void take_lines(struct reading *reading)
{
    struct client_answer *answer = reading->answer;
    char *line = answer->text, *end;
    size_t left = answer->length;

    while (!reading->is_enough && (end = memchr(line, '\n', left)) != NULL) {
        *end = '\0';
        reading->is_enough = !reading->on_line(line, reading->arg);
        left -= (size_t)(end + 1 - line);
        line = end + 1;
    }
    answer->length = left;
    memmove(answer->text, line, answer->length + 1);
}

static int on_body(http_parser *parser, const char *at, size_t length)
{
    struct reading *reading = parser->data;
    struct client_answer *answer = reading->answer;

    if (grow(reading, length) != 0) {
        reading->is_too_long = true;
        return -1;
    }
    memcpy(answer->text + answer->length, at, length);
    answer->length += length;
    answer->text[answer->length] = '\0';
    if (answer->is_stream && reading->on_line != NULL)
        take_lines(reading);
    return 0;
}

static int on_message_complete(http_parser *parser)
{
    struct reading *reading = parser->data;

    reading->is_complete = true;
    return 0;
}

static const http_parser_settings settings = {
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

static enum client_end read_answer(struct client *client, struct reading *reading)
{
    http_parser parser = {.data = reading};
    char buffer[16 * 1024];

    http_parser_init(&parser, HTTP_RESPONSE);
    while (!reading->is_complete && !reading->is_enough) {
        enum client_end end = wait_for(client, client->fd, POLLIN);
        ssize_t n;

        if (end != CLIENT_DONE)
            return end;
        n = recv(client->fd, buffer, sizeof buffer, 0);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n < 0)
            return end_of_errno(client, "reading");
        http_parser_execute(&parser, &settings, buffer, (size_t)n); /* 0: tells it of the end */
        if (reading->is_too_long)
            return fail(client, "the answer is too long");
        if (HTTP_PARSER_ERRNO(&parser) != HPE_OK && n > 0)
            return fail(client, "what answers there does not speak HTTP (%s)",
                        http_errno_description(HTTP_PARSER_ERRNO(&parser)));
        if (n == 0 && !reading->is_complete)
            return CLIENT_LOST;
    }
    return CLIENT_DONE;
}

/* ---- a call ---- */

static enum client_end send_all(struct client *client, const char *bytes, size_t length)
{
    while (length > 0) {
        enum client_end end = wait_for(client, client->fd, POLLOUT);
        ssize_t n;

        if (end != CLIENT_DONE)
            return end;
        n = send(client->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n < 0)
            return end_of_errno(client, "writing");
        bytes += n;
        length -= (size_t)n;
    }
    return CLIENT_DONE;
}

static enum client_end send_request(struct client *client, const char *method, const char *path,
                                    const char *body)
{
    enum client_end end;
    char *request = NULL;
    int length;

    length =
        asprintf(&request,
                 "%s %s HTTP/1.1\r\nHost: reeve\r\nContent-Type: application/json\r\n"
                 "Content-Length: %zu\r\n\r\n%s",
                 method, path, body == NULL ? (size_t)0 : strlen(body), body == NULL ? "" : body);
    if (length < 0)
        return fail(client, "memory has run out");
    end = send_all(client, request, (size_t)length);
    free(request);
    return end;
}

enum client_end client_call(struct client *client, const char *method, const char *path,
                            const char *body, client_on_line *on_line, void *arg,
                            struct client_answer *answer_out)
{
    struct reading reading = {.answer = answer_out, .on_line = on_line, .arg = arg};
    enum client_end end;

    *answer_out = (struct client_answer){.text = calloc(1, 1)};
    if (answer_out->text == NULL)
        return fail(client, "memory has run out");
    reading.room = 1;
    end = send_request(client, method, path, body);
    client->is_sent = end == CLIENT_DONE;
    /* A server that refuses a request unread has answered, though it takes no more of it. */
    if (end == CLIENT_DONE || end == CLIENT_LOST)
        end = read_answer(client, &reading);
    return end;
}

void client_answer_free(struct client_answer *answer)
{
    free(answer->text);
    answer->text = NULL;
}

int client_watch(const struct client *client)
{
    return client->server > 0 ? pidfd_open(client->server, 0) : -1;
}

enum client_end client_wait_end(struct client *client, int pidfd)
{
    ssize_t n;
    char byte;

    if (pidfd != -1)
        return wait_for(client, pidfd, POLLIN);
    for (;;) {
        enum client_end end = wait_for(client, client->fd, POLLIN);

        if (end != CLIENT_DONE)
            return end;
        n = recv(client->fd, &byte, 1, 0);
        if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
            return CLIENT_DONE;
    }
}
