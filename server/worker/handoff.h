/* handoff.h: idle connections between workers, by way of the master: a worker that drains gives
 * them away, another goes on with them. */
#ifndef WORKER_HANDOFF_H
#define WORKER_HANDOFF_H

#include <stdbool.h>
#include <stdint.h>

struct config;
struct link;
struct listener;
struct message;
struct net;

struct handoff {
    const struct config *config;
    struct net *net;
    struct link *link;
    struct listener **listeners; /* one for each of config->listens; NULL: none */
    bool *has_taker;             /* of each listener: another worker; NULL: of none */
    uint64_t complained_at;      /* clock_ns(); 0: never */
};

void handoff_fini(struct handoff *handoff);

/* From now on connections of these listeners can be given away, and no others; NULL: none. False
 * when none can. */
bool handoff_set_takers(struct handoff *handoff, const char *identities);
/* As net->can_hand_on and net->hand_on want it. */
bool handoff_has_taker(const struct handoff *handoff, const struct listener *listener);
bool handoff_give(struct handoff *handoff, int *fd, const struct listener *listener,
                  bool has_asked);
/* A MESSAGE_CONNECTION. A worker that has begun to drain in the meantime treats it like its own. */
void handoff_take(struct handoff *handoff, const struct message *message);

#endif
