/* fault.h: what a worker leaves on the scoreboard when a fatal signal ends it, and its answer when
 * the master asks what it is doing.
 *
 * Both happen in a signal handler on a stack of its own, so that an overflown stack, a loop without
 * end and a broken heap are no hindrance. The handler only tells: the signal then does what it
 * would have done without it, core dump included. An application that handles such a signal itself
 * has it to itself. */
#ifndef WORKER_FAULT_H
#define WORKER_FAULT_H

#include <stdint.h>

struct trace;

/* Clears the trace, which must stay mapped, and fills it from now on. To be called in the process's
 * main thread, which is the one that answers TRACE_SIGNAL. What lies on its stack from `outermost`
 * on, an address, was going on before there was a worker, and is left out; UINTPTR_MAX: nothing is. 0, or -1
 * with errno. */
int fault_open(struct trace *trace, uintptr_t outermost);

#endif
