/* switch.c: what the coroutines themselves cost, in nanoseconds. Links the objects of the rooms runtime and base.
 *
 * Prints a line for each figure, its name and the median of several rounds; the request's own work comes on top. */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "runtime/coro.h"
#include "runtime/switch.h"

#define ROUNDS 9
#define STEPS  1000000

static double now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* ---- the bare switch: two contexts hand control to and fro ---- */

static struct switch_context home, away;

static void go_home_for_ever(void *arg)
{
    (void)arg;
    for (;;)
        switch_to(&away, &home);
}

static void switch_there_and_back(void)
{
    switch_to(&home, &away);
}

/* ---- a coroutine that never waits, and one that waits once ---- */

static struct coro *waiting;

static void nothing(void *arg)
{
    (void)arg;
}

static void wait_once(void *arg)
{
    (void)arg;
    waiting = coro_current();
    coro_wait("the benchmark");
}

static void run_nothing(void)
{
    coro_run(nothing, NULL, NULL, 0);
}

static void run_and_resume(void)
{
    coro_run(wait_once, NULL, NULL, 0);
    coro_resume(waiting, 0);
}

/* ---- measuring ---- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void report(const char *name, void (*step)(void), int switches)
{
    double rounds[ROUNDS];

    for (int round = 0; round < ROUNDS; round++) {
        double begin = now_ns();
        for (int i = 0; i < STEPS; i++)
            step();
        rounds[round] = (now_ns() - begin) / STEPS / switches;
    }
    qsort(rounds, ROUNDS, sizeof rounds[0], compare);
    printf("%s\t%.1f\n", name, rounds[ROUNDS / 2]);
}

int main(void)
{
    struct event_base *base = event_base_new();
    size_t size = 64 << 10;
    void *stack = malloc(size);

    if (!base || !stack || coro_pool_open(base, 256 << 10, 16) == -1) {
        fputs("switch: out of memory\n", stderr);
        return 1;
    }
    switch_prepare(&away, stack, size, go_home_for_ever, NULL);
    report("one switch", switch_there_and_back, 2);
    report("coro_run of an empty function", run_nothing, 1);
    report("coro_run, one wait, coro_resume", run_and_resume, 1);
    coro_pool_close();
    event_base_free(base);
    free(stack);
    return 0;
}
