/* test_base_ring.c: what is published is read, whole and in order, by whoever keeps up; who does not
 * is told how much it has missed; whatever a writer left behind when it was killed, and whatever
 * else stands in the ring, is never taken for a record. With processes and threads that are at it at
 * the same time: test_base_ring_crew.c. */
#include "base/ring.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define SIZE RING_LEAST

/* A ring in memory that children share, and a scratch of just the size that is asked for. */
struct fixture {
    struct ring ring;
    struct ring_writer writer;
    struct ring_reader reader;
    void *scratch;
    struct ring_record got;
};

static void *map_shared(size_t size)
{
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_true(map != MAP_FAILED);
    return map;
}

static int setup(void **state)
{
    static struct fixture f;

    f = (struct fixture){.ring = {.size = SIZE}};
    f.ring.head = map_shared(sizeof *f.ring.head);
    f.ring.words = map_shared(SIZE);
    f.scratch = malloc(ring_record_most(&f.ring));
    ring_writer_open(&f.writer, f.ring);
    ring_reader_open(&f.reader, f.ring);
    *state = &f;
    return f.scratch == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    free(f->scratch);
    munmap(f->ring.head, sizeof *f->ring.head);
    munmap(f->ring.words, SIZE);
    return 0;
}

static struct ring_record record_of(const char *channel, const char *payload, size_t length)
{
    return (struct ring_record){.channel = channel,
                                .channel_length = strlen(channel),
                                .payload = payload,
                                .payload_length = length,
                                .hash = ring_hash(channel, strlen(channel))};
}

static void publish(struct fixture *f, const char *channel, const char *payload)
{
    struct ring_record record = record_of(channel, payload, strlen(payload));

    assert_int_equal(ring_publish(&f->writer, &record), 0);
}

static enum ring_answer next(struct fixture *f)
{
    return ring_next(&f->reader, NULL, f->scratch, &f->got);
}

static void expect_next(struct fixture *f, const char *channel, const char *payload)
{
    assert_int_equal(next(f), RING_RECORD);
    assert_int_equal(f->got.channel_length, strlen(channel));
    assert_string_equal(f->got.channel, channel);
    assert_int_equal(f->got.payload_length, strlen(payload));
    assert_string_equal(f->got.payload, payload);
    assert_true(f->got.hash == ring_hash(channel, strlen(channel)));
}

/* ---- records ---- */

static void what_is_published_is_read_in_order(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(next(f), RING_EMPTY);
    assert_false(ring_has_news(&f->reader));
    publish(f, "lobby", "hello");
    publish(f, "", "");
    publish(f, "eight by", "sixteen bytes of");
    assert_true(ring_has_news(&f->reader));
    expect_next(f, "lobby", "hello");
    expect_next(f, "", "");
    expect_next(f, "eight by", "sixteen bytes of");
    assert_int_equal(next(f), RING_EMPTY);
    assert_false(ring_has_news(&f->reader));
}

static void texts_are_any_bytes_and_the_tag_is_handed_through(void **state)
{
    struct fixture *f = *state;
    char bytes[257];
    struct ring_record record = {.channel = bytes,
                                 .channel_length = 255,
                                 .payload = bytes + 1,
                                 .payload_length = 256,
                                 .hash = 7,
                                 .tag = 0xfedc};

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)i;
    assert_int_equal(ring_publish(&f->writer, &record), 0);
    assert_int_equal(next(f), RING_RECORD);
    assert_int_equal(f->got.channel_length, 255);
    assert_memory_equal(f->got.channel, bytes, 255);
    assert_int_equal(f->got.payload_length, 256);
    assert_memory_equal(f->got.payload, bytes + 1, 256);
    assert_int_equal((uintptr_t)f->got.payload % sizeof(uint64_t), 0);
    assert_int_equal(f->got.tag, 0xfedc);
    assert_true(f->got.hash == 7);
}

/* Ten times around, in steps that hit every way in which a record can lie across the end. */
static void records_lie_across_the_end(void **state)
{
    struct fixture *f = *state;
    static char payload[4096];

    for (size_t written = 0, i = 0; written < 10 * SIZE; i++) {
        size_t length = i * 37 % sizeof payload;
        struct ring_record record = record_of("c", payload, length);

        memset(payload, (int)('a' + i % 26), sizeof payload);
        assert_int_equal(ring_publish(&f->writer, &record), 0);
        assert_int_equal(next(f), RING_RECORD);
        assert_int_equal(f->got.payload_length, length);
        assert_memory_equal(f->got.payload, payload, length);
        assert_int_equal(f->got.payload[length], '\0');
        written += length;
    }
    assert_int_equal(next(f), RING_EMPTY);
}

