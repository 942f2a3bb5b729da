/* call.c: answers through evhttp, and the three things it does that a caller would not expect.
 *
 * It sends a body to HEAD unless told not to; it takes a Content-Length of 0 for a stream to an
 * HTTP/1.0 client that asked for keep-alive; and when a client goes away in the middle of an answer
 * it gives up the request, which from then on is ours to free. */
#include "master/call.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_depth.h"
#include "master/action.h"
#include "master/master.h"

#define STREAM_BACKLOG (256 * 1024) /* unsent bytes; in memory several times as much */

void call_begin(struct call *call, struct evhttp_request *request)
{
    call->request = request;
    call->argument[0] = '\0';
    call->is_answered = false;
    call->is_streaming = false;
    call->on_gone = NULL;
}

void call_done(struct call *call)
{
    const struct timeval at_once = {0, 0};

    call->request = NULL;
    call->is_streaming = false;
    cJSON_Delete(call->body);
    call->body = NULL;
    /* From the loop and not from inside evhttp, which it may bring down. */
    if (call->after != NULL)
        event_base_once(call->master->base, -1, EV_TIMEOUT, call->after, call->master, &at_once);
    call->after = NULL;
}

void call_gone(struct call *call)
{
    struct evhttp_request *request = call->request;

    if (call->is_streaming)
        action_forget(call->master, call);
    if (call->on_gone != NULL)
        call->on_gone(call->answerer);
    /* Given up by its connection, which has failed; a connection that is freed as a whole frees
     * it. */
    if (call->is_streaming && evhttp_request_get_connection(request) == NULL)
        evhttp_request_free(request);
    call_done(call);
}

/* ---- answers ---- */

/* How many bytes the UTF-8 character at `s` has; 0: it is none (RFC 3629 section 4). */
static size_t utf8_length(const unsigned char *s)
{
    size_t length = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

    if (s[0] > 0xf4 || (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    }
    return length;
}

/* JSON is UTF-8, but a module's stderr or a path may be anything. */
static void clean_utf8(char *text)
{
    for (unsigned char *s = (unsigned char *)text; *s != '\0';) {
        size_t length = utf8_length(s);

        if (length == 0)
            *s = '?';
        s += length == 0 ? 1 : length;
    }
}

/* A line with `json` in it, or NULL without memory. */
static struct evbuffer *line_of(const cJSON *json)
{
    struct evbuffer *line = evbuffer_new();
    char *text = json == NULL ? NULL : cJSON_PrintUnformatted(json);

    if (line != NULL && text != NULL) {
        clean_utf8(text);
        if (evbuffer_add_printf(line, "%s\n", text) >= 0)
            goto out;
    }
    if (line != NULL)
        evbuffer_free(line);
    line = NULL;
out:
    cJSON_free(text);
    return line;
}

static void add_header(struct call *call, const char *name, const char *value)
{
    evhttp_add_header(evhttp_request_get_output_headers(call->request), name, value);
}

static struct bufferevent *bufferevent_of(const struct call *call)
{
    return evhttp_connection_get_bufferevent(evhttp_request_get_connection(call->request));
}

/* A client that has sent all and said so still reads; evhttp would take it for gone. */
static void stop_reading(const struct call *call)
{
    bufferevent_disable(bufferevent_of(call), EV_READ);
}

void call_defer(struct call *call, void (*on_gone)(void *answerer), void *answerer)
{
    call->on_gone = on_gone;
    call->answerer = answerer;
    stop_reading(call);
}

/* Sends and frees `body`; NULL is answered with 500. */
static void send_body(struct call *call, int status, const char *type, struct evbuffer *body)
{
    char length[24];

    call->is_answered = true;
    call->on_gone = NULL;
    if (body == NULL) {
        evhttp_send_reply(call->request, HTTP_INTERNAL, NULL, NULL);
        return;
    }
    add_header(call, "Content-Type", type);
    if (evhttp_request_get_command(call->request) == EVHTTP_REQ_HEAD) {
        snprintf(length, sizeof length, "%zu", evbuffer_get_length(body));
        add_header(call, "Content-Length", length);
        evbuffer_drain(body, evbuffer_get_length(body));
    }
    evhttp_send_reply(call->request, status, NULL, body);
    evbuffer_free(body);
    stop_reading(call);
}

void call_answer(struct call *call, int status, cJSON *json)
{
    struct evbuffer *line = line_of(json);

    cJSON_Delete(json);
    send_body(call, status, "application/json", line);
}

void call_answer_text(struct call *call, const char *type, struct evbuffer *text)
{
    send_body(call, HTTP_OK, type, text);
}

int call_refuse(struct call *call, int status, const char *error, const char *format, ...)
{
    cJSON *json = cJSON_CreateObject();
    char detail[512];
    va_list args;

    va_start(args, format);
    vsnprintf(detail, sizeof detail, format, args);
    va_end(args);
    cJSON_AddStringToObject(json, "error", error);
    cJSON_AddStringToObject(json, "detail", detail);
    call_answer(call, status, json);
    return -1;
}

void call_stream_begin(struct call *call)
{
    call->is_answered = true;
    call->is_streaming = true;
    add_header(call, "Content-Type", "application/x-ndjson");
    /* Each stream ends with its connection, whatever was asked for: see above. */
    evhttp_remove_header(evhttp_request_get_input_headers(call->request), "Connection");
    add_header(call, "Connection", "close");
    evhttp_send_reply_start(call->request, HTTP_OK, NULL);
}

/* A client that does not read loses lines, but never the last; the write time-out ends it. */
static bool has_room(const struct call *call)
{
    return evbuffer_get_length(bufferevent_get_output(bufferevent_of(call))) < STREAM_BACKLOG;
}

void call_stream_line(struct call *call, const cJSON *line, bool is_last)
{
    struct evbuffer *text = NULL;

    if (is_last || has_room(call))
        text = line_of(line);
    if (text != NULL) {
        evhttp_send_reply_chunk(call->request, text);
        evbuffer_free(text);
    }
    if (is_last) {
        call->is_streaming = false;
        evhttp_send_reply_end(call->request); /* may free the connection, and the call with it */
    }
}

/* ---- requests ---- */

const char *call_path(const struct call *call)
{
    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(call->request));

    return path == NULL ? "" : path;
}

