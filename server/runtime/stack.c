/* stack.c: maps stacks with a guard page below, so that an overflow faults instead of writing into
 * a neighbour. */
#include "runtime/stack.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/poison.h"

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define VALGRIND_STACK_REGISTER(start, end) 0
#define VALGRIND_STACK_DEREGISTER(id)       ((void)(id))
#endif

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

int stack_map(struct stack *stack, size_t size)
{
    size_t page = page_size();

    if (size == 0 || size > PTRDIFF_MAX / 2) { /* the sums below must not overflow */
        errno = EINVAL;
        return -1;
    }
    stack->size = (size + page - 1) / page * page;
    stack->map_size = stack->size + page;
    stack->map = mmap(NULL, stack->map_size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (stack->map == MAP_FAILED)
        return -1;
    if (mprotect(stack->map, page, PROT_NONE) == -1) {
        munmap(stack->map, stack->map_size);
        return -1;
    }
    /* A huge page would make each stack cost 2 MiB at its first touch. */
    madvise(stack->map, stack->map_size, MADV_NOHUGEPAGE);
    stack->valgrind_id =
        VALGRIND_STACK_REGISTER(stack_bottom(stack), stack_bottom(stack) + stack->size);
    return 0;
}

void stack_unmap(struct stack *stack)
{
    VALGRIND_STACK_DEREGISTER(stack->valgrind_id);
    /* Frames that were left by a switch and never returned from are still poisoned. */
    UNPOISON(stack->map, stack->map_size);
    munmap(stack->map, stack->map_size);
}

char *stack_bottom(const struct stack *stack)
{
    return stack->map + (stack->map_size - stack->size);
}
