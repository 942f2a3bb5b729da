/* libraries.c: reads the DT_NEEDED entries of a loaded module from its dynamic section. */
#include "app/libraries.h"

#include <dlfcn.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Where packages put libraries: they change with the system, and servers are restarted then. */
static const char *const system_folders[] = {"/lib/", "/lib64/", "/usr/"};

static bool is_system(const char *path)
{
    for (size_t i = 0; i < sizeof system_folders / sizeof system_folders[0]; i++)
        if (strncmp(path, system_folders[i], strlen(system_folders[i])) == 0)
            return true;
    return false;
}

static const char *string_table(const ElfW(Dyn) * dynamic)
{
    for (; dynamic->d_tag != DT_NULL; dynamic++)
        if (dynamic->d_tag == DT_STRTAB)
            return (const char *)dynamic->d_un.d_ptr; /* relocated by glibc */
    return NULL;
}

static bool is_named(const struct link_map *library, const char *needed)
{
    const char *slash = strrchr(library->l_name, '/');

    return strcmp(slash ? slash + 1 : library->l_name, needed) == 0 ||
           strcmp(library->l_name, needed) == 0;
}

/* Where what is `needed` was loaded from. One that goes by a soname of its own is not found, and
 * passes. */
static const char *path_of(const struct link_map *map, const char *needed)
{
    for (; map; map = map->l_next)
        if (is_named(map, needed))
            return map->l_name;
    return "/usr/";
}

const char *libraries_find_private(void *handle, char *path, size_t size)
{
    struct link_map *module, *first;
    const char *strings, *found;

    if (dlinfo(handle, RTLD_DI_LINKMAP, &module) != 0 || !(strings = string_table(module->l_ld)))
        return NULL;
    for (first = module; first->l_prev; first = first->l_prev)
        ;
    for (const ElfW(Dyn) *entry = module->l_ld; entry->d_tag != DT_NULL; entry++) {
        if (entry->d_tag != DT_NEEDED)
            continue;
        found = path_of(first, strings + entry->d_un.d_val);
        if (is_system(found))
            continue;
        snprintf(path, size, "%s", found);
        return path;
    }
    return NULL;
}
