/* call.c: how an application is invoked: from a complete head to the end of the exchange. */
#include <errno.h>
#include <string.h>

#include "app/access.h"
#include "app/filter.h"
#include "app/generation.h"
#include "app/overdue.h"
#include "app/place.h"
#include "app/request.h"
#include "app/route.h"
#include "app/strand.h"
#include "base/clock.h"
#include "base/log.h"
#include "http/uri.h"
#include "net/conn.h"
#include "net/listener.h"
#include "runtime/coro.h"

/* ---- accounting ---- */

static void count_begin(struct reeve_environ *request)
{
    struct board_column *total = &request->generation->app->cell->total;
    struct board_column *column = generation_column(request->generation);

    request->tenure = generation_enter(request->generation);
    board_add(&total->requests, 1);
    board_add(&total->active, 1);
    if (!column)
        return;
    board_add(&column->requests, 1);
    board_add(&column->active, 1);
}

static void record_begin(struct reeve_environ *request)
{
    const struct head *head = &request->head;
    struct room *room = request->room;

    request->flight = flight_begin(
        &room->recorder, &(struct flight_start){
                             .id = request->id,
                             .app = request->generation->app->index,
                             .generation = request->generation->number,
                             .method = head->method,
                             .begun_at = conn_arrived_at(request->conn),
                             .path = head->path.data,
                             .path_length = head->path.length,
                             .query = room->config->record_queries ? head->query.data : NULL,
                             .query_length = head->query.length,
                         });
}

static void record_wait(const struct reeve_environ *request, const struct coro *coro)
{
    flight_wait(request->flight, coro_call(coro),
                place_in(request->generation, coro_site(coro),
                         (const void *)(uintptr_t)request->generation->descriptor->application),
                clock_ns());
}

static void count_answer(struct board_column *column, const struct reeve_environ *request,
                         uint64_t ns)
{
    board_sub(&column->active, 1);
    board_add(&column->answers[request->response.status / 100], 1);
    board_add(&column->bytes_in, request->body_read);
    board_add(&column->bytes_out, request->response.body);
    if (!request->is_upgraded) /* it may have lived for days */
        histogram_record(&column->latency, ns);
}

/* What has no answer, or a part of one. */
static void add_failure(struct board_column *column, const struct reeve_environ *request)
{
    if (!request->is_overdue) /* that is counted already */
        board_add(&column->exceptions, 1);
    if (request->response.state >= RESPONSE_SENDING && request->response.status < 500)
        board_add(&column->cut, 1);
}

static void count_failure(struct reeve_environ *request)
{
    struct board_column *column = generation_column(request->generation);

    if (!request->is_overdue)
        board_add(&request->room->slot->exceptions, 1);
    add_failure(&request->generation->app->cell->total, request);
    if (column)
        add_failure(column, request);
}

static void count_end(struct reeve_environ *request, uint64_t ns)
{
    struct generation *generation = request->generation;
    struct board_column *column;

    board_sub(&request->room->slot->active, 1);
    if (!generation) {
        if (request->response.status != 200) /* OPTIONS * */
            board_add(&request->room->slot->refused, 1);
        return;
    }
    count_answer(&generation->app->cell->total, request, ns);
    column = generation_column(generation);
    if (column)
        count_answer(column, request, ns);
}

/* ---- the end of a request ---- */

static void run_on_close(struct reeve_environ *request)
{
    struct on_close *hook;

    while ((hook = SLIST_FIRST(&request->on_close))) {
        SLIST_REMOVE_HEAD(&request->on_close, entry);
        hook->callback(hook->arg);
    }
}

static enum conn_end end_of(const struct reeve_environ *request)
{
    if (request->response.is_keep_alive)
        return CONN_END_KEEP;
    return request->head.is_keep_alive || request->must_close ? CONN_END_BY_SERVER
                                                              : CONN_END_BY_CLIENT;
}

/* Everything was answered, or cannot be. Gives the connection back; it may be freed within. */
static void finish(struct reeve_environ *request)
{
    struct conn *conn = request->conn;
    struct generation *generation = request->generation;
    struct tenure *tenure = request->tenure;
    enum conn_end end = end_of(request);
    uint64_t now = clock_ns();

    overdue_forget(request);
    run_on_close(request);
    flight_end(&request->room->recorder, request->flight, (uint64_t)request->response.status, now);
    count_end(request, now - conn_arrived_at(conn));
    if (request->room->access)
        access_log_request(request->room->access, request, now);
    request_free(request);
    if (generation)
        generation_leave(generation, tenure);
    conn_finish(conn, end, now);
}

/* What a missing answer means, by the body's error. */
static int status_of_failure(const struct reeve_environ *request)
{
    switch (request->read_error) {
    case ETIMEDOUT:
        return 408;
    case EBADMSG:
    case ECONNRESET: /* it has ended its side within the body, and may still be told (RFC 9112
                        section 8) */
        return 400;
    case EFBIG:
        return 413;
    default:
        return request->is_overdue ? 504 : 500;
    }
}

