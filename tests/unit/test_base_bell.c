/* test_base_bell.c: who publishes wakes those whom it concerns, once until they have looked, and
 * nobody sleeps through anything. */
#include "base/bell.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define WORKERS 4

/* Every worker in this one process: that is the same to a bell. */
struct fixture {
    struct board *board;
    int fd, *fds;
    struct bells bells[WORKERS];
    struct ring_writer writers[WORKERS];
};

static int setup(void **state)
{
    static struct fixture f;

    f.board = board_create_with(WORKERS, 1, RING_LEAST, &f.fd);
    f.fds = bells_make(WORKERS);
    if (f.board == NULL || f.fds == NULL)
        return -1;
    for (unsigned i = 0; i < WORKERS; i++) {
        if (bells_open(&f.bells[i], f.board, f.fds, i) != 0)
            return -1;
        ring_writer_open(&f.writers[i], board_ring(f.board, i));
    }
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    for (unsigned i = 0; i < WORKERS; i++)
        bells_close(&f->bells[i]);
    bells_unmake(f->fds, WORKERS);
    board_detach(f->board);
    return close(f->fd);
}

static uint64_t hash(const char *channel)
{
    return ring_hash(channel, strlen(channel));
}

/* Returns what bells_ring does: whether it concerns the worker itself. */
static bool publish(struct fixture *f, unsigned worker, const char *channel)
{
    static char payload[1000];
    struct ring_record record = {.channel = channel,
                                 .channel_length = strlen(channel),
                                 .payload = payload,
                                 .payload_length = sizeof payload,
                                 .hash = hash(channel)};

    assert_int_equal(ring_publish(&f->writers[worker], &record), 0);
    return bells_ring(&f->bells[worker], record.hash, f->writers[worker].published);
}

