/* room.h: the applications of a worker: which there are, where they are mounted, and what their
 * requests share.
 *
 * Lifetime: the worker process. Made by the worker, which passes it down; net calls back into it
 * with requests. */
#ifndef APP_ROOM_H
#define APP_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/board.h"
#include "base/config.h"
#include "base/flight.h"
#include "net/net.h"

struct access_log;
struct generation;
struct listener;
struct overdue;
struct reeve_environ;

/* One configured application. */
struct app {
    const struct config_app *config;
    struct room *room;
    unsigned index; /* its column on the scoreboard, by which the master speaks of it */
    struct board_cell *cell;
    struct generation *live; /* takes new requests; NULL before the first commit */
    bool shows_holders;      /* of older generations, in the cell */
    LIST_HEAD(, generation) generations;
};

SLIST_HEAD(request_list, reeve_environ);

struct room {
    const struct config *config;
    struct net net;
    struct board *board;
    const int *bells; /* one for each slot, see base/bell.h; NULL in a preflight process */
    unsigned worker;  /* its slot's number */
    struct board_slot *slot;
    struct quarantine *quarantine;
    struct flight_recorder recorder;
    struct app *apps; /* in the order of config->apps */
    unsigned app_count;
    struct route_table *routes; /* one for each listener */
    struct access_log *access;  /* NULL: off */
    struct overdue *overdue;    /* NULL: no app has a request_timeout */
    bool is_preflight;
    struct listener *door; /* a preflight process's requests come from it; NULL: none were made */
    char *step;            /* where a preflight process says what it tries; NULL in a worker */
    size_t step_size;

    /* The generation went: its mapping is verified to be gone, or `why_not`. */
    void (*on_unloaded)(unsigned app, uint64_t generation, const char *why_not, void *arg);
    void (*on_background_ended)(void *arg); /* a task that was no request's; may be NULL */
    void *arg;

    /* Requests at rest, last used first. */
    struct request_list idle;
    unsigned idle_count;
    uint64_t next_id; /* of a request: random at boot, then counted */

    /* "Server: ...\r\nDate: ...\r\n", made anew each second. */
    char stamp[96];
    size_t stamp_length, server_length;
    uint64_t stamp_until; /* clock_ns() */
};

/* The room of this process. net, slot and config are borrowed. 0 or -1. */
int room_open(struct room *room, const struct config *config, struct board *board, unsigned worker);
/* No request may be running. */
void room_close(struct room *room);

/* The process ends: all generations, live or only prepared, are retired. */
void room_retire(struct room *room);

/* Says on the scoreboard, and in a preflight process to the master, what is done from now on with a
 * generation that is no request: it is what is known of a process that crashes meanwhile. */
void room_do(const struct room *room, enum worker_step step, const struct generation *generation);

/* Brings the stamp up to date. */
void room_refresh_stamp(struct room *room, uint64_t now);

struct app *room_app(struct room *room, unsigned column); /* NULL: no app has it */

#endif
