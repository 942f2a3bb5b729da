/* switch.h: from one stack to another: the machine's part of coroutines.
 *
 * x86-64 has an assembly switch of some 10 ns (switch_x86_64.S); elsewhere ucontext does it, with
 * two system calls each. */
#ifndef RUNTIME_SWITCH_H
#define RUNTIME_SWITCH_H

#include <stddef.h>

#if defined(__x86_64__)
#define SWITCH_IS_ASSEMBLY 1
#else
#define SWITCH_IS_ASSEMBLY 0
#include <ucontext.h>
#endif

struct switch_context {
#if SWITCH_IS_ASSEMBLY
    void *sp; /* where the callee-saved registers lie while it does not run */
#else
    ucontext_t context;
#endif
};

/* Makes `context` begin with entry(arg) on the stack when it is first switched to. entry never
 * returns. */
void switch_prepare(struct switch_context *context, void *stack, size_t size,
                    void (*entry)(void *arg), void *arg);

/* Saves this context in `from` and goes on in `to`; returns when somebody switches back. */
void switch_to(struct switch_context *from, struct switch_context *to);

#endif
