/* respond.c: the response's head and framing: begun, guessed, settled, ended.
 *
 * A response is put together in the connection's output and held there until its framing is
 * certain: the head is written with the Content-Length of what the body is so far, which is right
 * for whoever writes once and returns. When the body grows the tail of the head is rewritten; when
 * it must leave before its end is known, as chunked. */
#include <errno.h>
#include <string.h>

#include "app/filter.h"
#include "app/request.h"
#include "http/response.h"
#include "net/conn.h"

/* Room for the longest tail of a head: framing, Connection, empty line, and a first chunk's size.
 */
#define TAIL_MOST 160

static int fail(int error)
{
    errno = error;
    return -1;
}

void response_hold(struct reeve_environ *request, size_t size)
{
    request->response.held = size;
    conn_hold(request->conn, size);
}

bool response_retract(struct reeve_environ *request)
{
    struct response *response = &request->response;

    if (response->state >= RESPONSE_SENDING)
        return false;
    if (response->held > 0)
        conn_out(request->conn)->end -= response->held;
    response_hold(request, 0);
    memset(response, 0, sizeof *response);
    return true;
}

/* ---- start_response ---- */

/* Takes note of what the server has an interest in. 0 or an errno. */
static int note_field(struct reeve_environ *request, enum response_field field, const char *value)
{
    struct response *response = &request->response;
    int64_t length;

    switch (field) {
    case FIELD_BAD:
        return errno;
    case FIELD_HOP_BY_HOP:
        return EPERM;
    case FIELD_DATE:
        response->has_date = true;
        return 0;
    case FIELD_SERVER:
        response->has_server = true;
        return 0;
    case FIELD_CONTENT_LENGTH:
        length = response_length_of(value);
        if (length == -1 || response->framing == FRAMING_DECLARED)
            return EINVAL;
        response->framing = FRAMING_DECLARED;
        response->declared = (uint64_t)length;
        return 0;
    case FIELD_PLAIN:
        break;
    }
    return 0;
}

static int put_fields(struct reeve_environ *request, struct buf *out, const reeve_header *headers)
{
    enum response_field field;
    size_t before;
    int error;

    for (; headers && headers->name; headers++) {
        before = out->end;
        field = response_put_field(out, headers->name, headers->value);
        if (field == FIELD_CONTENT_LENGTH && request->response.status == 204) {
            out->end = before; /* RFC 9110 section 8.6 */
            continue;
        }
        error = note_field(request, field, headers->value);
        if (error)
            return error;
    }
    return 0;
}

static int put_status(struct buf *out, const char *status)
{
    if (buf_append(out, "HTTP/1.1 ", 9) == -1 || buf_append(out, status, strlen(status)) == -1)
        return ENOMEM;
    return buf_append(out, "\r\n", 2) == -1 ? ENOMEM : 0;
}

int response_begin(struct reeve_environ *request, const char *status, const reeve_header *headers)
{
    struct response *response = &request->response;
    int code = status ? response_status_code(status) : -1, error;
    struct buf *out;
    size_t begin;

    if (!response_retract(request))
        return fail(EALREADY);
    if (code == -1)
        return fail(EINVAL);
    out = conn_out(request->conn);
    if (!out)
        return fail(ENOMEM);
    begin = out->end;
    response->status = code;
    response->drops_body = request->head.method == HTTP_HEAD || !response_has_body(code);
    error = put_status(out, status);
    if (!error)
        error = put_fields(request, out, headers);
    if (error) {
        out->end = begin;
        memset(response, 0, sizeof *response);
        return fail(error);
    }
    response->state = RESPONSE_STARTED;
    response_hold(request, out->end - begin);
    return 0;
}

int response_try(struct reeve_environ *request, const char *status, const reeve_header *headers,
                 struct response_promise *promise_out)
{
    const struct response *response = &request->response;

    if (response_begin(request, status, headers) == -1)
        return -1;
    *promise_out = (struct response_promise){
        .is_declared = response->framing == FRAMING_DECLARED && response_has_body(response->status),
        .drops_body = response->drops_body,
        .declared = response->declared,
    };
    response_retract(request);
    return 0;
}

