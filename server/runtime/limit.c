/* limit.c: one tick looks at the head of each list. */
#include "runtime/limit.h"

#include <event2/event.h>
#include <stdlib.h>

#include "base/clock.h"

TAILQ_HEAD(limit_list, limit);

struct limit_class {
    struct limit_list list; /* oldest first */
    uint64_t duration;
};

struct limits {
    struct event *tick;
    limit_on_expire *on_expire;
    void *arg;
    unsigned count;
    struct limit_class classes[];
};

void limit_stop(struct limits *limits, struct limit *limit)
{
    if (!limit->running)
        return;
    TAILQ_REMOVE(&limits->classes[limit->running - 1].list, limit, entry);
    limit->running = 0;
}

void limit_start(struct limits *limits, struct limit *limit, unsigned class, uint64_t now)
{
    struct limit_list *list = &limits->classes[class].list;
    const struct limit *last;

    limit_stop(limits, limit);
    last = TAILQ_LAST(list, limit_list);
    limit->since = last && last->since > now ? last->since : now; /* so the list stays sorted */
    limit->running = class + 1;
    TAILQ_INSERT_TAIL(list, limit, entry);
}

static void expire(struct limits *limits, struct limit *limit, unsigned class)
{
    limit_stop(limits, limit);
    limits->on_expire(limit, class, limits->arg);
}

/* What expires may start again and come to the tail; it is young then, so the walk ends before
 * it. */
static void expire_older(struct limits *limits, unsigned class, uint64_t limit_since)
{
    struct limit *limit;

    while ((limit = TAILQ_FIRST(&limits->classes[class].list)) && limit->since <= limit_since)
        expire(limits, limit, class);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct limits *limits = arg;
    uint64_t now = clock_ns();

    (void)fd, (void)what;
    for (unsigned i = 0; i < limits->count; i++)
        if (limits->classes[i].duration && now > limits->classes[i].duration)
            expire_older(limits, i, now - limits->classes[i].duration);
}

void limits_expire_class(struct limits *limits, unsigned class)
{
    expire_older(limits, class, clock_ns());
}

struct limits *limits_new(struct event_base *base, const uint64_t *durations, unsigned classes,
                          limit_on_expire *on_expire, void *arg)
{
    const struct timeval period = {.tv_usec = LIMIT_TICK / 1000};
    struct limits *limits = calloc(1, sizeof *limits + classes * sizeof limits->classes[0]);

    if (!limits)
        return NULL;
    limits->on_expire = on_expire;
    limits->arg = arg;
    limits->count = classes;
    for (unsigned i = 0; i < classes; i++) {
        TAILQ_INIT(&limits->classes[i].list);
        limits->classes[i].duration = durations[i];
    }
    limits->tick = event_new(base, -1, EV_PERSIST, on_tick, limits);
    if (!limits->tick || event_add(limits->tick, &period) == -1) {
        limits_free(limits);
        return NULL;
    }
    return limits;
}

void limits_free(struct limits *limits)
{
    if (limits->tick)
        event_free(limits->tick);
    free(limits);
}
