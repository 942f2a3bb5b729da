/* stats_fields.c: what each figure of the reports is called, its unit and what it means.
 *
 * The only place that says so: report.c makes JSON of these tables, metrics.c the families of
 * /metrics, reevectl the page `reevectl help stats`. */
#include "base/stats.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Behind the unit: the help, then whatever of .metric, .label and .family it has. */
#define FIELD(of, kind_, name_, member, unit_, ...)                                          \
    {                                                                                        \
        .name = name_, .kind = STATS_##kind_, .offset = offsetof(struct stats_##of, member), \
        .unit = unit_, .help = __VA_ARGS__                                                   \
    }
#define SERVER(...) FIELD(server, __VA_ARGS__)
#define SOCKET(...) FIELD(socket, __VA_ARGS__)
#define WORKER(...) FIELD(worker, __VA_ARGS__)
#define APP(...)    FIELD(app, __VA_ARGS__)
#define COLUMN(...) FIELD(column, __VA_ARGS__)
#define JOB(...)    FIELD(job, __VA_ARGS__)
#define POOL(...)   FIELD(pool, __VA_ARGS__)
#define TIMES(...)  FIELD(times, __VA_ARGS__)

static const struct stats_field server_fields[] = {
    SERVER(TEXT, "version", version, "", "the server's version"),
    SERVER(GAUGE, "pid", pid, "", "the master's process id"),
    SERVER(SECONDS, "started_at", started_at, "seconds since 1970", "when the master started",
           .metric = "reeve_start_time_seconds"),
    SERVER(SECONDS, "uptime", uptime, "seconds", "how long the master has been running"),
    SERVER(COUNT, "generation", generation, "deployments",
           "the number of the latest; restarts and reloads of the configuration count too",
           .metric = "reeve_deployments_total"),
    SERVER(FLAG, "stopping", is_stopping, "", "the server is draining, to stop",
           .metric = "reeve_stopping"),
    SERVER(FLAG, "is_drained", is_drained, "",
           "it takes no connections until `resume`; workers that are left finish",
           .metric = "reeve_drained"),
    SERVER(COUNT, "connections.accepted", accepted, "connections", "accepted from clients",
           .metric = "reeve_connections_accepted_total"),
    SERVER(GAUGE, "connections.active", active, "connections",
           "open, with a request, or long-lived: of a chat listener, a WebSocket",
           .metric = "reeve_connections", .label = "state=\"active\"",
           .family = "connections open now"),
    SERVER(GAUGE, "connections.idle", idle, "connections", "open, without a request",
           .metric = "reeve_connections", .label = "state=\"idle\""),
    SERVER(COUNT, "connections.closed", closed, "connections", "closed, for whatever reason",
           .metric = "reeve_connections_closed_total"),
    SERVER(COUNT, "connections.handed_over", handed_over, "connections",
           "given open to another worker by one that drained, neither closed nor accepted again",
           .metric = "reeve_connections_handed_over_total"),
    SERVER(GAUGE, "connections.chats", live.chats, "connections",
           "of the active ones those of chat listeners", .metric = "reeve_connections_long_lived",
           .label = "kind=\"chat\"", .family = "long-lived connections open now"),
    SERVER(GAUGE, "connections.websockets", live.websockets, "connections",
           "of the active ones WebSockets", .metric = "reeve_connections_long_lived",
           .label = "kind=\"websocket\""),
    SERVER(COUNT, "pubsub.published", live.published, "messages", "published by applications",
           .metric = "reeve_pubsub_published_total"),
    SERVER(COUNT, "pubsub.delivered", live.delivered, "messages",
           "handed to subscribers, in whatever worker: one for each of them",
           .metric = "reeve_pubsub_delivered_total"),
    SERVER(COUNT, "pubsub.missed", live.missed, "messages",
           "lost to a worker that did not keep up, or to a subscriber whose queue was full",
           .metric = "reeve_pubsub_missed_total"),
    SERVER(COUNT, "requests.total", requests, "requests",
           "begun, those that the server answered itself included",
           .metric = "reeve_requests_begun_total"),
    SERVER(GAUGE, "requests.active", requests_active, "requests", "running now",
           .metric = "reeve_requests_active"),
    SERVER(COUNT, "requests.refused", refused, "requests",
           "answered by the server itself with 4xx or 5xx, before an application saw them",
           .metric = "reeve_requests_refused_total"),
    SERVER(COUNT, "requests.quarantined", quarantine_refused, "requests",
           "of the refused ones those whose route is quarantined",
           .metric = "reeve_requests_quarantined_total"),
    SERVER(COUNT, "requests.exceptions", exceptions, "requests",
           "in which the application failed, and callbacks of connections that did"),
    SERVER(COUNT, "requests.overdue", overdue, "requests", "cancelled at request_timeout"),
    SERVER(GAUGE, "quarantined", quarantined, "routes", "answered 503 since they killed workers",
           .metric = "reeve_quarantined"),
    SERVER(GAUGE, "processes.target", target, "workers", "wanted",
           .metric = "reeve_workers_target"),
    SERVER(GAUGE, "processes.starting", statuses[STATS_STARTING], "workers", "not ready yet",
           .metric = "reeve_workers", .label = "status=\"starting\"",
           .family = "workers by their status"),
    SERVER(GAUGE, "processes.idle", statuses[STATS_IDLE], "workers", "ready, without a request",
           .metric = "reeve_workers", .label = "status=\"idle\""),
    SERVER(GAUGE, "processes.busy", statuses[STATS_BUSY], "workers", "ready, with requests",
           .metric = "reeve_workers", .label = "status=\"busy\""),
    SERVER(GAUGE, "processes.draining", statuses[STATS_DRAINING], "workers", "finishing, then gone",
           .metric = "reeve_workers", .label = "status=\"draining\""),
    SERVER(GAUGE, "processes.stuck", statuses[STATS_STUCK], "workers",
           "without a heartbeat for hang_timeout", .metric = "reeve_workers",
           .label = "status=\"stuck\""),
    SERVER(COUNT, "processes.respawns", respawns, "workers",
           "started because the one before died unasked", .metric = "reeve_respawns_total"),
    SERVER(GAUGE, "processes.start_failures", start_failures, "workers",
           "ended before they were ready, or within a second of it, since all wanted last served",
           .metric = "reeve_start_failures"),
    SERVER(COUNT, "processes.recycled", recycled, "workers",
           "replaced at max_requests or max_memory", .metric = "reeve_recycled_total"),
    SERVER(COUNT, "incidents", incidents, "workers",
           "that crashed, hung, were killed or ended unasked; `reevectl incidents` tells of them",
           .metric = "reeve_incidents_total"),
};

