/* ask.c: see ask.h. */
#include "client/ask.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "http/chars.h"
#include "http/response.h"
#include "http/uri.h"
#include "runtime/coro.h"

#define CONNECT_TIMEOUT 10.0
#define ANSWER_TIMEOUT  30.0
#define IDLE_TIMEOUT    30.0
#define MAX_HEAD        65536
#define METHOD_LONGEST  32
#define LONGEST         (366.0 * 24 * 3600)

/* ---- what is asked for ---- */

int ask_set_url(struct ask *ask, const char *text)
{
    ask->text = text;
    return url_parse(text, &ask->url);
}

/* CONNECT has a target of another form, and leads to no answer's body. */
static bool is_method(const char *method)
{
    size_t length = strnlen(method, METHOD_LONGEST + 1);

    return length <= METHOD_LONGEST && char_is_token(method, length) &&
           strcmp(method, "CONNECT") != 0;
}

int ask_init(struct ask *ask, const reeve_client_request *request)
{
    bool has_body = request->body_size > 0 || request->is_chunked;

    *ask = (struct ask){.request = request,
                        .method = request->method ? request->method
                                  : has_body      ? "POST"
                                                  : "GET",
                        .body = request->body_size > 0 ? request->body : NULL,
                        .body_size = request->body_size,
                        .is_chunked = request->is_chunked,
                        .is_alone = request->is_alone};
    if (!request->url || !is_method(ask->method) || (ask->is_chunked && request->body_size > 0))
        return EINVAL;
    return ask_set_url(ask, request->url);
}

static uint64_t ns_of(double seconds, double standard)
{
    if (seconds == 0)
        seconds = standard;
    if (seconds < 0)
        return CORO_FOREVER;
    if (!(seconds < LONGEST)) /* NaN too */
        seconds = LONGEST;
    return (uint64_t)(seconds * (double)NS_PER_SEC);
}

void ask_get_limits(const reeve_client_request *request, double whole, struct ask_limits *limits)
{
    *limits = (struct ask_limits){.connect = ns_of(request->connect_timeout, CONNECT_TIMEOUT),
                                  .answer = ns_of(request->answer_timeout, ANSWER_TIMEOUT),
                                  .idle = ns_of(request->idle_timeout, IDLE_TIMEOUT),
                                  .whole = ns_of(request->timeout, whole),
                                  .max_head = request->max_head ? request->max_head : MAX_HEAD};
}

bool ask_is_idempotent(const struct ask *ask)
{
    static const char *const methods[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"};

    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (strcmp(ask->method, methods[i]) == 0)
            return true;
    return false;
}

/* ---- the head ---- */

static bool is_named(const reeve_header *header, const char *name)
{
    return strcasecmp(header->name, name) == 0;
}

static int put(struct buf *out, const char *text, size_t length)
{
    return buf_append(out, text, length) == -1 ? ENOMEM : 0;
}

static int put_text(struct buf *out, const char *text)
{
    return put(out, text, strlen(text));
}

static int put_request_line(const struct ask *ask, struct buf *out)
{
    struct span target = ask->url.target;
    bool has_slash = target.length > 0 && target.data[0] == '/';
    int error = put_text(out, ask->method);

    if (!error)
        error = put_text(out, has_slash ? " " : " /");
    if (!error)
        error = put(out, target.data, target.length);
    return error ? error : put_text(out, " HTTP/1.1\r\n");
}

static int put_host(const struct ask *ask, struct buf *out)
{
    const struct url *url = &ask->url;
    bool is_standard = url->is_unix || strcmp(url->port, "80") == 0;
    char line[URL_HOST + 32];

    snprintf(line, sizeof line, strchr(url->host, ':') ? "Host: [%s]%s%s\r\n" : "Host: %s%s%s\r\n",
             url->host, is_standard ? "" : ":", is_standard ? "" : url->port);
    return put_text(out, line);
}

static bool is_left_behind(const struct ask *ask, const reeve_header *header)
{
    if (ask->was_led_away && (is_named(header, "Authorization") || is_named(header, "Cookie") ||
                              is_named(header, "Host")))
        return true;
    return ask->has_lost_body && strncasecmp(header->name, "Content-", 8) == 0;
}

static int put_header(const reeve_header *header, struct buf *out)
{
    switch (response_put_field(out, header->name, header->value)) {
    case FIELD_BAD:
        return errno;
    case FIELD_HOP_BY_HOP:
    case FIELD_CONTENT_LENGTH:
        return EPERM;
    default:
        return is_named(header, "Expect") ? EPERM : 0;
    }
}

/* What each line means is looked at before any is written: the first ones are ours. */
static int check_hosts(const reeve_header *headers, bool *has_host_out)
{
    unsigned hosts = 0;

    for (; headers && headers->name; headers++) {
        if (!is_named(headers, "Host"))
            continue;
        if (hosts++ > 0 || !headers->value ||
            !uri_is_authority(headers->value, strlen(headers->value)))
            return EINVAL;
    }
    *has_host_out = hosts > 0;
    return 0;
}

static int put_headers(const struct ask *ask, struct buf *out)
{
    const reeve_header *header = ask->request->headers;
    bool has_agent = false;
    int error = 0;

    for (; header && header->name && !error; header++) {
        has_agent |= is_named(header, "User-Agent");
        if (!is_left_behind(ask, header))
            error = put_header(header, out);
    }
    if (!error && !has_agent)
        error = put_text(out, "User-Agent: reeve/" REEVE_VERSION "\r\n");
    return error;
}

/* A method that has a body as a rule says so when it has none (RFC 9110, section 8.6). */
static int put_framing(const struct ask *ask, struct buf *out)
{
    bool is_usual = strcmp(ask->method, "POST") == 0 || strcmp(ask->method, "PUT") == 0 ||
                    strcmp(ask->method, "PATCH") == 0;
    char line[64];

    if (ask->is_chunked)
        return put_text(out, "Transfer-Encoding: chunked\r\n");
    if (ask->body_size == 0 && !is_usual)
        return 0;
    snprintf(line, sizeof line, "Content-Length: %zu\r\n", ask->body_size);
    return put_text(out, line);
}

int ask_write(const struct ask *ask, struct buf *out)
{
    const reeve_client_request *request = ask->request;
    bool has_body = ask->is_chunked || ask->body_size > 0, has_host = false;
    int error = check_hosts(request->headers, &has_host);

    if (!error)
        error = put_request_line(ask, out);
    if (!error && (!has_host || ask->was_led_away))
        error = put_host(ask, out);
    if (!error)
        error = put_headers(ask, out);
    if (!error)
        error = put_framing(ask, out);
    if (!error && request->expects_continue && has_body)
        error = put_text(out, "Expect: 100-continue\r\n");
    if (!error && ask->is_alone)
        error = put_text(out, "Connection: close\r\n");
    return error ? error : put_text(out, "\r\n");
}
