/* test_runtime_threads.c: work runs beside the loop and comes back to it, what is queued can be
 * taken back, and nothing is queued without end. */
#include "runtime/threads.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct job {
    struct thread_work work; /* first: it is found by it */
    pthread_t ran_in;
    char thread_name[16];
    sigset_t blocked;
    unsigned done; /* how often it was told */
    bool was_on_loop;
};

static struct event_base *base;
static pthread_t loop;
static sem_t gate;               /* holds what runs until it is let go */
static _Atomic unsigned running; /* at the gate */

static void open_threads(unsigned most)
{
    alarm(60); /* a condition that never comes true is a failure */
    base = event_base_new();
    loop = pthread_self();
    sem_init(&gate, 0, 0);
    running = 0;
    assert_int_equal(threads_open(base, most), 0);
}

static void close_threads(void)
{
    assert_true(threads_close());
    event_base_free(base);
}

static void look_around(struct thread_work *work)
{
    struct job *job = (struct job *)work;

    job->ran_in = pthread_self();
    pthread_getname_np(pthread_self(), job->thread_name, sizeof job->thread_name);
    pthread_sigmask(SIG_SETMASK, NULL, &job->blocked);
}

static void wait_at_gate(struct thread_work *work)
{
    running++;
    while (sem_wait(&gate) == -1)
        ;
    running--;
    look_around(work);
}

static void on_done(struct thread_work *work)
{
    struct job *job = (struct job *)work;

    job->done++;
    job->was_on_loop = pthread_equal(pthread_self(), loop) != 0;
}

static void begin(struct job *job, enum thread_kind kind, void (*run)(struct thread_work *work))
{
    *job = (struct job){.work = {.kind = kind, .run = run, .done = on_done}};
    assert_int_equal(threads_begin(&job->work), 0);
}

static void wait_for(const struct job *job)
{
    while (job->done == 0)
        event_base_loop(base, EVLOOP_ONCE);
}

static void wait_until_run(unsigned count)
{
    while (running != count)
        usleep(100);
}

static void let_go(unsigned count)
{
    while (count-- > 0)
        sem_post(&gate);
}

/* ---- */

static void work_runs_beside_the_loop_and_comes_back_to_it(void **state)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP};
    static const int others[] = {SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGCHLD, SIGPIPE, SIGALRM};
    sigset_t before, after;
    struct job job;

    (void)state;
    open_threads(2);
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    begin(&job, THREAD_WORK, look_around);
    wait_for(&job);
    assert_int_equal(job.done, 1);
    assert_true(job.was_on_loop);
    assert_false(pthread_equal(job.ran_in, loop));
    assert_string_equal(job.thread_name, "reeve-offload");
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        assert_int_equal(sigismember(&job.blocked, faults[i]), 0);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_int_equal(sigismember(&job.blocked, others[i]), 1);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (int number = 1; number < 32; number++)
        assert_int_equal(sigismember(&after, number), sigismember(&before, number));
    close_threads();
}

static void as_much_runs_at_once_as_there_are_threads(void **state)
{
    struct job jobs[5];

    (void)state;
    open_threads(3);
    for (size_t i = 0; i < 5; i++)
        begin(&jobs[i], THREAD_WORK, wait_at_gate);
    wait_until_run(3);
    let_go(5);
    for (size_t i = 0; i < 5; i++)
        wait_for(&jobs[i]);
    close_threads();
}

static void a_thread_at_rest_is_used_again(void **state)
{
    struct job jobs[20];

    (void)state;
    open_threads(64);
    for (size_t i = 0; i < 20; i++) {
        begin(&jobs[i], THREAD_WORK, look_around);
        wait_for(&jobs[i]);
        usleep(1000); /* so that it is at rest: a second thread would do no harm, but say nothing */
    }
    for (size_t i = 1, others = 0; i < 20; i++) {
        others += !pthread_equal(jobs[i].ran_in, jobs[0].ran_in);
        assert_in_range(others, 0, 10);
    }
    close_threads();
}

