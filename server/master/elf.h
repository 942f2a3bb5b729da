/* elf.h: what can be told of a module before the dynamic linker trusts it and its constructors run:
 * a file cut short is SIGBUS there, another machine's a riddle. */
#ifndef MASTER_ELF_H
#define MASTER_ELF_H

#include <stddef.h>

#define ELF_BUILD_ID_MAX 41 /* 20 bytes in hex, and the NUL */
#define ELF_WARNINGS_MAX 1024

struct elf_facts {
    char problem[512];               /* the end of a sentence ("is no ELF file"), "": none */
    char build_id[ELF_BUILD_ID_MAX]; /* the linker's, in hex; "" when there is none */
    char warnings[ELF_WARNINGS_MAX]; /* sentences, each ended by \n; "": none */
};

/* Looks at a whole file in memory; `path` is where it came from, which $ORIGIN stands for. Returns
 * 0 when it is a shared object for this process, as far as can be told, else -1. What it defines or
 * lacks is compared with this process's own symbols. */
int elf_read(const void *file, size_t size, const char *path, struct elf_facts *facts_out);

#endif
