/* origin.c: see origin.h. */
#include "client/origin.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "runtime/coro.h"
#include "runtime/line.h"

#define BUCKETS 64

TAILQ_HEAD(wires, wire);

/* Lifetime: as long as it has connections, or somebody who waits for one, or limits of its own. */
struct origin {
    LIST_ENTRY(origin) entry;
    unsigned active, idle_count;
    unsigned most, most_idle;
    bool is_limited;
    struct wires idle; /* the last used first */
    struct line line;  /* who waits: nobody, unless active == most */
    char name[];
};

/* Of the process. */
static struct {
    struct event_base *base;
    struct event sweep; /* while anything is idle */
    LIST_HEAD(, origin) buckets[BUCKETS];
    struct wires oldest; /* all idle ones, the longest idle first */
    unsigned idle_count, limited_count;
    bool is_draining;
} table;

struct event_base *origin_base(void)
{
    return table.base;
}

/* ---- origins ---- */

static size_t bucket_of(const char *name)
{
    uint32_t hash = 2166136261u; /* FNV-1a */

    while (*name)
        hash = (hash ^ (unsigned char)*name++) * 16777619u;
    return hash % BUCKETS;
}

static struct origin *find_or_add(const char *name)
{
    size_t bucket = bucket_of(name), size = strlen(name) + 1;
    struct origin *origin;

    LIST_FOREACH (origin, &table.buckets[bucket], entry)
        if (strcmp(origin->name, name) == 0)
            return origin;
    origin = malloc(sizeof *origin + size);
    if (!origin)
        return NULL;
    *origin = (struct origin){.most = ORIGIN_CONNECTIONS, .most_idle = ORIGIN_IDLE};
    TAILQ_INIT(&origin->idle);
    TAILQ_INIT(&origin->line);
    memcpy(origin->name, name, size);
    LIST_INSERT_HEAD(&table.buckets[bucket], origin, entry);
    return origin;
}

static void forget_unused(struct origin *origin)
{
    if (origin->active > 0 || origin->idle_count > 0 || origin->is_limited ||
        !TAILQ_EMPTY(&origin->line))
        return;
    LIST_REMOVE(origin, entry);
    free(origin);
}

/* ---- idle ones ---- */

static void wire_free(struct wire *wire)
{
    wire_close(wire);
    free(wire);
}

static void take_off(struct wire *wire)
{
    struct origin *origin = wire->origin;

    TAILQ_REMOVE(&origin->idle, wire, entry);
    TAILQ_REMOVE(&table.oldest, wire, oldest);
    origin->idle_count--;
    wire->is_idle = false;
    if (--table.idle_count == 0)
        event_del(&table.sweep);
}

static void drop(struct wire *wire)
{
    struct origin *origin = wire->origin;

    take_off(wire);
    wire_free(wire);
    forget_unused(origin);
}

/* It has been closed by the service, as a rule. The edge may also be one of an answer that was read
 * before the loop told of it. */
static void on_idle(struct wire *wire)
{
    if (!wire_is_quiet(wire))
        drop(wire);
}

/* One that was closed together with its last answer has made its last edge before it was idle. */
static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
    uint64_t now = clock_ns();
    struct wire *wire, *next;

    (void)fd, (void)what, (void)arg;
    for (wire = TAILQ_FIRST(&table.oldest); wire; wire = next) {
        next = TAILQ_NEXT(wire, oldest);
        if (wire->idle_until <= now || (wire->can_read && !wire_is_quiet(wire)))
            drop(wire);
    }
}

bool origin_spare_one(void)
{
    struct wire *wire = TAILQ_FIRST(&table.oldest);

    if (!wire)
        return false;
    drop(wire);
    return true;
}

static void keep(struct wire *wire, uint64_t ns)
{
    const struct timeval second = {.tv_sec = 1};
    struct origin *origin = wire->origin;

    if (table.idle_count == ORIGIN_IDLE_ALL)
        origin_spare_one();
    if (table.idle_count++ == 0)
        event_add(&table.sweep, &second); /* without it they are closed by the services */
    TAILQ_INSERT_HEAD(&origin->idle, wire, entry);
    TAILQ_INSERT_TAIL(&table.oldest, wire, oldest);
    origin->idle_count++;
    wire->is_idle = true;
    wire->was_used = true;
    wire->idle_until = clock_ns() + ns;
}

static struct wire *take_idle(struct origin *origin)
{
    struct wire *wire;

    while ((wire = TAILQ_FIRST(&origin->idle))) {
        take_off(wire);
        if (clock_ns() < wire->idle_until && wire_is_quiet(wire))
            return wire;
        wire_free(wire);
    }
    return NULL;
}

