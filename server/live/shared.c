/* shared.c: see shared.h and reeve/shared.h. The forms besides the first are made by those whose they
 * are. */
#include "live/shared.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

reeve_shared *reeve_shared_new(const void *data, size_t size)
{
    reeve_shared *shared = calloc(1, sizeof *shared);
    /* With a NUL behind it, as all that is delivered has. */
    struct payload *payload = size < SIZE_MAX / 2 ? payload_new(size + 1) : NULL;

    if (!shared || !payload) {
        free(shared);
        payload_unref(payload);
        errno = ENOMEM;
        return NULL;
    }
    if (size > 0)
        memcpy(payload->data, data, size);
    payload->data[size] = '\0';
    payload->size = size;
    shared->refs = 1;
    shared->forms[SHARED_BYTES] = payload;
    return shared;
}

reeve_shared *reeve_shared_hold(reeve_shared *shared)
{
    shared->refs++;
    return shared;
}

void reeve_shared_release(reeve_shared *shared)
{
    if (!shared || --shared->refs > 0)
        return;
    for (unsigned i = 0; i < SHARED_FORMS; i++)
        payload_unref(shared->forms[i]);
    free(shared);
}

const void *reeve_shared_data(const reeve_shared *shared, size_t *size_out)
{
    const struct payload *payload = shared->forms[SHARED_BYTES];

    *size_out = payload->size;
    return payload->data;
}
