/* bequest.h: what the master leaves to its next image: everything that must go on is written down,
 * and every descriptor that is meant outlives the exec. heir.h is the other side. */
#ifndef MASTER_BEQUEST_H
#define MASTER_BEQUEST_H

#include <stdbool.h>

struct master;

/* Writes the master's state down, as it is now. `nonce`: see succession.h. The document's
 * descriptor (close-on-exec), or -1 with errno. */
int bequest_write(const struct master *master, const char *nonce);

/* Whether the descriptors that the document names outlive an exec. 0, or -1 with errno. */
int bequest_keep(const struct master *master, bool is_kept);

#endif