static const struct stats_field socket_fields[] = {
    SOCKET(TEXT, "name", name, "", "what the configuration calls it; by default its address"),
    SOCKET(TEXT, "address", address, "", "where it listens"),
    SOCKET(TEXT, "protocol", protocol, "", "what is spoken there: http or chat"),
    SOCKET(TEXT, "app", app, "", "of a chat listener: the application it belongs to; else null"),
    SOCKET(GAUGE, "backlog", backlog, "connections", "that may wait to be accepted",
           .metric = "reeve_listen_backlog"),
    SOCKET(GAUGE, "queue", queue, "connections", "that wait to be accepted; TCP only",
           .metric = "reeve_listen_queue"),
};

static const struct stats_field worker_fields[] = {
    WORKER(GAUGE, "id", id, "", "its slot, from 0"),
    WORKER(COUNT, "incarnation", incarnation, "",
           "how often the slot was filled; with id it names the process",
           .metric = "reeve_worker_incarnations_total"),
    WORKER(GAUGE, "pid", pid, "", "its process id"),
    WORKER(TEXT, "status", status_name, "",
           "starting, idle, busy, draining, or stuck: no heartbeat for hang_timeout"),
    WORKER(FLAG, "booted", is_booted, "", "it has become ready"),
    WORKER(FLAG, "accepting", is_accepting, "", "it takes new connections",
           .metric = "reeve_worker_accepting"),
    WORKER(COUNT, "requests", requests, "requests", "begun in this slot, by earlier processes too",
           .metric = "reeve_worker_requests_total"),
    WORKER(GAUGE, "delta_requests", delta_requests, "requests", "begun by this process"),
    WORKER(GAUGE, "active", active, "requests", "running now",
           .metric = "reeve_worker_requests_active"),
    WORKER(COUNT, "exceptions", exceptions, "requests",
           "in which the application failed, and callbacks of connections that did",
           .metric = "reeve_worker_exceptions_total"),
    WORKER(COUNT, "overdue", overdue, "requests", "cancelled at request_timeout",
           .metric = "reeve_worker_overdue_total"),
    WORKER(COUNT, "refused", refused, "requests", "answered by the server itself with 4xx or 5xx"),
    WORKER(GAUGE, "connections.open", connections, "connections", "open now",
           .metric = "reeve_worker_connections"),
    WORKER(GAUGE, "connections.idle", connections_idle, "connections",
           "of these without a request"),
    WORKER(GAUGE, "connections.chats", live.chats, "connections",
           "of the open ones those of chat listeners",
           .metric = "reeve_worker_connections_long_lived", .label = "kind=\"chat\"",
           .family = "long-lived connections open now"),
    WORKER(GAUGE, "connections.websockets", live.websockets, "connections",
           "of the open ones WebSockets", .metric = "reeve_worker_connections_long_lived",
           .label = "kind=\"websocket\""),
    WORKER(COUNT, "pubsub.published", live.published, "messages", "published in this slot",
           .metric = "reeve_worker_pubsub_published_total"),
    WORKER(COUNT, "pubsub.delivered", live.delivered, "messages",
           "handed to subscribers in this slot: one for each of them",
           .metric = "reeve_worker_pubsub_delivered_total"),
    WORKER(COUNT, "pubsub.missed", live.missed, "messages",
           "lost in this slot: its worker did not keep up, or a subscriber's queue was full",
           .metric = "reeve_worker_pubsub_missed_total"),
    WORKER(GAUGE, "rss", rss, "bytes", "of resident memory", .metric = "reeve_worker_rss_bytes"),
    WORKER(SECONDS, "last_spawn", last_spawn, "seconds since 1970", "when the process was started",
           .metric = "reeve_worker_start_time_seconds"),
    WORKER(COUNT, "respawn_count", respawn_count, "times",
           "the slot was filled again because its worker died unasked",
           .metric = "reeve_worker_respawns_total"),
    WORKER(SECONDS, "last_heartbeat", last_heartbeat, "seconds since 1970",
           "when its loop last came round; 0: not yet",
           .metric = "reeve_worker_last_heartbeat_timestamp_seconds"),
};

