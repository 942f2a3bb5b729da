/* reconfigure.h: a reload of the configuration (action_reconfigure in action.h) and the end of the
 * server meanwhile. */
#ifndef MASTER_RECONFIGURE_H
#define MASTER_RECONFIGURE_H

#include <stdbool.h>

struct master;

/* Gives the running one up, for this reason (static): nothing changes, or what has changed is
 * turned round. False: there is none, or it is being turned round already. */
bool reconfigure_stop(struct master *master, const char *reason);

#endif
