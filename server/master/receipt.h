/* receipt.h: what an action did, step by step: filled in as it goes, told as JSON to whoever asked
 * for it, and kept in the history. Decides nothing. */
#ifndef MASTER_RECEIPT_H
#define MASTER_RECEIPT_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum action_kind {
    ACTION_START,
    ACTION_RELOAD,
    ACTION_ROLLBACK,
    ACTION_CONFIG,
    ACTION_UPGRADE,
    ACTION_RESTART,
    ACTION_DRAIN,
    ACTION_RESUME,
};

enum outcome {
    OUTCOME_RUNNING,
    OUTCOME_LIVE,
    OUTCOME_DONE,        /* of an action that puts no code into service: a restart, an upgrade */
    OUTCOME_REJECTED,    /* by a preflight or another check: no worker has seen it */
    OUTCOME_ABORTED,     /* by a worker, in the prepare phase: forgotten everywhere */
    OUTCOME_FAILED,      /* not the build's fault; nothing was changed */
    OUTCOME_ROLLED_BACK, /* it was live, at least somewhere, and was taken back */
    OUTCOME_TIMED_OUT,   /* done, but requests had to be cut off */
};

/* Who asked. All zeros: the server itself. */
struct requester {
    bool is_peer; /* of the control socket: uid and pid are known */
    uid_t uid;
    pid_t pid;
    const char *signal; /* "SIGHUP", static; NULL: it was none */
};

struct receipt_app {
    const char *name; /* borrowed from the scoreboard, which never forgets one */
    uint64_t generation;
    uint64_t from;        /* the one before; 0: none */
    uint64_t rollback_to; /* whose module it is; 0: this is no rollback */
    uint64_t size;
    char *module;                                          /* what was staged */
    char *version, *build_id, *sha256, *output, *warnings; /* NULL: not known */
    char *reason;                                          /* of this app's refusal; NULL */
    enum outcome outcome;
    unsigned handed_over; /* workers in which the state went over to it */
    unsigned declined;    /* workers in which there was one, and it did not */
    char *decline;        /* why, as the last of them said */
};

struct receipt_worker {
    unsigned id;
    uint64_t incarnation;
    bool is_ok; /* prepared all of it */
    bool is_committed;
    bool is_unloaded; /* the builds before are gone from it, verified; or were never there */
    uint64_t prepare; /* ns */
    char *reason;     /* why it refused, or could not unload; NULL */
};

struct receipt_times { /* ns */
    uint64_t preflight, prepare, canary, commit, unload, total;
};

struct receipt {
    uint64_t deploy; /* the number of the action */
    enum action_kind kind;
    char *action; /* "a reload of hello" */
    struct requester requester;
    uint64_t began_wall, began_at; /* clock_wall_ns(), clock_ns() */
    enum outcome outcome;
    char *reason; /* NULL when all is well */
    struct receipt_app *apps;
    size_t app_count;
    struct receipt_worker *workers;
    size_t worker_count;
    cJSON *held;   /* what the old code is still held by: an array; NULL: not looked at */
    cJSON *canary; /* NULL: there was none */
    struct receipt_times times;
};

/* NULL with ENOMEM. */
struct receipt *receipt_new(uint64_t deploy, enum action_kind kind, const char *action,
                            const struct requester *requester);
void receipt_free(struct receipt *receipt);

/* One more app. The pointer is good until the next is added. NULL with ENOMEM. */
struct receipt_app *receipt_add_app(struct receipt *receipt, const char *name, uint64_t generation);
/* NULL: the receipt has no such app. */
struct receipt_app *receipt_app(const struct receipt *receipt, const char *name);
/* The entry of a worker, made when there is none; good until the next is made. NULL with
 * ENOMEM. */
struct receipt_worker *receipt_worker(struct receipt *receipt, unsigned id, uint64_t incarnation);

/* Replaces a sentence of a receipt by a copy. */
void receipt_set(char **text, const char *value);

/* NULL with ENOMEM. */
cJSON *receipt_json(const struct receipt *receipt);

const char *outcome_name(enum outcome outcome);
double receipt_seconds(uint64_t ns);

#endif
