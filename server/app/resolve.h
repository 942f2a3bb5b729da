/* resolve.h: names into addresses, off the loop. */
#ifndef APP_RESOLVE_H
#define APP_RESOLVE_H

#include <stdint.h>

struct addrinfo;
struct strand;

/* As getaddrinfo(3); EAI_SYSTEM with errno also when it was not waited for: ETIMEDOUT, ECANCELED,
 * EAGAIN when too many are queued, ENOMEM. [suspends] */
int resolve(const struct strand *strand, const char *node, const char *service,
            const struct addrinfo *hints, uint64_t deadline, struct addrinfo **result_out);

#endif