static bool is_replaceable(const struct reeve_environ *request)
{
    return request->response.state == RESPONSE_NONE
               ? request->filters && filter_has_started(request)
               : request->response.state < RESPONSE_SENDING;
}

/* The body that was handed over belongs to the response that is replaced. */
static void drop_iterable(struct reeve_environ *request)
{
    if (request->is_iterating || !is_replaceable(request))
        return;
    request->has_iterable = false;
    if (request->iterable.close)
        request->iterable.close(request->iterable.state);
}

/* Out of line: start_response is to stay small for the requests that have neither. */
static __attribute__((noinline, cold)) int start_rarely(reeve_environ *request, const char *status,
                                                        const reeve_header *headers)
{
    if (request->has_iterable)
        drop_iterable(request);
    return request->filters ? filter_start(request, status, headers)
                            : response_begin(request, status, headers);
}

static int start_response(reeve_environ *request, const char *status, const reeve_header *headers)
{
    if (request->filters || request->has_iterable)
        return start_rarely(request, status, headers);
    return response_begin(request, status, headers);
}

reeve_start_response *response_start(void)
{
    return start_response;
}

/* ---- the rest of the head ---- */

/* Whether the connection goes on is decided when the head is written: when the application has
 * ended, or when the head must leave before. */
static bool may_keep_alive(const struct reeve_environ *request, enum response_framing framing)
{
    return request->head.is_keep_alive && !request->must_close && framing != FRAMING_CLOSE &&
           (!request->room->net.is_draining || conn_may_stay(request->conn)) &&
           request->room->config->keep_alive > 0 &&
           conn_is_reusable(request->conn, !request->has_ended);
}

static void put_text(struct buf *out, const char *text, size_t size)
{
    memcpy(out->data + out->end, text, size);
    out->end += size;
}

#define PUT(out, literal) put_text(out, literal, sizeof(literal) - 1)

/* Framing, Connection and the empty line. Room for TAIL_MOST must be there. */
static void put_tail(struct reeve_environ *request, struct buf *out, enum response_framing framing)
{
    struct response *response = &request->response;

    response->framing = framing;
    response->is_keep_alive = may_keep_alive(request, framing);
    if (framing == FRAMING_LENGTH) {
        PUT(out, "Content-Length: ");
        response_put_number(out, response->body);
        PUT(out, "\r\n");
        response->guess = response->body;
    } else if (framing == FRAMING_CHUNKED) {
        PUT(out, "Transfer-Encoding: chunked\r\n");
    }
    if (!response->is_keep_alive)
        PUT(out, "Connection: close\r\n");
    else if (request->head.minor == 0)
        PUT(out, "Connection: keep-alive\r\n");
    PUT(out, "\r\n");
}

/* "Server" and "Date", unless the application has its own. */
static void put_stamp(struct reeve_environ *request, struct buf *out)
{
    struct room *room = request->room;
    const struct response *response = &request->response;
    size_t skip = response->has_server ? room->server_length : 0;
    size_t end;

    if (room->net.now >= room->stamp_until)
        room_refresh_stamp(room, room->net.now);
    end = response->has_date ? room->server_length : room->stamp_length;
    if (end > skip)
        put_text(out, room->stamp + skip, end - skip);
}

/* From RESPONSE_STARTED: completes the head, which stays held. */
static int finish_head(struct reeve_environ *request, enum response_framing framing)
{
    struct response *response = &request->response;
    struct buf *out = conn_out(request->conn);
    size_t before = out->end;

    if (buf_reserve(out, sizeof request->room->stamp + TAIL_MOST) == -1)
        return fail(ENOMEM);
    put_stamp(request, out);
    response->tail_at = response->held + out->end - before;
    put_tail(request, out, framing);
    response->body_at = response->held + out->end - before;
    response_hold(request, response->body_at);
    return 0;
}

