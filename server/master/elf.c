/* elf.c: the file as a whole: for which machine, of which kind, complete. libelf checks that
 * what it hands out lies within the file. */
#include "master/elf.h"

#include <link.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "master/elf_private.h"

#define IS_CUT "is cut short: was it still being written?"

/* This process's own header, from the linker. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

int elf_refuse(struct elf_reading *reading, const char *format, ...)
{
    struct elf_facts *facts = reading->facts;
    va_list args;

    va_start(args, format);
    vsnprintf(facts->problem, sizeof(facts->problem), format, args);
    va_end(args);
    return -1;
}

/* A warning that does not fit is left out whole. */
void elf_warn(struct elf_reading *reading, const char *format, ...)
{
    struct elf_facts *facts = reading->facts;
    size_t used = strlen(facts->warnings), room = sizeof(facts->warnings) - used;
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(facts->warnings + used, room, format, args);
    va_end(args);
    if (n < 0 || (size_t)n + 1 >= room)
        facts->warnings[used] = '\0';
    else
        memcpy(facts->warnings + used + n, "\n", 2);
}

/* ---- the header ---- */

static const char *machine_name(unsigned machine, char text[32])
{
    static const struct {
        unsigned machine;
        const char *name;
    } names[] = {
        {EM_386, "i386"},        {EM_X86_64, "x86-64"},       {EM_ARM, "arm"},
        {EM_AARCH64, "aarch64"}, {EM_RISCV, "riscv"},         {EM_PPC64, "ppc64"},
        {EM_S390, "s390"},       {EM_LOONGARCH, "loongarch"}, {EM_MIPS, "mips"},
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].machine == machine)
            return names[i].name;
    snprintf(text, 32, "machine %u", machine);
    return text;
}

static int check_machine(struct elf_reading *reading, const GElf_Ehdr *header)
{
    const ElfW(Ehdr) *own = &__ehdr_start;
    char found[32], expected[32];

    if (header->e_machine != own->e_machine)
        return elf_refuse(reading, "is built for %s, this server is %s",
                          machine_name(header->e_machine, found),
                          machine_name(own->e_machine, expected));
    if (header->e_ident[EI_CLASS] != own->e_ident[EI_CLASS])
        return elf_refuse(reading, "is a %d-bit file, this server is %d-bit",
                          header->e_ident[EI_CLASS] == ELFCLASS64 ? 64 : 32,
                          own->e_ident[EI_CLASS] == ELFCLASS64 ? 64 : 32);
    if (header->e_ident[EI_DATA] != own->e_ident[EI_DATA])
        return elf_refuse(reading, "is %s-endian, this server is %s-endian",
                          header->e_ident[EI_DATA] == ELFDATA2MSB ? "big" : "little",
                          own->e_ident[EI_DATA] == ELFDATA2MSB ? "big" : "little");
    return 0;
}

static int check_type(struct elf_reading *reading, const GElf_Ehdr *header)
{
    static const char format[] = "is %s, no shared object: link it with -shared";

    switch (header->e_type) {
    case ET_DYN:
        return 0;
    case ET_REL:
        return elf_refuse(reading, format, "an object file");
    case ET_EXEC:
        return elf_refuse(reading, format, "an executable");
    default:
        return elf_refuse(reading, "is no shared object: its e_type is %u, expected %d (ET_DYN)",
                          header->e_type, ET_DYN);
    }
}

/* ---- all of it there ---- */

static bool has_range(size_t size, uint64_t offset, uint64_t length)
{
    return offset <= size && length <= size - offset;
}

static int check_tables(struct elf_reading *reading, const GElf_Ehdr *header, size_t size)
{
    if (header->e_phnum == 0 || header->e_phentsize != sizeof(ElfW(Phdr)))
        return elf_refuse(reading, "is no shared object: it has no segments");
    if (!has_range(size, header->e_phoff, (uint64_t)header->e_phnum * header->e_phentsize) ||
        !has_range(size, header->e_shoff, (uint64_t)header->e_shnum * header->e_shentsize))
        return elf_refuse(reading, IS_CUT);
    return 0;
}