static void log_failure(const struct reeve_environ *request, const char *how)
{
    log_warnx("%s %llu: request %s: %s %s: %s", request->generation->app->config->name,
              (unsigned long long)request->generation->number, request_id_text(request),
              http_method_str(request->head.method), request->path, how);
}

/* Why what the application leaves is no response; NULL: it is one. */
static const char *fault_of(const struct reeve_environ *request)
{
    if (request->result != 0)
        return "failed";
    if (request->response.state == RESPONSE_NONE)
        return "returned without a response";
    if (request->response.is_broken)
        return "returned although a part of its response could not be sent";
    if (response_is_short(request))
        return "returned without as many bytes as its Content-Length says";
    return NULL;
}

/* Nobody is there to be told, or cannot be told any more. */
static void cut(struct reeve_environ *request)
{
    response_retract(request);
    conn_cut(request->conn);
}

/* A HEAD request's, whose head has left, and of which nothing more was wanted (events.c). */
static bool is_whole(const struct reeve_environ *request)
{
    return request->is_abandoned && request->response.drops_body &&
           request->response.state == RESPONSE_SENDING && !conn_is_gone(request->conn);
}

static void answer_failure(struct reeve_environ *request, const char *fault)
{
    int status = status_of_failure(request);

    if (request->is_upgraded) { /* whoever has the connection ends it */
        if (request->is_abandoned)
            return;
        count_failure(request);
        log_failure(request, fault);
        return;
    }
    if (is_whole(request)) {
        response_end(request);
        return;
    }
    if (conn_is_gone(request->conn) || request->is_abandoned) {
        cut(request);
        return;
    }
    if (status >= 500)
        count_failure(request);
    if (status == 500)
        log_failure(request, fault);
    if (request->response.state >= RESPONSE_SENDING)
        cut(request);
    else
        error_answer(request, status);
}

static void complete(struct reeve_environ *request)
{
    const char *fault = fault_of(request);

    request->has_ended = true;
    if (fault)
        answer_failure(request, fault);
    else if (conn_is_gone(request->conn))
        response_retract(request);
    else
        response_end(request);
    finish(request);
}

/* ---- the call ---- */

/* After it was cancelled an iterable may give a piece to end with, but one that takes no notice and
 * goes on would never let go of the loop: it has no wait left. */
static int send_iterable(struct reeve_environ *request)
{
    const reeve_iterable *body = &request->iterable;
    unsigned last_words = 0;
    const void *data;
    size_t size;
    int more;

    while ((more = body->next(body->state, &data, &size)) == 1) {
        const struct iovec piece = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};

        if (request->is_overdue && last_words++ > 0)
            return -1;
        if (response_write(request, &piece, 1, (const void *)(uintptr_t)body->next) == -1)
            return -1;
    }
    return more;
}

static void take_iterable(struct reeve_environ *request)
{
    request->is_iterating = true;
    if (request->result == 0)
        request->result = send_iterable(request);
    if (request->iterable.close)
        request->iterable.close(request->iterable.state);
}

void call_run(void *arg)
{
    struct reeve_environ *request = arg;

    request->result = request->generation->descriptor->application(request, response_start());
    if (request->has_iterable)
        take_iterable(request);
    if (request->filters && request->result == 0)
        request->result = filter_end(request);
    request->has_returned = true;
    if (request->strand)
        strand_close(request->strand);
}

/* Nobody is there to be answered: what it waits for is not waited for any more. */
static void abandon_if_gone(struct reeve_environ *request)
{
    enum client_gone when = request->ends_with_client
                                ? CLIENT_GONE_CLOSE
                                : request->generation->app->config->client_gone;

    if (request->has_returned || request->is_abandoned || request->is_upgraded ||
        when == CLIENT_GONE_IGNORE)
        return;
    if (!conn_is_gone(request->conn) &&
        (when != CLIENT_GONE_CLOSE || !conn_has_ended(request->conn)))
        return;
    request->is_abandoned = true;
    coro_cancel(request->coro, ECANCELED);
}

void call_on_gone(struct conn *conn)
{
    struct reeve_environ *request = conn_user(conn);

    if (request && request->coro) /* there is none when memory has run out */
        abandon_if_gone(request);
}

/* Out of line, both: most requests never wait, and on_coro is to stay small for them. */
static __attribute__((noinline)) void wait(struct reeve_environ *request, struct coro *coro)
{
    request->coro = coro;
    record_wait(request, coro);
    overdue_watch(request);
    if (!request->has_returned) /* what is complete leaves as that */
        response_release(request);
    abandon_if_gone(request);
}