/* The held head's tail anew, with the body, if any, moved along. */
static int rewrite_tail(struct reeve_environ *request, enum response_framing framing)
{
    struct response *response = &request->response;
    struct buf *out = conn_out(request->conn);
    size_t body_size = response->held - response->body_at, begin, tail_at;

    if (buf_reserve(out, body_size + 2 * TAIL_MOST) == -1)
        return fail(ENOMEM);
    begin = out->end - response->held;
    tail_at = begin + response->tail_at;
    /* The new tail and a copy of the body go behind everything, then both move to their place. */
    size_t scratch = out->end;
    put_tail(request, out, framing);
    if (framing == FRAMING_CHUNKED && body_size > 0)
        response_put_chunk_size(out, body_size);
    size_t tail_size = out->end - scratch;
    put_text(out, out->data + begin + response->body_at, body_size);
    if (framing == FRAMING_CHUNKED && body_size > 0)
        PUT(out, "\r\n");
    memmove(out->data + tail_at, out->data + scratch, out->end - scratch);
    out->end = tail_at + (out->end - scratch);
    response->body_at = response->tail_at + tail_size;
    response_hold(request, out->end - begin);
    return 0;
}

static enum response_framing streaming(const struct reeve_environ *request)
{
    return request->head.minor == 0 ? FRAMING_CLOSE : FRAMING_CHUNKED;
}

static enum response_framing framing_without_guess(const struct reeve_environ *request)
{
    const struct response *response = &request->response;

    if (response->framing == FRAMING_DECLARED)
        return FRAMING_DECLARED;
    return response_has_body(response->status) ? streaming(request) : FRAMING_NONE;
}

int response_settle(struct reeve_environ *request)
{
    struct response *response = &request->response;
    int result = 0;

    if (response->state == RESPONSE_STARTED)
        result = finish_head(request, framing_without_guess(request));
    else if (response->state == RESPONSE_GUESSED)
        result = rewrite_tail(request, streaming(request));
    if (result == -1)
        return -1;
    response->state = RESPONSE_SENDING;
    response_hold(request, 0);
    return 0;
}

void response_release(struct reeve_environ *request)
{
    if (request->response.state == RESPONSE_GUESSED)
        response_settle(request);
    conn_flush(request->conn);
}

int response_guess(struct reeve_environ *request, size_t size)
{
    struct response *response = &request->response;

    if (response->state == RESPONSE_GUESSED)
        return 0;
    response->body = size;
    if (finish_head(request, FRAMING_LENGTH) == -1)
        return -1;
    response->state = RESPONSE_GUESSED;
    response->body = 0;
    return 0;
}

/* ---- the end ---- */

static bool is_guess_right(const struct reeve_environ *request)
{
    const struct response *response = &request->response;

    return response->guess == response->body &&
           response->is_keep_alive == may_keep_alive(request, FRAMING_LENGTH);
}

static int end_held(struct reeve_environ *request)
{
    struct response *response = &request->response;

    if (response->state == RESPONSE_GUESSED)
        return is_guess_right(request) ? 0 : rewrite_tail(request, FRAMING_LENGTH);
    if (response->framing == FRAMING_DECLARED || !response_has_body(response->status))
        return finish_head(request, framing_without_guess(request));
    return finish_head(request, FRAMING_LENGTH);
}

bool response_is_short(const struct reeve_environ *request)
{
    const struct response *response = &request->response;

    if (request->filters && filter_is_short(request))
        return true;
    return response->framing == FRAMING_DECLARED && !response->drops_body &&
           response->body < response->declared;
}

void response_end(struct reeve_environ *request)
{
    struct response *response = &request->response;
    struct buf *out = conn_out(request->conn);

    if (!out || (response->state != RESPONSE_SENDING && end_held(request) == -1)) {
        conn_cut(request->conn);
        return;
    }
    response->state = RESPONSE_ENDED;
    response_hold(request, 0);
    if (response->framing == FRAMING_CHUNKED && !response->drops_body &&
        buf_append(out, "0\r\n\r\n", 5) == -1)
        conn_cut(request->conn);
}
