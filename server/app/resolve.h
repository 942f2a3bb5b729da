/* resolve.h: names into addresses, off the loop, and into connections. */
#ifndef APP_RESOLVE_H
#define APP_RESOLVE_H

#include <stdint.h>

struct addrinfo;
struct strand;

/* As getaddrinfo(3); EAI_SYSTEM with errno also when it was not waited for: ETIMEDOUT, ECANCELED,
 * EAGAIN when too many are queued, ENOMEM. [suspends] */
int resolve(const struct strand *strand, const char *node, const char *service,
            const struct addrinfo *hints, uint64_t deadline, struct addrinfo **result_out);

/* As reeve_connect: a connected socket, or -1. [suspends] */
int resolve_and_connect(const struct strand *strand, const char *host, const char *service,
                        uint64_t deadline);

#endif
