/* websocket_terms.c: what an application's protocol says, completed by the defaults. WebSockets of the
 * same protocol share it; it knows none of them. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "app/strand.h"
#include "live/websocket_private.h"

#define MAX_MESSAGE   (1u << 20)
#define MAX_OUTPUT    (1u << 20)
#define HIGH_WATER    (64u << 10)
#define LOW_WATER     (16u << 10)
#define PING_INTERVAL 30.0
#define CLOSE_TIMEOUT 5.0

static LIST_HEAD(, websocket_terms) all;

static void fill_in(reeve_websocket_protocol *protocol)
{
    if (protocol->max_message == 0)
        protocol->max_message = MAX_MESSAGE;
    if (protocol->max_output == 0)
        protocol->max_output = MAX_OUTPUT;
    if (protocol->high_water == 0)
        protocol->high_water = HIGH_WATER;
    if (protocol->low_water == 0)
        protocol->low_water = LOW_WATER;
    if (protocol->low_water > protocol->high_water)
        protocol->low_water = protocol->high_water;
    if (!(protocol->ping_interval > 0) && !(protocol->ping_interval < 0)) /* NaN too */
        protocol->ping_interval = PING_INTERVAL;
    if (!(protocol->close_timeout > 0))
        protocol->close_timeout = CLOSE_TIMEOUT;
}

/* The module's may be an older, shorter one. */
static int copy(reeve_websocket_protocol *full, const reeve_websocket_protocol *given)
{
    memset(full, 0, sizeof *full);
    if (given) {
        if (given->size < offsetof(reeve_websocket_protocol, max_message) ||
            given->size > sizeof *given || !given->name || !*given->name)
            return -1;
        memcpy(full, given, given->size);
    }
    full->size = sizeof *full;
    fill_in(full);
    return 0;
}

static struct websocket_terms *new_terms(const reeve_websocket_protocol *full)
{
    struct websocket_terms *terms = calloc(1, sizeof *terms);

    if (!terms)
        return NULL;
    memcpy(&terms->protocol, full, sizeof *full);
    terms->ping_ns = full->ping_interval < 0 ? 0 : strand_limit(full->ping_interval);
    terms->close_ns = strand_limit(full->close_timeout);
    LIST_INSERT_HEAD(&all, terms, entry);
    return terms;
}

struct websocket_terms *terms_of(const reeve_websocket_protocol *protocol)
{
    struct websocket_terms *terms;
    reeve_websocket_protocol full;

    if (copy(&full, protocol) == -1) {
        errno = EINVAL;
        return NULL;
    }
    LIST_FOREACH (terms, &all, entry)
        if (memcmp(&terms->protocol, &full, sizeof full) == 0)
            return terms_ref(terms);
    terms = new_terms(&full);
    if (terms)
        return terms_ref(terms);
    errno = ENOMEM;
    return NULL;
}

struct websocket_terms *terms_ref(struct websocket_terms *terms)
{
    terms->refs++;
    return terms;
}

void terms_unref(struct websocket_terms *terms)
{
    if (!terms || --terms->refs > 0)
        return;
    LIST_REMOVE(terms, entry);
    free(terms);
}
