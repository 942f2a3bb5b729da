/* access.c: formats lines and gathers them; a write takes whole lines only, so those of several
 * workers do not mix. */
#include "app/access.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "app/generation.h"
#include "app/request.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/conn.h"

/* Linux writes this much to an O_APPEND file in one piece; to a pipe only 4 KiB is promised. */
#define GATHER     (32u << 10)
#define FIELD_MOST 1024

struct access_log {
    char *path; /* NULL: stdout */
    int fd;
    enum access_format format;
    struct event *timer;
    bool has_complained;
    size_t used;
    char text[GATHER + 4 * 6 * FIELD_MOST + 1024]; /* room for one line past the threshold */
};

/* ---- the file ---- */

static void complain(struct access_log *log, const char *what)
{
    if (!log->has_complained)
        log_warn("access log %s: %s; lines are lost", log->path ? log->path : "stdout", what);
    log->has_complained = true;
}

static void write_out(struct access_log *log)
{
    size_t done = 0;
    ssize_t n;

    while (done < log->used) {
        n = write(log->fd, log->text + done, log->used - done);
        if (n == -1 && errno == EINTR)
            continue;
        if (n == -1) {
            complain(log, "cannot write");
            break;
        }
        done += (size_t)n;
    }
    if (done == log->used)
        log->has_complained = false;
    log->used = 0;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    write_out(arg);
}

static int open_file(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
}

struct access_log *access_log_open(struct event_base *base, const char *path,
                                   enum access_format format)
{
    const struct timeval second = {.tv_sec = 1};
    struct access_log *log = calloc(1, sizeof *log);

    if (!log)
        return NULL;
    log->format = format;
    log->path = strcmp(path, "-") == 0 ? NULL : strdup(path);
    log->fd = log->path ? open_file(path) : STDOUT_FILENO;
    log->timer = event_new(base, -1, EV_PERSIST, on_timer, log);
    if (log->fd == -1 || !log->timer || event_add(log->timer, &second) == -1) {
        access_log_close(log);
        return NULL;
    }
    return log;
}

void access_log_close(struct access_log *log)
{
    int saved = errno;

    if (log->fd != -1)
        write_out(log);
    if (log->timer)
        event_free(log->timer);
    if (log->path && log->fd != -1)
        close(log->fd);
    free(log->path);
    free(log);
    errno = saved;
}

int access_log_reopen(struct access_log *log)
{
    int fd;

    write_out(log);
    if (!log->path)
        return 0;
    fd = open_file(log->path);
    if (fd == -1)
        return -1;
    close(log->fd);
    log->fd = fd;
    log->has_complained = false;
    return 0;
}

/* ---- a line ---- */

static void put(struct access_log *log, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void put(struct access_log *log, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(log->text + log->used, sizeof log->text - log->used, format, args);
    va_end(args);
    if (n > 0 && (size_t)n < sizeof log->text - log->used)
        log->used += (size_t)n;
}

/* Bytes that could forge a line, end a quoted field, or are no ASCII. JSON knows no \x. */
static void put_escaped(struct access_log *log, const char *text)
{
    bool is_json = log->format == ACCESS_JSON;

    for (const char *end = text + strnlen(text, FIELD_MOST); text < end; text++) {
        unsigned char c = (unsigned char)*text;

        if (is_json && (c == '"' || c == '\\'))
            put(log, "\\%c", c);
        else if (is_json && (c < 0x20 || c >= 0x7f))
            put(log, "\\u%04x", c);
        else if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
            put(log, "\\x%02x", c);
        else
            log->text[log->used++] = (char)c;
    }
}

static void put_quoted(struct access_log *log, const char *text)
{
    put(log, "\"");
    put_escaped(log, text ? text : "-");
    put(log, "\"");
}

static const char *target_of(const struct reeve_environ *request)
{
    return request->head.target.data ? request->head.target.data : "-";
}

static const char *remote_of(const struct reeve_environ *request)
{
    const char *address = reeve_environ_get(request, "REMOTE_ADDR");

    return address && *address ? address : "-";
}

/* A head that was not parsed has no method worth naming. */
static const char *method_of(const struct reeve_environ *request)
{
    return request->head.target.data ? http_method_str(request->head.method) : "-";
}

static void put_combined(struct access_log *log, const struct reeve_environ *request)
{
    time_t now = (time_t)(clock_wall_ns() / NS_PER_SEC);
    struct tm local;
    char when[40];

    strftime(when, sizeof when, "%d/%b/%Y:%H:%M:%S %z", localtime_r(&now, &local));
    put(log, "%s - - [%s] \"%s ", remote_of(request), when, method_of(request));
    put_escaped(log, target_of(request));
    put(log, " HTTP/1.%u\" %03d %llu ", request->head.minor, request->response.status,
        (unsigned long long)(request->response.drops_body ? 0 : request->response.body));
    put_quoted(log, reeve_request_header(request, "Referer"));
    put(log, " ");
    put_quoted(log, reeve_request_header(request, "User-Agent"));
    put(log, "\n");
}

static void put_member(struct access_log *log, const char *name, const char *value)
{
    put(log, ",\"%s\":", name);
    if (value)
        put_quoted(log, value);
    else
        put(log, "null");
}

static void put_json(struct access_log *log, const struct reeve_environ *request, uint64_t now)
{
    const struct generation *generation = request->generation;

    put(log, "{\"time\":%.6f", (double)clock_wall_ns() / 1e9);
    put_member(log, "id", request_id_text(request));
    put_member(log, "remote", remote_of(request));
    put_member(log, "method", method_of(request));
    put_member(log, "target", target_of(request));
    put(log, ",\"protocol\":\"HTTP/1.%u\",\"status\":%d,\"bytes_in\":%llu,\"bytes_out\":%llu",
        request->head.minor, request->response.status, (unsigned long long)request->body_read,
        (unsigned long long)(request->response.drops_body ? 0 : request->response.body));
    put(log, ",\"seconds\":%.6f", (double)(now - conn_arrived_at(request->conn)) / 1e9);
    put_member(log, "app", generation ? generation->app->config->name : NULL);
    put(log, ",\"generation\":%llu", generation ? (unsigned long long)generation->number : 0);
    put_member(log, "referer", reeve_request_header(request, "Referer"));
    put_member(log, "user_agent", reeve_request_header(request, "User-Agent"));
    put(log, "}\n");
}

void access_log_request(struct access_log *log, const struct reeve_environ *request, uint64_t now)
{
    if (log->format == ACCESS_JSON)
        put_json(log, request, now);
    else
        put_combined(log, request);
    if (log->used >= GATHER)
        write_out(log);
}
