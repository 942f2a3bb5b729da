/* memory_case.h: memory that runs out when a test says so: it takes malloc's place in the program
 * that includes this. A sanitizer's allocator is not to be replaced: such tests skip there. */
#ifndef TESTS_UNIT_MEMORY_CASE_H
#define TESTS_UNIT_MEMORY_CASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

static __attribute__((unused)) int left = -1; /* how many allocations succeed; negative: all */
static __attribute__((unused)) bool goes_on = true; /* those behind the first that fails do, too */
static __attribute__((unused)) unsigned failed;     /* so many did */

#ifdef __SANITIZE_ADDRESS__
#define CAN_FAIL 0
#else
#define CAN_FAIL 1

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

static bool fails(void)
{
    if (left < 0 || left-- > 0)
        return false;
    left = goes_on ? 0 : -1;
    failed++;
    return true;
}

void *malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    return fails() ? NULL : __libc_realloc(old, size);
}
#endif

#endif