static void an_eighth_of_the_ring_is_the_most(void **state)
{
    struct fixture *f = *state;
    size_t most = ring_record_most(&f->ring), frame = 24 + 8 + 1; /* "c", and the payload's NUL */
    char *payload = calloc(1, most);
    struct ring_record record = record_of("c", payload, most - frame);

    assert_int_equal(ring_publish(&f->writer, &record), 0);
    assert_int_equal(next(f), RING_RECORD);
    assert_int_equal(f->got.payload_length, most - frame);
    for (unsigned i = 0; i < 4; i++) {
        const size_t lengths[] = {most - frame + 1, most, UINT32_MAX, SIZE_MAX};

        record.payload_length = lengths[i];
        errno = 0;
        assert_int_equal(ring_publish(&f->writer, &record), -1);
        assert_int_equal(errno, EMSGSIZE);
    }
    record = record_of("c", payload, 0);
    record.channel_length = 65536;
    assert_int_equal(ring_publish(&f->writer, &record), -1);
    assert_int_equal(next(f), RING_EMPTY);
    publish(f, "c", "and on it goes");
    expect_next(f, "c", "and on it goes");
    free(payload);
}

/* ---- readers ---- */

static void each_reader_has_its_own_place(void **state)
{
    struct fixture *f = *state;
    struct ring_reader late, first = f->reader;

    publish(f, "c", "one");
    ring_reader_open(&late, f->ring);
    publish(f, "c", "two");
    f->reader = late;
    expect_next(f, "c", "two");
    assert_int_equal(next(f), RING_EMPTY);
    f->reader = first;
    expect_next(f, "c", "one");
    expect_next(f, "c", "two");
}

/* Returns how many were published. */
static unsigned fill(struct fixture *f, size_t bytes)
{
    uint64_t from = f->writer.published;
    unsigned count = 0;

    for (; f->writer.published - from < bytes; count++)
        publish(f, "noise", "some bytes that nobody waits for");
    return count;
}

static void who_was_lapped_is_told_how_many_it_missed(void **state)
{
    struct fixture *f = *state;
    unsigned missed;

    publish(f, "c", "the first");
    missed = 1 + fill(f, SIZE);
    assert_int_equal(next(f), RING_MISSED);
    assert_int_equal(f->reader.missed, missed);
    assert_int_equal(next(f), RING_EMPTY);
    publish(f, "c", "the next");
    expect_next(f, "c", "the next");
    missed = fill(f, 20 * SIZE);
    assert_int_equal(next(f), RING_MISSED);
    assert_int_equal(f->reader.missed, missed);
}

static void who_is_behind_by_less_than_the_ring_misses_nothing(void **state)
{
    struct fixture *f = *state;
    unsigned count = 0;

    fill(f, 3 * SIZE / 2);
    ring_reader_open(&f->reader, f->ring);
    while (f->writer.published + 256 - f->reader.at <= SIZE) {
        publish(f, "c", "another");
        count++;
    }
    for (; count > 0; count--)
        expect_next(f, "c", "another");
    assert_int_equal(next(f), RING_EMPTY);
}

static void what_nobody_wants_is_passed_over(void **state)
{
    struct fixture *f = *state;
    struct ring_filter wanted = {0};
    unsigned calls = 1;

    assert_true(ring_filter_is_empty(&wanted));
    ring_filter_add(&wanted, ring_hash("wanted", 6));
    assert_false(ring_filter_is_empty(&wanted));
    for (unsigned i = 0; i < 1100; i++)
        publish(f, "unwanted", "");
    publish(f, "wanted", "at last");
    while (ring_next(&f->reader, &wanted, f->scratch, &f->got) == RING_OTHERS)
        calls++;
    assert_int_equal(calls, 2); /* it does not do everything in one go */
    assert_string_equal(f->got.payload, "at last");
    assert_int_equal(ring_next(&f->reader, &wanted, f->scratch, &f->got), RING_EMPTY);
}

static void a_filter_tells_most_channels_apart(void **state)
{
    struct ring_filter filter = {0};
    char name[32];
    unsigned others = 0;

    (void)state;
    for (unsigned i = 0; i < 1050; i++) {
        size_t length = (size_t)snprintf(name, sizeof name, "room:%u", i);

        if (i < 50)
            ring_filter_add(&filter, ring_hash(name, length));
        else
            others += ring_filter_has(&filter, ring_hash(name, length));
    }
    for (unsigned i = 0; i < 50; i++) {
        size_t length = (size_t)snprintf(name, sizeof name, "room:%u", i);

        assert_true(ring_filter_has(&filter, ring_hash(name, length)));
    }
    assert_true(others < 60); /* 2 in 100 is to be expected */
}

/* ---- what a dead writer leaves ---- */

/* As the writer does it until it is killed in the middle: `count` words of a large record. */
static void die_writing(struct fixture *f, size_t count)
{
    uint64_t at = f->writer.published;

    atomic_store(&f->ring.head->claimed, at + SIZE / 8);
    for (size_t i = 0; i < count; i++)
        atomic_store(&f->ring.words[(at / 8 + i) % (SIZE / 8)], UINT64_MAX);
}

