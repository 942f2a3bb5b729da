/* fdwait.h: coroutines that wait for descriptors.
 *
 * The descriptor is its owner's, who keeps it open meanwhile. If it is closed all the same, the
 * kernel forgets it and says nothing: who waits does so until its limit or a cancellation, or until
 * something happens at whatever has got the same number since. Nothing else is harmed, but that
 * another wait for the same number, for the same event, is not told of either. */
#ifndef RUNTIME_FDWAIT_H
#define RUNTIME_FDWAIT_H

#include <stdint.h>

struct event_base;

#define FD_READABLE 1u
#define FD_WRITABLE 2u

/* Waits until fd is ready for one of `events`, or at its end, at most `ns` (CORO_FOREVER; 0: not at
 * all). 0, or the reason why not: ETIMEDOUT, what coro_cancel was given, or what epoll has against
 * it. Which events there are comes in *ready_out (may be NULL). Several may wait for the same. */
int fd_wait(struct event_base *base, int fd, unsigned events, uint64_t ns, unsigned *ready_out);

/* Which of `events` it is ready for now; -1 with EBADF. */
int fd_poll(int fd, unsigned events);

/* To be called before each step that may succeed without waiting: when the current coroutine has
 * made many of them in a row, everything else that is ready runs first. 0 or the reason that this
 * wait has failed with; one that was cancelled may make many more before that happens. */
int fd_take_turns(void);

#endif
