/* stack.h: guarded stacks, and what the sanitizers and valgrind must be told of them. */
#ifndef RUNTIME_STACK_H
#define RUNTIME_STACK_H

#include <stddef.h>

struct stack {
    char *map; /* begins with the guard page */
    size_t map_size;
    size_t size; /* usable, above the guard */
    unsigned valgrind_id;
};

/* `size` is rounded up to pages. 0, or -1 with errno. */
int stack_map(struct stack *stack, size_t size);
void stack_unmap(struct stack *stack);

/* The lowest usable byte. */
char *stack_bottom(const struct stack *stack);

#endif
