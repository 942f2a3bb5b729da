/* elf.c: bounds before pointers: the file is whatever somebody named in the configuration. */
#include "master/elf.h"

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
#else
#define MACHINE EM_NONE /* any: the dynamic linker has the last word */
#endif

static bool has_range(size_t size, uint64_t offset, uint64_t length)
{
    return offset <= size && length <= size - offset;
}

static void read_header(const void *file, ElfW(Ehdr) * header)
{
    memcpy(header, file, sizeof(*header));
}

/* The i-th program header; the table's place was checked. */
static void read_segment(const void *file, const ElfW(Ehdr) * header, unsigned i,
                         ElfW(Phdr) * segment)
{
    memcpy(segment, (const char *)file + header->e_phoff + i * sizeof(*segment), sizeof(*segment));
}

static const char *header_problem(const ElfW(Ehdr) * header)
{
    unsigned char class = sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32;

    if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
        return "is no ELF file";
    if (header->e_ident[EI_CLASS] != class || (MACHINE != EM_NONE && header->e_machine != MACHINE))
        return "is built for another kind of machine";
    if (header->e_type != ET_DYN)
        return "is no shared object (it is linked with -shared)";
    if (header->e_phentsize != sizeof(ElfW(Phdr)) || header->e_phnum == 0)
        return "is no shared object";
    return NULL;
}

const char *elf_problem(const void *file, size_t size)
{
    static const char is_cut[] = "is cut short: was it still being written?";
    ElfW(Ehdr) header;
    ElfW(Phdr) segment;
    const char *problem;

    if (size < SELFMAG || memcmp(file, ELFMAG, SELFMAG) != 0)
        return "is no ELF file";
    if (size < sizeof(header))
        return is_cut;
    read_header(file, &header);
    problem = header_problem(&header);
    if (problem != NULL)
        return problem;
    if (!has_range(size, header.e_phoff, (uint64_t)header.e_phnum * sizeof(segment)) ||
        !has_range(size, header.e_shoff, (uint64_t)header.e_shnum * header.e_shentsize))
        return is_cut;
    for (unsigned i = 0; i < header.e_phnum; i++) {
        read_segment(file, &header, i, &segment);
        if (!has_range(size, segment.p_offset, segment.p_filesz))
            return is_cut;
    }
    return NULL;
}

static size_t aligned(uint32_t n)
{
    return ((size_t)n + 3) & ~(size_t)3;
}

static void put_hex(const unsigned char *bytes, size_t n, char out[ELF_BUILD_ID_MAX])
{
    for (size_t i = 0; i < n && 2 * i + 2 < ELF_BUILD_ID_MAX; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

/* Looks through one PT_NOTE segment. */
static bool find_build_id(const char *notes, size_t size, char out[ELF_BUILD_ID_MAX])
{
    ElfW(Nhdr) note;

    while (size >= sizeof(note)) {
        size_t name, value;

        memcpy(&note, notes, sizeof(note));
        notes += sizeof(note);
        size -= sizeof(note);
        name = aligned(note.n_namesz);
        value = aligned(note.n_descsz);
        if (name > size || value > size - name)
            return false;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && memcmp(notes, "GNU", 4) == 0) {
            put_hex((const unsigned char *)notes + name, note.n_descsz, out);
            return true;
        }
        notes += name + value;
        size -= name + value;
    }
    return false;
}

void elf_build_id(const void *file, size_t size, char id_out[ELF_BUILD_ID_MAX])
{
    ElfW(Ehdr) header;
    ElfW(Phdr) segment;

    id_out[0] = '\0';
    if (size < sizeof(header))
        return;
    read_header(file, &header);
    for (unsigned i = 0; i < header.e_phnum; i++) {
        read_segment(file, &header, i, &segment);
        if (segment.p_type == PT_NOTE && has_range(size, segment.p_offset, segment.p_filesz) &&
            find_build_id((const char *)file + segment.p_offset, segment.p_filesz, id_out))
            return;
    }
}
