/* buckets.c: token buckets in one block of memory: a hash table of chains, and a list by last use.
 *
 * A bucket knows its key by a hash of 64 bits only, SipHash with a secret of this table: nobody who
 * chooses keys can make two of them meet. */
#include "web/buckets.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>

struct bucket {
    LIST_ENTRY(bucket) chain;
    TAILQ_ENTRY(bucket) use;
    uint64_t hash;
    double tokens; /* at `at` */
    double at;
};

LIST_HEAD(chain, bucket);

struct buckets {
    double rate, burst;
    unsigned count, used;
    unsigned mask; /* of the chains */
    uint64_t secret[2];
    TAILQ_HEAD(use_list, bucket) by_use; /* the last one used comes first */
    struct chain *chains;
    struct bucket buckets[];
};

/* ---- SipHash-2-4 ---- */

static uint64_t rotate(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

static void mix(uint64_t v[4], unsigned rounds)
{
    while (rounds-- > 0) {
        v[0] += v[1];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[0] = rotate(v[0], 32);
        v[2] += v[3];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[2] = rotate(v[2], 32);
    }
}

static uint64_t hash_of(const uint64_t secret[2], const char *key)
{
    size_t length = strlen(key), at = 0;
    uint64_t v[4] = {secret[0] ^ 0x736f6d6570736575u, secret[1] ^ 0x646f72616e646f6du,
                     secret[0] ^ 0x6c7967656e657261u, secret[1] ^ 0x7465646279746573u};
    uint64_t word;

    do {
        size_t size = length - at < 8 ? length - at : 8;

        word = 0;
        memcpy(&word, key + at, size);
        if (size < 8) /* the last one */
            word |= (uint64_t)length << 56;
        v[3] ^= word;
        mix(v, 2);
        v[0] ^= word;
        at += 8;
    } while (at <= length);
    v[2] ^= 0xff;
    mix(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* ---- the table ---- */

static unsigned chains_for(unsigned keys)
{
    unsigned chains = 1;

    while (chains < keys)
        chains *= 2;
    return chains;
}

struct buckets *buckets_new(unsigned keys, double rate, unsigned burst)
{
    unsigned chains = chains_for(keys);
    struct buckets *buckets = calloc(1, sizeof *buckets + keys * sizeof(struct bucket));

    if (!buckets)
        return NULL;
    buckets->chains = calloc(chains, sizeof *buckets->chains);
    if (!buckets->chains ||
        getrandom(buckets->secret, sizeof buckets->secret, 0) != sizeof buckets->secret) {
        buckets_free(buckets);
        return NULL;
    }
    buckets->rate = rate;
    buckets->burst = burst;
    buckets->count = keys;
    buckets->mask = chains - 1;
    TAILQ_INIT(&buckets->by_use);
    return buckets;
}

void buckets_free(struct buckets *buckets)
{
    free(buckets->chains);
    free(buckets);
}

/* A new one, or the one that was not used for the longest time, full. */
static struct bucket *take_bucket(struct buckets *buckets, uint64_t hash, double now)
{
    struct bucket *bucket;

    if (buckets->used < buckets->count) {
        bucket = &buckets->buckets[buckets->used++];
    } else {
        bucket = TAILQ_LAST(&buckets->by_use, use_list);
        LIST_REMOVE(bucket, chain);
        TAILQ_REMOVE(&buckets->by_use, bucket, use);
    }
    bucket->hash = hash;
    bucket->tokens = buckets->burst;
    bucket->at = now;
    LIST_INSERT_HEAD(&buckets->chains[hash & buckets->mask], bucket, chain);
    return bucket;
}

static struct bucket *find_bucket(struct buckets *buckets, uint64_t hash, double now)
{
    struct bucket *bucket;

    LIST_FOREACH (bucket, &buckets->chains[hash & buckets->mask], chain)
        if (bucket->hash == hash) {
            TAILQ_REMOVE(&buckets->by_use, bucket, use);
            return bucket;
        }
    return take_bucket(buckets, hash, now);
}

struct buckets_answer buckets_take(struct buckets *buckets, const char *key, double now)
{
    struct bucket *bucket = find_bucket(buckets, hash_of(buckets->secret, key), now);
    struct buckets_answer answer = {.is_granted = false};

    TAILQ_INSERT_HEAD(&buckets->by_use, bucket, use);
    bucket->tokens += (now - bucket->at) * buckets->rate;
    bucket->at = now;
    if (bucket->tokens > buckets->burst)
        bucket->tokens = buckets->burst;
    if (bucket->tokens >= 1) {
        bucket->tokens -= 1;
        answer.is_granted = true;
    } else {
        answer.seconds = (1 - bucket->tokens) / buckets->rate;
    }
    answer.remaining = (unsigned)bucket->tokens;
    answer.until_is_full = (buckets->burst - bucket->tokens) / buckets->rate;
    return answer;
}
