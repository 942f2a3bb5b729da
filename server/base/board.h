/* board.h: the scoreboard, one memfd that master and workers map shared.
 *
 * The master writes the head, the app table and the seats; a slot is written by its worker alone,
 * each cell a relaxed atomic of one writer. One thing has several writers: the jobs of an app, which
 * the workers claim (base/job.h). Counters only grow, across respawns too; gauges of a worker that
 * has gone are settled by the master (board_settle). Readers take values as they are: each is right
 * by itself, two together may be a moment apart. Sparse: pages nobody touched cost nothing. */
#ifndef BASE_BOARD_H
#define BASE_BOARD_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/count.h"
#include "base/flight.h"
#include "base/histogram.h"
#include "base/holder.h"
#include "base/job.h"
#include "base/pools.h"
#include "base/quarantine.h"
#include "base/ring.h"
#include "base/trace.h"

/* What one worker did for one app, or for one generation of it. */
struct board_column {
    board_count generation; /* whose figures these are; 0: of all */
    board_count requests;   /* begun */
    board_count active;     /* gauge: running now */
    board_count held;       /* gauge: what keeps the generation loaded, requests included */
    board_count exceptions; /* the application failed */
    board_count overdue;    /* cancelled at request_timeout, whatever was answered then */
    board_count cut;        /* of both: cut off after another status than 5xx was sent */
    board_count answers[6]; /* by the status's first digit; [0]: cut off before a status was sent */
    board_count bytes_in;   /* of request bodies, as the app read them */
    board_count bytes_out;  /* of response bodies */
    /* Long-lived connections: those of chat listeners, WebSockets. */
    board_count connections;  /* gauge: open now */
    board_count opened;       /* begun by this generation; those that moved to it are not */
    board_count moved;        /* taken over, open, from the generation before */
    board_count messages_in;  /* messages, or terminated pieces, that were received */
    board_count messages_out; /* ... and sent: pushed to one connection each */
    board_count cut_off;      /* connections ended at a limit, or as they took too little */
    /* ns from the head's last byte until the answer's last went to kernel or output buffer */
    struct histogram latency;
};

/* A row of what holds an old generation; see struct holder. */
struct board_holder {
    board_count generation, kind, waits_in, site, count;
};

/* For all generations together; each has at least one. */
#define BOARD_HOLDERS 16

struct board_cell {
    alignas(128) board_count holders_turn; /* odd: they are being written */
    struct board_holder holders[BOARD_HOLDERS];
    struct pools_row pools[POOLS_ROWS];
    alignas(128) struct board_column total;
    /* The two latest, in no order: board_column_of finds one. */
    struct board_column latest[2];
};

/* Written by the worker. Times are clock_ns(). */
struct board_slot {
    alignas(128) board_count pid;
    board_count incarnation; /* whose process this is; a reader compares it with the seat's */
    board_count booted_at;   /* when it was ready; 0: not yet */
    board_count is_accepting;
    board_count is_draining;
    board_count heartbeat_at;
    board_count rss;      /* bytes */
    board_count accepted; /* connections */
    board_count closed;
    board_count idle;     /* gauge: connections without a request */
    board_count requests; /* begun, answers of the server's own included */
    board_count active;   /* gauge: requests running */
    board_count requests_at_boot;
    board_count rss_at_boot; /* bytes, when it was ready */
    board_count exceptions;
    board_count overdue; /* requests cancelled at request_timeout */
    board_count refused; /* requests the server answered with 4xx or 5xx before an app saw them */
    board_count chats;   /* gauge: connections of chat listeners, open now */
    board_count websockets; /* gauge: open now */
    /* Publish/subscribe: messages. */
    board_count published; /* by this worker, to whatever workers */
    board_count delivered; /* handed to subscribers here: one for each of them */
    board_count missed;    /* lost here: this worker was lapped, or a subscriber's queue was full */
    /* What it does outside of requests: enum worker_step, of which app's generation. */
    board_count step, step_app, step_generation;
    struct histogram loop_lag;
    struct trace trace;
    struct flight_table flights;
};

