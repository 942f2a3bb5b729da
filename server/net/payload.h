/* payload.h: bytes that several connections have queued, counted by reference. For one thread. */
#ifndef NET_PAYLOAD_H
#define NET_PAYLOAD_H

#include <stddef.h>
#include <stdlib.h>

struct payload {
    size_t size;
    unsigned refs;
    char data[];
};

/* With room for `size` bytes, which the caller fills in; held once. NULL: memory has run out. */
static inline struct payload *payload_new(size_t size)
{
    struct payload *payload = malloc(sizeof *payload + size);

    if (payload)
        *payload = (struct payload){.size = size, .refs = 1};
    return payload;
}

static inline struct payload *payload_ref(struct payload *payload)
{
    payload->refs++;
    return payload;
}

static inline void payload_unref(struct payload *payload)
{
    if (payload && --payload->refs == 0)
        free(payload);
}

#endif
