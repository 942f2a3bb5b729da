/* place_case.h: where the test's own functions are in its file, as an offset. */
#ifndef TESTS_PLACE_CASE_H
#define TESTS_PLACE_CASE_H

#include <link.h>
#include <stdint.h>

static inline int place_first(struct dl_phdr_info *info, size_t size, void *base)
{
    (void)size;
    *(uintptr_t *)base = info->dlpi_addr;
    return 1;
}

static inline uint64_t place_offset(int (*function)(int))
{
    uintptr_t base = 0;

    dl_iterate_phdr(place_first, &base); /* the program comes first */
    return (uintptr_t)function - base;
}

#endif
