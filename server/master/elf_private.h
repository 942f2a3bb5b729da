/* elf_private.h: the reading of an ELF file as its two halves see it. */
#ifndef MASTER_ELF_PRIVATE_H
#define MASTER_ELF_PRIVATE_H

#include <gelf.h>
#include <libelf.h>

#include "master/elf.h"

struct elf_reading {
    Elf *elf;
    const char *path;
    struct elf_facts *facts;
};

/* Both return -1; the first problem is the one that is told. */
int elf_refuse(struct elf_reading *reading, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void elf_warn(struct elf_reading *reading, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* elf_linking.c: what it asks of the dynamic linker: libraries, flags, symbols. 0 or -1. */
int elf_read_linking(struct elf_reading *reading);

#endif
