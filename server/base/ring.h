/* ring.h: a ring of records in shared memory, with one writer and any number of readers in other
 * processes.
 *
 * The writer never waits and knows nothing of the readers; each has a position of its own, and
 * whoever falls behind by more than the ring holds has lost what was overwritten, and is told. Both
 * sides may be killed at any instruction: what is half written is never seen, and the writer's
 * successor goes on where its published end is. A reader trusts nothing in there: the worst that a
 * torn or corrupt ring does is that records are missed. ring.c says why this is right. */
#ifndef BASE_RING_H
#define BASE_RING_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RING_LEAST   (UINT64_C(64) << 10) /* bytes, powers of two */
#define RING_MOST    (UINT64_C(256) << 20)
#define RING_DEFAULT (UINT64_C(1) << 20)

/* A Bloom filter of channels: what it has not is not in it, what it has may be. */
#define RING_FILTER_WORDS 8u
struct ring_filter {
    _Atomic uint64_t words[RING_FILTER_WORDS];
};

/* Of a slot: of the ring that its worker writes, and what others are told who write theirs. */
struct ring_head {
    /* Positions count all bytes that were ever written, and only grow. Written by the writer. */
    alignas(128) _Atomic uint64_t claimed; /* up to here bytes may be written at any time */
    _Atomic uint64_t published;            /* up to here records are whole */
    /* See base/bell.h. */
    alignas(128) _Atomic uint64_t rung; /* 1: its worker was woken, and has not begun to read */
    struct ring_filter wanted;          /* channels that its worker has subscribers of */
};

/* A ring as one process sees it. */
struct ring {
    struct ring_head *head;
    _Atomic uint64_t *words;
    uint64_t size; /* bytes: a power of two */
};

struct ring_record {
    const char *channel; /* for whoever reads: with a NUL behind it; of any bytes */
    size_t channel_length;
    const char *payload; /* likewise; aligned as for uint64_t */
    size_t payload_length;
    uint64_t hash; /* ring_hash() of the channel */
    uint16_t tag;  /* handed through */
};

/* After a slot's worker has gone: nobody there wants or waits for anything. Its ring stays. */
void ring_head_settle(struct ring_head *head);

/* Of a channel. The same in each build that shares a board. */
uint64_t ring_hash(const char *channel, size_t length);

void ring_filter_add(struct ring_filter *filter, uint64_t hash);
bool ring_filter_is_empty(const struct ring_filter *filter);

/* Three bits for each channel: with 50 channels in the filter it has two in a hundred others. */
#define RING_FILTER_BITS 3u

static inline unsigned ring_filter_bit(uint64_t hash, unsigned which)
{
    return (unsigned)(hash >> (which * 9)) % (RING_FILTER_WORDS * 64);
}

static inline bool ring_filter_has(const struct ring_filter *filter, uint64_t hash)
{
    for (unsigned i = 0; i < RING_FILTER_BITS; i++) {
        unsigned bit = ring_filter_bit(hash, i);
        uint64_t word = atomic_load_explicit(&filter->words[bit / 64], memory_order_relaxed);

        if ((word >> bit % 64 & 1) == 0)
            return false;
    }
    return true;
}

/* ---- writing ---- */

struct ring_writer {
    struct ring ring;
    uint64_t published, claimed; /* as in the head */
    uint64_t number;             /* of the last record */
};

/* Goes on where the one before has ended. Writes nothing yet. */
void ring_writer_open(struct ring_writer *writer, struct ring ring);

/* The record is there for all. -1: EMSGSIZE, with its frame it is more than ring_record_most(). */
int ring_publish(struct ring_writer *writer, const struct ring_record *record);

/* An eighth of the ring. */
static inline size_t ring_record_most(const struct ring *ring)
{
    return (size_t)(ring->size / 8);
}

/* ---- reading ---- */

struct ring_reader {
    struct ring ring;
    uint64_t at;     /* what is before has been read */
    uint64_t number; /* of the last record before it */
    uint64_t missed; /* after RING_MISSED: how many records, at least 1 */
};

/* Begins with what will be published from now on. */
void ring_reader_open(struct ring_reader *reader, struct ring ring);

enum ring_answer {
    RING_EMPTY,  /* no more now */
    RING_RECORD, /* the next one; in `scratch`, until that is used again */
    RING_MISSED, /* what was next has been overwritten: the reader is at the end again */
    RING_OTHERS, /* only records of channels that nobody wants so far: worth another call */
};

/* The next record, of those whose channel `wanted` has (NULL: of all). `scratch`: at least
 * ring_record_most() bytes, aligned as for uint64_t. Each call ends after a bounded time; but a
 * writer can be as fast as the reader, so whoever calls until RING_EMPTY should have a limit. */
enum ring_answer ring_next(struct ring_reader *reader, const struct ring_filter *wanted,
                           void *scratch, struct ring_record *record_out);

/* Whether there is something to read: one load. */
static inline bool ring_has_news(const struct ring_reader *reader)
{
    return atomic_load_explicit(&reader->ring.head->published, memory_order_relaxed) != reader->at;
}

#endif
