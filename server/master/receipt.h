/* receipt.h: what a deployment did, step by step, for whoever asked for it: filled in as it goes,
 * told as JSON at its end. */
#ifndef MASTER_RECEIPT_H
#define MASTER_RECEIPT_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In the order of how bad they are; an action's verdict is the worst of its receipts. */
enum outcome {
    OUTCOME_LIVE,
    OUTCOME_REJECTED, /* by the preflight: no worker has seen it */
    OUTCOME_ABORTED,  /* by a worker, in the prepare phase: forgotten everywhere */
    OUTCOME_FAILED,   /* not the build's fault */
};

struct receipt_worker {
    unsigned id;
    uint64_t incarnation;
    bool is_ok; /* prepared it */
    bool is_committed;
    bool is_unloaded; /* the build before is gone from it, verified; or was never there */
    uint64_t prepare; /* ns */
    uint64_t held;    /* what still held the build before when the receipt was written */
    char *reason;     /* why it refused, or could not unload; NULL */
};

struct receipt_times { /* ns */
    uint64_t preflight, prepare, commit, unload, total;
};

struct receipt {
    uint64_t deploy;
    const char *app; /* the configuration's */
    uint64_t generation;
    char *version, *build_id; /* NULL: not known */
    enum outcome outcome;
    char *reason; /* NULL when live */
    char *output; /* of the preflight process */
    struct receipt_worker *workers;
    size_t worker_count;
    struct receipt_times times;
};

struct receipt *receipt_new(const char *app, uint64_t generation, uint64_t deploy);
void receipt_free(struct receipt *receipt);

/* The entry of a worker, made when there is none. NULL with ENOMEM. */
struct receipt_worker *receipt_worker(struct receipt *receipt, unsigned id, uint64_t incarnation);

/* As in action.h. NULL with ENOMEM. */
cJSON *receipt_json(const struct receipt *receipt);

const char *outcome_name(enum outcome outcome);
double receipt_seconds(uint64_t ns);

#endif
