/* turns.c: what applications take turns by: semaphore, mutex, condition, queue.
 *
 * Nothing here is shared with another thread or process. What becomes free is handed to the first
 * who waits for it and never lies open meanwhile, so as long as somebody waits there is nothing to
 * be had for others. */
#include <errno.h>
#include <reeve/async.h>
#include <stdlib.h>

#include "app/strand.h"
#include "base/holder.h"
#include "runtime/coro.h"
#include "runtime/line.h"

static int fail(int error)
{
    errno = error;
    return -1;
}

/* Who does not want to wait needs no coroutine. */
static int stand(struct line *line, struct line_place *place, const char *what, double seconds)
{
    uint64_t ns = strand_limit(seconds);
    int reason;

    if (!coro_current())
        return fail(ns == 0 ? ETIMEDOUT : EDEADLK);
    reason = line_wait(line, place, what, ns);
    return reason ? fail(reason) : 0;
}

/* ---- semaphore ---- */

struct semaphore {
    size_t available; /* 0 while somebody waits */
    struct line line;
};

_Static_assert(sizeof(struct semaphore) <= sizeof(reeve_semaphore), "it must fit");

static struct semaphore *semaphore_of(reeve_semaphore *semaphore)
{
    return (struct semaphore *)semaphore;
}

void reeve_semaphore_init(reeve_semaphore *handle, size_t count)
{
    struct semaphore *semaphore = semaphore_of(handle);

    semaphore->available = count;
    TAILQ_INIT(&semaphore->line);
}

int reeve_semaphore_acquire(reeve_semaphore *handle, double seconds)
{
    struct semaphore *semaphore = semaphore_of(handle);
    struct line_place place;

    coro_note(CALL_SEMAPHORE, __builtin_return_address(0));
    if (semaphore->available == 0)
        return stand(&semaphore->line, &place, "semaphore", seconds);
    semaphore->available--;
    return 0;
}

void reeve_semaphore_release(reeve_semaphore *handle)
{
    struct semaphore *semaphore = semaphore_of(handle);

    if (!line_give(&semaphore->line))
        semaphore->available++;
}

size_t reeve_semaphore_available(const reeve_semaphore *handle)
{
    return ((const struct semaphore *)handle)->available;
}

/* ---- mutex ---- */

struct mutex {
    struct coro *owner; /* NULL: it is free, and nobody waits */
    struct line line;
};

_Static_assert(sizeof(struct mutex) <= sizeof(reeve_mutex), "it must fit");

static struct mutex *mutex_of(reeve_mutex *mutex)
{
    return (struct mutex *)mutex;
}

static bool is_mine(const struct mutex *mutex)
{
    return mutex->owner && mutex->owner == coro_current();
}

static void hand_on(struct mutex *mutex)
{
    const struct line_place *next = line_give(&mutex->line);

    mutex->owner = next ? next->coro : NULL;
}

static void lock_resolutely(struct mutex *mutex)
{
    struct line_place place;

    if (mutex->owner)
        line_wait_resolutely(&mutex->line, &place, "mutex");
    else
        mutex->owner = coro_current();
}

void reeve_mutex_init(reeve_mutex *handle)
{
    struct mutex *mutex = mutex_of(handle);

    mutex->owner = NULL;
    TAILQ_INIT(&mutex->line);
}

int reeve_mutex_lock(reeve_mutex *handle, double seconds)
{
    struct mutex *mutex = mutex_of(handle);
    struct line_place place;

    if (!coro_current() || is_mine(mutex))
        return fail(EDEADLK);
    coro_note(CALL_MUTEX, __builtin_return_address(0));
    if (mutex->owner)
        return stand(&mutex->line, &place, "mutex", seconds);
    mutex->owner = coro_current();
    return 0;
}

int reeve_mutex_unlock(reeve_mutex *handle)
{
    struct mutex *mutex = mutex_of(handle);

    if (!is_mine(mutex))
        return fail(EPERM);
    hand_on(mutex);
    return 0;
}

