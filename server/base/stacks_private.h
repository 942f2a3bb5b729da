/* stacks_private.h: how the file of stacks.h looks: a head, then records, each aligned to 8 bytes.
 * What one refers to, by its number among its kind, stands before it. */
#ifndef BASE_STACKS_PRIVATE_H
#define BASE_STACKS_PRIVATE_H

#include "base/stacks.h"

#define STACKS_MAGIC    0x316b636174736572u /* "restack1" */
#define STACKS_OBJECTS  256u
#define STACKS_NAME_MAX 1023u /* of an object or a path, without its end */
#define STACKS_SEALS    (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

struct stacks_head {
    uint64_t magic;
    uint64_t size; /* of the file */
    uint64_t left_out;
    uint32_t items, traces, objects, spare;
};

enum stacks_kind {
    STACKS_OBJECT = 1, /* its name */
    STACKS_TRACE,      /* struct stacks_calls, then its places */
    STACKS_CORO,       /* struct stacks_coro, then the path */
};

struct stacks_record {
    uint32_t kind, size; /* of all of it, the padding included */
};

struct stacks_calls {
    uint32_t count, depth;
};

struct stacks_place {
    uint32_t object, spare; /* an object that there is not: none */
    uint64_t offset, function;
};

struct stacks_coro {
    uint64_t id, generation, begun_at, waits_since;
    uint32_t app, kind, method, call, trace, spare;
};

#endif
