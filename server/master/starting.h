/* starting.h: workers that end before they serve, again and again: what is known of that, for who
 * looks at the server from outside. How long one waits between the tries is policy.c's. */
#ifndef MASTER_STARTING_H
#define MASTER_STARTING_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

struct pool;
struct worker;

/* Part of the pool. It is over when as many as are wanted have served for a moment. */
struct starting {
    unsigned failures;  /* workers that ended before they were ready; or a moment after it, when so
                           many did that before it that their successors have to wait */
    char *last;         /* how the last of them ended: a sentence; NULL */
    struct event check; /* pending while there are failures */
};

void starting_init(struct pool *pool);
void starting_fini(struct pool *pool);

/* What a worker does, or did when it ended, outside of requests: " in init of hello 1", or "".
 * Not after its account was settled. */
#define STARTING_STEP_MAX 160
const char *starting_step(const struct worker *worker, char step[STARTING_STEP_MAX]);

/* The last words about a worker that was never ready, or hardly: "worker 0.7 was killed by signal
 * 11 (Segmentation fault) in init of hello 1". `how` is policy_describe_end's, or as good. */
#define STARTING_LAST_MAX 2304
void starting_describe(const struct worker *worker, const char *how, char last[STARTING_LAST_MAX]);

/* A worker ended unasked, which gets a successor: it may count. */
void starting_on_end(struct worker *worker, const char *last);
/* After an exec in place: what the former image knew. */
void starting_go_on(struct pool *pool, unsigned failures, const char *last);

struct starting_report {
    unsigned failures, missing; /* missing: of the workers that are wanted */
    uint64_t next_try_in;       /* ns; 0: it is being tried */
    const char *last;           /* NULL: not known */
};

unsigned starting_failures(const struct pool *pool); /* 0: all is well */
/* False: all is well. */
bool starting_report(const struct pool *pool, struct starting_report *report_out);

#endif
