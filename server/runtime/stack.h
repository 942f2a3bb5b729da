/* stack.h: guarded stacks, and what the sanitizers and valgrind must be told of them. */
#ifndef RUNTIME_STACK_H
#define RUNTIME_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stack {
    char *map; /* begins with the guard */
    size_t map_size;
    size_t size; /* usable, above the guard */
    unsigned valgrind_id;
};

/* `size` is rounded up to pages. 0, or -1 with errno. */
int stack_map(struct stack *stack, size_t size);
void stack_unmap(struct stack *stack);

/* The lowest usable byte. */
char *stack_bottom(const struct stack *stack);

/* True when an access to `address`, with the stack pointer `sp` (0: not known), ran over the lower
 * end `bottom` of a stack with so large a guard. Safe in a signal handler. */
bool stack_is_overflow(uintptr_t bottom, size_t guard, uintptr_t address, uintptr_t sp);

#endif