static int check_segments(struct elf_reading *reading, size_t count, size_t size)
{
    GElf_Phdr segment;
    bool has_code = false, has_dynamic = false;

    for (size_t i = 0; i < count; i++) {
        if (gelf_getphdr(reading->elf, (int)i, &segment) == NULL)
            return elf_refuse(reading, IS_CUT);
        if (!has_range(size, segment.p_offset, segment.p_filesz))
            return elf_refuse(reading, IS_CUT);
        has_code |= segment.p_type == PT_LOAD;
        has_dynamic |= segment.p_type == PT_DYNAMIC;
        if (segment.p_type == PT_GNU_STACK && (segment.p_flags & PF_X) != 0)
            elf_warn(reading, "it asks for an executable stack, so every stack of a worker becomes "
                              "executable: link it with -z noexecstack");
    }
    if (!has_code || !has_dynamic)
        return elf_refuse(reading, "is no shared object: it has no %s",
                          has_code ? "dynamic section" : "segment to be loaded");
    return 0;
}

/* ---- the build id ---- */

static void put_hex(const unsigned char *bytes, size_t n, char out[ELF_BUILD_ID_MAX])
{
    for (size_t i = 0; i < n && 2 * i + 2 < ELF_BUILD_ID_MAX; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static bool find_build_id(Elf_Data *notes, char out[ELF_BUILD_ID_MAX])
{
    size_t at = 0, next, name, value;
    GElf_Nhdr note;

    for (; (next = gelf_getnote(notes, at, &note, &name, &value)) > 0; at = next) {
        const char *bytes = notes->d_buf;

        if (note.n_type != NT_GNU_BUILD_ID || note.n_namesz != 4 ||
            memcmp(bytes + name, "GNU", 4) != 0)
            continue;
        put_hex((const unsigned char *)bytes + value, note.n_descsz, out);
        return true;
    }
    return false;
}

static void read_build_id(struct elf_reading *reading, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        GElf_Phdr segment;
        Elf_Data *notes;

        if (gelf_getphdr(reading->elf, (int)i, &segment) == NULL || segment.p_type != PT_NOTE)
            continue;
        notes = elf_getdata_rawchunk(reading->elf, (int64_t)segment.p_offset, segment.p_filesz,
                                     segment.p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
        if (notes != NULL && find_build_id(notes, reading->facts->build_id))
            return;
    }
}

/* ---- all together ---- */

static int read_open(struct elf_reading *reading, size_t size)
{
    GElf_Ehdr header;
    size_t count;

    if (elf_kind(reading->elf) != ELF_K_ELF || gelf_getehdr(reading->elf, &header) == NULL)
        return elf_refuse(reading, "is no ELF file that can be read: %s", elf_errmsg(-1));
    if (check_machine(reading, &header) != 0 || check_type(reading, &header) != 0 ||
        check_tables(reading, &header, size) != 0)
        return -1;
    if (elf_getphdrnum(reading->elf, &count) != 0)
        return elf_refuse(reading, IS_CUT);
    if (check_segments(reading, count, size) != 0)
        return -1;
    read_build_id(reading, count);
    return elf_read_linking(reading);
}

int elf_read(const void *file, size_t size, const char *path, struct elf_facts *facts_out)
{
    struct elf_reading reading = {.path = path, .facts = facts_out};
    int status;

    memset(facts_out, 0, sizeof(*facts_out));
    if (size < SELFMAG || memcmp(file, ELFMAG, SELFMAG) != 0)
        return elf_refuse(&reading, "is no ELF file");
    if (size < sizeof(ElfW(Ehdr)))
        return elf_refuse(&reading, IS_CUT);
    if (elf_version(EV_CURRENT) == EV_NONE)
        return elf_refuse(&reading, "cannot be read: libelf is too old");
    reading.elf = elf_memory((char *)(uintptr_t)file, size); /* it is only read */
    if (reading.elf == NULL)
        return elf_refuse(&reading, "is no ELF file that can be read: %s", elf_errmsg(-1));
    status = read_open(&reading, size);
    elf_end(reading.elf);
    return status;
}
