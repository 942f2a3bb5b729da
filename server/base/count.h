/* count.h: a cell of the scoreboard. It has one writer, so its loads and stores compile to plain
 * moves; and they may stand in a signal handler. */
#ifndef BASE_COUNT_H
#define BASE_COUNT_H

#include <stdatomic.h>
#include <stdint.h>

/* A counter: only grows; or a gauge, where its comment says so. */
typedef _Atomic uint64_t board_count;

static inline void board_add(board_count *c, uint64_t n)
{
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n,
                          memory_order_relaxed);
}
static inline void board_sub(board_count *c, uint64_t n)
{
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) - n,
                          memory_order_relaxed);
}
static inline void board_set(board_count *c, uint64_t v)
{
    atomic_store_explicit(c, v, memory_order_relaxed);
}
static inline uint64_t board_get(const board_count *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

#endif
