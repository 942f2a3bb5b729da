/* router.c: what it takes to find a path's route, in nanoseconds, among 10 and among 1,000. Links the objects of the rooms
 * web, http and base that know nothing of requests.
 *
 * The two are measured in turns, each with paths of all its routes, in an order without one. Prints a line for each figure:
 * what, and the medians for 10 and for 1,000 routes. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "web/route_tree.h"

#define ROUNDS 15
#define PATHS  4096
#define PASSES 50

struct set {
    struct route_tree *tree;
    char paths[PATHS][64];
};

static struct set few, many;
static volatile uintptr_t sink;

static double now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Always the same ones. */
static unsigned any_of(unsigned count)
{
    static uint64_t state = 88172645463325252u;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)(state >> 33) % count;
}

/* Half of the routes are fixed, half have a number and a word: "/api/things7", "/api/things7/{id:int}/parts/{name}". */
static void open_set(struct set *set, unsigned routes)
{
    struct route_refusal refusal;
    char pattern[64];

    set->tree = route_tree_new();
    for (unsigned i = 0; set->tree && i < routes; i++) {
        snprintf(pattern, sizeof pattern,
                 i % 2 ? "/api/things%03u/{id:int}/parts/{name}" : "/api/things%03u", i / 2);
        if (!route_tree_add(set->tree, pattern, &refusal))
            exit(1);
    }
}

static void choose_paths(struct set *set, unsigned routes, const char *format)
{
    for (int i = 0; i < PATHS; i++)
        snprintf(set->paths[i], sizeof set->paths[i], format, any_of(routes / 2));
}

static double measure(const struct set *set)
{
    struct route_value values[ROUTE_PARAMS_MAX];
    double begin = now_ns();

    for (int pass = 0; pass < PASSES; pass++)
        for (int i = 0; i < PATHS; i++)
            sink = (uintptr_t)route_tree_find(set->tree, set->paths[i], values);
    return (now_ns() - begin) / PASSES / PATHS;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void report(const char *name, const char *format)
{
    double of_few[ROUNDS], of_many[ROUNDS];

    choose_paths(&few, 10, format);
    choose_paths(&many, 1000, format);
    for (int round = 0; round < ROUNDS; round++) {
        of_few[round] = measure(&few);
        of_many[round] = measure(&many);
    }
    qsort(of_few, ROUNDS, sizeof of_few[0], compare);
    qsort(of_many, ROUNDS, sizeof of_many[0], compare);
    printf("%s\t%.1f\t%.1f\n", name, of_few[ROUNDS / 2], of_many[ROUNDS / 2]);
}

int main(void)
{
    open_set(&few, 10);
    open_set(&many, 1000);
    if (!few.tree || !many.tree) {
        fputs("router: out of memory\n", stderr);
        return 1;
    }
    report("a fixed path, 2 segments", "/api/things%03u");
    report("2 parameters, 5 segments", "/api/things%03u/4711/parts/wheel");
    report("no route, at the end", "/api/things%03u/4711/parts/wheel/x");
    route_tree_free(few.tree);
    route_tree_free(many.tree);
    return 0;
}
