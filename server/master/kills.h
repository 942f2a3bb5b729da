/* kills.h: which requests killed their workers lately, and which route that speaks against. It
 * reads no clock and knows no server: what follows from a verdict is quarantines.c's. */
#ifndef MASTER_KILLS_H
#define MASTER_KILLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/quarantine.h"

/* The oldest are forgotten. As many as a folder needs with quarantine_after at its most, twice. */
#define KILLS_KEPT 4096

struct kill {
    uint64_t at; /* 0: unused */
    struct quarantine_route route;
};

struct kills {
    size_t next;
    struct kill items[KILLS_KEPT];
};

struct kills_rules {
    unsigned after;  /* so many kills of one route, or twice as many routes of a folder; 0: never */
    uint64_t within; /* ns */
    size_t mount_length; /* of the app's mount, without a '/' at its end */
};

struct kills_verdict {
    struct quarantine_route route; /* shall be quarantined */
    unsigned kills;                /* that speak against it */
    unsigned routes;               /* that they were of; more than one: it is their folder */
    uint64_t first_at;             /* of the kills */
};

/* The route that a raw path names, as the flight recorder has it: one that was cut there becomes a
 * prefix. 0, or -1 when it is none. */
int kills_route(struct quarantine_route *route_out, uint64_t app, uint64_t generation,
                const char *recorded);

/* True when it is about few enough routes to be quarantined without the app's being down: a prefix
 * has a whole segment below the mount, or is long. */
bool kills_is_narrow(const struct quarantine_route *route, size_t mount_length);

/* Remembers a kill. True: there is a verdict. */
bool kills_add(struct kills *kills, const struct kill *kill, const struct kills_rules *rules,
               struct kills_verdict *verdict_out);

/* What spoke against a route that was lifted does so no more. */
void kills_forget(struct kills *kills, const struct quarantine_route *route);

#endif
