/* stack.c: maps stacks with a guard below, so that an overflow faults instead of writing into a
 * neighbour. */
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

/* A function whose locals are larger than the guard may step over it. It is never touched, so it
 * costs addresses only, and it stays one mapping, of which there are no more than
 * vm.max_map_count. */
#define GUARD_SIZE (64u << 10)

/* How far a stack pointer beyond the guard is still believed to be that of the stack above it. */
#define FAR_BEYOND ((uintptr_t)16 << 20)
/* How far below the stack pointer code may touch the stack: a call, x86-64's red zone of 128 bytes,
 * and the page after page that -fstack-clash-protection looks at beforehand. */
#define AHEAD 4096u

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

int stack_map(struct stack *stack, size_t size)
{
    size_t page = page_size();
    size_t guard = (GUARD_SIZE + page - 1) / page * page;

    if (size == 0 || size > PTRDIFF_MAX / 2) { /* the sums below must not overflow */
        errno = EINVAL;
        return -1;
    }
    stack->size = (size + page - 1) / page * page;
    stack->map_size = stack->size + guard;
    stack->map = mmap(NULL, stack->map_size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (stack->map == MAP_FAILED)
        return -1;
    if (mprotect(stack->map, guard, PROT_NONE) == -1) {
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

bool stack_is_overflow(uintptr_t bottom, size_t guard, uintptr_t address, uintptr_t sp)
{
    bool is_in_guard = address < bottom && address >= bottom - guard;
    uintptr_t lowest = bottom - guard - FAR_BEYOND;

    if (sp == 0)
        return is_in_guard;
    if (sp < bottom)
        return sp >= lowest && address < bottom && address >= lowest;
    /* A pointer gone wild may hit the guard as well, from a stack that has room. */
    return is_in_guard && sp - address <= AHEAD;
}