static __attribute__((noinline)) void resume(struct reeve_environ *request)
{
    flight_resume(request->flight, clock_ns());
}

static void on_coro(enum coro_event event, struct coro *coro, void *arg)
{
    struct reeve_environ *request = arg;

    switch (event) {
    case CORO_ENDED: /* all that most requests come to */
        complete(request);
        break;
    case CORO_RESUMES:
        resume(request);
        break;
    case CORO_WAITS:
        wait(request, coro);
        break;
    }
}

static int call(struct reeve_environ *request)
{
    const reeve_app *app = request->generation->descriptor;

    if (app->on_loop) {
        call_run(request);
        complete(request);
        return 0;
    }
    return coro_run(call_run, on_coro, request, app->stack_size) == -1 ? 503 : 0;
}

/* ---- before it: each step returns 0 or the status to answer with ---- */

static int parse(struct reeve_environ *request)
{
    const struct head_scan *scan;
    char *bytes = conn_head(request->conn, &scan);
    struct head_field *fields = arena_alloc(&request->arena, (scan->lines + 1) * sizeof *fields);
    int status;

    if (!fields)
        return 503;
    status = head_parse(&request->head, scan, bytes, fields, &request->room->net.head_limits);
    if (status) {
        /* Half of a head is no head: nobody shall log or look up what was not terminated. */
        request->head = (struct head){.minor = 1};
        request->must_close = true;
        return status;
    }
    return conn_begin_body(request->conn, &request->head);
}

static int decode_path(struct reeve_environ *request)
{
    const struct span *raw = &request->head.path;
    char *path = arena_alloc(&request->arena, raw->length + 1);

    if (!path)
        return 503;
    path[0] = '\0'; /* of "*", which is no path */
    if (request->head.form != TARGET_ASTERISK &&
        uri_decode_path(raw->data, raw->length, path) == -1)
        return 400;
    request->path = path;
    return 0;
}

static int look_up(struct reeve_environ *request)
{
    struct room *room = request->room;
    const struct route_table *table = &room->routes[listener_index(conn_listener(request->conn))];
    const struct route *route = route_find(table, request->path, strlen(request->path));

    if (!route)
        return 404;
    if (!room->apps[route->app].live)
        return 503;
    request->mount_length = route->length;
    request->generation = room->apps[route->app].live;
    return 0;
}

/* A route that killed its workers is not asked again for a while. */
static int keep_out(struct reeve_environ *request)
{
    struct quarantine *quarantine = request->room->quarantine;
    const struct generation *generation = request->generation;
    uint64_t remaining;

    if (quarantine_is_empty(quarantine))
        return 0;
    remaining = quarantine_remaining(quarantine, generation->app->index, generation->number,
                                     request->path, clock_ns());
    request->retry_after = (remaining + NS_PER_SEC - 1) / NS_PER_SEC;
    return remaining > 0 ? 503 : 0;
}

/* `OPTIONS *` asks for the server itself (RFC 9110 section 9.3.7). */
static void answer_server_options(struct reeve_environ *request)
{
    if (response_start()(request, "200 OK", REEVE_NO_HEADERS) == -1)
        conn_cut(request->conn);
    else
        response_end(request);
}

static void answer_without_app(struct reeve_environ *request, int status)
{
    request->generation = NULL;
    if (status == 200)
        answer_server_options(request);
    else
        error_answer(request, status);
    finish(request);
}

static int prepare(struct reeve_environ *request)
{
    int status = parse(request);

    if (!status)
        status = decode_path(request);
    if (!status && request->head.form == TARGET_ASTERISK)
        return 200;
    if (!status)
        status = look_up(request);
    return status ? status : keep_out(request);
}

/* NULL when memory has run out: then there is no answer either. */
static struct reeve_environ *begin(struct conn *conn)
{
    struct room *room = conn_net(conn)->app;
    struct reeve_environ *request = request_new(room, conn);

    if (!request) {
        conn_cut(conn);
        conn_finish(conn, CONN_END_BY_SERVER, room->net.now);
        return NULL;
    }
    conn_set_user(conn, request);
    board_add(&room->slot->requests, 1);
    board_add(&room->slot->active, 1);
    return request;
}

void call_on_refused(struct conn *conn, int status)
{
    struct reeve_environ *request = begin(conn);

    if (!request)
        return;
    request->head.minor = 1;
    request->must_close = true;
    answer_without_app(request, status);
}

void call_on_request(struct conn *conn)
{
    struct reeve_environ *request = begin(conn);
    int status;

    if (!request)
        return;
    status = prepare(request);
    if (status) {
        answer_without_app(request, status);
        return;
    }
    count_begin(request);
    record_begin(request);
    status = call(request);
    if (status) { /* no stack: nothing of the app ran */
        request->result = -1;
        error_answer(request, status);
        finish(request);
    }
}
