/* quarantine.h: routes that killed workers, on the scoreboard: written by the master, obeyed by
 * every worker before an application is called.
 *
 * An entry is for one build of an app: another that goes live is asked again. Workers that are
 * spawned later obey it too, and it outlives an upgrade. */
#ifndef BASE_QUARANTINE_H
#define BASE_QUARANTINE_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/flight.h"

#define QUARANTINE_MOST 32u

struct quarantine_entry {
    alignas(128) _Atomic uint64_t until; /* clock_ns(); 0: unused */
    _Atomic uint64_t app, generation;
    _Atomic uint64_t since; /* clock_ns() */
    _Atomic uint64_t kills;
    _Atomic uint64_t refused;   /* counter, of the workers */
    _Atomic uint64_t is_prefix; /* of all paths that begin like this */
    char path[FLIGHT_PATH];     /* decoded; its last byte is always NUL */
};

struct quarantine {
    alignas(128) _Atomic uint64_t count; /* entries from here on are unused: 0 is the usual case */
    alignas(128) _Atomic uint64_t refused; /* counter, of the workers: by whatever entry */
    struct quarantine_entry entries[QUARANTINE_MOST];
};

/* What an entry is about. */
struct quarantine_route {
    uint64_t app, generation;
    bool is_prefix;
    char path[FLIGHT_PATH];
};

/* ---- for workers ---- */

/* The usual case, at the price of one load. */
static inline bool quarantine_is_empty(const struct quarantine *quarantine)
{
    return atomic_load_explicit(&quarantine->count, memory_order_relaxed) == 0;
}

/* ns until the decoded path is served again, and it counts as refused; 0: it is served. */
uint64_t quarantine_remaining(struct quarantine *quarantine, uint64_t app, uint64_t generation,
                              const char *path, uint64_t now);

/* ---- for the master ---- */

/* Takes an unused entry for this route; when there is none, the one that ends soonest, which is to
 * be told of before: quarantine_next. */
void quarantine_put(struct quarantine *quarantine, const struct quarantine_route *route,
                    uint64_t kills, uint64_t since, uint64_t until);
/* The entry that quarantine_put takes; it is in use when its `until` is not 0. */
struct quarantine_entry *quarantine_next(struct quarantine *quarantine);
/* The route is served again. */
void quarantine_clear(struct quarantine *quarantine, struct quarantine_entry *entry);

/* The entries in use, as `for (e = NULL; (e = quarantine_each(q, e)) != NULL;)`; e may be cleared
 * meanwhile. */
struct quarantine_entry *quarantine_each(struct quarantine *quarantine,
                                         struct quarantine_entry *after);
/* How many are in force. */
uint64_t quarantine_count(const struct quarantine *quarantine, uint64_t now);
/* It is about the decoded path, of whatever app. */
bool quarantine_covers(const struct quarantine_entry *entry, const char *path);

#endif
