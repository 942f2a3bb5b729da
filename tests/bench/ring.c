/* ring.c: what publishing between workers costs without a server: records into shared memory, out of it, and how long
 * another process takes to hear the bell. Links the objects of the rooms runtime and base.
 *
 * Prints a line for each figure, its name and the median of several rounds, in nanoseconds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/bell.h"

#define ROUNDS    9
#define WORKERS   16
#define BATCH     500 /* records that the ring holds at once */
#define BATCHES   400
#define EXCHANGES 5000

static struct board *board;
static struct bells bells[WORKERS];
static struct ring_writer writers[2];
static struct ring_reader readers[2]; /* each of the other's ring */
static int loops[2];                  /* epoll */
static void *scratch;
static char payload[1024];

static double now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void report(const char *name, double rounds[ROUNDS])
{
    qsort(rounds, ROUNDS, sizeof rounds[0], compare);
    printf("%s\t%.1f\n", name, rounds[ROUNDS / 2]);
}

static uint64_t hash_of(const char *channel)
{
    return ring_hash(channel, strlen(channel));
}

static void publish(unsigned worker, const char *channel, size_t length)
{
    struct ring_record record = {.channel = channel,
                                 .channel_length = strlen(channel),
                                 .payload = payload,
                                 .payload_length = length,
                                 .hash = hash_of(channel)};

    ring_publish(&writers[worker], &record);
    bells_ring(&bells[worker], record.hash, writers[worker].published);
}

/* ---- records ---- */

static unsigned read_all(unsigned worker, const struct ring_filter *wanted)
{
    struct ring_record record;
    enum ring_answer answer;
    unsigned count = 0;

    while ((answer = ring_next(&readers[worker], wanted, scratch, &record)) != RING_EMPTY)
        count += answer == RING_RECORD;
    return count;
}

struct costs {
    double writing[ROUNDS], reading[ROUNDS];
};

/* Worker 1 wants the channel "wanted" and is never heard: its bell is rung once. */
static void measure_records(struct costs *costs, const char *channel, size_t length)
{
    for (int round = 0; round < ROUNDS; round++) {
        double writing = 0, reading = 0;

        for (int batch = 0; batch < BATCHES; batch++) {
            double begin = now_ns(), middle;

            for (int i = 0; i < BATCH; i++)
                publish(0, channel, length);
            middle = now_ns();
            read_all(1, bells_wanted(&bells[1]));
            writing += middle - begin;
            reading += now_ns() - middle;
        }
        costs->writing[round] = writing / BATCHES / BATCH;
        costs->reading[round] = reading / BATCHES / BATCH;
    }
}

/* ---- the bell ---- */

static void await(unsigned worker)
{
    struct epoll_event event;

    do {
        epoll_wait(loops[worker], &event, 1, -1);
        bells_heard(&bells[worker]);
    } while (read_all(worker, bells_wanted(&bells[worker])) == 0);
}

static void answer_for_ever(void)
{
    for (int i = 0; i < ROUNDS * EXCHANGES; i++) {
        await(1);
        publish(1, "wanted", 32);
    }
    _exit(0);
}

/* Half of there and back: both sleep in epoll_wait until they are woken. */
static void measure_bell(double rounds[ROUNDS])
{
    if (fork() == 0)
        answer_for_ever();
    for (int round = 0; round < ROUNDS; round++) {
        double begin = now_ns();

        for (int i = 0; i < EXCHANGES; i++) {
            publish(0, "wanted", 32);
            await(0);
        }
        rounds[round] = (now_ns() - begin) / EXCHANGES / 2;
    }
    wait(NULL);
}

static int open_all(void)
{
    int fd, *fds = bells_make(WORKERS);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};

    board = board_create(WORKERS, 1, &fd);
    scratch = malloc((size_t)RING_DEFAULT / 8);
    if (!board || !fds || !scratch)
        return -1;
    for (unsigned i = 0; i < WORKERS; i++)
        if (bells_open(&bells[i], board, fds, i) == -1)
            return -1;
    for (unsigned i = 0; i < 2; i++) {
        ring_writer_open(&writers[i], board_ring(board, i));
        ring_reader_open(&readers[i], board_ring(board, 1 - i));
        loops[i] = epoll_create1(EPOLL_CLOEXEC);
        epoll_ctl(loops[i], EPOLL_CTL_ADD, fds[i], &event);
    }
    return 0;
}

int main(void)
{
    struct costs costs;

    if (open_all() == -1) {
        fputs("ring: out of memory\n", stderr);
        return 1;
    }
    for (unsigned i = 1; i < WORKERS; i++)
        bells_want(&bells[i], hash_of("wanted"));
    measure_records(&costs, "wanted", 32);
    report("publish 32 bytes, 15 workers want them", costs.writing);
    report("read 32 bytes", costs.reading);
    measure_records(&costs, "wanted", 1000);
    report("publish 1,000 bytes", costs.writing);
    report("read 1,000 bytes", costs.reading);
    measure_records(&costs, "nobody", 32);
    report("publish 32 bytes that nobody wants", costs.writing);
    report("pass over them", costs.reading);
    for (unsigned i = 2; i < WORKERS; i++)
        bells_close(&bells[i]);
    bells_want(&bells[0], hash_of("wanted"));
    bells_heard(&bells[1]);
    measure_bell(costs.writing);
    report("from publishing to the other process's loop", costs.writing);
    return 0;
}
