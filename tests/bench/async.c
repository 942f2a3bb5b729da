/* async.c: what futures and tasks cost where they are used: an application that measures itself and answers with a line
 * for each figure, its name and the median of several rounds in nanoseconds. */
#include <reeve/async.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 15
#define STEPS  20000
#define BATCH  100

static double now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* ---- a future that has settled before it is awaited ---- */

static void settled(void)
{
    reeve_scope scope;

    reeve_scope_begin(&scope, REEVE_FOREVER);
    for (int i = 0; i < BATCH; i++) {
        reeve_future *future = reeve_future_new();

        reeve_future_resolve(future, NULL);
        reeve_await(future, REEVE_FOREVER, NULL);
    }
    reeve_scope_end(&scope);
}

/* ---- a hundred tasks that wait, each for a future of its own, made for it; all are resolved and go on ---- */

static reeve_future *futures[BATCH];
static int waiting;

static int wait_again_and_again(void *arg, void **value_out)
{
    reeve_future **mine = arg;

    (void)value_out;
    for (;;) {
        waiting++;
        if (reeve_await(*mine, REEVE_FOREVER, NULL) == -1)
            return 0;
    }
}

static void awaited(void)
{
    reeve_future *old[BATCH];

    waiting = 0;
    for (int i = 0; i < BATCH; i++) {
        old[i] = futures[i];
        futures[i] = reeve_future_hold(reeve_future_new());
        reeve_future_resolve(old[i], NULL);
        reeve_future_release(old[i]);
    }
    while (waiting < BATCH)
        reeve_sleep(0);
}

/* In a scope, or the futures of all rounds would stay until the end. */
static void awaited_in_scope(void)
{
    reeve_scope scope;

    reeve_scope_begin(&scope, REEVE_FOREVER);
    awaited();
    reeve_scope_end(&scope);
}

/* ---- a task, spawned and awaited ---- */

static int nothing(void *arg, void **value_out)
{
    (void)arg, (void)value_out;
    return 0;
}

static void spawned(void)
{
    reeve_future *tasks[BATCH];
    reeve_scope scope;

    reeve_scope_begin(&scope, REEVE_FOREVER);
    for (int i = 0; i < BATCH; i++)
        tasks[i] = reeve_spawn(nothing, NULL);
    reeve_await_all(tasks, BATCH, REEVE_FOREVER);
    reeve_scope_end(&scope);
}

/* ---- measuring ---- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static const char *measure(reeve_environ *environ, const char *name, void (*batch)(void))
{
    double rounds[ROUNDS];

    for (int round = 0; round < ROUNDS; round++) {
        double begin = now_ns();
        for (int i = 0; i < STEPS / BATCH; i++)
            batch();
        rounds[round] = (now_ns() - begin) / STEPS;
    }
    qsort(rounds, ROUNDS, sizeof rounds[0], compare);
    return reeve_printf(environ, "%s\t%.1f\n", name, rounds[ROUNDS / 2]);
}

static const char *measure_waiting(reeve_environ *environ)
{
    const char *line;
    reeve_scope scope;

    reeve_scope_begin(&scope, REEVE_FOREVER);
    for (int i = 0; i < BATCH; i++) {
        futures[i] = reeve_future_hold(reeve_future_new());
        reeve_spawn(wait_again_and_again, &futures[i]);
    }
    reeve_sleep(0);
    line =
        measure(environ, "a future made, awaited and then resolved, 100 waiting", awaited_in_scope);
    for (int i = 0; i < BATCH; i++)
        reeve_future_release(futures[i]);
    reeve_scope_end(&scope);
    return line;
}

static int application(reeve_environ *environ, reeve_start_response *start_response)
{
    const char *lines[] = {
        measure(environ, "a future made, resolved and awaited, without a wait", settled),
        measure_waiting(environ),
        measure(environ, "a task spawned and awaited, 100 at a time", spawned),
    };

    start_response(environ, "200 OK", REEVE_HEADERS({"Content-Type", "text/plain"}));
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        reeve_write(environ, lines[i], strlen(lines[i]));
    return 0;
}

REEVE_APP(.name = "async", .version = "1.0.0", .application = application);
