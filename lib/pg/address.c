/* address.c: looks up the hosts of a conninfo off the loop, and gives libpq their addresses: all of
 * each host's, in its order, as it would have tried them. */
#include "private.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#define MOST 16 /* addresses in all */

/* The i-th part of a list with commas; the only one of a list of one. NULL: there is none. */
static char *part(const char *list, size_t i)
{
    const char *end;

    if (!list)
        return NULL;
    if (!strchr(list, ','))
        return strdup(list);
    for (; i > 0; i--) {
        list = strchr(list, ',');
        if (!list)
            return NULL;
        list++;
    }
    end = strchr(list, ',');
    return end ? strndup(list, (size_t)(end - list)) : strdup(list);
}

static size_t parts(const char *list)
{
    size_t count = 1;

    for (; *list; list++)
        count += *list == ',';
    return count;
}

/* "a" and "b" make "a,b". */
static int append(char **list, const char *text, size_t before)
{
    size_t length = *list ? strlen(*list) : 0, more = strlen(text);
    char *grown = realloc(*list, length + more + 2);

    if (!grown)
        return -1;
    *list = grown;
    if (before > 0)
        grown[length++] = ',';
    memcpy(grown + length, text, more + 1);
    return 0;
}

static int add(struct addresses *out, size_t *count, const char *host, const char *address,
               const char *port)
{
    if (*count >= MOST)
        return 0;
    if (append(&out->hosts, host, *count) == -1 || append(&out->addresses, address, *count) == -1 ||
        append(&out->ports, port ? port : "", *count) == -1) {
        errno = ENOMEM;
        return -1;
    }
    (*count)++;
    return 0;
}

static int add_all(struct addresses *out, size_t *count, const char *host,
                   const struct addrinfo *info, const char *port)
{
    char address[NI_MAXHOST];

    for (; info; info = info->ai_next)
        if (getnameinfo(info->ai_addr, info->ai_addrlen, address, sizeof address, NULL, 0,
                        NI_NUMERICHOST) == 0 &&
            add(out, count, host, address, port) == -1)
            return -1;
    return 0;
}

/* One that is not known is left out, as long as there are others. -1: a wait has failed. */
static int find_host(struct addresses *out, size_t *count, const char *host, const char *port)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *info;
    int result;

    if (host[0] == '\0' || host[0] == '/' || host[0] == '@') /* a Unix socket */
        return add(out, count, host, "", port);
    result = reeve_getaddrinfo(host, NULL, &hints, &info, REEVE_FOREVER);
    if (result == EAI_SYSTEM && (errno == ECANCELED || errno == ETIMEDOUT))
        return -1;
    if (result != 0)
        return 0;
    result = add_all(out, count, host, info, port);
    freeaddrinfo(info);
    return result;
}

static int unknown(const reeve_pg *pg)
{
    ((reeve_pg *)(uintptr_t)pg)->connect_error =
        (reeve_pg_error){.kind = REEVE_PG_UNAVAILABLE,
                         .code = EHOSTUNREACH,
                         .message = "the name of its host is not known"};
    errno = EHOSTUNREACH;
    return -1;
}

int addresses_find(const reeve_pg *pg, struct addresses *out)
{
    size_t count = 0, hosts;
    int result = 0;

    *out = (struct addresses){0};
    if (pg->has_hostaddr || !pg->host || pg->host[0] == '\0')
        return 0;
    hosts = parts(pg->host);
    for (size_t i = 0; i < hosts && result == 0; i++) {
        char *host = part(pg->host, i), *port = part(pg->port, i);

        result = host ? find_host(out, &count, host, port) : -1;
        free(host);
        free(port);
    }
    if (result == 0 && count > 0)
        return 0;
    addresses_free(out);
    return result == -1 ? -1 : unknown(pg);
}

void addresses_free(struct addresses *addresses)
{
    free(addresses->hosts);
    free(addresses->addresses);
    free(addresses->ports);
    *addresses = (struct addresses){0};
}
