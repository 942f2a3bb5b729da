/* buckets.h: token buckets for many keys in bounded memory: the one that was not used for the
 * longest time is forgotten for a new one. The clock is the caller's. */
#ifndef WEB_BUCKETS_H
#define WEB_BUCKETS_H

#include <stdbool.h>
#include <stdint.h>

struct buckets;

/* What became of one token that was asked for. */
struct buckets_answer {
    bool is_granted;
    unsigned remaining;   /* whole tokens that are left */
    double seconds;       /* until there is one, when it was not granted */
    double until_is_full; /* seconds */
};

/* `keys` buckets of `burst` tokens, refilled at `rate` a second. NULL: ENOMEM. */
struct buckets *buckets_new(unsigned keys, double rate, unsigned burst);
void buckets_free(struct buckets *buckets);
/* Takes one token for the key. `now` in seconds, never going back. */
struct buckets_answer buckets_take(struct buckets *buckets, const char *key, double now);

#endif
