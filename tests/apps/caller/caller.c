/* caller: does with reeve/client.h what the path and the query say, and tells what came of it in
 * text. ?url= is whom it calls; what fails is told as "error ENAME". */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <reeve/async.h>
#include <reeve/client.h>

#define MOST 200

typedef int serve(reeve_environ *env, reeve_start_response *start_response);

static reeve_module *this_module;

/* ---- what is asked for ---- */

static double number(reeve_environ *env, const char *name)
{
    const char *text = reeve_query_get(env, name);

    return text ? strtod(text, NULL) : 0;
}

static reeve_client_request request_of(reeve_environ *env)
{
    const char *body = reeve_query_get(env, "body"), *name = reeve_query_get(env, "name");
    reeve_header *headers = reeve_alloc(env, 2 * sizeof *headers);
    reeve_client_request request = {
        .url = reeve_query_get(env, "url"),
        .method = reeve_query_get(env, "method"),
        .body = body,
        .body_size = body ? strlen(body) : 0,
        .connect_timeout = number(env, "connect"),
        .answer_timeout = number(env, "answer"),
        .idle_timeout = number(env, "idle"),
        .timeout = number(env, "timeout"),
        .max_body = (size_t)number(env, "max_body"),
        .max_redirects = (unsigned)number(env, "redirects"),
        .expects_continue = number(env, "expect") > 0,
        .is_alone = number(env, "alone") > 0,
    };

    if (name && headers) {
        headers[0] = (reeve_header){name, reeve_query_get(env, "value")};
        headers[1] = (reeve_header){NULL, NULL};
        request.headers = headers;
    }
    return request;
}

static int start(reeve_environ *env, reeve_start_response *start_response)
{
    return start_response(env, "200 OK", REEVE_HEADERS({"Content-Type", "text/plain"}));
}

static int say(reeve_environ *env, const char *text)
{
    return reeve_write(env, text, strlen(text));
}

static int say_error(reeve_environ *env, const char *what)
{
    return say(env, reeve_printf(env, "%s %s\n", what, strerrorname_np(errno)));
}

/* ---- the simple call ---- */

static int say_header(const char *name, const char *value, void *arg)
{
    return say(arg, reeve_printf(arg, "%s: %s\n", name, value));
}

/* ?n= times in a row, each told. */
static int fetch(reeve_environ *env, reeve_start_response *start_response)
{
    const reeve_client_request request = request_of(env);
    reeve_client_response *response;
    long n = (long)number(env, "n");
    size_t size;

    start(env, start_response);
    do {
        if (reeve_client_fetch(&request, &response) == -1) {
            say_error(env, "error");
            continue;
        }
        say(env, reeve_printf(env, "status %d\n", reeve_client_status(response)));
        if (number(env, "headers") > 0)
            reeve_client_header_each(response, say_header, env);
        reeve_client_body(response, &size);
        if (size > 0)
            reeve_write(env, reeve_client_body(response, NULL), size);
        if (n % 2 == 1) /* the others go with the request */
            reeve_client_response_free(response);
    } while (--n > 0 && !reeve_is_cancelled());
    return 0;
}

/* ---- many at once ---- */

static int fetch_task(void *arg, void **value_out)
{
    reeve_client_response *response;

    if (reeve_client_fetch(arg, &response) == -1)
        return -1;
    *value_out = response;
    return 0;
}

/* ?n= at once: how many were answered with 200, and how many bytes that was. */
static int many(reeve_environ *env, reeve_start_response *start_response)
{
    reeve_client_request request = request_of(env);
    size_t n = (size_t)number(env, "n"), good = 0, bytes = 0, size;
    reeve_future *futures[MOST];
    void *response;

    for (size_t i = 0; i < n; i++)
        if (!(futures[i] = reeve_spawn(fetch_task, &request)))
            return -1;
    start(env, start_response);
    if (reeve_await_all(futures, n, REEVE_FOREVER) == -1)
        say_error(env, "error");
    for (size_t i = 0; i < n; i++)
        if (reeve_future_result(futures[i], &response) == 0) {
            good += reeve_client_status(response) == 200;
            reeve_client_body(response, &size);
            bytes += size;
        }
    return say(env, reeve_printf(env, "%zu answers, %zu bytes\n", good, bytes));
}

/* ---- piece by piece ---- */

static int pull(reeve_environ *env, reeve_client_exchange *exchange)
{
    char piece[16384];
    ssize_t n;

    while ((n = reeve_client_read(exchange, piece, sizeof piece)) > 0)
        if (reeve_write(env, piece, (size_t)n) == -1)
            return -1;
    return (int)n;
}

static int push(reeve_environ *env, reeve_client_exchange *exchange)
{
    char piece[16384];
    ssize_t n;

    while ((n = reeve_read(env, piece, sizeof piece)) > 0)
        if (reeve_client_write(exchange, piece, (size_t)n) == -1)
            return errno == EPIPE ? 0 : -1; /* the answer says why */
    if (n == -1)
        return -1;
    return reeve_client_finish(exchange) == -1 && errno != EPIPE ? -1 : 0;
}

/* Hands the request on piece by piece, and then the answer. */
static int proxy(reeve_environ *env, reeve_start_response *start_response)
{
    reeve_client_request request = request_of(env);
    reeve_client_exchange *exchange;
    int64_t length = reeve_content_length(env);

    request.method = reeve_method(env);
    request.is_chunked = length == -1;
    request.body_size = length > 0 ? (size_t)length : 0;
    start(env, start_response);
    if (reeve_client_open(&request, &exchange) == -1)
        return say_error(env, "error at open");
    if ((length != 0 && push(env, exchange) == -1) || pull(env, exchange) == -1)
        return say_error(env, "error");
    reeve_client_close(exchange);
    return 0;
}

