/* place.c: see place.h. */
#include "app/place.h"

#include <dlfcn.h>
#include <link.h>

#include "app/generation.h"

void place_find_mapping(const void *inside, struct mapping *mapping_out)
{
    struct dl_find_object found;

    if (_dl_find_object((void *)(uintptr_t)inside, &found) != 0)
        return;
    mapping_out->start = found.dlfo_map_start;
    mapping_out->end = found.dlfo_map_end;
    mapping_out->base = (const char *)found.dlfo_link_map->l_addr;
}

uint64_t place_in(const struct generation *generation, const char *site, const void *entry)
{
    const struct mapping *mapping = &generation->mapping;

    if (site > mapping->start && site <= mapping->end)
        site--; /* into the call: what follows may be another line's */
    else
        site = entry;
    return site && site >= mapping->start && site < mapping->end ? (uint64_t)(site - mapping->base)
                                                                 : 0;
}
