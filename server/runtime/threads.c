/* threads.c: see threads.h. One lock, under which nothing is done but moving work from list to
 * list. */
#include "runtime/threads.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define THREADS_MOST 64

/* For the worker's handler of fatal signals, should a thread's own stack have run out. */
#define SIGNAL_STACK (256u << 10)

TAILQ_HEAD(work_list, thread_work);

/* The process's one pool: part of the worker's context. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t has_work;
    struct work_list queued[THREAD_KINDS], done, running;
    unsigned queue_length[THREAD_KINDS], run_count[THREAD_KINDS];
    unsigned most, count, idle;
    bool is_closing;
    pthread_t threads[THREADS_MOST];

    /* The loop's alone: */
    bool is_open;
    struct event wake_up;
    int fd; /* an eventfd, which the threads write */
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .has_work = PTHREAD_COND_INITIALIZER};

/* ---- a thread ---- */

static unsigned lookups_most(void)
{
    return pool.most > 1 ? pool.most / 2 : 1;
}

static struct thread_work *first_of(enum thread_kind kind)
{
    if (kind == THREAD_LOOKUP && pool.run_count[kind] >= lookups_most())
        return NULL;
    return TAILQ_FIRST(&pool.queued[kind]);
}

static void dequeue(struct thread_work *work)
{
    TAILQ_REMOVE(&pool.queued[work->kind], work, entry);
    pool.queue_length[work->kind]--;
    work->is_queued = false;
}

static struct thread_work *take(void)
{
    struct thread_work *work = first_of(THREAD_LOOKUP);

    if (!work)
        work = first_of(THREAD_WORK);
    if (!work)
        return NULL;
    dequeue(work);
    TAILQ_INSERT_TAIL(&pool.running, work, entry);
    pool.run_count[work->kind]++;
    return work;
}

/* A full counter has woken the loop already. */
static void wake_loop(void)
{
    const uint64_t one = 1;
    ssize_t n = write(pool.fd, &one, sizeof one);

    (void)n;
}

static void give_back(struct thread_work *work)
{
    bool is_first = TAILQ_EMPTY(&pool.done);

    TAILQ_REMOVE(&pool.running, work, entry);
    pool.run_count[work->kind]--;
    TAILQ_INSERT_TAIL(&pool.done, work, entry);
    if (is_first)
        wake_loop();
}

static void wait_for_work(void)
{
    pool.idle++;
    pthread_cond_wait(&pool.has_work, &pool.lock);
    pool.idle--;
}

static void work_on(void)
{
    struct thread_work *work;

    pthread_mutex_lock(&pool.lock);
    while (!pool.is_closing) {
        work = take();
        if (!work) {
            wait_for_work();
            continue;
        }
        pthread_mutex_unlock(&pool.lock);
        work->run(work);
        pthread_mutex_lock(&pool.lock);
        give_back(work);
    }
    pthread_mutex_unlock(&pool.lock);
}

/* Without one the pool works as well. */
static void *open_signal_stack(stack_t *before_out)
{
    stack_t stack = {.ss_size = SIGNAL_STACK};

    stack.ss_sp = mmap(NULL, SIGNAL_STACK, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (stack.ss_sp == MAP_FAILED)
        return NULL;
    sigaltstack(&stack, before_out);
    return stack.ss_sp;
}

static void close_signal_stack(void *stack, const stack_t *before)
{
    if (!stack)
        return;
    sigaltstack(before, NULL);
    munmap(stack, SIGNAL_STACK);
}

static void *thread_main(void *arg)
{
    stack_t before;
    void *stack = open_signal_stack(&before);

    (void)arg;
    pthread_setname_np(pthread_self(), "reeve-offload");
    work_on();
    close_signal_stack(stack, &before);
    return NULL;
}

/* ---- the loop's side ---- */

/* All signals are for the loop's thread, but for those that a thread has raised itself by a fault,
 * which would end the process without a trace if they were blocked. */
static void set_of_signals(sigset_t *set)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP};

    sigfillset(set);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        sigdelset(set, faults[i]);
}