/* ---- condition ---- */

struct condition {
    struct line line;
};

_Static_assert(sizeof(struct condition) <= sizeof(reeve_condition), "it must fit");

static struct line *line_of(reeve_condition *condition)
{
    return &((struct condition *)condition)->line;
}

void reeve_condition_init(reeve_condition *condition)
{
    TAILQ_INIT(line_of(condition));
}

/* Nobody else runs between the unlocking and the place in the line, so no signal is missed. */
int reeve_condition_wait(reeve_condition *condition, reeve_mutex *handle, double seconds)
{
    struct mutex *mutex = mutex_of(handle);
    struct line_place place;
    int reason;

    if (!coro_current())
        return fail(EDEADLK);
    if (!is_mine(mutex))
        return fail(EPERM);
    coro_note(CALL_CONDITION, __builtin_return_address(0));
    hand_on(mutex);
    reason = line_wait(line_of(condition), &place, "condition", strand_limit(seconds));
    lock_resolutely(mutex);
    return reason ? fail(reason) : 0;
}

void reeve_condition_signal(reeve_condition *condition)
{
    line_give(line_of(condition));
}

void reeve_condition_broadcast(reeve_condition *condition)
{
    line_dismiss(line_of(condition), 0);
}

/* ---- queue ---- */

struct reeve_queue {
    size_t capacity, first, count;
    bool is_closed;
    struct line getters; /* while it is empty */
    struct line putters; /* while it is full, each with its item */
    void *items[];       /* a ring */
};

reeve_queue *reeve_queue_new(size_t capacity)
{
    reeve_queue *queue;
    size_t size;

    if (capacity == 0) {
        errno = EINVAL;
        return NULL;
    }
    if (__builtin_mul_overflow(capacity, sizeof queue->items[0], &size) ||
        __builtin_add_overflow(size, sizeof *queue, &size) || !(queue = calloc(1, size))) {
        errno = ENOMEM;
        return NULL;
    }
    queue->capacity = capacity;
    TAILQ_INIT(&queue->getters);
    TAILQ_INIT(&queue->putters);
    return queue;
}

void reeve_queue_free(reeve_queue *queue)
{
    free(queue);
}

static void push(reeve_queue *queue, void *item)
{
    queue->items[(queue->first + queue->count++) % queue->capacity] = item;
}

static void *pull(reeve_queue *queue)
{
    void *item = queue->items[queue->first];

    queue->first = (queue->first + 1) % queue->capacity;
    queue->count--;
    return item;
}

int reeve_queue_put(reeve_queue *queue, void *item, double seconds)
{
    struct line_place place = {.item = item}, *getter;

    coro_note(CALL_QUEUE, __builtin_return_address(0));
    if (queue->is_closed)
        return fail(EPIPE);
    if ((getter = line_give(&queue->getters))) {
        getter->item = item;
        return 0;
    }
    if (queue->count == queue->capacity)
        return stand(&queue->putters, &place, "queue", seconds);
    push(queue, item);
    return 0;
}

int reeve_queue_get(reeve_queue *queue, void **item_out, double seconds)
{
    struct line_place place = {0}, *putter;

    coro_note(CALL_QUEUE, __builtin_return_address(0));
    if (queue->count == 0) {
        if (queue->is_closed)
            return fail(EPIPE);
        if (stand(&queue->getters, &place, "queue", seconds) == -1)
            return -1;
        *item_out = place.item;
        return 0;
    }
    *item_out = pull(queue);
    if ((putter = line_give(&queue->putters)))
        push(queue, putter->item);
    return 0;
}

/* Those who wait with an item have not put it. */
void reeve_queue_close(reeve_queue *queue)
{
    queue->is_closed = true;
    line_dismiss(&queue->putters, EPIPE);
    line_dismiss(&queue->getters, EPIPE);
}

size_t reeve_queue_count(const reeve_queue *queue)
{
    return queue->count;
}
