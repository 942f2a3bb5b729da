/* reeve/shared.h: bytes that many connections send without each of them having a copy.
 *
 * A message to a thousand WebSockets is framed, and compressed, once. Since 1.3, all of it. None of
 * these calls suspends. */
#ifndef REEVE_SHARED_H
#define REEVE_SHARED_H

#include <reeve/app.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct reeve_shared reeve_shared;

/* A copy of `size` bytes, which is the caller's to release. What is still to be sent of it holds it
 * besides, so it may be released as soon as it was given to all. NULL: ENOMEM. */
REEVE_API reeve_shared *reeve_shared_new(const void *data, size_t size);
REEVE_API reeve_shared *reeve_shared_hold(reeve_shared *shared);
REEVE_API void reeve_shared_release(reeve_shared *shared); /* NULL: nothing */

REEVE_API const void *reeve_shared_data(const reeve_shared *shared, size_t *size_out);

#ifdef __cplusplus
}
#endif
#endif
