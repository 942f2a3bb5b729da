/* test_base_ring_crew.c: writers that are killed at any instant and succeeded, and readers that are
 * slower than they: nobody ever reads what was not published, everything is in its order, and what
 * was missed is told to the last record. */
#include "base/ring.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Shared by all of a crew. A record's payload: who wrote it, which of its records it is, and bytes
 * that follow from both. */
struct crew {
    struct ring ring;
    atomic_bool is_over;
    atomic_uint reading;   /* readers that have begun */
    _Atomic uint64_t last; /* the number of the last record of all, once it is over */
    struct tally {
        _Atomic uint64_t read;
        uint64_t missed, wrong;
    } tallies[3];
};

static size_t compose(char *payload, uint32_t writer, uint32_t count)
{
    size_t length = 8 + (count * 2654435761u >> 20) % 600;

    memcpy(payload, &writer, 4);
    memcpy(payload + 4, &count, 4);
    for (size_t i = 8; i < length; i++)
        payload[i] = (char)(writer * 31 + count * 7 + i);
    return length;
}

static void write_on(struct crew *crew, uint32_t which, uint32_t count)
{
    struct ring_writer writer;
    char payload[1024];

    ring_writer_open(&writer, crew->ring);
    for (uint32_t i = 1; i <= count; i++) {
        struct ring_record record = {.channel = "crew",
                                     .channel_length = 4,
                                     .payload = payload,
                                     .payload_length = compose(payload, which, i)};

        if (ring_publish(&writer, &record) != 0)
            abort();
    }
}

/* What a record must be for a reader who has read, and missed, what the tally says. */
static bool is_good(const struct ring_record *record, uint32_t *writer, uint32_t *count,
                    bool has_missed)
{
    char expected[1024];
    uint32_t its_writer, its_count;
    bool is_next;

    if (record->payload_length < 8)
        return false;
    memcpy(&its_writer, record->payload, 4);
    memcpy(&its_count, record->payload + 4, 4);
    if (its_writer == *writer)
        is_next = has_missed ? its_count > *count : its_count == *count + 1;
    else
        is_next = its_writer > *writer && (has_missed || its_count == 1);
    *writer = its_writer;
    *count = its_count;
    return is_next && strcmp(record->channel, "crew") == 0 &&
           record->payload_length == compose(expected, its_writer, its_count) &&
           memcmp(record->payload, expected, record->payload_length) == 0;
}

static void read_on(struct crew *crew, struct tally *tally, useconds_t nap)
{
    void *scratch = malloc(ring_record_most(&crew->ring));
    struct ring_reader reader;
    struct ring_record record;
    uint32_t writer = 0, count = 0;
    bool has_missed = false, is_over = false;

    ring_reader_open(&reader, crew->ring);
    atomic_fetch_add(&crew->reading, 1);
    while (scratch != NULL && !is_over) {
        switch (ring_next(&reader, NULL, scratch, &record)) {
        case RING_RECORD:
            tally->wrong += !is_good(&record, &writer, &count, has_missed);
            has_missed = false;
            tally->read++;
            break;
        case RING_MISSED:
            has_missed = true;
            tally->missed += reader.missed;
            break;
        case RING_EMPTY:
            is_over = atomic_load(&crew->is_over) && reader.number == atomic_load(&crew->last);
            break;
        case RING_OTHERS:
            tally->wrong++;
            break;
        }
        if (nap != 0 && tally->read % 64 == 0)
            usleep(nap);
    }
    free(scratch);
}

static void *map_shared(size_t size)
{
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_true(map != MAP_FAILED);
    return map;
}

static int setup(void **state)
{
    struct crew *crew = map_shared(sizeof *crew);

    crew->ring = (struct ring){.head = map_shared(sizeof *crew->ring.head),
                               .words = map_shared(RING_LEAST),
                               .size = RING_LEAST};
    *state = crew;
    return 0;
}

static int teardown(void **state)
{
    struct crew *crew = *state;

    munmap(crew->ring.words, RING_LEAST);
    munmap(crew->ring.head, sizeof *crew->ring.head);
    return munmap(crew, sizeof *crew);
}

static void end_crew(struct crew *crew)
{
    struct ring_writer writer;

    ring_writer_open(&writer, crew->ring);
    atomic_store(&crew->last, writer.number);
    atomic_store(&crew->is_over, true);
}

static void expect_tally(struct crew *crew, unsigned which)
{
    struct tally *tally = &crew->tallies[which];

    assert_int_equal(tally->wrong, 0);
    assert_int_equal(tally->read + tally->missed, atomic_load(&crew->last));
}

/* Not before they read: what is before is none of theirs. */
static void wait_for_readers(struct crew *crew, unsigned count)
{
    while (atomic_load(&crew->reading) < count)
        usleep(100);
}

/* However busy the machine is, each gets round to reading. */
static bool have_read(struct crew *crew, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (atomic_load(&crew->tallies[i].read) < 1000)
            return false;
    return true;
}

static pid_t start_reader(struct crew *crew, unsigned which, useconds_t nap)
{
    pid_t pid = fork();

    assert_true(pid != -1);
    if (pid != 0)
        return pid;
    read_on(crew, &crew->tallies[which], nap);
    _exit(0);
}

/* Lets a writer run for a moment and kills it, wherever it is. */
static void run_writer(struct crew *crew, uint32_t which)
{
    pid_t pid = fork();

    assert_true(pid != -1);
    if (pid == 0) {
        write_on(crew, which, UINT32_MAX);
        _exit(0);
    }
    usleep((useconds_t)(rand() % 4000));
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void writers_may_be_killed_at_any_instant(void **state)
{
    struct crew *crew = *state;
    pid_t readers[3];

    srand((unsigned)getpid());
    for (unsigned i = 0; i < 3; i++)
        readers[i] = start_reader(crew, i, i == 2 ? 1000 : 0);
    wait_for_readers(crew, 3);
    for (uint32_t which = 1; which <= 200 || !have_read(crew, 3); which++)
        run_writer(crew, which);
    end_crew(crew);
    for (unsigned i = 0; i < 3; i++) {
        int status;

        assert_int_equal(waitpid(readers[i], &status, 0), readers[i]);
        assert_int_equal(status, 0);
        expect_tally(crew, i);
    }
    assert_true(crew->tallies[2].missed > 0); /* it sleeps while the ring goes round */
}

struct reading {
    struct crew *crew;
    unsigned which;
};

static void *read_in_thread(void *arg)
{
    const struct reading *reading = arg;

    read_on(reading->crew, &reading->crew->tallies[reading->which], 0);
    return NULL;
}

/* The same with threads, for ThreadSanitizer to look at. */
static void threads_read_what_a_thread_writes(void **state)
{
    struct crew *crew = *state;
    struct reading readings[2] = {{crew, 0}, {crew, 1}};
    pthread_t threads[2];

    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_in_thread, &readings[i]), 0);
    wait_for_readers(crew, 2);
    for (uint32_t which = 1; which <= 25 || !have_read(crew, 2); which++)
        write_on(crew, which, 2000);
    end_crew(crew);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        expect_tally(crew, i);
    }
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(writers_may_be_killed_at_any_instant),
        T(threads_read_what_a_thread_writes),
    };

    alarm(120); /* readers whom a broken ring keeps waiting */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