static void what_is_half_written_is_never_seen(void **state)
{
    struct fixture *f = *state;

    publish(f, "c", "whole");
    die_writing(f, SIZE / 8 / 8);
    expect_next(f, "c", "whole");
    assert_int_equal(next(f), RING_EMPTY);
    ring_writer_open(&f->writer, f->ring);
    assert_int_equal(f->writer.number, 1);
    publish(f, "c", "of the successor");
    expect_next(f, "c", "of the successor");
    assert_int_equal(next(f), RING_EMPTY);
}

/* Here the dead one has changed a payload of a reader's next record and nothing else in it; and the
 * successor does not get as far by itself. */
static void what_a_dead_writer_has_spoiled_is_missed(void **state)
{
    struct fixture *f = *state;
    char payload[1024 - 32] = "whole";
    struct ring_record record = record_of("c", payload, sizeof payload - 1);

    for (unsigned i = 0; i < SIZE / 1024; i++)
        assert_int_equal(ring_publish(&f->writer, &record), 0);
    assert_int_equal(f->writer.published, SIZE);
    assert_int_equal(next(f), RING_RECORD);
    atomic_store(&f->ring.head->claimed, SIZE + SIZE / 8);
    atomic_store(&f->ring.words[(1024 + 100) / 8], UINT64_MAX);
    ring_writer_open(&f->writer, f->ring);
    assert_int_equal(ring_publish(&f->writer, &record), 0);
    assert_int_equal(next(f), RING_MISSED);
    assert_int_equal(f->reader.missed, SIZE / 1024);
    publish(f, "c", "and another");
    expect_next(f, "c", "and another");
}

/* Lengths that are too large, though the number stands where they say. */
static void a_record_is_never_larger_than_the_most(void **state)
{
    struct fixture *f = *state;
    const uint64_t payloads[] = {SIZE / 8 - 33, SIZE - 41, 5 * SIZE, UINT32_MAX};

    for (unsigned i = 0; i < 4; i++) {
        uint64_t size = 24 + 8 + (payloads[i] / 8 + 1) * 8, at = f->reader.at;

        atomic_store(&f->ring.words[at / 8 % (SIZE / 8)], payloads[i] | UINT64_C(1) << 32);
        atomic_store(&f->ring.words[(at + size - 8) / 8 % (SIZE / 8)], f->reader.number + 1);
        atomic_store(&f->ring.head->claimed, at + size);
        atomic_store(&f->ring.head->published, at + size);
        assert_int_equal(next(f), i == 0 ? RING_RECORD : RING_MISSED);
        assert_int_equal(next(f), RING_EMPTY);
    }
}

/* Whatever stands there: no look beyond the ring or the scratch (the sanitizers see it), an answer
 * after a while, and order again when a writer is in order again. */
static void a_ring_out_of_order_is_survived(void **state)
{
    struct fixture *f = *state;
    _Atomic uint64_t *positions[] = {&f->ring.head->published, &f->ring.head->claimed};

    srand(6);
    for (unsigned round = 0; round < 3000; round++) {
        unsigned where = (unsigned)rand();
        uint64_t value = (uint64_t)rand() << 33 ^ (uint64_t)rand() << 15 ^ (uint64_t)rand();

        value >>= where % 61;
        if (where % 3 != 0)
            atomic_store(&f->ring.words[(f->writer.published / 8 + where % 64) % (SIZE / 8)],
                         value);
        else if (where % 2 == 0)
            atomic_store(positions[where % 4 / 2], value);
        else
            atomic_store(positions[0], f->reader.at + (value & 0xfff));
        for (unsigned i = 0; i < 4; i++)
            next(f);
        if (round % 8 == 0)
            ring_writer_open(&f->writer, f->ring);
        publish(f, "c", "some text");
    }
    ring_writer_open(&f->writer, f->ring);
    publish(f, "c", "order");
    for (unsigned i = 0; i < 10 && next(f) != RING_EMPTY; i++)
        ;
    publish(f, "c", "again");
    expect_next(f, "c", "again");
    assert_int_equal(next(f), RING_EMPTY);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_is_published_is_read_in_order),
        T(texts_are_any_bytes_and_the_tag_is_handed_through),
        T(records_lie_across_the_end),
        T(an_eighth_of_the_ring_is_the_most),
        T(each_reader_has_its_own_place),
        T(who_was_lapped_is_told_how_many_it_missed),
        T(who_is_behind_by_less_than_the_ring_misses_nothing),
        T(what_nobody_wants_is_passed_over),
        T(a_filter_tells_most_channels_apart),
        T(what_is_half_written_is_never_seen),
        T(what_a_dead_writer_has_spoiled_is_missed),
        T(a_record_is_never_larger_than_the_most),
        T(a_ring_out_of_order_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
