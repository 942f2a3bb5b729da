/* config.h: the configuration, read from a file or made from the command line, checked whole and
 * then never changed.
 *
 * Every value has its type, unit and bounds; the first thing wrong is one sentence "file:line: ..."
 * that says what was expected. It does not open sockets, load modules or create folders: it only
 * looks (is there such a file?). */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "base/sock.h"

enum access_format { ACCESS_COMBINED, ACCESS_JSON };

/* What an app gets whose build cannot be taken at a start: nothing, the start fails; or the last
 * build that went live, of those that are kept. */
enum fallback { FALLBACK_NONE, FALLBACK_LAST_GOOD };

/* What is spoken on a listener's connections: HTTP, or whatever one app's chat handler speaks. */
enum listen_protocol { LISTEN_HTTP, LISTEN_CHAT };

struct config_listen {
    char *name; /* what apps and reports call it; default: the address */
    enum listen_protocol protocol;
    char *app;        /* of a chat listener: whose connections are its; else NULL */
    size_t app_index; /* ... and the place of that one in config.apps; else 0 */
    struct sock_address address;
    int backlog;   /* connections the kernel queues */
    unsigned mode; /* of a Unix socket's file */
    int line;
};

struct config_option {
    char *key;
    char *value;
};

/* When the request of a client is cancelled that has gone. */
enum client_gone {
    CLIENT_GONE_RESET,  /* nothing can be sent to it any more */
    CLIENT_GONE_CLOSE,  /* ... or it has ended its side, though it may still be reading */
    CLIENT_GONE_IGNORE, /* never */
};

struct config_app {
    char *name;   /* letters, digits, '-', '_'; at most 63 bytes */
    char *module; /* absolute path */
    /* Begins with '/', no '/' at its end except "/" itself; no segment that is empty, "." or "..";
     * no space, control byte, '%', '?' or '#'. */
    char *mount;
    char **listens;      /* names of the listeners it is bound to: of those that speak HTTP */
    size_t listen_count; /* 0: all of these */
    struct config_option *options;
    size_t option_count;
    uint64_t request_timeout; /* ns, 0: no limit; `auto` is resolved: the server's */
    enum client_gone client_gone;
    int line;
    /* Of the scoreboard, which the app keeps by its name while configurations come and go: assigned
     * by the master. Until then its place in the configuration. */
    unsigned column;
};

/* Durations are nanoseconds, sizes bytes. 0 means "no limit" where the comment says so. */
struct config {
    char *path; /* of the file, absolute; NULL when made from the command line */
    /* What the operator left to reeve to work out. */
    bool is_max_workers_auto, is_control_auto, is_state_dir_auto;
    int *lines; /* where the file sets each server key; for config_compare */

    unsigned workers; /* `auto` is resolved: the CPUs this process may use */
    bool is_workers_auto;
    /* Slots of the scoreboard, replacements included: more than workers; default: 2 * workers + 4,
     * at least 16. */
    unsigned max_workers;
    unsigned max_apps; /* columns of the scoreboard; default 32 */
    char *control;     /* path of the control socket */
    char *state_dir;   /* spool and history; NULL: a private temporary folder */
    char *pid_file;    /* NULL: none */

    char *log_file; /* NULL: stderr */
    enum log_level log_level;
    char *access_log; /* NULL: off */
    enum access_format access_format;

    uint64_t boot_timeout; /* a worker must be ready by then; 30s */
    /* A new generation must be prepared by then, in the preflight child and in each worker; 30s. */
    uint64_t prepare_timeout;
    uint64_t drain_timeout; /* a draining worker's requests and connections are cut after it; 30s */
    uint64_t unload_wait;   /* how long `reload` waits for the old code to go; 5s */
    uint64_t hang_timeout;  /* a worker without heartbeat for this long is killed; 30s */
    /* A worker that still holds code retired this long ago is replaced; 0: never; default 0. */
    uint64_t unload_timeout;
    uint64_t upgrade_timeout; /* a new binary must have passed its check by then; 30s */
    unsigned max_unavailable; /* workers a rolling restart replaces at a time; 1 */
    uint64_t request_timeout; /* a request that waits for longer is cancelled; 0: no limit */
    /* A route that killed so many workers within that time is answered 503 for as long; 0: never;
     * default 3 in 60s. */
    unsigned quarantine_after;
    uint64_t quarantine_time;
    unsigned max_requests;   /* a worker that has begun so many is replaced; 0: never */
    uint64_t max_memory;     /* a worker that has grown beyond is replaced; 0: never */
    unsigned recycle_jitter; /* percent of both, by which workers differ; 20 */
    bool record_queries;     /* in the flight recorder; false */
    unsigned keep;           /* builds of each app kept for a rollback; 10 */
    unsigned keep_receipts;  /* of deployments; 200 */
    enum fallback fallback;