struct sending {
    reeve_client_exchange *exchange;
    size_t size;
};

static int send_zeros(void *arg, void **value_out)
{
    const struct sending *sending = arg;
    static const char zeros[65536];
    size_t left = sending->size, n;

    (void)value_out;
    for (; left > 0; left -= n) {
        n = left < sizeof zeros ? left : sizeof zeros;
        if (reeve_client_write(sending->exchange, zeros, n) == -1)
            return -1;
    }
    return reeve_client_finish(sending->exchange);
}

/* Sends ?mb= in a task and reads meanwhile: what the service says, and how the sending ended. */
static int both(reeve_environ *env, reeve_start_response *start_response)
{
    reeve_client_request request = request_of(env);
    struct sending sending = {.size = (size_t)(number(env, "mb") * (1 << 20))};
    static char piece[65536];
    reeve_future *task;
    size_t total = 0;
    ssize_t n = -1;
    int status;

    request.method = "POST";
    request.is_chunked = number(env, "chunked") > 0;
    request.body_size = request.is_chunked ? 0 : sending.size;
    start(env, start_response);
    if (reeve_client_open(&request, &sending.exchange) == -1)
        return say_error(env, "error at open");
    task = reeve_spawn(send_zeros, &sending);
    status = reeve_client_head(sending.exchange, NULL);
    if (status == -1)
        say_error(env, "head");
    while (status != -1 && (n = reeve_client_read(sending.exchange, piece, sizeof piece)) > 0)
        total += (size_t)n;
    if (status != -1 && n == -1)
        say_error(env, "read");
    if (!task || reeve_await(task, REEVE_FOREVER, NULL) == -1)
        say_error(env, "sent");
    say(env, reeve_printf(env, "status %d, %zu bytes\n", status, total));
    reeve_client_close(sending.exchange);
    return 0;
}

/* The same without a task: sends until it is refused or done, then reads. */
static int push_first(reeve_environ *env, reeve_start_response *start_response)
{
    reeve_client_request request = request_of(env);
    struct sending sending = {.size = (size_t)(number(env, "mb") * (1 << 20))};

    request.method = "POST";
    request.body_size = sending.size;
    start(env, start_response);
    if (reeve_client_open(&request, &sending.exchange) == -1)
        return say_error(env, "error at open");
    if (send_zeros(&sending, NULL) == -1)
        say_error(env, "sent");
    say(env, reeve_printf(env, "status %d\n", reeve_client_head(sending.exchange, NULL)));
    reeve_client_close(sending.exchange);
    return 0;
}

/* Reads ?first= bytes and leaves the rest: by closing the exchange, or with ?leave=1 by leaving it
 * open. */
static int part(reeve_environ *env, reeve_start_response *start_response)
{
    reeve_client_request request = request_of(env);
    size_t left = (size_t)number(env, "first");
    reeve_client_exchange *exchange;
    char piece[1000];
    ssize_t n = 1;

    start(env, start_response);
    if (reeve_client_open(&request, &exchange) == -1)
        return say_error(env, "error at open");
    while (left > 0 && n > 0) {
        n = reeve_client_read(exchange, piece, left < sizeof piece ? left : sizeof piece);
        left -= n > 0 ? (size_t)n : 0;
    }
    if (number(env, "leave") == 0)
        reeve_client_close(exchange);
    return say(env, n > 0 ? "left\n" : "ended\n");
}

/* ---- elsewhere ---- */

static char background_url[1000];

static int fetch_in_background(void *arg, void **value_out)
{
    const reeve_client_request request = {.url = arg};
    reeve_client_response *response;

    (void)value_out;
    if (reeve_client_fetch(&request, &response) == -1)
        return -1;
    reeve_log(NULL, REEVE_LOG_INFO, "in the background: status %d", reeve_client_status(response));
    reeve_client_response_free(response);
    return 0;
}

static int background(reeve_environ *env, reeve_start_response *start_response)
{
    snprintf(background_url, sizeof background_url, "%s", reeve_query_get(env, "url"));
    start(env, start_response);
    if (reeve_spawn_background(this_module, fetch_in_background, background_url, NULL) == -1)
        return say_error(env, "error");
    return say(env, "begun\n");
}

/* ?scope= seconds around it. */
static int scoped(reeve_environ *env, reeve_start_response *start_response)
{
    const reeve_client_request request = request_of(env);
    reeve_client_response *response;
    reeve_scope scope;

    start(env, start_response);
    reeve_scope_begin(&scope, number(env, "scope"));
    if (reeve_client_fetch(&request, &response) == -1)
        say_error(env, "error");
    return reeve_scope_end(&scope) == -1 ? say_error(env, "scope") : say(env, "in time\n");
}

static int limit(reeve_environ *env, reeve_start_response *start_response)
{
    start(env, start_response);
    if (reeve_client_limit(reeve_query_get(env, "url"), (unsigned)number(env, "connections"),
                           (unsigned)number(env, "idle")) == -1)
        return say_error(env, "error");
    return say(env, "set\n");
}

/* ---- dispatch ---- */

static const struct {
    const char *path;
    serve *serve;
} table[] = {
    {"/fetch", fetch},     {"/many", many}, {"/proxy", proxy},           {"/both", both},
    {"/push", push_first}, {"/part", part}, {"/background", background}, {"/scoped", scoped},
    {"/limit", limit},
};

static int call(reeve_environ *env, reeve_start_response *start_response)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(reeve_path(env), table[i].path) == 0)
            return table[i].serve(env, start_response);
    start_response(env, "404 Not Found", REEVE_NO_HEADERS);
    return 0;
}

static int init(reeve_module *module)
{
    this_module = module;
    return 0;
}

REEVE_APP(.name = "caller", .version = "1", .application = call, .init = init);
