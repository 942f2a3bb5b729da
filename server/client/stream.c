/* stream.c: exchanges as applications see them: opened in a scope, closed with it at the latest. */
#include <errno.h>
#include <reeve/async.h>
#include <reeve/client.h>
#include <stdlib.h>

#include "base/log.h"
#include "client/exchange.h"

static int fail(int error)
{
    errno = error;
    return -1;
}

/* ---- the end ---- */

/* Whoever is still in a call of it goes first, and is told that it is over. */
static void let_go(struct reeve_client_exchange *exchange)
{
    exchange->is_closed = true;
    if (exchange->users > 0) {
        exchange_fail(exchange, ECANCELED);
        return;
    }
    exchange_end(exchange);
    free(exchange);
}

static void on_scope_end(void *arg)
{
    struct reeve_client_exchange *exchange = arg;

    log_warnx("an exchange with %s was left open (reeve_client_close)", exchange->ask.url.origin);
    let_go(exchange);
}

void reeve_client_close(reeve_client_exchange *exchange)
{
    int saved = errno;

    if (!exchange)
        return;
    reeve_scope_forget(exchange->hook);
    let_go(exchange);
    errno = saved;
}

/* ---- calls ---- */

/* One that reads and one that writes may be in it. `is_busy` is the flag of either. */
static int enter(struct reeve_client_exchange *exchange, bool *is_busy, const void *site)
{
    if (*is_busy)
        return fail(EBUSY);
    *is_busy = true;
    exchange->users++;
    exchange->site = site;
    return 0;
}

static void leave(struct reeve_client_exchange *exchange, bool *is_busy)
{
    int saved = errno;

    *is_busy = false;
    if (--exchange->users == 0 && exchange->is_closed)
        let_go(exchange);
    errno = saved;
}

static struct reeve_client_exchange *exchange_new(const reeve_client_request *request)
{
    struct reeve_client_exchange *exchange = calloc(1, sizeof *exchange);
    int error = exchange ? ask_init(&exchange->ask, request) : ENOMEM;

    if (!error) {
        exchange->hook = reeve_scope_on_end(on_scope_end, exchange);
        error = exchange->hook ? 0 : errno;
    }
    if (!error)
        return exchange;
    free(exchange);
    errno = error;
    return NULL;
}

int reeve_client_open(const reeve_client_request *request, reeve_client_exchange **exchange_out)
{
    struct reeve_client_exchange *exchange = exchange_new(request);

    if (!exchange)
        return -1;
    exchange->site = __builtin_return_address(0);
    if (exchange_begin(exchange, REEVE_FOREVER) == -1) {
        reeve_client_close(exchange);
        return -1;
    }
    *exchange_out = exchange;
    return 0;
}

int reeve_client_write(reeve_client_exchange *exchange, const void *data, size_t size)
{
    int result;

    if (enter(exchange, &exchange->is_writing, __builtin_return_address(0)) == -1)
        return -1;
    result = exchange_write(exchange, data, size);
    leave(exchange, &exchange->is_writing);
    return result;
}

int reeve_client_finish(reeve_client_exchange *exchange)
{
    int result;

    if (enter(exchange, &exchange->is_writing, __builtin_return_address(0)) == -1)
        return -1;
    result = exchange_finish(exchange);
    leave(exchange, &exchange->is_writing);
    return result;
}

int reeve_client_head(reeve_client_exchange *exchange, const reeve_client_response **response_out)
{
    int result;

    if (enter(exchange, &exchange->is_reading, __builtin_return_address(0)) == -1)
        return -1;
    result = exchange_head(exchange);
    if (result == 0) {
        if (response_out)
            *response_out = exchange->answer;
        result = exchange->answer->status;
    }
    leave(exchange, &exchange->is_reading);
    return result;
}

ssize_t reeve_client_read(reeve_client_exchange *exchange, void *buffer, size_t size)
{
    ssize_t result;

    if (enter(exchange, &exchange->is_reading, __builtin_return_address(0)) == -1)
        return -1;
    result = exchange_read(exchange, buffer, size);
    leave(exchange, &exchange->is_reading);
    return result;
}