/* ---- taking turns ---- */

/* A place in line, and what was given with the turn. */
struct turn {
    struct line_place place; /* first */
    bool is_fresh;           /* wants none that was used */
    struct wire *wire;       /* NULL: it has to see for itself */
};

/* The turn is counted for whoever has it, here or in give_turns. */
static int claim(struct origin *origin, struct turn *turn, uint64_t ns)
{
    if (origin->active < origin->most) {
        origin->active++;
        return 0;
    }
    return line_wait(&origin->line, &turn->place, "connection", ns);
}

/* Straight to the first in line: it shall not be closed because there are enough idle ones. */
static bool pass_on(struct wire *wire)
{
    struct origin *origin = wire->origin;
    struct turn *first = (struct turn *)TAILQ_FIRST(&origin->line);

    if (!first || first->is_fresh || origin->active > origin->most)
        return false;
    wire->was_used = true;
    first->wire = wire;
    line_give(&origin->line);
    return true;
}

static void give_turns(struct origin *origin)
{
    while (origin->active < origin->most && line_give(&origin->line))
        origin->active++;
}

static void give_up(struct origin *origin)
{
    origin->active--;
    give_turns(origin);
    forget_unused(origin);
}

static struct wire *wire_new(struct origin *origin)
{
    struct wire *wire = malloc(sizeof *wire);
    struct wire *last = TAILQ_LAST(&origin->idle, wires);

    if (!wire)
        return NULL;
    if (last && origin->active + origin->idle_count > origin->most) {
        take_off(last);
        wire_free(last);
    }
    *wire = (struct wire){.fd = -1, .origin = origin, .on_idle = on_idle};
    return wire;
}

int origin_take(const char *name, bool is_fresh, uint64_t ns, struct wire **wire_out)
{
    struct origin *origin = find_or_add(name);
    struct turn turn = {.is_fresh = is_fresh};
    struct wire *wire;
    int reason;

    if (!origin)
        return ENOMEM;
    if ((reason = claim(origin, &turn, ns))) {
        forget_unused(origin);
        return reason;
    }
    wire = turn.wire;
    if (wire && !wire_is_quiet(wire)) {
        wire_free(wire);
        wire = NULL;
    }
    if (!wire && !is_fresh)
        wire = take_idle(origin);
    if (!wire)
        wire = wire_new(origin);
    if (!wire) {
        give_up(origin);
        return ENOMEM;
    }
    *wire_out = wire;
    return 0;
}

void origin_give(struct wire *wire, uint64_t ns)
{
    struct origin *origin = wire->origin;

    if (ns > 0 && wire->fd != -1 && pass_on(wire))
        return;
    if (ns > 0 && !table.is_draining && wire->fd != -1 && origin->most_idle > 0) {
        if (origin->idle_count >= origin->most_idle) {
            struct wire *last = TAILQ_LAST(&origin->idle, wires);
            take_off(last);
            wire_free(last);
        }
        keep(wire, ns < ORIGIN_IDLE_NS ? ns : ORIGIN_IDLE_NS);
    } else {
        wire_free(wire);
    }
    give_up(origin);
}

int origin_limit(const char *name, unsigned connections, unsigned idle)
{
    struct origin *origin = find_or_add(name);

    if (!origin) {
        errno = ENOMEM;
        return -1;
    }
    if (!origin->is_limited && table.limited_count == ORIGIN_LIMITED) {
        forget_unused(origin);
        errno = ENOSPC;
        return -1;
    }
    table.limited_count += !origin->is_limited;
    origin->is_limited = true;
    origin->most = connections ? connections : ORIGIN_CONNECTIONS;
    origin->most_idle = idle;
    while (origin->idle_count > idle) {
        struct wire *last = TAILQ_LAST(&origin->idle, wires);
        take_off(last);
        wire_free(last);
    }
    give_turns(origin);
    return 0;
}

/* ---- the table ---- */

int origin_open(struct event_base *base)
{
    memset(&table, 0, sizeof table);
    table.base = base;
    TAILQ_INIT(&table.oldest);
    wire_buffers_open();
    return event_assign(&table.sweep, base, -1, EV_PERSIST, on_sweep, NULL);
}

void origin_drain(void)
{
    table.is_draining = true;
    while (origin_spare_one())
        ;
}

void origin_close(void)
{
    struct origin *origin;

    origin_drain();
    for (size_t i = 0; i < BUCKETS; i++)
        while ((origin = LIST_FIRST(&table.buckets[i]))) {
            LIST_REMOVE(origin, entry);
            free(origin);
        }
    wire_buffers_close();
}
