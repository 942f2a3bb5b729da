/* events.c: Server-Sent Events (WHATWG HTML, section 9.2). It writes the format, and keeps nothing of
 * what was sent. */
#include <reeve/events.h>

#include <errno.h>
#include <reeve/async.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/generation.h"
#include "app/request.h"

static int fail(int error)
{
    errno = error;
    return -1;
}

int reeve_events_begin(reeve_environ *request, reeve_start_response *start_response)
{
    const reeve_header *headers =
        REEVE_HEADERS({"Content-Type", "text/event-stream"}, {"Cache-Control", "no-cache"},
                      {"X-Accel-Buffering", "no"});

    reeve_cancel_when_gone(request);
    if (start_response(request, "200 OK", headers) == -1 || reeve_flush(request) == -1)
        return -1;
    if (request->head.method != HTTP_HEAD)
        return 0;
    request->is_abandoned = true; /* the answer is complete, and the application is to return */
    return fail(ECANCELED);
}

const char *reeve_events_last_id(const reeve_environ *request)
{
    return reeve_request_header(request, "Last-Event-ID");
}

/* ---- the format ---- */

static bool is_line(const char *text)
{
    return strpbrk(text, "\r\n") == NULL;
}

/* Its length, without what ends it; *next_out: where the one after it begins, NULL: it is the
 * last. */
static size_t line_length(const char *line, size_t size, const char **next_out)
{
    size_t length = 0;

    while (length < size && line[length] != '\r' && line[length] != '\n')
        length++;
    *next_out = NULL;
    if (length == size)
        return length;
    *next_out = line + length + 1;
    if (line[length] == '\r' && length + 1 < size && line[length + 1] == '\n')
        (*next_out)++;
    return length;
}

static char *put_field(char *to, const char *name, const char *value, size_t length)
{
    to = stpcpy(to, name);
    if (length > 0)
        to = mempcpy(to, value, length);
    *to++ = '\n';
    return to;
}

static char *put_data(char *to, const char *data, size_t size)
{
    const char *end = data + size, *next;

    for (const char *line = data; line; line = next) {
        size_t length = line_length(line, (size_t)(end - line), &next);

        to = put_field(to, "data: ", line, length);
    }
    return to;
}

/* Each line is longer by the field's name, and what ended it is at least as long as a LF. */
static size_t most(const char *event, const char *id, const char *data, size_t size)
{
    const char *end = data + size, *next;
    size_t lines = 0;

    for (const char *line = data; line; line = next) {
        line_length(line, (size_t)(end - line), &next);
        lines++;
    }
    return strlen("id: \nevent: \n\n") + strlen(event) + strlen(id) + size +
           lines * strlen("data: \n");
}

int reeve_events_send(reeve_environ *request, const char *event, const char *id, const void *data,
                      size_t size)
{
    const char *text = size > 0 ? data : "";
    char *bytes, *end;
    int result, error;

    if ((event && !is_line(event)) || (id && !is_line(id)))
        return fail(EINVAL);
    bytes = malloc(most(event ? event : "", id ? id : "", text, size));
    if (!bytes)
        return fail(ENOMEM);
    end = bytes;
    if (id)
        end = put_field(end, "id: ", id, strlen(id));
    if (event)
        end = put_field(end, "event: ", event, strlen(event));
    end = put_data(end, text, size);
    *end++ = '\n';
    result = reeve_write(request, bytes, (size_t)(end - bytes));
    error = errno;
    free(bytes);
    errno = error;
    return result;
}

int reeve_events_comment(reeve_environ *request, const char *comment)
{
    struct iovec pieces[] = {{.iov_base = (char[]){": "}, .iov_len = 2},
                             {.iov_base = NULL, .iov_len = 0},
                             {.iov_base = (char[]){"\n\n"}, .iov_len = 2}};

    if (comment && !is_line(comment))
        return fail(EINVAL);
    if (comment)
        pieces[1] =
            (struct iovec){.iov_base = (void *)(uintptr_t)comment, .iov_len = strlen(comment)};
    return reeve_writev(request, pieces, 3);
}

/* ---- from a channel to a stream ---- */

static int pass_on(reeve_environ *request, const reeve_publication *publication)
{
    char missed[48];

    snprintf(missed, sizeof missed, "%llu missed", (unsigned long long)publication->missed);
    if (publication->missed > 0 && reeve_events_comment(request, missed) == -1)
        return -1;
    if (!publication->data)
        return 0;
    return reeve_events_send(request, NULL, NULL, publication->data, publication->size);
}

/* The end of a stream is nothing that has failed. */
static bool is_end(int error)
{
    return error == ECANCELED || error == ENOBUFS || error == EPIPE;
}

/* Its client is to come back, to the next build or another worker. */
static bool is_to_end(const reeve_environ *request)
{
    return request->generation->background.is_draining;
}

int reeve_events_follow(reeve_environ *request, reeve_subscription *subscription, double keep_alive)
{
    reeve_publication publication;
    double limit;
    int result = 0;

    if (keep_alive == 0)
        return fail(EINVAL); /* it would be comments all the time */
    while (result == 0) {
        limit = is_to_end(request) ? 0 : keep_alive; /* what is queued is sent all the same */
        if (reeve_subscription_next(subscription, &publication, limit) == 0)
            result = pass_on(request, &publication);
        else if (limit == 0 && errno == ETIMEDOUT)
            return 0;
        else if (errno == ETIMEDOUT && !reeve_is_cancelled())
            result = reeve_events_comment(request, NULL);
        else
            result = -1;
    }
    return is_end(errno) ? 0 : -1;
}
