/* respond.c: the response as the application makes it: head, framing, body.
 *
 * A response is put together in the connection's output and held there until its framing is
 * certain: the head is written with the Content-Length of what the body is so far, which is right
 * for whoever writes once and returns. When the body grows the tail of the head is rewritten; when
 * it must leave before its end is known, as chunked. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "app/generation.h"
#include "app/request.h"
#include "http/response.h"
#include "net/conn.h"
#include "runtime/coro.h"

/* A body up to this long is held until its length is known. */
#define GUESS_MOST (32u << 10)
/* Pieces from this size on are sent from where they lie. */
#define DIRECT_WRITE (16u << 10)
/* Gathered output beyond this is sent before more is gathered. */
#define GATHER_MOST (64u << 10)
#define TAIL_MOST   160

static int fail(int error)
{
    errno = error;
    return -1;
}

static void hold(struct reeve_environ *request, size_t size)
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
    hold(request, 0);
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

static int start_response(reeve_environ *request, const char *status, const reeve_header *headers)
{
    struct response *response = &request->response;
    int code = status ? response_status_code(status) : -1, error;
    struct buf *out;
    size_t begin;

    if (code == -1)
        return fail(EINVAL);
    if (!response_retract(request))
        return fail(EALREADY);
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
    hold(request, out->end - begin);
    return 0;
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
           !request->room->net.is_draining && request->room->config->keep_alive > 0 &&
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
    hold(request, response->body_at);
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
    hold(request, out->end - begin);
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

/* The head is settled now, whatever follows: bytes may leave. */
static int settle(struct reeve_environ *request)
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
    hold(request, 0);
    return 0;
}

void response_release(struct reeve_environ *request)
{
    if (request->response.state == RESPONSE_GUESSED)
        settle(request);
    conn_flush(request->conn);
}

/* ---- the body ---- */

static size_t total_size(const struct iovec *pieces, int count)
{
    size_t size = 0;

    for (int i = 0; i < count; i++)
        size += pieces[i].iov_len;
    return size;
}

static int gather(struct reeve_environ *request, const struct iovec *pieces, int count, size_t size)
{
    struct buf *out = conn_out(request->conn);

    if (!out || buf_reserve(out, size) == -1)
        return fail(ENOMEM);
    for (int i = 0; i < count; i++)
        if (pieces[i].iov_len > 0)
            put_text(out, pieces[i].iov_base, pieces[i].iov_len);
    return 0;
}

/* Into the held response. On failure it is as it was. */
static int guess_on(struct reeve_environ *request, const struct iovec *pieces, int count,
                    size_t size)
{
    struct response *response = &request->response;
    size_t kept = response->drops_body ? 0 : size;

    if (response->state == RESPONSE_STARTED) {
        response->body =
            size; /* the guess is of the body with these bytes, which come behind the head */
        if (finish_head(request, FRAMING_LENGTH) == -1)
            return -1;
        response->state = RESPONSE_GUESSED;
        response->body = 0;
    }
    if (kept > 0 && gather(request, pieces, count, kept) == -1)
        return -1;
    response->body += size;
    hold(request, response->held + kept);
    return 0;
}

static bool may_guess(const struct reeve_environ *request, size_t size)
{
    const struct response *response = &request->response;

    return response->state < RESPONSE_SENDING && response->framing != FRAMING_DECLARED &&
           response_has_body(response->status) &&
           (response->drops_body || response->body + size <= GUESS_MOST);
}

/* Takes note of `size` body bytes before they are sent. Returns 1 when they are to be sent, 0 when
 * they are dropped, -1. */
static int count_body(struct reeve_environ *request, uint64_t size)
{
    struct response *response = &request->response;

    if (response->framing == FRAMING_DECLARED && response_has_body(response->status) &&
        response->body + size > response->declared)
        return fail(EMSGSIZE);
    response->body += size;
    return !response->drops_body && size > 0;
}

static int put_chunk_begin(struct reeve_environ *request, uint64_t size)
{
    struct buf *out = conn_out(request->conn);

    if (request->response.framing != FRAMING_CHUNKED)
        return 0;
    if (!out || buf_reserve(out, 20) == -1)
        return fail(ENOMEM);
    response_put_chunk_size(out, size);
    return 0;
}

static int put_chunk_end(struct reeve_environ *request)
{
    struct buf *out = conn_out(request->conn);

    if (request->response.framing != FRAMING_CHUNKED)
        return 0;
    return out ? buf_append(out, "\r\n", 2) : fail(ENOMEM);
}

static int send_pieces(struct reeve_environ *request, const struct iovec *pieces, int count,
                       size_t size)
{
    int result;

    if (put_chunk_begin(request, size) == -1)
        return -1;
    if (size >= DIRECT_WRITE)
        result = conn_write(request->conn, pieces, count);
    else
        result = gather(request, pieces, count, size);
    if (result == -1 || put_chunk_end(request) == -1)
        return -1;
    return conn_unsent(request->conn) > GATHER_MOST ? conn_flush(request->conn) : 0;
}

/* -1: nothing can be added to the body, now or any more. */
static int check_open(const struct reeve_environ *request)
{
    const struct response *response = &request->response;

    if (response->state == RESPONSE_NONE || response->state == RESPONSE_ENDED)
        return fail(EPROTO);
    return response->is_broken || conn_is_gone(request->conn) ? fail(EPIPE) : 0;
}

/* What was counted has to arrive, or everything behind it would be taken for it. */
static int sent(struct reeve_environ *request, int result)
{
    if (result == -1)
        request->response.is_broken = true;
    return result;
}

int reeve_writev(reeve_environ *request, const struct iovec *pieces, int count)
{
    size_t size = total_size(pieces, count);
    int todo;

    if (check_open(request) == -1)
        return -1;
    if (size == 0)
        return 0;
    if (may_guess(request, size))
        return guess_on(request, pieces, count, size);
    if (settle(request) == -1)
        return -1;
    todo = count_body(request, size);
    return todo == 1 ? sent(request, send_pieces(request, pieces, count, size)) : todo;
}

int reeve_write(reeve_environ *request, const void *data, size_t size)
{
    struct iovec piece = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};

    return reeve_writev(request, &piece, 1);
}

int reeve_flush(reeve_environ *request)
{
    if (check_open(request) == -1 || settle(request) == -1)
        return -1;
    return conn_flush(request->conn);
}

static int send_file(struct reeve_environ *request, int fd, off_t offset, size_t size)
{
    if (put_chunk_begin(request, size) == -1 ||
        conn_send_file(request->conn, fd, offset, size) == -1)
        return -1;
    return put_chunk_end(request);
}

int reeve_send_file(reeve_environ *request, int fd, off_t offset, size_t size)
{
    int todo;

    if (check_open(request) == -1)
        return -1;
    if (!coro_current())
        return fail(EDEADLK);
    if (settle(request) == -1)
        return -1;
    todo = count_body(request, size);
    return todo == 1 ? sent(request, send_file(request, fd, offset, size)) : todo;
}

int reeve_respond(reeve_environ *request, reeve_iterable body)
{
    if (request->has_iterable)
        return fail(EALREADY);
    request->iterable = body;
    request->has_iterable = true;
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
    hold(request, 0);
    if (response->framing == FRAMING_CHUNKED && !response->drops_body &&
        buf_append(out, "0\r\n\r\n", 5) == -1)
        conn_cut(request->conn);
}
