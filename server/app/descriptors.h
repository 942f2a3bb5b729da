/* descriptors.h: what the calls that connect share: points in time, and one attempt. */
#ifndef APP_DESCRIPTORS_H
#define APP_DESCRIPTORS_H

#include <stdint.h>
#include <sys/socket.h>

struct strand;

/* The end of a limit of the public interface as of clock_ns(); CORO_FOREVER: none. */
uint64_t deadline_after(double seconds);
/* What is left of it in ns: 0, it is over; CORO_FOREVER. */
uint64_t deadline_left(uint64_t deadline);

/* A connected stream socket, non-blocking and close-on-exec; or -1. [suspends] */
int descriptor_connect(const struct strand *strand, const struct sockaddr *address,
                       socklen_t length, uint64_t deadline);

#endif
