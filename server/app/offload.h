/* offload.h: work in the worker's threads, on behalf of applications. */
#ifndef APP_OFFLOAD_H
#define APP_OFFLOAD_H

struct strand;
struct thread_work;

/* Has it run in this worker's threads, which are begun with the first. 0 or -1: EAGAIN. */
int offload_begin(const struct strand *strand, struct thread_work *work);

#endif