/* Written by the master: one a slot. Times are clock_ns(). */
enum seat_state { SEAT_EMPTY, SEAT_STARTING, SEAT_SERVING, SEAT_DRAINING };
struct board_seat {
    alignas(128) board_count state;
    board_count incarnation; /* how often the slot was filled: the current one's number */
    board_count pid;
    board_count last_spawn;
    board_count last_exit;
    board_count respawns;    /* spawned because the one before died unasked */
    board_count recycled;    /* replaced at max_requests or max_memory */
    board_count last_status; /* wait status of the last one that ended */
    board_count handed_out;  /* connections the master got from it, to pass on to another worker */
    board_count handed_in;   /* ... and passed on to it */
};

/* Written by the master. `name` is set before the entry counts in app_count. */
struct board_app {
    char name[64];
    board_count generation; /* the committed one; 0: none yet */
    board_count reloads;    /* deployments that were committed after the first */
    board_count refusals;   /* deployments that were refused */
    struct job_table jobs;  /* written by the workers, each what it has claimed */
};

struct board {
    /* Fixed at start. */
    uint32_t magic, layout;
    uint64_t size;
    uint32_t max_workers, max_apps;
    uint64_t ring_size;    /* bytes, of each slot's ring: a power of two */
    uint64_t started_at;   /* clock_ns() */
    uint64_t started_wall; /* clock_wall_ns() */
    /* Written by the master. */
    board_count app_count;
    board_count deployments;
    board_count incidents; /* abnormal ends of workers */
    struct quarantine quarantine;
};

/* Makes one, with rings of RING_DEFAULT; *fd_out is its memfd (close-on-exec). NULL with errno. */
struct board *board_create(unsigned max_workers, unsigned max_apps, int *fd_out);
struct board *board_create_with(unsigned max_workers, unsigned max_apps, uint64_t ring_size,
                                int *fd_out);
/* Maps one that was handed down: NULL when it is not of this layout (EPROTO). */
struct board *board_attach(int fd);
void board_detach(struct board *board);

struct board_app *board_app(const struct board *board, unsigned app);
struct board_seat *board_seat(const struct board *board, unsigned worker);
struct board_slot *board_slot(const struct board *board, unsigned worker);
struct board_cell *board_cell(const struct board *board, unsigned worker, unsigned app);
/* What a slot's worker publishes (base/ring.h), and its bell's part (base/bell.h). The heads of all
 * slots are one array. */
struct ring board_ring(const struct board *board, unsigned worker);

/* Open connections of a slot's worker: those it accepted or was handed, and neither closed nor
 * handed on. */
uint64_t board_connections(const struct board *board, unsigned worker);

/* Takes a column for `generation`, which goes live in a cell: its own, or else the one that is not
 * the former live one's (0: there was none), or the older one, which is zeroed first. For the
 * slot's worker. */
struct board_column *board_claim(struct board_cell *cell, uint64_t generation, uint64_t former);
/* The column that `generation` has in a cell, or NULL. */
struct board_column *board_column_of(const struct board_cell *cell, uint64_t generation);

/* Replaces the rows of a cell; those beyond BOARD_HOLDERS are left out. For the slot's worker. */
void board_show_holders(struct board_cell *cell, const struct holder *rows, size_t count);
/* Returns how many there are; -1: not known, the writer was stopped in the middle. */
int board_read_holders(const struct board_cell *cell, struct holder rows_out[BOARD_HOLDERS]);

/* After its worker has gone: gauges to 0, no holders, connections that died with it closed, and
 * what told of the process (pid, booted_at, rss, is_accepting, is_draining) cleared, no channels
 * wanted. For the master. */
void board_settle(const struct board *board, unsigned worker);

#endif