static const struct stats_field app_fields[] = {
    APP(GAUGE, "generation", generation, "", "the number of the build in service; 0: none yet",
        .metric = "reeve_app_generation"),
    APP(TEXT, "mount", mount, "", "the path it serves, with all below"),
    APP(COUNT, "reloads", reloads, "deployments", "committed, after the first",
        .metric = "reeve_app_reloads_total"),
    APP(COUNT, "refusals", refusals, "deployments", "refused",
        .metric = "reeve_app_reloads_refused_total"),
};

static const struct stats_field generation_fields[] = {
    COLUMN(GAUGE, "generation", generation, "", "the build that the figures beside it are of"),
};

static const struct stats_field column_fields[] = {
    COLUMN(COUNT, "requests", requests, "requests", "begun",
           .metric = "reeve_app_requests_begun_total"),
    COLUMN(GAUGE, "active", active, "requests", "running now",
           .metric = "reeve_app_requests_active"),
    COLUMN(GAUGE, "held", held, "", "what keeps it loaded: requests, timers, connections",
           .metric = "reeve_app_held"),
    COLUMN(COUNT, "exceptions", exceptions, "requests",
           "in which the application failed, and callbacks of connections that did",
           .metric = "reeve_app_exceptions_total"),
    COLUMN(COUNT, "overdue", overdue, "requests", "cancelled at request_timeout",
           .metric = "reeve_app_overdue_total"),
    COLUMN(COUNT, "responses.1xx", answers[1], "responses", "with an informational status",
           .metric = "reeve_requests_total", .label = "code_class=\"1xx\"",
           .family = "requests that have ended, by the class of their status"),
    COLUMN(COUNT, "responses.2xx", answers[2], "responses", "with success",
           .metric = "reeve_requests_total", .label = "code_class=\"2xx\""),
    COLUMN(COUNT, "responses.3xx", answers[3], "responses", "with a redirection",
           .metric = "reeve_requests_total", .label = "code_class=\"3xx\""),
    COLUMN(COUNT, "responses.4xx", answers[4], "responses", "with a client's error",
           .metric = "reeve_requests_total", .label = "code_class=\"4xx\""),
    COLUMN(COUNT, "responses.5xx", answers[5], "responses", "with a server's error",
           .metric = "reeve_requests_total", .label = "code_class=\"5xx\""),
    COLUMN(COUNT, "responses.none", answers[0], "requests", "cut off before a status was sent",
           .metric = "reeve_requests_total", .label = "code_class=\"none\""),
    COLUMN(COUNT, "bytes_in", bytes_in, "bytes", "of request bodies, as the application read them",
           .metric = "reeve_app_request_body_bytes_total"),
    COLUMN(COUNT, "bytes_out", bytes_out, "bytes", "of response bodies",
           .metric = "reeve_app_response_body_bytes_total"),
    COLUMN(GAUGE, "connections.open", connections, "connections",
           "long-lived ones that are open now: of chat listeners, WebSockets",
           .metric = "reeve_app_connections"),
    COLUMN(COUNT, "connections.opened", opened, "connections",
           "long-lived ones that began with it; those that it took over did not",
           .metric = "reeve_app_connections_opened_total"),
    COLUMN(COUNT, "connections.moved", moved, "connections",
           "long-lived ones taken over, open, from the build before",
           .metric = "reeve_app_connections_moved_total"),
    COLUMN(COUNT, "connections.cut_off", cut_off, "connections",
           "long-lived ones ended by the server: at a limit, or since they took too little",
           .metric = "reeve_app_connections_cut_off_total"),
    COLUMN(COUNT, "messages_in", messages_in, "messages",
           "received over long-lived connections; of a chat each piece up to its terminator",
           .metric = "reeve_app_messages_received_total"),
    COLUMN(COUNT, "messages_out", messages_out, "messages",
           "sent over long-lived connections: one for each connection it went to",
           .metric = "reeve_app_messages_sent_total"),
};

