/* orphan.h: a worker does not outlive its master for long, whatever it is doing. */
#ifndef WORKER_ORPHAN_H
#define WORKER_ORPHAN_H

struct heritage;

/* From now on the process is killed some time after the master has gone: later than a drain that
 * begins then takes. Uses SIGUSR2 and SIGALRM. */
void orphan_watch(const struct heritage *heritage);

#endif
