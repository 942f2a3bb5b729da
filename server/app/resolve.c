/* resolve.c: getaddrinfo in a thread, and connecting by name.
 *
 * A resolver may take its time, and is not waited for past the limit. So what it works with is a
 * copy of its own, and a lookup that was left alone is thrown away when it comes back: nothing of
 * the application is in it. */
#include "app/resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <reeve/async.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "app/descriptors.h"
#include "app/offload.h"
#include "app/strand.h"
#include "base/clock.h"
#include "base/holder.h"
#include "runtime/coro.h"
#include "runtime/threads.h"

/* The longest that are looked up: a name of the DNS has 253 bytes at most. */
#define NODE_MOST    1025
#define SERVICE_MOST 32

/* Where a name has several addresses each gets its share of the time, but no less than this. */
#define SHARE_LEAST (2 * NS_PER_SEC)

static int fail(int error)
{
    errno = error;
    return -1;
}

/* ---- one lookup ---- */

struct lookup {
    struct thread_work work; /* first: it is found by it */
    char node[NODE_MOST], service[SERVICE_MOST];
    bool has_node, has_service;
    struct addrinfo hints, *result;
    int status, error;
    struct coro *coro; /* that waits; NULL: nobody does any more */
    bool is_done;
};

/* In a thread. */
static void run(struct thread_work *work)
{
    struct lookup *lookup = (struct lookup *)work;

    lookup->status =
        getaddrinfo(lookup->has_node ? lookup->node : NULL,
                    lookup->has_service ? lookup->service : NULL, &lookup->hints, &lookup->result);
    lookup->error = errno;
}

static void lookup_free(struct lookup *lookup)
{
    if (lookup->result)
        freeaddrinfo(lookup->result);
    free(lookup);
}

static void done(struct thread_work *work)
{
    struct lookup *lookup = (struct lookup *)work;

    lookup->is_done = true;
    if (lookup->coro)
        coro_wake(lookup->coro, 0);
    else
        lookup_free(lookup);
}

static bool copy(char *to, size_t size, const char *from, bool *is_given_out)
{
    *is_given_out = from != NULL;
    return !from || (size_t)snprintf(to, size, "%s", from) < size;
}

/* NULL with *status_out, of getaddrinfo. */
static struct lookup *lookup_new(const char *node, const char *service,
                                 const struct addrinfo *hints, int *status_out)
{
    struct lookup *lookup = calloc(1, sizeof *lookup);

    *status_out = EAI_MEMORY;
    if (!lookup)
        return NULL;
    *status_out = EAI_NONAME;
    if (!copy(lookup->node, sizeof lookup->node, node, &lookup->has_node) ||
        !copy(lookup->service, sizeof lookup->service, service, &lookup->has_service)) {
        free(lookup);
        return NULL;
    }
    lookup->work = (struct thread_work){.kind = THREAD_LOOKUP, .run = run, .done = done};
    lookup->hints.ai_flags = hints ? hints->ai_flags : AI_V4MAPPED | AI_ADDRCONFIG;
    if (hints) {
        lookup->hints.ai_family = hints->ai_family;
        lookup->hints.ai_socktype = hints->ai_socktype;
        lookup->hints.ai_protocol = hints->ai_protocol;
    }
    lookup->coro = coro_current();
    return lookup;
}

/* What is queued is gone at once; what runs is thrown away by `done`. */
static void abandon(struct lookup *lookup)
{
    lookup->coro = NULL;
    if (threads_take_back(&lookup->work))
        lookup_free(lookup);
}

static int take_result(struct lookup *lookup, struct addrinfo **result_out)
{
    int status = lookup->status;

    *result_out = lookup->result;
    lookup->result = NULL;
    errno = lookup->error;
    lookup_free(lookup);
    return status;
}

static int system_error(int error)
{
    errno = error;
    return EAI_SYSTEM;
}

int resolve(const struct strand *strand, const char *node, const char *service,
            const struct addrinfo *hints, uint64_t deadline, struct addrinfo **result_out)
{
    uint64_t left = deadline_left(deadline);
    int reason = coro_cancelled(coro_current()), status;
    struct lookup *lookup;

    if (reason || left == 0)
        return system_error(reason ? reason : ETIMEDOUT);
    lookup = lookup_new(node, service, hints, &status);
    if (!lookup)
        return status;
    if (offload_begin(strand, &lookup->work) == -1) {
        free(lookup);
        return system_error(EAGAIN);
    }
    reason = coro_wait_for("getaddrinfo", left);
    if (lookup->is_done)
        return take_result(lookup, result_out);
    abandon(lookup);
    return system_error(reason);
}