static const struct stats_field job_fields[] = {
    JOB(TEXT, "name", name, "", "what the application calls it"),
    JOB(SECONDS, "period", figures.period, "seconds", "from one beat to the next"),
    JOB(COUNT, "runs", figures.runs, "runs", "begun", .metric = "reeve_job_runs_total"),
    JOB(COUNT, "failures", figures.failures, "runs",
        "that failed, or were cut off by the end of their worker",
        .metric = "reeve_job_failures_total"),
    JOB(GAUGE, "running", worker, "", "the id of the worker that runs it; null: none does"),
    JOB(SECONDS, "last_begun", last_begun, "seconds since 1970",
        "when it was last begun; 0: not yet", .metric = "reeve_job_last_begun_timestamp_seconds"),
    JOB(SECONDS, "next_in", next_in, "seconds", "until it is due again"),
};

static const struct stats_field pool_fields[] = {
    POOL(TEXT, "name", name, "", "what the application calls it"),
    POOL(GAUGE, "size", figures.size, "items", "that may be open", .metric = "reeve_pool_size"),
    POOL(GAUGE, "open", figures.open, "items", "open, in use or not", .metric = "reeve_pool_open"),
    POOL(GAUGE, "in_use", figures.taken, "items", "in use", .metric = "reeve_pool_in_use"),
    POOL(GAUGE, "waiting", figures.waiting, "takers", "that wait now",
         .metric = "reeve_pool_waiting"),
    POOL(COUNT, "takes", figures.takes, "takes", "that succeeded",
         .metric = "reeve_pool_takes_total"),
    POOL(COUNT, "waits", figures.waits, "takes", "that had to wait, whatever came of it",
         .metric = "reeve_pool_waits_total"),
    POOL(COUNT, "timeouts", figures.timeouts, "takes", "whose time was over",
         .metric = "reeve_pool_timeouts_total"),
    POOL(COUNT, "failures", figures.failures, "takes",
         "that failed otherwise: too many waited, or nothing could be opened",
         .metric = "reeve_pool_failures_total"),
    POOL(COUNT, "opens", figures.opens, "items", "opened", .metric = "reeve_pool_opens_total"),
    POOL(COUNT, "open_failures", figures.open_failures, "items", "that could not be opened",
         .metric = "reeve_pool_open_failures_total"),
    POOL(COUNT, "discarded", figures.discarded, "items",
         "closed since they were broken, or not given back",
         .metric = "reeve_pool_discarded_total"),
    POOL(SECONDS, "wait_sum", figures.wait_sum, "seconds", "that takers waited, in all",
         .metric = "reeve_pool_wait_seconds"),
    POOL(SECONDS, "wait_max", figures.wait_max, "seconds", "the longest wait",
         .metric = "reeve_pool_wait_max_seconds"),
};

