/* elf.h: as much of an ELF file as tells a whole module from something else, before the dynamic
 * linker trusts it: a file cut short is SIGBUS there. */
#ifndef MASTER_ELF_H
#define MASTER_ELF_H

#include <stddef.h>

#define ELF_BUILD_ID_MAX 41 /* 20 bytes in hex, and the NUL */

/* Looks at a whole file in memory. Returns NULL when it is a shared object of this machine and all
 * its segments are there, else what is wrong, as the end of a sentence ("is no ELF file"). */
const char *elf_problem(const void *file, size_t size);

/* The linker's build id in hex, or "" when there is none. The file has no problem. */
void elf_build_id(const void *file, size_t size, char id_out[ELF_BUILD_ID_MAX]);

#endif
