/* catalog.h: which apps there are, and which build of each is current: by the app's column on the
 * scoreboard, which a name keeps for as long as the server runs, so that its counters go on when it
 * is taken out of the configuration and comes back. */
#ifndef MASTER_CATALOG_H
#define MASTER_CATALOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/board.h"
#include "base/config.h"
#include "master/build.h"
#include "master/edition.h"

struct catalog_app {
    struct build *current; /* what new requests go to: a reference; NULL: none (yet, or any more) */
    struct build *next;    /* what workers of the next edition get instead; NULL: the current one */
    uint64_t last;         /* the highest generation that was tried: each number is used once */
};

struct catalog {
    struct board *board;
    const struct edition *next; /* being rolled out: a reload of the configuration; NULL: none */
    struct catalog_app *apps;   /* one for each column */
};

/* 0, or -1 with ENOMEM. */
int catalog_open(struct catalog *catalog, struct board *board);
void catalog_close(struct catalog *catalog);

/* Gives each app of a configuration its column, by name. 0, or -1 with a sentence when they run
 * out. */
int catalog_assign(struct catalog *catalog, struct config *config, char **error_out);

/* What a worker of this edition runs in a column; NULL: nothing is current there. */
struct build *catalog_build(const struct catalog *catalog, const struct edition *edition,
                            unsigned column);
/* NULL when the column is nobody's; never fails for a column that a configuration has. */
const char *catalog_name(const struct catalog *catalog, unsigned column);

/* Makes a build the current one (NULL: none is); the one that was is returned with its
 * reference. */
struct build *catalog_replace(struct catalog *catalog, unsigned column, struct build *build);

/* Begins, and ends, that workers of another edition are made: with `is_kept` its builds become
 * current, and apps that it does not have have none. */
void catalog_begin_edition(struct catalog *catalog, const struct edition *edition);
void catalog_set_next(struct catalog *catalog, unsigned column, struct build *build);
void catalog_end_edition(struct catalog *catalog, bool is_kept);

#endif