static const struct stats_field times_fields[] = {
    TIMES(COUNT, "count", count, "", "how many were measured"),
    TIMES(SECONDS, "mean", mean, "seconds", "their mean"),
    TIMES(SECONDS, "p50", p50, "seconds",
          "half of them took at most this (to 6.25%, as all below)"),
    TIMES(SECONDS, "p90", p90, "seconds", "nine of ten"),
    TIMES(SECONDS, "p99", p99, "seconds", "99 of 100"),
    TIMES(SECONDS, "p999", p999, "seconds", "999 of 1000"),
    TIMES(SECONDS, "max", max, "seconds", "the longest"),
};

#define TABLE(which, where, heading)                                                  \
    const struct stats_table stats_##which##_table = {where, heading, which##_fields, \
                                                      COUNT_OF(which##_fields)}

TABLE(server, "", "the server");
TABLE(socket, "sockets[]", "each listening socket");
TABLE(worker, "workers[]", "each living worker");
TABLE(app, "applications{NAME}", "each application");
TABLE(column, "applications{NAME}",
      "each application, and each of its generations, in all workers");
TABLE(generation, "applications{NAME}.generations[]",
      "the latest two generations of it (older ones that something still holds: held only)");
TABLE(job, "applications{NAME}.jobs[]", "each of its periodic jobs (reeve_job_every)");
TABLE(pool, "applications{NAME}.pools[]",
      "each of its pools (reeve_pool_new), in all workers and builds");
TABLE(times, "applications{NAME}.latency, workers[].loop_lag",
      "how long requests took, and how late a worker's loop came to its events");

const struct stats_table *const stats_tables[] = {
    &stats_server_table, &stats_socket_table,
    &stats_worker_table, &stats_app_table,
    &stats_column_table, &stats_generation_table,
    &stats_job_table,    &stats_pool_table,
    &stats_times_table,  NULL,
};
