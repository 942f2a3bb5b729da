/* filter.c: the way of a response through the filters over it, the last one pushed first.
 *
 * It keeps the application's side of the contract, since what a filter makes of a response says
 * nothing about what was given to it: whether it has begun, how long it was declared to be, whether
 * a part of it was lost. What leaves in the end is respond.c's and write.c's, as without filters. */
#include "app/filter.h"

#include <errno.h>
#include <reeve/filter.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/request.h"
#include "net/conn.h"

/* A file that has to go through memory does so in pieces of this size. */
#define FILE_PIECE (64u << 10)

/* One filter. */
struct reeve_beneath {
    struct reeve_environ *request;
    const reeve_filter *filter;
    void *state;
    struct reeve_beneath *next; /* pushed before it; NULL: the server */
    bool is_begun;              /* its on_start was called for this response */
    bool has_started;           /* ... and it has passed a start on */
    bool is_out;                /* it has taken itself out */
};

/* In the request's memory. */
struct filters {
    struct reeve_beneath *top;
    const void *site; /* where the application called last */
    bool is_started;  /* start_response was called, with success */
    bool is_ended;
    struct response_promise promise;
    uint64_t body; /* bytes the application gave so far */
};

static int fail(int error)
{
    errno = error;
    return -1;
}

/* ---- pushing ---- */

/* on_close callbacks run in the reverse order of their registration, so it is the first one. */
static void pop(void *arg)
{
    struct reeve_beneath *top = arg;
    struct filters *filters = top->request->filters;

    if (filters) /* there is no response any more once its connection was upgraded */
        filters->top = top->next;
    if (!top->next)
        top->request->filters = NULL;
    if (top->filter->on_close)
        top->filter->on_close(top->state);
}

static int prepare(struct reeve_environ *request)
{
    if (request->has_ended)
        return fail(EALREADY);
    if (request->filters)
        return request->filters->is_started ? fail(EALREADY) : 0;
    if (request->response.state != RESPONSE_NONE)
        return fail(EALREADY);
    request->filters = arena_alloc(&request->arena, sizeof *request->filters);
    if (!request->filters)
        return fail(ENOMEM);
    *request->filters = (struct filters){.top = NULL};
    return 0;
}

int reeve_filter_push(reeve_environ *request, const reeve_filter *filter, void *state)
{
    struct reeve_beneath *top = arena_alloc(&request->arena, sizeof *top);

    if (!top)
        return fail(ENOMEM);
    if (prepare(request) == -1)
        return -1;
    *top = (struct reeve_beneath){
        .request = request, .filter = filter, .state = state, .next = request->filters->top};
    if (reeve_on_close(request, pop, top) == -1) {
        if (!top->next)
            request->filters = NULL;
        return -1;
    }
    request->filters->top = top;
    return 0;
}

/* ---- from one filter to the next: `at` is the one whose turn it is, NULL the server ---- */

static int start_at(struct reeve_environ *request, struct reeve_beneath *at, const char *status,
                    const reeve_header *headers)
{
    if (request->response.state >= RESPONSE_SENDING)
        return fail(EALREADY);
    for (; at; at = at->next) {
        at->is_begun = true;
        at->is_out = false;
        at->has_started = false;
        if (at->filter->on_start)
            return at->filter->on_start(at, status, headers, at->state);
        at->has_started = true;
    }
    return response_begin(request, status, headers);
}

/* To the first from `at` on that has an interest. EPROTO where one that it goes past has not
 * begun. */
static int write_at(struct reeve_environ *request, struct reeve_beneath *at,
                    const struct iovec *pieces, int count)
{
    for (; at && (at->is_out || !at->filter->on_write); at = at->next)
        if (!at->has_started)
            return fail(EPROTO);
    return at ? at->filter->on_write(at, pieces, count, at->state)
              : response_put(request, pieces, count, request->filters->site);
}

static int flush_at(struct reeve_environ *request, struct reeve_beneath *at)
{
    for (; at && (at->is_out || !at->filter->on_flush); at = at->next)
        if (!at->has_started)
            return fail(EPROTO);
    return at ? at->filter->on_flush(at, at->state)
              : response_flush(request, request->filters->site);
}

/* Through a filter that knows pieces only. */
static int read_file_at(struct reeve_environ *request, struct reeve_beneath *at, int fd,
                        off_t offset, size_t size)
{
    char *piece = malloc(size < FILE_PIECE ? size : FILE_PIECE);
    int result = 0;

    if (!piece)
        return fail(ENOMEM);
    while (size > 0 && result == 0) {
        ssize_t n = pread(fd, piece, size < FILE_PIECE ? size : FILE_PIECE, offset);
        struct iovec data = {.iov_base = piece, .iov_len = n > 0 ? (size_t)n : 0};

        if (n == -1 && errno == EINTR)
            continue;
        if (n <= 0)
            result = n == 0 ? fail(EIO) : -1;
        else
            result = write_at(request, at, &data, 1);
        offset += n;
        size -= data.iov_len;
    }
    int error = errno;
    free(piece);
    errno = error;
    return result;
}

