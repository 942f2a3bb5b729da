/* roll.h: workers are replaced by ones that are made with an edition, some at a time: for each a
 * replacement beside it; when that is ready the old one drains, and the next is taken on without
 * waiting for its end. What it is for is the caller's (restart.c, reconfigure.c, lingering.c,
 * recycle.c). */
#ifndef MASTER_ROLL_H
#define MASTER_ROLL_H

#include <stdbool.h>

struct edition;
struct master;
struct roll;
struct worker;

enum roll_end {
    ROLL_DONE,
    ROLL_LATE,   /* done, but a worker had to be cut off at drain_timeout */
    ROLL_FAILED, /* a replacement did not get ready: what was not replaced goes on serving */
};

struct roll_order {
    struct edition *edition;                                  /* of the replacements */
    unsigned at_once;                                         /* how many at a time, 1 or more */
    bool (*concerns)(const struct worker *worker, void *arg); /* NULL: all of them */
    bool is_brief; /* over when the last one drains: nobody waits until they are gone */
    void (*on_begin)(void *arg); /* before the first line; NULL */
    /* The first replacement is ready: the edition has proved itself. NULL: nobody asks. */
    void (*on_first)(void *arg);
    /* The last worker of the edition that goes is about to drain, and nothing can turn the roll
     * round any more. NULL: nobody asks. */
    void (*on_last)(void *arg);
    /* This one's replacement is ready, and it is about to drain. NULL: nobody asks. */
    void (*on_drain)(const struct worker *worker, void *arg);
    /* It is over. The reason is NULL unless it failed; another roll may be begun within. */
    void (*on_end)(enum roll_end end, const char *reason, void *arg);
    void *arg;
};

/* Begins; its lines go to the running action, if there is one. Nothing is called before it has
 * returned. 0, or -1 with ENOMEM. One roll at a time. */
int roll_begin(struct master *master, const struct roll_order *order);

/* What the workers are of once it is over; without a roll, what they are made with. */
const struct edition *roll_edition(const struct master *master);

void roll_on_ready(struct master *master, struct worker *worker);
/* It drains, or ended (`how` is the end of a sentence), unasked or not. True when its successor is
 * starting already. */
bool roll_on_leaving(struct master *master, const struct worker *worker);
bool roll_on_gone(struct master *master, const struct worker *worker, const char *how);

/* A slot is free for a replacement, or will be soon. */
bool roll_has_slot(const struct master *master);

/* Ends it as failed, for this reason. Without a roll nothing happens. */
void roll_stop(struct master *master, const char *reason);

#endif
