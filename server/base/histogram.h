/* histogram.h: how long things took, in 528 buckets of 6.25% width.
 *
 * Values are nanoseconds in steps of 64: the first 16 buckets are linear (up to 1,024 ns), then 16
 * a power of two up to 73 minutes; what is longer counts in the last. One process writes, any may
 * read: counts are relaxed atomics, there is no _count: derive it from the buckets. */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_SHIFT   6
#define HISTOGRAM_OCTAVES 32
#define HISTOGRAM_BUCKETS (16 + 16 * HISTOGRAM_OCTAVES)

struct histogram {
    _Atomic uint64_t sum; /* ns */
    _Atomic uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* A private copy that several can be added into. */
struct histogram_sum {
    uint64_t count;
    uint64_t sum; /* ns */
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

static inline unsigned histogram_bucket(uint64_t ns)
{
    uint64_t v = ns >> HISTOGRAM_SHIFT;
    unsigned octave;

    if (v < 16)
        return (unsigned)v;
    octave = 59u - (unsigned)__builtin_clzll(v); /* 16..31 is octave 0 */
    if (octave >= HISTOGRAM_OCTAVES)
        return HISTOGRAM_BUCKETS - 1;
    return 16 + octave * 16 + (unsigned)((v >> octave) & 15);
}

static inline void histogram_record(struct histogram *h, uint64_t ns)
{
    _Atomic uint64_t *b = &h->buckets[histogram_bucket(ns)];

    atomic_store_explicit(b, atomic_load_explicit(b, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    atomic_store_explicit(&h->sum, atomic_load_explicit(&h->sum, memory_order_relaxed) + ns,
                          memory_order_relaxed);
}

/* The first nanosecond that is past bucket i: its upper bound; UINT64_MAX for the last, which has
 * none. */
uint64_t histogram_bound(unsigned i);
void histogram_add(struct histogram_sum *into, const struct histogram *from);
/* The value (ns) below which the share q (0..1) of what was recorded lies, at most 6.25% (or 64 ns)
 * too high; 0 when nothing was recorded. Where that is the last bucket: what it is at least. */
uint64_t histogram_quantile(const struct histogram_sum *h, double q);
/* How many values were at most `ns`: for cumulative buckets. The bucket that `ns` lies in counts
 * whole. */
uint64_t histogram_count_below(const struct histogram_sum *h, uint64_t ns);

#endif