static void what_is_queued_can_be_taken_back_but_not_what_runs(void **state)
{
    struct job first, second, third;

    (void)state;
    open_threads(1);
    begin(&first, THREAD_WORK, wait_at_gate);
    wait_until_run(1);
    begin(&second, THREAD_WORK, look_around);
    begin(&third, THREAD_WORK, look_around);
    assert_true(threads_take_back(&second.work));
    assert_false(threads_take_back(&second.work));
    assert_false(threads_take_back(&first.work));
    let_go(1);
    wait_for(&third);
    assert_int_equal(first.done, 1);
    assert_int_equal(second.done, 0);
    assert_false(threads_take_back(&third.work));
    close_threads();
}

static void too_much_is_refused(void **state)
{
    struct job *jobs = calloc(THREADS_QUEUE + 2, sizeof *jobs);
    struct job *more = &jobs[THREADS_QUEUE + 1];

    (void)state;
    assert_non_null(jobs);
    open_threads(1);
    begin(&jobs[0], THREAD_WORK, wait_at_gate);
    wait_until_run(1);
    for (size_t i = 1; i <= THREADS_QUEUE; i++)
        begin(&jobs[i], THREAD_WORK, look_around);
    *more = (struct job){.work = {.run = look_around, .done = on_done}};
    assert_int_equal(threads_begin(&more->work), -1);
    assert_int_equal(errno, EAGAIN);
    let_go(1);
    wait_for(&jobs[THREADS_QUEUE]);
    assert_int_equal(threads_begin(&more->work), 0);
    wait_for(more);
    close_threads();
    free(jobs);
}

static void lookups_that_hang_leave_threads_for_the_rest(void **state)
{
    struct job lookups[5], job;

    (void)state;
    open_threads(4);
    for (size_t i = 0; i < 5; i++)
        begin(&lookups[i], THREAD_LOOKUP, wait_at_gate);
    wait_until_run(2);
    begin(&job, THREAD_WORK, look_around);
    wait_for(&job);
    assert_int_equal(running, 2);
    let_go(5);
    for (size_t i = 0; i < 5; i++)
        wait_for(&lookups[i]);
    close_threads();
}

static void what_is_done_is_told_at_the_end_and_what_is_queued_forgotten(void **state)
{
    struct job first, second;

    (void)state;
    open_threads(1);
    begin(&first, THREAD_WORK, wait_at_gate);
    let_go(1);
    begin(&second, THREAD_LOOKUP, look_around);
    while (threads_take_back(&second.work)) { /* until it is done too */
        assert_int_equal(threads_begin(&second.work), 0);
        usleep(100);
    }
    close_threads();
    assert_int_equal(first.done, 1);
    assert_true(threads_close()); /* once more does nothing */
}

/* The last test: this process has no other pool after that. */
static void one_that_runs_for_ever_keeps_nobody_from_ending(void **state)
{
    static struct job job;

    (void)state;
    open_threads(1);
    begin(&job, THREAD_WORK, wait_at_gate);
    wait_until_run(1);
    assert_false(threads_close());
    event_base_free(base);
    let_go(1); /* it ends by itself, and touches nothing of the loop's */
    wait_until_run(0);
    assert_int_equal(job.done, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_runs_beside_the_loop_and_comes_back_to_it),
        cmocka_unit_test(as_much_runs_at_once_as_there_are_threads),
        cmocka_unit_test(a_thread_at_rest_is_used_again),
        cmocka_unit_test(what_is_queued_can_be_taken_back_but_not_what_runs),
        cmocka_unit_test(too_much_is_refused),
        cmocka_unit_test(lookups_that_hang_leave_threads_for_the_rest),
        cmocka_unit_test(what_is_done_is_told_at_the_end_and_what_is_queued_forgotten),
        cmocka_unit_test(one_that_runs_for_ever_keeps_nobody_from_ending),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
