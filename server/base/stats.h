/* stats.h: what the scoreboard says, added up, and what each figure is called.
 *
 * stats_new reads the board alone, so a hung worker delays nothing. The tables give each member its
 * name, unit and meaning, once: the JSON reports, /metrics and `reevectl help stats` are made from
 * them. */
#ifndef BASE_STATS_H
#define BASE_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/board.h"
#include "base/config.h"
#include "base/histogram.h"
#include "base/holder.h"

/* Nanoseconds, as everything that is a time in these structs. */
struct stats_times {
    uint64_t count, mean, p50, p90, p99, p999, max;
    struct histogram_sum histogram;
};

/* What was done for an app, or for one generation of it, in all workers together. */
struct stats_column {
    uint64_t generation, requests, active, held, exceptions, overdue;
    uint64_t answers[6]; /* by the status's first digit; [0]: cut off before a status was sent */
    uint64_t bytes_in, bytes_out;
    uint64_t connections, opened, moved, cut_off; /* long-lived ones */
    uint64_t messages_in, messages_out;           /* of these */
    struct stats_times latency;
};

/* A periodic job. */
struct stats_job {
    struct job_figures figures;
    const char *name; /* in figures */
    uint64_t worker;  /* its id, while it is running */
    uint64_t last_begun, next_in;
};

/* A pool, in all workers together. */
struct stats_pool {
    struct pools_sum figures;
    const char *name; /* in figures */
};

struct stats_app {
    const char *name, *mount; /* the configuration's */
    uint64_t generation, reloads, refusals;
    struct stats_column total;
    struct stats_column latest[2]; /* the newest first */
    size_t latest_count;
    struct holder_list holders; /* of generations that take no new requests */
    struct stats_job jobs[JOB_MOST];
    size_t job_count;
    struct stats_pool *pools; /* by name */
    size_t pool_count;
};

/* Long-lived connections open now, by kind, and the messages of publish/subscribe. */
struct stats_live {
    uint64_t chats, websockets;
    uint64_t published, delivered, missed;
};

enum stats_status { STATS_STARTING, STATS_IDLE, STATS_BUSY, STATS_DRAINING, STATS_STUCK };
#define STATS_STATUSES 5
extern const char *const stats_status_names[STATS_STATUSES];

struct stats_worker {
    uint64_t id, incarnation, pid;
    enum stats_status status;
    const char *status_name;
    bool is_booted, is_accepting;
    uint64_t requests, active, delta_requests, exceptions, overdue, refused;
    uint64_t connections, connections_idle; /* open, and of these without a request */
    struct stats_live live;
    uint64_t rss;
    uint64_t last_spawn, last_heartbeat; /* since 1970 */
    uint64_t respawn_count;
    struct stats_times loop_lag;
};

/* Sums over every seat that was ever filled: what a dead worker counted stays counted. */
struct stats_server {
    const char *version;
    bool is_stopping, is_drained; /* for whoever knows to fill in */
    uint64_t pid;                 /* of the calling process: the master */
    uint64_t started_at, uptime, generation;
    uint64_t accepted, active, idle, closed, handed_over; /* connections */
    struct stats_live live;
    uint64_t requests, requests_active, refused, exceptions, overdue;
    uint64_t quarantined, quarantine_refused;
    uint64_t target;         /* for whoever knows to fill in; else config->workers */
    uint64_t start_failures; /* likewise */
    uint64_t statuses[STATS_STATUSES];
    uint64_t respawns, recycled, incidents;
};

struct stats_socket {
    const char *name, *address, *protocol, *app; /* the configuration's; app: NULL on http */
    uint64_t backlog, queue;
};

struct stats {
    struct stats_server server;
    struct stats_worker *workers; /* the living ones */
    size_t worker_count;
    struct stats_app *apps; /* in the configuration's order */
    size_t app_count;
};

/* `now` is clock_ns(). The names in it are borrowed from config. NULL with ENOMEM. */
struct stats *stats_new(const struct board *board, const struct config *config, uint64_t now);
void stats_free(struct stats *stats);

enum stats_kind {
    STATS_COUNT,   /* uint64_t that only grows */
    STATS_GAUGE,   /* uint64_t */
    STATS_SECONDS, /* uint64_t of nanoseconds, shown in seconds */
    STATS_FLAG,    /* bool */
    STATS_TEXT,    /* const char * */
};

struct stats_field {
    const char *name; /* "connections.idle" is the member idle of an object connections */
    enum stats_kind kind;
    size_t offset;
    const char *unit;
    const char *help;
    const char *metric; /* its family in /metrics, or NULL */
    const char *label;  /* what tells it from the others of its family, or NULL */
    const char
        *family; /* what the family means; on its first field, and only when it has several */
};

struct stats_table {
    const char *name;  /* where it stands in the reports: "workers[]" */
    const char *title; /* for people */
    const struct stats_field *fields;
    size_t count;
};

extern const struct stats_table stats_server_table;     /* of struct stats_server */
extern const struct stats_table stats_socket_table;     /* of struct stats_socket */
extern const struct stats_table stats_worker_table;     /* of struct stats_worker */
extern const struct stats_table stats_app_table;        /* of struct stats_app */
extern const struct stats_table stats_column_table;     /* of struct stats_column */
extern const struct stats_table stats_generation_table; /* of struct stats_column, before those */
extern const struct stats_table stats_job_table;        /* of struct stats_job */
extern const struct stats_table stats_pool_table;       /* of struct stats_pool */
extern const struct stats_table stats_times_table;      /* of struct stats_times */

/* All of them, in the order in which one reads them; ends with NULL. */
extern const struct stats_table *const stats_tables[];

/* Where the member lies. The caller knows by kind what it is. */
static inline const void *stats_member(const void *of, const struct stats_field *field)
{
    return (const char *)of + field->offset;
}

#endif
