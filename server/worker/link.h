/* link.h: what the master asks of a worker, and the answers. */
#ifndef WORKER_LINK_H
#define WORKER_LINK_H

#include <stdint.h>

struct link;
struct room;

/* What a message sets going outside the applications. */
struct link_orders {
    void (*start)(void *arg);              /* accept connections */
    void (*last_call)(void *arg);          /* nobody accepts after us: take what is queued */
    void (*drain)(uint64_t ns, void *arg); /* accept no more, end within ns */
    void (*stop)(void *arg); /* end at once; also when the master has gone: then drain is called */
    void (*reopen)(void *arg);   /* log files */
    void (*orphaned)(void *arg); /* the master has gone */
    void *arg;
};

/* Takes over fd; serves PREPARE, COMMIT and ABORT itself. NULL with errno. */
struct link *link_open(struct room *room, int fd, const struct link_orders *orders);
void link_close(struct link *link);

void link_say_ready(struct link *link);
void link_say_leaving(struct link *link);

#endif
