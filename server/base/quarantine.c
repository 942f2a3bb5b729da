/* quarantine.c: the worker's look at the list, and the master's hand on it. `until` is 0 before and
 * after an entry is written: whoever sees the same time twice has read one entry. */
#include "base/quarantine.h"

#include <string.h>

bool quarantine_covers(const struct quarantine_entry *entry, const char *path)
{
    if (board_get(&entry->is_prefix))
        return strncmp(entry->path, path, strnlen(entry->path, sizeof entry->path)) == 0;
    return strncmp(entry->path, path, sizeof entry->path) == 0;
}

/* ---- for workers ---- */

/* The master may be taking the entry for another route meanwhile. */
static uint64_t remaining_of(const struct quarantine_entry *entry, uint64_t app,
                             uint64_t generation, const char *path, uint64_t now)
{
    uint64_t until = atomic_load_explicit(&entry->until, memory_order_acquire);
    bool is_it = until > now && board_get(&entry->app) == app &&
                 board_get(&entry->generation) == generation && quarantine_covers(entry, path);

    atomic_thread_fence(memory_order_acquire);
    return is_it && board_get(&entry->until) == until ? until - now : 0;
}

uint64_t quarantine_remaining(struct quarantine *quarantine, uint64_t app, uint64_t generation,
                              const char *path, uint64_t now)
{
    uint64_t count = board_get(&quarantine->count);

    for (uint64_t i = 0; i < count && i < QUARANTINE_MOST; i++) {
        struct quarantine_entry *entry = &quarantine->entries[i];
        uint64_t remaining = remaining_of(entry, app, generation, path, now);

        if (remaining == 0)
            continue;
        atomic_fetch_add_explicit(&entry->refused, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&quarantine->refused, 1, memory_order_relaxed);
        return remaining;
    }
    return 0;
}

/* ---- for the master ---- */

uint64_t quarantine_count(const struct quarantine *quarantine, uint64_t now)
{
    uint64_t count = board_get(&quarantine->count), in_force = 0;

    for (uint64_t i = 0; i < count && i < QUARANTINE_MOST; i++)
        in_force += board_get(&quarantine->entries[i].until) > now;
    return in_force;
}

struct quarantine_entry *quarantine_next(struct quarantine *quarantine)
{
    struct quarantine_entry *next = &quarantine->entries[0];

    for (struct quarantine_entry *e = next; e < &quarantine->entries[QUARANTINE_MOST]; e++)
        if (board_get(&e->until) < board_get(&next->until))
            next = e;
    return next;
}

static void unuse(struct quarantine_entry *entry)
{
    board_set(&entry->until, 0);
    atomic_thread_fence(memory_order_release);
}

void quarantine_put(struct quarantine *quarantine, const struct quarantine_route *route,
                    uint64_t kills, uint64_t since, uint64_t until)
{
    struct quarantine_entry *entry = quarantine_next(quarantine);
    uint64_t number = (uint64_t)(entry - quarantine->entries);

    unuse(entry);
    board_set(&entry->app, route->app);
    board_set(&entry->generation, route->generation);
    board_set(&entry->is_prefix, route->is_prefix);
    board_set(&entry->since, since);
    board_set(&entry->kills, kills);
    board_set(&entry->refused, 0);
    memcpy(entry->path, route->path, sizeof entry->path - 1);
    atomic_store_explicit(&entry->until, until, memory_order_release);
    if (number >= board_get(&quarantine->count))
        board_set(&quarantine->count, number + 1);
}

void quarantine_clear(struct quarantine *quarantine, struct quarantine_entry *entry)
{
    uint64_t count = board_get(&quarantine->count);

    unuse(entry);
    while (count > 0 && board_get(&quarantine->entries[count - 1].until) == 0)
        count--;
    board_set(&quarantine->count, count);
}

struct quarantine_entry *quarantine_each(struct quarantine *quarantine,
                                         struct quarantine_entry *after)
{
    struct quarantine_entry *e = after != NULL ? after + 1 : quarantine->entries;
    uint64_t count = board_get(&quarantine->count);
    const struct quarantine_entry *end =
        &quarantine->entries[count < QUARANTINE_MOST ? count : QUARANTINE_MOST];

    while (e < end && board_get(&e->until) == 0)
        e++;
    return e < end ? e : NULL;
}