char *call_query(const struct call *call, const char *name)
{
    const char *query = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(call->request));
    struct evkeyvalq items;
    const char *value;
    char *copy;

    if (query == NULL || evhttp_parse_query_str(query, &items) != 0)
        return NULL;
    value = evhttp_find_header(&items, name);
    copy = value == NULL ? NULL : strdup(value);
    evhttp_clear_headers(&items);
    return copy;
}

/* Is `key` one of the words of `keys`? */
static bool is_among(const char *keys, const char *key)
{
    size_t length = strlen(key);

    for (const char *at = keys; length > 0 && (at = strstr(at, key)) != NULL; at += length) {
        if ((at == keys || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
            return true;
    }
    return false;
}

/* What is wrong with call->body, or NULL. */
static const char *fault_of(const struct call *call, const char *keys)
{
    const cJSON *item;

    if (!cJSON_IsObject(call->body))
        return "the body is no JSON object";
    cJSON_ArrayForEach (item, call->body) {
        if (!is_among(keys, item->string))
            return "the body has a key that is not known here";
    }
    return NULL;
}

int call_read_body(struct call *call, const char *keys)
{
    struct evbuffer *input = evhttp_request_get_input_buffer(call->request);
    size_t length = evbuffer_get_length(input);
    const char *fault = "the body is no JSON object";
    char *text;

    if (length == 0)
        return 0;
    text = calloc(1, length + 1);
    if (text == NULL)
        return call_refuse(call, HTTP_INTERNAL, "failed", "memory has run out");
    evbuffer_copyout(input, text, length);
    if (strlen(text) == length && json_is_shallow(text, CALL_DEPTH_MAX)) {
        call->body = cJSON_ParseWithOpts(text, NULL, true);
        fault = fault_of(call, keys);
    }
    free(text);
    if (fault == NULL)
        return 0;
    return call_refuse(call, HTTP_BADREQUEST, "bad request", "%s", fault);
}
