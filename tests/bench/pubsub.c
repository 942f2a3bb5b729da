/* pubsub.c: what publishing costs, and how long it takes from worker to worker: an application that
 * measures itself. /cost wants one worker. /others wants two, once: the one that is asked publishes,
 * and the other one tells it what it has seen. Both answer with a line for each figure: its name, the
 * value, the unit. */
#include <reeve/async.h>
#include <reeve/pubsub.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SIZE   104 /* bytes of a publication */
#define BURST  100
#define BURSTS 200
#define PINGS  2000
#define MANY   100 /* subscriptions of a worker */
#define PAUSE  0.0005

#define NOBODY  "bench:nobody"
#define HERE    "bench:here"
#define PING    "bench:ping"
#define PONG    "bench:pong"
#define TIMEOUT 10.0

#define PATIENCE 10000 /* turns of the loop */

struct ping {
    double sent; /* ns */
    int number, count;
    char rest[SIZE - 16];
};

struct pong {
    double median, p99, cost; /* ns */
    uint64_t missed;
};

static double clock_of(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* ---- one worker: CPU time ---- */

static size_t heard;

static void count(reeve_subscription *subscription, const reeve_publication *publication, void *arg)
{
    (void)subscription;
    (void)arg;
    heard += publication->data != NULL;
}

/* -1: not all arrived. */
static double cost_of(const char *channel, size_t subscribers)
{
    char data[SIZE] = "";
    double begin = clock_of(CLOCK_PROCESS_CPUTIME_ID);

    heard = 0;
    for (int i = 0; i < BURSTS; i++) {
        for (int k = 0; k < BURST; k++)
            reeve_publish(channel, data, sizeof data);
        reeve_sleep(0);
        for (int tries = 0; heard < (size_t)(i + 1) * BURST * subscribers; tries++)
            if (tries == PATIENCE || reeve_sleep(0) == -1)
                return -1;
    }
    return (clock_of(CLOCK_PROCESS_CPUTIME_ID) - begin) / BURST / BURSTS;
}

static int tell_costs(reeve_environ *environ)
{
    reeve_module *module = reeve_environ_module(environ);
    reeve_subscription *subscriptions[MANY];
    double nobody, one, many;

    cost_of(NOBODY, 0); /* the memory is touched */
    nobody = cost_of(NOBODY, 0);
    subscriptions[0] = reeve_subscribe(module, HERE, count, NULL);
    one = cost_of(HERE, 1);
    for (int i = 1; i < MANY; i++)
        subscriptions[i] = reeve_subscribe(module, HERE, count, NULL);
    many = cost_of(HERE, MANY);
    for (int i = 0; i < MANY; i++)
        reeve_unsubscribe(subscriptions[i]);
    if (one < 0 || many < 0)
        return -1;
    const char *text =
        reeve_printf(environ,
                     "a publish that nobody hears: CPU\t%.0f\tns\n"
                     "... that a callback in the same worker hears: CPU of both\t%.0f\tns\n"
                     "each further callback\t%.0f\tns\n",
                     nobody, one, (many - one) / (MANY - 1));
    return reeve_write(environ, text, strlen(text));
}

/* ---- two workers ---- */

static double times[BURST * BURSTS], cost_begin;
static uint64_t missed;
static reeve_subscription *pings;

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void answer(int seen)
{
    struct pong pong = {.missed = missed};

    pong.cost = (clock_of(CLOCK_PROCESS_CPUTIME_ID) - cost_begin) / seen;
    qsort(times, (size_t)seen, sizeof *times, compare);
    pong.median = times[seen / 2];
    pong.p99 = times[seen * 99 / 100];
    reeve_publish(PONG, &pong, sizeof pong);
}

static void on_ping(reeve_subscription *subscription, const reeve_publication *publication,
                    void *arg)
{
    static int seen;
    struct ping ping;

    (void)subscription;
    (void)arg;
    missed += publication->missed;
    if (publication->size != sizeof ping)
        return;
    memcpy(&ping, publication->data, sizeof ping);
    if (ping.number == 0) {
        cost_begin = clock_of(CLOCK_PROCESS_CPUTIME_ID);
        seen = 0;
    }
    times[seen++] = clock_of(CLOCK_MONOTONIC) - ping.sent;
    if (ping.number == ping.count - 1)
        answer(seen);
}

static void ping_others(int number, int of)
{
    struct ping ping = {.number = number, .count = of};

    ping.sent = clock_of(CLOCK_MONOTONIC);
    reeve_publish(PING, &ping, sizeof ping);
}

static int take_pong(reeve_subscription *pongs, struct pong *pong_out)
{
    reeve_publication publication;

    if (reeve_subscription_next(pongs, &publication, TIMEOUT) == -1)
        return -1;
    memcpy(pong_out, publication.data, sizeof *pong_out);
    return 0;
}

/* The one that publishes does not listen itself. */
static int tell_others(reeve_environ *environ)
{
    reeve_subscription *pongs = reeve_subscription_new(PONG, 0, REEVE_SLOW_CUT_OFF);
    struct pong slow, fast;
    double begin, spent;

    reeve_unsubscribe(pings);
    pings = NULL;
    for (int i = 0; i < PINGS; i++) {
        ping_others(i, PINGS);
        reeve_sleep(PAUSE);
    }
    if (take_pong(pongs, &slow) == -1)
        return -1;
    begin = clock_of(CLOCK_PROCESS_CPUTIME_ID);
    for (int i = 0; i < BURSTS; i++) {
        for (int k = 0; k < BURST; k++)
            ping_others(i * BURST + k, BURST * BURSTS);
        reeve_sleep(PAUSE);
    }
    spent = (clock_of(CLOCK_PROCESS_CPUTIME_ID) - begin) / BURST / BURSTS;
    if (take_pong(pongs, &fast) == -1)
        return -1;
    const char *text =
        reeve_printf(environ,
                     "from worker to worker: median\t%.1f\tus\n"
                     "from worker to worker: p99\t%.1f\tus\n"
                     "in bursts of %d: CPU a publication of the worker that publishes\t%.0f\tns\n"
                     "in bursts of %d: CPU a publication of the one that listens\t%.0f\tns\n"
                     "publications missed\t%llu\t\n",
                     slow.median / 1e3, slow.p99 / 1e3, BURST, spent, BURST, fast.cost,
                     (unsigned long long)(slow.missed + fast.missed));
    return reeve_write(environ, text, strlen(text));
}

static int init(reeve_module *module)
{
    pings = reeve_subscribe(module, PING, on_ping, NULL);
    return pings ? 0 : -1;
}

static int application(reeve_environ *environ, reeve_start_response *start_response)
{
    start_response(environ, "200 OK", REEVE_HEADERS({"Content-Type", "text/plain"}));
    if (strcmp(reeve_path(environ), "/cost") == 0)
        return tell_costs(environ);
    if (strcmp(reeve_path(environ), "/others") == 0)
        return tell_others(environ);
    return reeve_write(environ, "", 0);
}

REEVE_APP(.name = "pubsub", .version = "1.0.0", .init = init, .application = application);
