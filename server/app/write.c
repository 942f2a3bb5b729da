/* write.c: the response's body: held while its length is guessed, then gathered or sent from where
 * it lies, in chunks where nothing else tells its end. */
#include <errno.h>
#include <string.h>

#include "app/filter.h"
#include "app/request.h"
#include "base/holder.h"
#include "http/response.h"
#include "net/conn.h"
#include "runtime/coro.h"

/* A body up to this long is held until its length is known. */
#define GUESS_MOST (32u << 10)
/* Pieces from this size on are sent from where they lie. */
#define DIRECT_WRITE (16u << 10)
/* Gathered output beyond this is sent before more is gathered. */
#define GATHER_MOST (64u << 10)

static int fail(int error)
{
    errno = error;
    return -1;
}

/* ---- gathering ---- */

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
    for (int i = 0; i < count; i++) {
        if (pieces[i].iov_len > 0) /* an empty one may have no place */
            memcpy(out->data + out->end, pieces[i].iov_base, pieces[i].iov_len);
        out->end += pieces[i].iov_len;
    }
    return 0;
}

/* Into the held response. On failure it is as it was. */
static int guess_on(struct reeve_environ *request, const struct iovec *pieces, int count,
                    size_t size)
{
    struct response *response = &request->response;
    size_t kept = response->drops_body ? 0 : size;

    if (response_guess(request, size) == -1 ||
        (kept > 0 && gather(request, pieces, count, kept) == -1))
        return -1;
    response->body += size;
    response_hold(request, response->held + kept);
    return 0;
}

static bool may_guess(const struct reeve_environ *request, size_t size)
{
    const struct response *response = &request->response;

    return response->state < RESPONSE_SENDING && response->framing != FRAMING_DECLARED &&
           response_has_body(response->status) &&
           (response->drops_body || response->body + size <= GUESS_MOST);
}

/* ---- sending ---- */

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

/* ---- what applications call ---- */

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

int response_put(struct reeve_environ *request, const struct iovec *pieces, int count,
                 const void *site)
{
    size_t size = total_size(pieces, count);
    int todo;

    if (check_open(request) == -1)
        return -1;
    if (size == 0)
        return 0;
    if (may_guess(request, size))
        return guess_on(request, pieces, count, size);
    coro_note(CALL_WRITE, site);
    if (response_settle(request) == -1)
        return -1;
    todo = count_body(request, size);
    return todo == 1 ? sent(request, send_pieces(request, pieces, count, size)) : todo;
}

int response_write(struct reeve_environ *request, const struct iovec *pieces, int count,
                   const void *site)
{
    return request->filters ? filter_write(request, pieces, count, site)
                            : response_put(request, pieces, count, site);
}

int reeve_write(reeve_environ *request, const void *data, size_t size)
{
    struct iovec piece = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};

    return response_write(request, &piece, 1, __builtin_return_address(0));
}

int reeve_writev(reeve_environ *request, const struct iovec *pieces, int count)
{
    return response_write(request, pieces, count, __builtin_return_address(0));
}

int response_flush(struct reeve_environ *request, const void *site)
{
    if (check_open(request) == -1 || response_settle(request) == -1)
        return -1;
    coro_note(CALL_FLUSH, site);
    return conn_flush(request->conn);
}

int reeve_flush(reeve_environ *request)
{
    const void *site = __builtin_return_address(0);

    return request->filters ? filter_flush(request, site) : response_flush(request, site);
}

static int send_file(struct reeve_environ *request, int fd, off_t offset, size_t size)
{
    if (put_chunk_begin(request, size) == -1 ||
        conn_send_file(request->conn, fd, offset, size) == -1)
        return -1;
    return put_chunk_end(request);
}

int response_send_file(struct reeve_environ *request, int fd, off_t offset, size_t size,
                       const void *site)
{
    int todo;

    if (check_open(request) == -1)
        return -1;
    if (!coro_current() && !request->response.drops_body)
        return fail(EDEADLK);
    if (response_settle(request) == -1)
        return -1;
    coro_note(CALL_SEND_FILE, site);
    todo = count_body(request, size);
    return todo == 1 ? sent(request, send_file(request, fd, offset, size)) : todo;
}

int reeve_send_file(reeve_environ *request, int fd, off_t offset, size_t size)
{
    const void *site = __builtin_return_address(0);

    return request->filters ? filter_send_file(request, fd, offset, size, site)
                            : response_send_file(request, fd, offset, size, site);
}

int reeve_respond(reeve_environ *request, reeve_iterable body)
{
    if (request->has_iterable)
        return fail(EALREADY);
    request->iterable = body;
    request->has_iterable = true;
    return 0;
}