    uint64_t head_timeout;  /* from a request's first byte to the end of its head; 30s */
    uint64_t body_timeout;  /* between two pieces of a body that the app waits for; 60s */
    uint64_t keep_alive;    /* an idle connection; 75s; 0: no keep-alive at all */
    uint64_t write_timeout; /* a client that takes nothing of an answer; 60s */

    size_t max_head;          /* request line and headers; 32k; 1k..1m */
    size_t max_target;        /* the request target; 8k; less than max_head */
    unsigned max_headers;     /* lines; 100; 1..1000 */
    uint64_t max_body;        /* 0: no limit; default 0 */
    unsigned max_connections; /* a worker; 0: as many as descriptors allow; default 0 */
    size_t stack_size;        /* of a request's coroutine; 256k; 32k..64m */
    unsigned offload_threads; /* of a worker, at most; 4; 1..64 */
    size_t pubsub_ring; /* what a worker has published and others may still read; a power of two;
                           1m; 64k..256m */
    bool server_header; /* send "Server: reeve"; true */

    struct config_listen *listens;
    size_t listen_count; /* at least 1 */
    struct config_app *apps;
    size_t app_count; /* at least 1 */
};

/* Reads and checks a file. Returns NULL with one sentence for the operator in *error_out (to be
 * freed). */
struct config *config_load(const char *path, char **error_out);

/* What the command line gives instead of a file. NULL or 0 where it says nothing. */
struct config_line {
    const char *const *listens; /* addresses; default 127.0.0.1:8080 */
    size_t listen_count;
    const char *const *modules; /* the first is mounted at "/", the others at "/NAME", NAME being
                                   the file's without .so */
    size_t module_count;
    const char *workers; /* as the key's value, "auto" or a number */
    const char *control;
    const char *state_dir;
    const char *log_level;
    const char *access_log;
    const char *pid_file;
};
/* Without a file: the same checks, the sentence names the argument. */
struct config *config_from_line(const struct config_line *line, char **error_out);

void config_free(struct config *config);

/* Values by their spelling: "30s" "500ms" "5m" "2h" "1d", a bare number being seconds; "64k" "16m"
 * "1g" (or K, M, G), a bare number bytes. 0, or -1 for what is neither, negative, fractional or too
 * large. */
int config_duration(const char *text, uint64_t *ns_out);
int config_size(const char *text, uint64_t *bytes_out);

/* Whether `next` can take the place of `now` while the server runs. What is fixed at the start and
 * was `auto` in both is the same then, whatever it would be for a server that starts today: `next`
 * gets it. -1 with one sentence in *error_out (to be freed; NULL: memory ran out) when something
 * fixed differs. */
int config_compare(const struct config *now, struct config *next, char **error_out);

/* Whether a server could make its control socket and state folder where `config` says so, for
 * `reeve -t`: looks, and makes nothing. Places that are `auto` depend on who starts the server and
 * are not looked at. -1 with one sentence in *error_out, as above. */
int config_check_places(const struct config *config, char **error_out);

/* Whether the app of one configuration needs no new generation in the other: same module, mount and
 * options. Its time limit is the workers', who are forked anew. */
bool config_app_equal(const struct config_app *a, const struct config_app *b);

/* "http", "chat" */
const char *config_protocol_name(enum listen_protocol protocol);

/* NULL: there is none of that name. */
const struct config_app *config_find_app(const struct config *config, const char *name);
/* An option of an app, or NULL. One that the file has twice has its last value. */
const char *config_app_option(const struct config_app *app, const char *key);

#endif
