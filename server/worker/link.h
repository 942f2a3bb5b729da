/* link.h: what the master asks of a worker, and the answers. */
#ifndef WORKER_LINK_H
#define WORKER_LINK_H

#include <stdbool.h>
#include <stdint.h>

struct link;
struct message;
struct room;

/* What a message sets going outside the applications. */
struct link_orders {
    void (*start)(void *arg);     /* accept connections */
    void (*last_call)(void *arg); /* nobody accepts after us: take what is queued */
    /* accept no more, end within ns; idle connections of these listeners are given back; NULL:
     * of none */
    void (*drain)(uint64_t ns, const char *identities, void *arg);
    void (*connection)(const struct message *message, void *arg); /* take it */
    void (*stacks)(uint64_t question, void *arg);                 /* link_answer_stacks, later */
    void (*flushed)(void *arg);                                   /* link_is_flushed again */
    void (*stop)(void *arg); /* end at once; also when the master has gone: then drain is called */
    void (*reopen)(void *arg);           /* log files */
    void (*orphaned)(void *arg);         /* the master has gone */
    void (*background_ended)(void *arg); /* a task that was no request's */
    void *arg;
};

/* Takes over fd; serves PREPARE, COMMIT and ABORT itself. NULL with errno. */
struct link *link_open(struct room *room, int fd, const struct link_orders *orders);
void link_close(struct link *link);

void link_say_ready(struct link *link);
void link_say_leaving(struct link *link);
void link_say_cut(struct link *link); /* the drain has not sufficed for all */
/* An idle connection, for another worker. False when the master cannot take it now; then it stays
 * where it is. */
bool link_give_connection(struct link *link, const struct message *message);
/* Which coroutines are suspended: the file is the master's from then on; -1: `why_not`. */
void link_answer_stacks(struct link *link, uint64_t question, int fd, const char *why_not);
/* All that was said has left this process; so too when the master has gone. */
bool link_is_flushed(const struct link *link);

#endif
