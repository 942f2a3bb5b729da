/* histogram.c: reading a histogram: bounds, sums, quantiles.
 *
 * Recording is inline in the header. Nothing here is exact below a bucket's width, and nothing
 * pretends to be. */
#include "base/histogram.h"

#define LAST (HISTOGRAM_BUCKETS - 1)

uint64_t histogram_bound(unsigned i)
{
    unsigned octave, step;

    if (i < 16)
        return (uint64_t)(i + 1) << HISTOGRAM_SHIFT;
    if (i >= LAST)
        return UINT64_MAX; /* it also holds whatever was too long for the others */
    octave = (i - 16) / 16;
    step = (i - 16) % 16;
    return (uint64_t)(16 + step + 1) << (octave + HISTOGRAM_SHIFT);
}

void histogram_add(struct histogram_sum *into, const struct histogram *from)
{
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t n = atomic_load_explicit(&from->buckets[i], memory_order_relaxed);

        into->buckets[i] += n;
        into->count += n;
    }
    into->sum += atomic_load_explicit(&from->sum, memory_order_relaxed);
}

/* Which one is it, from 1 to count, that stands at the share q of them all? */
static uint64_t rank_of(uint64_t count, double q)
{
    double wanted = q * (double)count;
    uint64_t rank;

    if (!(wanted > 0)) /* also for a q that is not a number */
        return 1;
    if (wanted >= (double)count)
        return count;
    rank = (uint64_t)wanted;
    if ((double)rank < wanted)
        rank++;
    return rank;
}

uint64_t histogram_quantile(const struct histogram_sum *h, double q)
{
    uint64_t rank, seen = 0;

    if (h->count == 0)
        return 0;
    rank = rank_of(h->count, q);
    for (unsigned i = 0; i < LAST; i++) {
        seen += h->buckets[i];
        if (seen >= rank)
            return histogram_bound(i);
    }
    return histogram_bound(LAST - 1); /* the last has no bound; this much it was at least */
}

uint64_t histogram_count_below(const struct histogram_sum *h, uint64_t ns)
{
    unsigned last = histogram_bucket(ns);
    uint64_t count = 0;

    for (unsigned i = 0; i <= last; i++)
        count += h->buckets[i];
    return count;
}
