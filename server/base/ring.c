/* ring.c: see ring.h. Never waits, allocates nothing, and looks at no word beyond the ring,
 * whatever stands in it.
 *
 * A record is a frame around two texts, each in words of 8 bytes and ended by at least one NUL:
 *
 *     lengths (payload 32 bits, channel 16, tag 16) | hash | channel | payload | number
 *
 * The number counts the writer's records from 1. It stands at the end so that whoever knows only a
 * position between two records finds it just before; and a reader, who knows which number comes
 * next, finds it where the lengths say that the record ends, or the lengths are not lengths.
 *
 * Why a reader never takes torn bytes for a record. The writer first stores `claimed`, the end of
 * what it is about to write, then (release fence) the words, then (release) `published`. A reader
 * loads `published` (acquire), so that it sees all words before it, or newer ones; the words; then
 * (acquire fence) `claimed`. If any word was a newer one, the two fences order the store of
 * `claimed` that preceded it before this load, which therefore shows a claim that reaches over the
 * record: more than a ring's size beyond its begin. If it does not, all words were the record's.
 * All are atomic: on the machines there are, relaxed ones are plain loads and stores.
 *
 * Why a writer may be killed anywhere. What is not published is never looked at. Its successor
 * publishes from there on, and lets `claimed` never go back: the words that the dead one may have
 * spoiled stay claimed until the successor has written them itself. */
#include "base/ring.h"

#include <errno.h>
#include <string.h>

#define WORD  8u
#define FRAME (3 * WORD) /* lengths, hash, number */

/* So many records that nobody wants are passed over in one call. */
#define SKIPPED_MOST 1024u

/* So often a reader looks for the end, which is passing by. */
#define TRIES 8

/* ---- channels ---- */

/* FNV-1a, and a last mixing for the higher bits. */
uint64_t ring_hash(const char *channel, size_t length)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)channel[i]) * UINT64_C(1099511628211);
    hash = (hash ^ hash >> 32) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

void ring_filter_add(struct ring_filter *filter, uint64_t hash)
{
    for (unsigned i = 0; i < RING_FILTER_BITS; i++) {
        unsigned bit = ring_filter_bit(hash, i);

        atomic_fetch_or_explicit(&filter->words[bit / 64], UINT64_C(1) << bit % 64,
                                 memory_order_relaxed);
    }
}

bool ring_filter_is_empty(const struct ring_filter *filter)
{
    uint64_t all = 0;

    for (unsigned i = 0; i < RING_FILTER_WORDS; i++)
        all |= atomic_load_explicit(&filter->words[i], memory_order_relaxed);
    return all == 0;
}

void ring_head_settle(struct ring_head *head)
{
    for (unsigned i = 0; i < RING_FILTER_WORDS; i++)
        atomic_store_explicit(&head->wanted.words[i], 0, memory_order_relaxed);
    atomic_store_explicit(&head->rung, 0, memory_order_relaxed);
}

/* ---- words ---- */

/* Any position has its word. */
static _Atomic uint64_t *word_at(const struct ring *ring, uint64_t position)
{
    return &ring->words[position / WORD & (ring->size / WORD - 1)];
}

static uint64_t get_word(const struct ring *ring, uint64_t position)
{
    return atomic_load_explicit(word_at(ring, position), memory_order_relaxed);
}

static void put_word(const struct ring *ring, uint64_t position, uint64_t word)
{
    atomic_store_explicit(word_at(ring, position), word, memory_order_relaxed);
}

/* What a text takes: with at least one NUL. */
static uint64_t text_size(uint64_t length)
{
    return (length / WORD + 1) * WORD;
}

static uint64_t record_size(uint64_t channel_length, uint64_t payload_length)
{
    return FRAME + text_size(channel_length) + text_size(payload_length);
}

/* Whole words up to where the ring begins anew are one run. */
static size_t run_of(const struct ring *ring, uint64_t position, size_t words)
{
    uint64_t left = (ring->size - (position & (ring->size - 1))) / WORD;

    return words < left ? words : (size_t)left;
}

/* Returns the position behind it. */
static uint64_t put_text(const struct ring *ring, uint64_t position, const char *text,
                         size_t length)
{
    size_t words = length / WORD;
    uint64_t word;

    while (words > 0) {
        size_t run = run_of(ring, position, words);
        _Atomic uint64_t *to = word_at(ring, position);

        for (size_t i = 0; i < run; i++, text += WORD) {
            memcpy(&word, text, WORD);
            atomic_store_explicit(&to[i], word, memory_order_relaxed);
        }
        position += run * WORD;
        words -= run;
    }
    word = 0;
    if (length % WORD != 0)
        memcpy(&word, text, length % WORD);
    put_word(ring, position, word);
    return position + WORD;
}

static void get_words(const struct ring *ring, uint64_t position, uint64_t *to, size_t words)
{
    while (words > 0) {
        size_t run = run_of(ring, position, words);
        const _Atomic uint64_t *from = word_at(ring, position);

        for (size_t i = 0; i < run; i++)
            to[i] = atomic_load_explicit(&from[i], memory_order_relaxed);
        to += run;
        position += run * WORD;
        words -= run;
    }
}

/* ---- the end ---- */

/* Between two records, also in a ring that is out of order. */
static uint64_t published_end(const struct ring *ring)
{
    return atomic_load_explicit(&ring->head->published, memory_order_acquire) &
           ~(uint64_t)(WORD - 1);
}