static bool begin_thread(void)
{
    sigset_t blocked, before;
    int error;

    set_of_signals(&blocked);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    error = pthread_create(&pool.threads[pool.count], NULL, thread_main, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pool.count += error == 0;
    return error == 0;
}

static unsigned queue_length(void)
{
    return pool.queue_length[THREAD_WORK] + pool.queue_length[THREAD_LOOKUP];
}

/* Under the lock. A thread that was told to look for work but has not yet is still idle. */
static int enqueue(struct thread_work *work)
{
    if (pool.queue_length[work->kind] >= THREADS_QUEUE)
        return -1;
    if (pool.idle <= queue_length() && pool.count < pool.most && !begin_thread() && pool.count == 0)
        return -1;
    TAILQ_INSERT_TAIL(&pool.queued[work->kind], work, entry);
    pool.queue_length[work->kind]++;
    work->is_queued = true;
    pthread_cond_signal(&pool.has_work);
    return 0;
}

int threads_begin(struct thread_work *work)
{
    int result;

    pthread_mutex_lock(&pool.lock);
    result = enqueue(work);
    pthread_mutex_unlock(&pool.lock);
    if (result == -1)
        errno = EAGAIN;
    return result;
}

bool threads_take_back(struct thread_work *work)
{
    bool was_queued;

    pthread_mutex_lock(&pool.lock);
    was_queued = work->is_queued;
    if (was_queued)
        dequeue(work);
    pthread_mutex_unlock(&pool.lock);
    return was_queued;
}

static void tell_done(void)
{
    struct work_list done = TAILQ_HEAD_INITIALIZER(done);
    struct thread_work *work;

    pthread_mutex_lock(&pool.lock);
    TAILQ_CONCAT(&done, &pool.done, entry);
    pthread_mutex_unlock(&pool.lock);
    while ((work = TAILQ_FIRST(&done))) {
        TAILQ_REMOVE(&done, work, entry);
        work->done(work);
    }
}

static void on_wake_up(evutil_socket_t fd, short what, void *arg)
{
    uint64_t count;
    ssize_t n = read(fd, &count, sizeof count);

    (void)n, (void)what, (void)arg;
    tell_done();
}

int threads_open(struct event_base *base, unsigned most)
{
    if (pool.is_open)
        return 0;
    if (pool.count > 0) { /* of a pool that was closed while they ran */
        errno = EBUSY;
        return -1;
    }
    pool.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (pool.fd == -1)
        return -1;
    event_assign(&pool.wake_up, base, pool.fd, EV_READ | EV_PERSIST, on_wake_up, NULL);
    if (event_add(&pool.wake_up, NULL) == -1) {
        close(pool.fd);
        errno = ENOMEM;
        return -1;
    }
    TAILQ_INIT(&pool.queued[THREAD_WORK]);
    TAILQ_INIT(&pool.queued[THREAD_LOOKUP]);
    TAILQ_INIT(&pool.done);
    TAILQ_INIT(&pool.running);
    pool.most = most < 1 ? 1 : most > THREADS_MOST ? THREADS_MOST : most;
    pool.is_closing = false;
    pool.is_open = true;
    return 0;
}

static void forget_queued(void)
{
    struct thread_work *work;

    for (int kind = 0; kind < THREAD_KINDS; kind++)
        while ((work = TAILQ_FIRST(&pool.queued[kind])))
            dequeue(work);
}

bool threads_close(void)
{
    bool is_running;

    if (!pool.is_open)
        return true;
    pool.is_open = false;
    pthread_mutex_lock(&pool.lock);
    forget_queued();
    pool.is_closing = true;
    is_running = !TAILQ_EMPTY(&pool.running);
    pthread_cond_broadcast(&pool.has_work);
    pthread_mutex_unlock(&pool.lock);
    event_del(&pool.wake_up);
    tell_done();
    if (is_running)
        return false;
    for (; pool.count > 0; pool.count--)
        pthread_join(pool.threads[pool.count - 1], NULL);
    close(pool.fd);
    return true;
}
