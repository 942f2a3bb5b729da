/* client.c: opens and closes the client, and its limits. */
#include "client/client.h"

#include <errno.h>
#include <reeve/client.h>

#include "client/origin.h"
#include "client/url.h"

int client_open(struct event_base *base)
{
    return origin_open(base);
}

void client_drain(void)
{
    origin_drain();
}

void client_close(void)
{
    origin_close();
}

int reeve_client_limit(const char *url, unsigned connections, unsigned idle)
{
    struct url parsed;
    int error = url_parse(url, &parsed);

    if (error) {
        errno = error;
        return -1;
    }
    return origin_limit(parsed.origin, connections, idle);
}
