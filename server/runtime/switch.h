/* switch.h: from one stack to another: the machine's part of coroutines.
 *
 * x86-64 has an assembly switch of some 10 ns (switch_x86_64.S); elsewhere ucontext does it, with
 * two system calls each. */
#ifndef RUNTIME_SWITCH_H
#define RUNTIME_SWITCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

/* Calls fn(arg) on this stack, but so that whoever unwinds from there finds that the call came from
 * where `context` was left, through a function that begins at switch_behind_begin(). The context is
 * only read. False, and nothing was called: this machine's switch cannot do that. */
bool switch_behind(const struct switch_context *context, void (*fn)(void *arg), void *arg);
uintptr_t switch_behind_begin(void);

#endif