static bool is_audible(const struct fixture *f, unsigned worker)
{
    struct pollfd p = {.fd = bells_fd(&f->bells[worker]), .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

/* Which workers' bells can be heard, a bit each. */
static unsigned audible(const struct fixture *f)
{
    unsigned workers = 0;

    for (unsigned i = 0; i < WORKERS; i++)
        workers |= (unsigned)is_audible(f, i) << i;
    return workers;
}

/* ---- whom it concerns ---- */

static void only_those_are_woken_who_want_the_channel(void **state)
{
    struct fixture *f = *state;

    bells_want(&f->bells[1], hash("lobby"));
    bells_want(&f->bells[2], hash("elsewhere"));
    bells_want(&f->bells[3], hash("elsewhere"));
    bells_want(&f->bells[3], hash("lobby"));
    assert_false(publish(f, 0, "nobody"));
    assert_int_equal(audible(f), 0);
    assert_false(publish(f, 0, "lobby"));
    assert_int_equal(audible(f), 1u << 1 | 1u << 3);
}

static void a_worker_is_told_and_not_rung_of_its_own(void **state)
{
    struct fixture *f = *state;

    bells_want(&f->bells[0], hash("lobby"));
    assert_true(publish(f, 0, "lobby"));
    assert_false(publish(f, 0, "other"));
    assert_int_equal(audible(f), 0);
    assert_false(publish(f, 1, "lobby"));
    assert_int_equal(audible(f), 1);
}

static void a_bell_is_rung_once_until_it_was_heard(void **state)
{
    struct fixture *f = *state;
    uint64_t times;

    bells_want(&f->bells[1], hash("lobby"));
    for (unsigned i = 0; i < 5; i++)
        publish(f, i % 2 * 2, "lobby"); /* by two */
    assert_int_equal(read(bells_fd(&f->bells[1]), &times, sizeof times), sizeof times);
    assert_int_equal(times, 1);
    publish(f, 0, "lobby"); /* it has not said that it reads */
    assert_false(is_audible(f, 1));
    bells_heard(&f->bells[1]);
    publish(f, 0, "lobby");
    assert_true(is_audible(f, 1));
    bells_heard(&f->bells[1]);
    assert_false(is_audible(f, 1));
}

static void what_is_wanted_no_more_wakes_no_more(void **state)
{
    struct fixture *f = *state;
    struct ring_filter rest = {0};

    bells_want(&f->bells[1], hash("lobby"));
    bells_want(&f->bells[1], hash("other"));
    assert_true(ring_filter_has(bells_wanted(&f->bells[1]), hash("lobby")));
    ring_filter_add(&rest, hash("other"));
    bells_want_only(&f->bells[1], &rest);
    publish(f, 0, "lobby");
    assert_int_equal(audible(f), 0);
    publish(f, 0, "other");
    assert_int_equal(audible(f), 1u << 1);
}

/* Or it would be told that it has missed what it never wanted. */
static void who_wants_others_is_woken_before_it_is_lapped(void **state)
{
    struct fixture *f = *state;
    struct ring_reader reader;
    struct ring_record record;
    void *scratch = malloc((size_t)RING_LEAST / 8);
    unsigned rung = 0;

    bells_want(&f->bells[1], hash("lobby"));
    ring_reader_open(&reader, board_ring(f->board, 0));
    for (unsigned i = 0; i < 10 * RING_LEAST / 1000; i++) {
        publish(f, 0, "other");
        if (!is_audible(f, 1))
            continue;
        rung++;
        bells_heard(&f->bells[1]);
        assert_int_equal(ring_next(&reader, bells_wanted(&f->bells[1]), scratch, &record),
                         RING_EMPTY);
    }
    assert_in_range(rung, 35, 45);  /* four times a round */
    assert_false(is_audible(f, 2)); /* who wants nothing does not read */
    publish(f, 0, "lobby");
    assert_int_equal(ring_next(&reader, bells_wanted(&f->bells[1]), scratch, &record), RING_RECORD);
    free(scratch);
}

static void without_bells_there_is_only_the_worker_itself(void **state)
{
    struct fixture *f = *state;
    struct bells alone;

    assert_int_equal(bells_open(&alone, f->board, NULL, 0), 0);
    assert_int_equal(bells_fd(&alone), -1);
    bells_heard(&alone);
    assert_false(bells_ring(&alone, hash("lobby"), 0));
    bells_want(&alone, hash("lobby"));
    bells_want(&f->bells[1], hash("lobby"));
    assert_true(bells_ring(&alone, hash("lobby"), 0));
    assert_int_equal(audible(f), 0);
    bells_close(&alone);
}

/* ---- deaths ---- */

static void nothing_is_rung_for_a_worker_that_has_gone(void **state)
{
    struct fixture *f = *state;

    bells_want(&f->bells[1], hash("lobby"));
    publish(f, 0, "lobby");
    board_settle(f->board, 1);
    bells_rouse(f->board, f->fds);
    publish(f, 0, "lobby");
    free(f->bells[1].told); /* it was killed */
    assert_int_equal(bells_open(&f->bells[1], f->board, f->fds, 1), 0);
    assert_int_equal(audible(f), 0);
    publish(f, 0, "lobby");
    assert_int_equal(audible(f), 0);
    bells_want(&f->bells[1], hash("lobby"));
    publish(f, 0, "lobby");
    assert_int_equal(audible(f), 1u << 1);
}

/* It was killed after it had published, and before it marked any bell. */
static void who_dies_before_ringing_is_stood_in_for(void **state)
{
    struct fixture *f = *state;

    bells_want(&f->bells[2], hash("lobby"));
    board_settle(f->board, 0);
    bells_rouse(f->board, f->fds);
    assert_int_equal(audible(f), 1u << 2);
}

/* It was killed after it had marked the bell. */
static void who_dies_ringing_is_stood_in_for(void **state)
{
    struct fixture *f = *state;

    bells_want(&f->bells[1], hash("lobby"));
    atomic_store(&board_ring(f->board, 1).head->rung, 1);
    publish(f, 2, "lobby");
    assert_int_equal(audible(f), 0);
    board_settle(f->board, 0);
    bells_rouse(f->board, f->fds);
    assert_int_equal(audible(f), 1u << 1);
    bells_rouse(f->board, NULL);
}

static void bells_are_closed_on_exec_and_never_wait(void **state)
{
    struct fixture *f = *state;
    uint64_t times;

    for (unsigned i = 0; i < WORKERS; i++) {
        assert_true(fcntl(f->fds[i], F_GETFD) & FD_CLOEXEC);
        assert_int_equal(read(f->fds[i], &times, sizeof times), -1);
        assert_int_equal(errno, EAGAIN);
    }
    times = UINT64_MAX - 1; /* no more goes in */
    assert_int_equal(write(f->fds[1], &times, sizeof times), sizeof times);
    bells_want(&f->bells[1], hash("lobby"));
    publish(f, 0, "lobby");
    assert_true(is_audible(f, 1));
}

/* ---- nobody sleeps through anything ---- */

/* Waits until the other one has published its number. False: it was not woken for long. */
static bool await_number(struct bells *bells, struct ring_reader *reader, void *scratch,
                         uint32_t number)
{
    struct pollfd p = {.fd = bells_fd(bells), .events = POLLIN};
    struct ring_record record;
    uint32_t its = 0;

    while (its != number) {
        if (poll(&p, 1, 20000) != 1)
            return false;
        bells_heard(bells);
        while (ring_next(reader, bells_wanted(bells), scratch, &record) == RING_RECORD)
            memcpy(&its, record.payload, sizeof its);
    }
    return true;
}

/* Two that answer each other, each time after having published a few more. */
static int play(struct fixture *f, unsigned own, unsigned other, bool is_first)
{
    void *scratch = malloc((size_t)RING_LEAST / 8);
    struct ring_writer *writer = &f->writers[own];
    struct ring_reader reader = {.ring = board_ring(f->board, other)};
    uint32_t number = 0;
    struct ring_record record = {.channel = "game",
                                 .channel_length = 4,
                                 .payload = (const char *)&number,
                                 .payload_length = sizeof number,
                                 .hash = hash("game")};
    bool is_good = true;

    for (uint32_t turn = 1; turn <= 10000 && is_good; turn++) {
        if (!is_first)
            is_good = await_number(&f->bells[own], &reader, scratch, turn * 4);
        for (number = turn * 4 - turn % 4; number <= turn * 4; number++) {
            ring_publish(writer, &record);
            bells_ring(&f->bells[own], record.hash, writer->published);
        }
        if (is_first)
            is_good = await_number(&f->bells[own], &reader, scratch, turn * 4);
    }
    free(scratch);
    return is_good ? 0 : 1;
}

static void two_processes_always_wake_each_other(void **state)
{
    struct fixture *f = *state;
    pid_t pid;
    int status;

    bells_want(&f->bells[1], hash("game"));
    bells_want(&f->bells[2], hash("game"));
    pid = fork();
    assert_true(pid != -1);
    if (pid == 0)
        _exit(play(f, 2, 1, false));
    assert_int_equal(play(f, 1, 2, true), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(only_those_are_woken_who_want_the_channel),
        T(a_worker_is_told_and_not_rung_of_its_own),
        T(a_bell_is_rung_once_until_it_was_heard),
        T(what_is_wanted_no_more_wakes_no_more),
        T(who_wants_others_is_woken_before_it_is_lapped),
        T(without_bells_there_is_only_the_worker_itself),
        T(nothing_is_rung_for_a_worker_that_has_gone),
        T(who_dies_before_ringing_is_stood_in_for),
        T(who_dies_ringing_is_stood_in_for),
        T(bells_are_closed_on_exec_and_never_wait),
        T(two_processes_always_wake_each_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
