/* unwind.h: walks the stack that a signal has interrupted, and notes where each call stands.
 *
 * Frames come by the unwind information that every object carries, so what has no symbols and no
 * frame pointers is walked as well. All of it but unwind_prepare is safe in a signal handler:
 * nothing is allocated, nothing is locked. */
#ifndef RUNTIME_UNWIND_H
#define RUNTIME_UNWIND_H

#include <stdint.h>

struct trace;

/* No deeper than so many frames: more than an endless recursion puts on 8 MiB. */
#define UNWIND_MAX 1000000u

/* A part of a stack. A call that was made from there is no part of the story, nor is any further
 * out. Empty: all are. */
struct unwind_end {
    uintptr_t from, to;
};

/* To be called once, long before the rest: the unwinder sets itself up at its first use. */
void unwind_prepare(void);

/* From the signal handler's third argument: where it was interrupted, and the stack pointer there.
 * 0 on machines that are not known. */
uintptr_t unwind_pc(const void *context);
uintptr_t unwind_sp(const void *context);

/* Fills in frames and objects of the trace, which were empty. Each frame counts as soon as it is
 * there, so that what has been found is not lost if the stack is broken and the walk faults. To be
 * called from the handler itself or what it calls; `context` is its third argument, which is as it
 * was afterwards. */
void unwind_interrupted(struct trace *trace, void *context, const struct unwind_end *end);

#endif
