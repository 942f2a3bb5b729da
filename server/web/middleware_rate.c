/* middleware_rate.c: a rate limit for each client, by token buckets. Each worker counts for itself. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "web/buckets.h"
#include "web/middleware.h"

#define KEYS_USUAL 10000
#define KEYS_MOST  10000000
/* Nobody has to be told to wait for longer. */
#define WAIT_MOST 1e9

struct rate_limit {
    struct middleware common;
    struct buckets *buckets;
    unsigned burst;
    bool tells;
    const char *(*key)(reeve_environ *environ, void *arg);
    void *arg;
};

static double now(void)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

/* Whoever has one IPv6 address has 2^64 of them. */
static const char *address_of(const reeve_environ *environ, char text[INET6_ADDRSTRLEN])
{
    const char *address = reeve_environ_get(environ, "REMOTE_ADDR");
    struct in6_addr bits;

    if (!address || !strchr(address, ':') || inet_pton(AF_INET6, address, &bits) != 1 ||
        IN6_IS_ADDR_V4MAPPED(&bits))
        return address;
    memset(bits.s6_addr + 8, 0, 8);
    return inet_ntop(AF_INET6, &bits, text, INET6_ADDRSTRLEN);
}

static unsigned long rounded_up(double number)
{
    unsigned long whole = (unsigned long)number;

    return whole + (number > (double)whole);
}

static const char *seconds_text(reeve_environ *environ, double seconds)
{
    return reeve_printf(environ, "%lu", rounded_up(seconds < WAIT_MOST ? seconds : WAIT_MOST));
}

/* RateLimit-*, and Retry-After for one that has to wait. */
static reeve_header *headers_of(reeve_environ *environ, const struct rate_limit *limit,
                                const struct buckets_answer *answer)
{
    reeve_header *headers = reeve_alloc(environ, 5 * sizeof *headers);

    if (!headers)
        return NULL;
    headers[0] = (reeve_header){"RateLimit-Limit", reeve_printf(environ, "%u", limit->burst)};
    headers[1] =
        (reeve_header){"RateLimit-Remaining", reeve_printf(environ, "%u", answer->remaining)};
    headers[2] = (reeve_header){"RateLimit-Reset", seconds_text(environ, answer->until_is_full)};
    headers[3] = (reeve_header){.name = NULL};
    if (!answer->is_granted)
        headers[3] = (reeve_header){"Retry-After", seconds_text(environ, answer->seconds)};
    headers[4] = (reeve_header){.name = NULL};
    for (reeve_header *header = headers; header->name; header++)
        if (!header->value)
            return NULL;
    return headers;
}

static int call(reeve_environ *environ, reeve_start_response *start_response, reeve_next *next,
                void *state)
{
    const struct rate_limit *limit = state;
    char address[INET6_ADDRSTRLEN];
    const char *key = limit->key ? limit->key(environ, limit->arg) : address_of(environ, address);
    struct buckets_answer answer;
    const reeve_header *headers;

    if (!key)
        return reeve_next_call(next, environ, start_response);
    answer = buckets_take(limit->buckets, key, now());
    headers =
        limit->tells || !answer.is_granted ? headers_of(environ, limit, &answer) : REEVE_NO_HEADERS;
    if (!headers)
        return -1;
    if (!answer.is_granted)
        return middleware_answer(environ, start_response, "429 Too Many Requests", headers);
    if (limit->tells &&
        middleware_change_headers(environ, &(struct header_changes){.set = headers}) == -1)
        return -1;
    return reeve_next_call(next, environ, start_response);
}

static void free_rate_limit(void *state)
{
    struct rate_limit *limit = state;

    buckets_free(limit->buckets);
    free(limit);
}

static int check(reeve_module *module, const reeve_rate_limit *options)
{
    if (!(options->rate > 0 && options->rate <= 1e9)) /* NaN too */
        return middleware_refuse(module, "rate limit: rate has to be more than 0");
    if (options->keys > KEYS_MOST)
        return middleware_refuse(module, "rate limit: keys is at most %d", KEYS_MOST);
    return 0;
}

int reeve_rate_limit_new(reeve_module *module, const reeve_rate_limit *options,
                         reeve_middleware *middleware_out)
{
    struct rate_limit *limit;

    if (check(module, options) == -1)
        return -1;
    limit = calloc(1, sizeof *limit);
    if (!limit)
        return middleware_out_of_memory(module);
    *limit = (struct rate_limit){
        .common = {free_rate_limit},
        .burst = options->burst ? options->burst : (unsigned)rounded_up(options->rate),
        .tells = options->tell,
        .key = options->key,
        .arg = options->arg,
    };
    limit->buckets =
        buckets_new(options->keys ? options->keys : KEYS_USUAL, options->rate, limit->burst);
    if (!limit->buckets) {
        free(limit);
        return middleware_out_of_memory(module);
    }
    *middleware_out = (reeve_middleware){.call = call, .state = limit};
    return 0;
}
