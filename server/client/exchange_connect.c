/* exchange_connect.c: from a name to a connection: each of its addresses in turn. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/holder.h"
#include "client/exchange.h"
#include "client/origin.h"
#include "runtime/coro.h"

/* Without a descriptor for it an idle connection has to go. */
static int connect_to(struct reeve_client_exchange *exchange, const struct sockaddr *address,
                      socklen_t length, uint64_t ns)
{
    int error;

    do
        error = wire_connect(exchange->wire, origin_base(), address, length,
                             exchange_time(exchange, ns));
    while ((error == EMFILE || error == ENFILE) && origin_spare_one());
    return error;
}

static int connect_unix(struct reeve_client_exchange *exchange, uint64_t ns)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    memcpy(address.sun_path, exchange->ask.url.path, sizeof address.sun_path);
    return connect_to(exchange, (const struct sockaddr *)&address, sizeof address, ns);
}

/* An address in figures needs no lookup. */
static socklen_t numeric_address(const struct url *url, struct sockaddr_storage *storage)
{
    in_port_t port = htons((uint16_t)strtoul(url->port, NULL, 10));
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)storage;
    struct sockaddr_in *in = (struct sockaddr_in *)storage;

    memset(storage, 0, sizeof *storage);
    if (inet_pton(AF_INET, url->host, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = port;
        return sizeof *in;
    }
    if (inet_pton(AF_INET6, url->host, &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = port;
        return sizeof *in6;
    }
    return 0;
}

static int lookup_error(int result)
{
    switch (result) {
    case EAI_SYSTEM:
        return errno;
    case EAI_MEMORY:
        return ENOMEM;
    default:
        return EHOSTUNREACH;
    }
}

static uint64_t left_until(uint64_t end)
{
    uint64_t now = clock_ns();

    return end == CORO_FOREVER ? end : now < end ? end - now : 0;
}

static int connect_name(struct reeve_client_exchange *exchange, uint64_t ns)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    const struct url *url = &exchange->ask.url;
    uint64_t end = ns == CORO_FOREVER ? ns : clock_ns() + ns;
    struct addrinfo *list, *at;
    double seconds = ns == CORO_FOREVER ? REEVE_FOREVER : (double)ns / (double)NS_PER_SEC;
    int error = reeve_getaddrinfo(url->host, url->port, &hints, &list, seconds);

    if (error)
        return lookup_error(error);
    coro_note(CALL_CLIENT, exchange->site);
    error = EHOSTUNREACH;
    for (at = list; at && error && !coro_cancelled(coro_current()); at = at->ai_next) {
        ns = left_until(end);
        if (at->ai_next && ns != CORO_FOREVER) /* one that is silent leaves time for the others */
            ns /= 2;
        error = connect_to(exchange, at->ai_addr, at->ai_addrlen, ns);
    }
    freeaddrinfo(list);
    return error;
}

int exchange_connect(struct reeve_client_exchange *exchange)
{
    uint64_t ns = exchange_time(exchange, exchange->limits.connect);
    struct sockaddr_storage address;
    socklen_t length;

    if (exchange->ask.url.is_unix)
        return connect_unix(exchange, ns);
    length = numeric_address(&exchange->ask.url, &address);
    if (length > 0)
        return connect_to(exchange, (const struct sockaddr *)&address, length, ns);
    return connect_name(exchange, ns);
}
