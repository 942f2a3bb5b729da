/* interface.c: the rest of what applications call: memory, the body, hooks, waiting, telling. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/generation.h"
#include "app/request.h"
#include "base/clock.h"
#include "base/holder.h"
#include "base/log.h"
#include "net/conn.h"
#include "runtime/coro.h"

#define SLEEP_MOST (366.0 * 24 * 3600)

/* ---- memory ---- */

void *reeve_alloc(reeve_environ *request, size_t size)
{
    return arena_alloc(&request->arena, size);
}

char *reeve_strdup(reeve_environ *request, const char *text)
{
    return arena_copy(&request->arena, text, strlen(text));
}

char *reeve_printf(reeve_environ *request, const char *format, ...)
{
    va_list args, again;
    char *text;
    int length;

    va_start(args, format);
    va_copy(again, args);
    length = vsnprintf(NULL, 0, format, args);
    text = length < 0 ? NULL : arena_alloc(&request->arena, (size_t)length + 1);
    if (text)
        vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    va_end(args);
    return text;
}

/* ---- the request ---- */

reeve_module *reeve_environ_module(const reeve_environ *request)
{
    return (reeve_module *)request->generation;
}

static struct attachment *find_attachment(const struct reeve_environ *request, const void *key)
{
    struct attachment *attachment;

    SLIST_FOREACH (attachment, &request->attachments, entry)
        if (attachment->key == key)
            return attachment;
    return NULL;
}

int reeve_environ_set_data(reeve_environ *request, const void *key, void *data)
{
    struct attachment *attachment = find_attachment(request, key);

    if (!attachment) {
        attachment = arena_alloc(&request->arena, sizeof *attachment);
        if (!attachment) {
            errno = ENOMEM;
            return -1;
        }
        attachment->key = key;
        SLIST_INSERT_HEAD(&request->attachments, attachment, entry);
    }
    attachment->data = data;
    return 0;
}

void *reeve_environ_data(const reeve_environ *request, const void *key)
{
    const struct attachment *attachment = find_attachment(request, key);

    return attachment ? attachment->data : NULL;
}

/* No byte of the answer has left: an interim response may still come before it. */
static bool may_continue(const struct reeve_environ *request)
{
    return request->response.state < RESPONSE_SENDING;
}

ssize_t reeve_read(reeve_environ *request, void *buffer, size_t size)
{
    ssize_t n;

    if (may_continue(request))
        conn_continue(request->conn);
    coro_note(CALL_READ, __builtin_return_address(0));
    n = conn_read(request->conn, buffer, size);
    if (n > 0)
        request->body_read += (uint64_t)n;
    else if (n == -1 && errno != EWOULDBLOCK) {
        request->read_error = errno;
        request->must_close = true;
    }
    return n;
}

int reeve_on_close(reeve_environ *request, void (*callback)(void *arg), void *arg)
{
    struct on_close *hook = arena_alloc(&request->arena, sizeof *hook);

    if (!hook) {
        errno = ENOMEM;
        return -1;
    }
    *hook = (struct on_close){.callback = callback, .arg = arg};
    SLIST_INSERT_HEAD(&request->on_close, hook, entry);
    return 0;
}

bool reeve_is_gone(const reeve_environ *request)
{
    return conn_is_gone(request->conn);
}

void reeve_cancel_when_gone(reeve_environ *request)
{
    request->ends_with_client = true;
}

/* ---- waiting and telling ---- */

int reeve_sleep(double seconds)
{
    int reason;

    if (!coro_current()) {
        errno = EDEADLK;
        return -1;
    }
    if (!(seconds > 0)) /* NaN too */
        seconds = 0;
    coro_note(CALL_SLEEP, __builtin_return_address(0));
    reason = coro_sleep((uint64_t)((seconds < SLEEP_MOST ? seconds : SLEEP_MOST) * NS_PER_SEC));
    if (!reason)
        return 0;
    errno = reason;
    return -1;
}

static const enum log_level levels[] = {
    [REEVE_LOG_DEBUG] = LOG_LEVEL_DEBUG,
    [REEVE_LOG_INFO] = LOG_LEVEL_INFO,
    [REEVE_LOG_WARNING] = LOG_LEVEL_WARN,
    [REEVE_LOG_ERROR] = LOG_LEVEL_ERROR,
};

static void log_line(enum log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void log_line(enum log_level level, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_text(level, format, args);
    va_end(args);
}

void reeve_log(const reeve_environ *request, reeve_log_level level, const char *format, ...)
{
    enum log_level to = levels[level <= REEVE_LOG_ERROR ? level : REEVE_LOG_ERROR];
    char text[2048];
    va_list args;

    if (!log_is_on(to))
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (request && request->generation)
        log_line(to, "%s %llu: request %s: %s", request->generation->app->config->name,
                 (unsigned long long)request->generation->number, request_id_text(request), text);
    else
        log_line(to, "application: %s", text);
}