/* Of the last record before `end`. */
static uint64_t number_before(const struct ring *ring, uint64_t end)
{
    return end == 0 ? 0 : get_word(ring, end - WORD);
}

/* After its words were read: nothing from this position on was overwritten before. */
static bool is_intact(const struct ring *ring, uint64_t position)
{
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&ring->head->claimed, memory_order_relaxed) - position <=
           ring->size;
}

/* ---- writing ---- */

void ring_writer_open(struct ring_writer *writer, struct ring ring)
{
    uint64_t end = published_end(&ring);
    uint64_t claimed = atomic_load_explicit(&ring.head->claimed, memory_order_relaxed);

    *writer = (struct ring_writer){
        .ring = ring, .published = end, .claimed = end, .number = number_before(&ring, end)};
    if (claimed - end <= ring_record_most(&ring)) /* else the dead one had gone mad */
        writer->claimed = claimed;
}

/* Says what is about to be overwritten. */
static void claim(struct ring_writer *writer, uint64_t end)
{
    if (end > writer->claimed)
        writer->claimed = end;
    atomic_store_explicit(&writer->ring.head->claimed, writer->claimed, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
}

int ring_publish(struct ring_writer *writer, const struct ring_record *record)
{
    const struct ring *ring = &writer->ring;
    size_t most = ring_record_most(ring);
    uint64_t at = writer->published, size;

    if (record->channel_length > UINT16_MAX || record->payload_length > most ||
        record_size(record->channel_length, record->payload_length) > most) {
        errno = EMSGSIZE;
        return -1;
    }
    size = record_size(record->channel_length, record->payload_length);
    claim(writer, at + size);
    put_word(ring, at,
             record->payload_length | (uint64_t)record->channel_length << 32 |
                 (uint64_t)record->tag << 48);
    put_word(ring, at + WORD, record->hash);
    at = put_text(ring, at + 2 * WORD, record->channel, record->channel_length);
    at = put_text(ring, at, record->payload, record->payload_length);
    put_word(ring, at, ++writer->number);
    writer->published = at + WORD;
    atomic_store_explicit(&ring->head->published, writer->published, memory_order_release);
    return 0;
}

/* ---- reading ---- */

/* Goes to the published end. False: that went by too fast. */
static bool go_to_end(struct ring_reader *reader)
{
    for (unsigned i = 0; i < TRIES; i++) {
        uint64_t end = published_end(&reader->ring);
        uint64_t number = number_before(&reader->ring, end);

        reader->at = end;
        if (end == 0 || is_intact(&reader->ring, end - WORD)) {
            reader->number = number;
            return true;
        }
    }
    return false; /* the number is another one than comes next: the reader will be here again */
}

void ring_reader_open(struct ring_reader *reader, struct ring ring)
{
    *reader = (struct ring_reader){.ring = ring};
    go_to_end(reader);
}

static enum ring_answer miss(struct ring_reader *reader)
{
    uint64_t before = reader->number;

    reader->missed = 1;
    if (go_to_end(reader) && reader->number - before - 1 < UINT64_MAX / 2)
        reader->missed = reader->number - before;
    return RING_MISSED;
}

/* The next record's frame. False: there is none such. */
static bool look(const struct ring_reader *reader, uint64_t end, struct ring_record *record,
                 uint64_t *size_out)
{
    const struct ring *ring = &reader->ring;
    uint64_t left = end - reader->at, lengths = get_word(ring, reader->at);

    record->payload_length = (uint32_t)lengths;
    record->channel_length = (uint16_t)(lengths >> 32);
    record->tag = (uint16_t)(lengths >> 48);
    record->hash = get_word(ring, reader->at + WORD);
    *size_out = record_size(record->channel_length, record->payload_length);
    return left <= ring->size && *size_out <= left && *size_out <= ring_record_most(ring) &&
           get_word(ring, reader->at + *size_out - WORD) == reader->number + 1 &&
           is_intact(ring, reader->at);
}

static void pass(struct ring_reader *reader, uint64_t size)
{
    reader->at += size;
    reader->number++;
}

/* Copies the texts. False: they were overwritten meanwhile. */
static bool take(const struct ring_reader *reader, uint64_t size, void *scratch,
                 struct ring_record *record)
{
    char *channel = scratch, *payload = channel + text_size(record->channel_length);

    get_words(&reader->ring, reader->at + 2 * WORD, scratch, (size_t)(size - FRAME) / WORD);
    channel[record->channel_length] = '\0'; /* in case that the writer did not */
    payload[record->payload_length] = '\0';
    record->channel = channel;
    record->payload = payload;
    return is_intact(&reader->ring, reader->at);
}

enum ring_answer ring_next(struct ring_reader *reader, const struct ring_filter *wanted,
                           void *scratch, struct ring_record *record_out)
{
    uint64_t end = published_end(&reader->ring), size;

    for (unsigned i = 0; i < SKIPPED_MOST; i++) {
        if (reader->at == end)
            return RING_EMPTY;
        if (!look(reader, end, record_out, &size))
            return miss(reader);
        if (wanted == NULL || ring_filter_has(wanted, record_out->hash)) {
            if (!take(reader, size, scratch, record_out))
                return miss(reader);
            pass(reader, size);
            return RING_RECORD;
        }
        pass(reader, size);
    }
    return RING_OTHERS;
}
