/* threads.h: a few threads beside the loop, for what blocks or computes for long.
 *
 * The loop's thread hands out work and takes it back; the threads know of nothing but the work.
 * They are begun when they are first needed, and stay. A process that forks must not have any. */
#ifndef RUNTIME_THREADS_H
#define RUNTIME_THREADS_H

#include <stdbool.h>
#include <sys/queue.h>

struct event_base;

/* Work that waits to be begun; with more there is no use in waiting. */
#define THREADS_QUEUE 1024

/* Lookups may hang for a long time, and get half of the threads at most. */
enum thread_kind { THREAD_WORK, THREAD_LOOKUP, THREAD_KINDS };

/* In its owner's memory, which has to last until it is done. All zero but for the first three. */
struct thread_work {
    enum thread_kind kind;
    void (*run)(struct thread_work *work);  /* in a thread */
    void (*done)(struct thread_work *work); /* then on the loop's stack; it may free it */
    TAILQ_ENTRY(thread_work) entry;
    bool is_queued; /* under the lock */
};

/* One pool a process, of `most` threads, at least one. None is begun yet. 0 or -1. Does nothing
 * when it is open. */
int threads_open(struct event_base *base, unsigned most);

/* Waits for threads at rest. What they have done is told, what is queued is forgotten. False: one
 * still runs. Then they are all left as they are, and touch nothing of the loop's; but what they
 * run may use what an orderly exit of the process takes apart (_exit does not). */
bool threads_close(void);

/* Has it run. 0, or -1 with EAGAIN: too much is queued, or not one thread can be had. */
int threads_begin(struct thread_work *work);

/* Takes it back, if it has not begun: then nothing of it is touched any more. */
bool threads_take_back(struct thread_work *work);

#endif
