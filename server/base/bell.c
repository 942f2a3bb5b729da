/* bell.c: see bell.h. Reads no ring, and waits for nobody.
 *
 * Why no wake-up is lost: who publishes stores the end of its ring, then (fence) looks at `wanted`
 * and `rung`; who reads clears `rung`, or adds to `wanted`, then (fence) looks at the ends of the
 * rings. With both fences sequentially consistent at least one of the two sees the other's store:
 * either the reader sees the record, or the publisher sees that it has to ring. A bell that is rung
 * needlessly costs its worker one round through the rings.
 *
 * Who dies between publishing and ringing leaves a bell mute, marked or not. The master, which alone
 * can know, rings after each death for whoever may be concerned (bells_rouse). */
#include "base/bell.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct ring_head *own_head(const struct bells *bells)
{
    return &bells->heads[bells->own];
}

static void fence(void)
{
    atomic_thread_fence(memory_order_seq_cst);
}

static bool is_marked(const struct ring_head *head)
{
    return atomic_load_explicit(&head->rung, memory_order_relaxed) != 0;
}

static void sound(int fd)
{
    const uint64_t once = 1;
    ssize_t n = write(fd, &once, sizeof once);

    (void)n; /* one that takes no more is full, and so audible */
}

/* ---- of a worker ---- */

/* Of what its predecessor has left nothing stays: whatever was rung for it. */
int bells_open(struct bells *bells, const struct board *board, const int *fds, unsigned own)
{
    *bells = (struct bells){.fds = fds,
                            .heads = board_ring(board, 0).head,
                            .catch_up = board->ring_size / 4,
                            .count = board->max_workers,
                            .own = own};
    bells->told = calloc(bells->count, sizeof bells->told[0]);
    if (bells->told == NULL)
        return -1;
    ring_head_settle(own_head(bells));
    bells_heard(bells);
    return 0;
}

void bells_close(struct bells *bells)
{
    ring_head_settle(own_head(bells));
    free(bells->told);
    bells->told = NULL;
}

int bells_fd(const struct bells *bells)
{
    return bells->fds != NULL ? bells->fds[bells->own] : -1;
}

void bells_heard(struct bells *bells)
{
    uint64_t times;

    /* Before the mark is cleared: a ring that comes then is heard once more. */
    if (bells->fds != NULL && read(bells_fd(bells), &times, sizeof times) == -1)
        times = 0; /* it was not rung */
    atomic_store_explicit(&own_head(bells)->rung, 0, memory_order_relaxed);
    fence();
}

void bells_want(struct bells *bells, uint64_t hash)
{
    ring_filter_add(&own_head(bells)->wanted, hash);
    fence();
}

/* A word at a time: what is in both is never missing. */
void bells_want_only(struct bells *bells, const struct ring_filter *wanted)
{
    struct ring_filter *own = &own_head(bells)->wanted;

    for (unsigned i = 0; i < RING_FILTER_WORDS; i++)
        atomic_store_explicit(&own->words[i],
                              atomic_load_explicit(&wanted->words[i], memory_order_relaxed),
                              memory_order_relaxed);
    fence();
}

const struct ring_filter *bells_wanted(const struct bells *bells)
{
    return &own_head(bells)->wanted;
}

/* Only the first who rings has to write. */
static void ring_one(struct ring_head *head, int fd)
{
    if (!is_marked(head) && atomic_exchange_explicit(&head->rung, 1, memory_order_seq_cst) == 0)
        sound(fd);
}

/* Whether a worker, which does not want the channel, is to read before what it wants is
 * overwritten: a quarter of the ring is new to it. */
static bool is_to_catch_up(struct bells *bells, const struct ring_head *head, unsigned slot,
                           uint64_t end)
{
    if (end - bells->told[slot] <= bells->catch_up)
        return false;
    if (!ring_filter_is_empty(&head->wanted))
        return true;
    bells->told[slot] = end; /* it reads nothing */
    return false;
}

bool bells_ring(struct bells *bells, uint64_t hash, uint64_t end)
{
    bool is_for_us = false;

    fence();
    for (unsigned slot = 0; slot < bells->count; slot++) {
        struct ring_head *head = &bells->heads[slot];

        if (!ring_filter_has(&head->wanted, hash) && !is_to_catch_up(bells, head, slot, end))
            continue;
        /* One that is marked, and not by us, has not begun to read either. */
        bells->told[slot] = end;
        if (slot == bells->own)
            is_for_us = true;
        else if (bells->fds != NULL)
            ring_one(head, bells->fds[slot]);
    }
    return is_for_us;
}

/* ---- of the master ---- */

int *bells_make(unsigned count)
{
    int *fds = calloc(count, sizeof fds[0]);
    int error;

    for (unsigned i = 0; fds != NULL && i < count; i++) {
        fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (fds[i] != -1)
            continue;
        error = errno;
        bells_unmake(fds, i);
        errno = error;
        return NULL;
    }
    return fds;
}

void bells_unmake(int *fds, unsigned count)
{
    for (unsigned i = 0; fds != NULL && i < count; i++)
        close(fds[i]);
    free(fds);
}

void bells_rouse(const struct board *board, const int *fds)
{
    for (unsigned slot = 0; fds != NULL && slot < board->max_workers; slot++) {
        const struct ring_head *head = board_ring(board, slot).head;

        if (is_marked(head) || !ring_filter_is_empty(&head->wanted))
            sound(fds[slot]);
    }
}