static int file_at(struct reeve_environ *request, struct reeve_beneath *at, int fd, off_t offset,
                   size_t size)
{
    for (; at; at = at->next) {
        if (at->is_out || (!at->filter->on_file && !at->filter->on_write)) {
            if (!at->has_started)
                return fail(EPROTO);
            continue;
        }
        return at->filter->on_file ? at->filter->on_file(at, fd, offset, size, at->state)
                                   : read_file_at(request, at, fd, offset, size);
    }
    return response_send_file(request, fd, offset, size, request->filters->site);
}

/* ---- what filters call ---- */

reeve_environ *reeve_filter_environ(const reeve_beneath *beneath)
{
    return beneath->request;
}

int reeve_filter_start(reeve_beneath *beneath, const char *status, const reeve_header *headers)
{
    int result = start_at(beneath->request, beneath->next, status, headers);

    beneath->has_started = result == 0;
    return result;
}

int reeve_filter_write(reeve_beneath *beneath, const struct iovec *pieces, int count)
{
    if (!beneath->has_started)
        return fail(EPROTO);
    return write_at(beneath->request, beneath->next, pieces, count);
}

int reeve_filter_send_file(reeve_beneath *beneath, int fd, off_t offset, size_t size)
{
    if (!beneath->has_started)
        return fail(EPROTO);
    return size > 0 ? file_at(beneath->request, beneath->next, fd, offset, size) : 0;
}

int reeve_filter_flush(reeve_beneath *beneath)
{
    if (!beneath->has_started)
        return fail(EPROTO);
    return flush_at(beneath->request, beneath->next);
}

void reeve_filter_remove(reeve_beneath *beneath)
{
    beneath->is_out = true;
}

bool reeve_response_is_sent(const reeve_environ *request)
{
    return request->response.state >= RESPONSE_SENDING;
}

/* ---- what the application calls ---- */

/* A start has failed, although it may have been passed on before: that is no response. */
static int take_back(struct reeve_environ *request)
{
    int error = errno;

    if (!response_retract(request))
        request->response.is_broken = true;
    return fail(error);
}

int filter_start(reeve_environ *request, const char *status, const reeve_header *headers)
{
    struct filters *filters = request->filters;

    if (request->has_ended || filters->is_ended || reeve_response_is_sent(request))
        return fail(EALREADY);
    if (response_try(request, status, headers, &filters->promise) == -1) {
        filters->is_started = false; /* as without filters: what was before is forgotten */
        return -1;
    }
    for (struct reeve_beneath *at = filters->top; at; at = at->next)
        at->is_begun = false;
    filters->body = 0;
    filters->is_started = start_at(request, filters->top, status, headers) == 0;
    return filters->is_started ? 0 : take_back(request);
}

bool filter_has_started(const reeve_environ *request)
{
    return request->filters->is_started;
}

/* -1: nothing can be added to the body, now or any more. */
static int check_open(const struct reeve_environ *request)
{
    const struct filters *filters = request->filters;

    if (!filters->is_started || filters->is_ended || request->has_ended)
        return fail(EPROTO);
    return request->response.is_broken || conn_is_gone(request->conn) ? fail(EPIPE) : 0;
}

static int take(struct reeve_environ *request, size_t size, const void *site)
{
    struct filters *filters = request->filters;
    const struct response_promise *promise = &filters->promise;

    if (check_open(request) == -1)
        return -1;
    if (promise->is_declared && filters->body + size > promise->declared)
        return fail(EMSGSIZE);
    filters->site = site;
    filters->body += size;
    return 0;
}

/* What was taken has to arrive, or the response is not what the application takes it for. */
static int whole(struct reeve_environ *request, int result)
{
    if (result == -1)
        request->response.is_broken = true;
    return result;
}

int filter_write(reeve_environ *request, const struct iovec *pieces, int count, const void *site)
{
    size_t size = 0;

    for (int i = 0; i < count; i++)
        size += pieces[i].iov_len;
    if (take(request, size, site) == -1)
        return -1;
    return size > 0 ? whole(request, write_at(request, request->filters->top, pieces, count)) : 0;
}

int filter_send_file(reeve_environ *request, int fd, off_t offset, size_t size, const void *site)
{
    if (take(request, size, site) == -1)
        return -1;
    return size > 0 ? whole(request, file_at(request, request->filters->top, fd, offset, size)) : 0;
}

int filter_flush(reeve_environ *request, const void *site)
{
    if (take(request, 0, site) == -1)
        return -1;
    return whole(request, flush_at(request, request->filters->top));
}

/* ---- the end ---- */

bool filter_is_short(const reeve_environ *request)
{
    const struct filters *filters = request->filters;

    return filters->is_started && filters->promise.is_declared && !filters->promise.drops_body &&
           filters->body < filters->promise.declared;
}

int filter_end(reeve_environ *request)
{
    struct filters *filters = request->filters;

    if (!filters->is_started || request->response.is_broken || conn_is_gone(request->conn) ||
        filter_is_short(request))
        return 0; /* no whole response, as its end will find */
    filters->is_ended = true;
    for (struct reeve_beneath *at = filters->top; at; at = at->next)
        if (at->is_begun && !at->is_out && at->filter->on_end &&
            at->filter->on_end(at, at->state) == -1)
            return whole(request, -1);
    return 0;
}