int reeve_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                      struct addrinfo **result_out, double seconds)
{
    const struct strand *strand = strand_current();

    if (!strand)
        return EAI_SYSTEM;
    coro_note(CALL_GETADDRINFO, __builtin_return_address(0));
    return resolve(strand, node, service, hints, deadline_after(seconds), result_out);
}

/* ---- connecting by name ---- */

static int connect_unix(const struct strand *strand, const char *path, uint64_t deadline)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);

    if (length == 0)
        return fail(EINVAL);
    if (length >= sizeof address.sun_path)
        return fail(ENAMETOOLONG);
    memcpy(address.sun_path, path, length);
    return descriptor_connect(strand, (const struct sockaddr *)&address,
                              (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1),
                              deadline);
}

/* ... in digits; false: it is a service's name, or wrong. */
static bool parse_port(const char *service, in_port_t *port_out)
{
    unsigned long port = 0;

    if (!service || !*service)
        return false;
    for (const char *c = service; *c; c++) {
        if (*c < '0' || *c > '9')
            return false;
        port = port * 10 + (unsigned long)(*c - '0');
        if (port > 65535)
            return false;
    }
    *port_out = htons((uint16_t)port);
    return true;
}

/* What needs no looking up, and so no thread. */
static socklen_t parse_address(const char *host, const char *service,
                               struct sockaddr_storage *address_out)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)address_out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address_out;
    in_port_t port;

    memset(address_out, 0, sizeof *address_out);
    if (!parse_port(service, &port))
        return 0;
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = port;
        return sizeof *v4;
    }
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = port;
        return sizeof *v6;
    }
    return 0;
}

static unsigned count(const struct addrinfo *list)
{
    unsigned n = 0;

    for (; list; list = list->ai_next)
        n++;
    return n;
}

/* An address that does not answer at all must leave some of the time to the others. */
static uint64_t share_of(uint64_t deadline, unsigned remaining)
{
    uint64_t left = deadline_left(deadline), share;

    if (left == CORO_FOREVER || remaining <= 1)
        return deadline;
    share = left / remaining;
    if (share < SHARE_LEAST)
        share = left < SHARE_LEAST ? left : SHARE_LEAST;
    return clock_ns() + share;
}

static int connect_first(const struct strand *strand, const struct addrinfo *list,
                         uint64_t deadline)
{
    int fd = fail(EHOSTUNREACH), reason;

    for (; list && fd == -1; list = list->ai_next) {
        reason = coro_cancelled(coro_current());
        if (reason)
            return fail(reason);
        fd = descriptor_connect(strand, list->ai_addr, list->ai_addrlen,
                                share_of(deadline, count(list)));
    }
    return fd;
}

static int error_of(int status)
{
    switch (status) {
    case EAI_SYSTEM:
        return errno;
    case EAI_MEMORY:
        return ENOMEM;
    case EAI_SERVICE:
        return EINVAL;
    default:
        return EHOSTUNREACH;
    }
}

static int connect_name(const struct strand *strand, const char *host, const char *service,
                        uint64_t deadline)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *list;
    int status = resolve(strand, host, service, &hints, deadline, &list), fd, saved;

    if (status)
        return fail(error_of(status));
    fd = connect_first(strand, list, deadline);
    saved = errno;
    freeaddrinfo(list);
    errno = saved;
    return fd;
}

int resolve_and_connect(const struct strand *strand, const char *host, const char *service,
                        uint64_t deadline)
{
    struct sockaddr_storage address;
    socklen_t length;

    if (!host) {
        errno = EINVAL;
        return -1;
    }
    if (strncmp(host, "unix:", 5) == 0)
        return connect_unix(strand, host + 5, deadline);
    length = parse_address(host, service, &address);
    if (length > 0)
        return descriptor_connect(strand, (const struct sockaddr *)&address, length, deadline);
    return connect_name(strand, host, service, deadline);
}

int reeve_connect(const char *host, const char *service, double seconds)
{
    const struct strand *strand = strand_current();

    if (!strand)
        return -1;
    coro_note(CALL_CONNECT, __builtin_return_address(0));
    return resolve_and_connect(strand, host, service, deadline_after(seconds));
}
