/* elf_linking.c: reads the section headers' view of the dynamic symbols, which a linker always
 * writes. A file without them passes here, and meets the dynamic linker in the preflight process.
 *
 * The linker looks a symbol up in the server and its libraries first, then in the module. So a
 * symbol that the module defines, but refers to by its name, is replaced by one of the server's. */
#include "master/elf_private.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CLASHES_NAMED 3

/* Where packages put libraries: they change with the system, and servers are restarted then. */
static const char *const system_folders[] = {"/lib/", "/lib32/", "/lib64/", "/usr/"};

static bool is_system(const char *path)
{
    for (size_t i = 0; i < sizeof(system_folders) / sizeof(system_folders[0]); i++)
        if (strncmp(path, system_folders[i], strlen(system_folders[i])) == 0)
            return true;
    return false;
}

/* The first section of a type after `from`, or NULL. */
static Elf_Scn *find_section(Elf *elf, Elf_Scn *from, unsigned type, GElf_Shdr *header_out)
{
    while ((from = elf_nextscn(elf, from)) != NULL)
        if (gelf_getshdr(from, header_out) != NULL && header_out->sh_type == type)
            return from;
    return NULL;
}

static size_t entries_of(const GElf_Shdr *header, const Elf_Data *data)
{
    uint64_t count = header->sh_entsize > 0 ? data->d_size / header->sh_entsize : 0;

    return count < INT_MAX ? (size_t)count : INT_MAX;
}

/* ---- libraries ---- */

static int refuse_library(struct elf_reading *reading, const char *library)
{
    return elf_refuse(reading,
                      "needs %s, a shared library of its own, which would stay as it is while an "
                      "older build is loaded: link it statically",
                      library);
}

/* The server has it in memory already: that one serves, wherever the module would look. */
static bool is_loaded(const char *library)
{
    void *handle = dlopen(library, RTLD_LAZY | RTLD_NOLOAD);

    if (handle != NULL)
        dlclose(handle);
    return handle != NULL;
}

/* One folder of a search path; $ORIGIN is the folder of the operator's file, not of our copy. False
 * when it is not understood or too long. */
static bool expand_folder(const struct elf_reading *reading, const char *folder, size_t length,
                          char out[PATH_MAX])
{
    static const char *const origins[] = {"$ORIGIN", "${ORIGIN}"};
    const char *slash = strrchr(reading->path, '/');
    int n, base = slash != NULL ? (int)(slash - reading->path) : 0;

    for (size_t i = 0; i < 2; i++) {
        size_t origin = strlen(origins[i]);

        if (length < origin || strncmp(folder, origins[i], origin) != 0)
            continue;
        n = snprintf(out, PATH_MAX, "%.*s%.*s", base, reading->path, (int)(length - origin),
                     folder + origin);
        return n < PATH_MAX;
    }
    n = snprintf(out, PATH_MAX, "%.*s", (int)length, folder);
    return n < PATH_MAX && memchr(folder, '$', length) == NULL;
}

/* Looks for a needed library in a search path's folders of the operator's own. */
static int check_search(struct elf_reading *reading, const char *search, const char *library)
{
    char folder[PATH_MAX], path[2 * PATH_MAX];
    size_t length;

    for (;; search += length + 1) {
        length = strcspn(search, ":");
        if (length > 0 && length < PATH_MAX && expand_folder(reading, search, length, folder)) {
            snprintf(path, sizeof(path), "%s/%s", folder, library);
            if (!is_system(path) && access(path, F_OK) == 0)
                return refuse_library(reading, path);
        }
        if (search[length] == '\0')
            return 0;
    }
}

static int check_library(struct elf_reading *reading, const char *library, const char *search)
{
    if (library == NULL)
        return 0;
    if (strchr(library, '/') != NULL)
        return is_system(library) ? 0 : refuse_library(reading, library);
    if (is_loaded(library))
        return 0;
    return search != NULL ? check_search(reading, search, library) : 0;
}

/* ---- the dynamic section ---- */

struct dynamic {
    Elf *elf;
    Elf_Data *data;
    size_t count;   /* of its entries */
    size_t strings; /* the string table's section */
};

/* The i-th entry; false at the end. */
static bool get_entry(const struct dynamic *dynamic, size_t i, GElf_Dyn *entry_out)
{
    return i < dynamic->count && gelf_getdyn(dynamic->data, (int)i, entry_out) != NULL &&
           entry_out->d_tag != DT_NULL;
}

static const char *string_of(const struct dynamic *dynamic, const GElf_Dyn *entry)
{
    return elf_strptr(dynamic->elf, dynamic->strings, entry->d_un.d_val);
}

/* RUNPATH takes the place of RPATH. */
static const char *find_search(const struct dynamic *dynamic)
{
    const char *search = NULL;
    GElf_Dyn entry;

    for (size_t i = 0; get_entry(dynamic, i, &entry); i++)
        if (entry.d_tag == DT_RUNPATH || (entry.d_tag == DT_RPATH && search == NULL))
            search = string_of(dynamic, &entry);
    return search;
}

static int check_flags(struct elf_reading *reading, const GElf_Dyn *entry, bool *is_symbolic_out)
{
    if (entry->d_tag == DT_SYMBOLIC ||
        (entry->d_tag == DT_FLAGS && (entry->d_un.d_val & DF_SYMBOLIC) != 0))
        *is_symbolic_out = true;
    if (entry->d_tag != DT_FLAGS_1)
        return 0;
    if ((entry->d_un.d_val & DF_1_PIE) != 0)
        return elf_refuse(reading, "is an executable, no shared object: link it with -shared");
    if ((entry->d_un.d_val & DF_1_NODELETE) != 0)
        elf_warn(reading, "it is linked with -z nodelete: its code can never be unloaded, so each "
                          "reload leaves a copy in memory until the workers are restarted");
    return 0;
}

static int read_dynamic(struct elf_reading *reading, bool *is_symbolic_out)
{
    struct dynamic dynamic = {.elf = reading->elf};
    GElf_Shdr header;
    Elf_Scn *section = find_section(reading->elf, NULL, SHT_DYNAMIC, &header);
    const char *search;
    GElf_Dyn entry;

    dynamic.data = section != NULL ? elf_getdata(section, NULL) : NULL;
    if (dynamic.data == NULL)
        return 0;
    dynamic.count = entries_of(&header, dynamic.data);
    dynamic.strings = header.sh_link;
    search = find_search(&dynamic);
    for (size_t i = 0; get_entry(&dynamic, i, &entry); i++) {
        if (check_flags(reading, &entry, is_symbolic_out) != 0)
            return -1;
        if (entry.d_tag == DT_NEEDED &&
            check_library(reading, string_of(&dynamic, &entry), search) != 0)
            return -1;
    }
    return 0;
}

/* ---- symbols ---- */

struct symbols {
    Elf *elf;
    Elf_Data *data;
    size_t count;
    size_t strings;
    bool *is_seen; /* it was found to clash already */
    unsigned clashes;
    char names[256];
};

static bool is_in_server(const char *name)
{
    return dlsym(RTLD_DEFAULT, name) != NULL;
}

static const char *symbol_name(const struct symbols *symbols, const GElf_Sym *symbol)
{
    return elf_strptr(symbols->elf, symbols->strings, symbol->st_name);
}

/* The interface only grows: what is missing here is newer. */
static int check_missing(struct elf_reading *reading, const struct symbols *symbols)
{
    GElf_Sym symbol;
    const char *name;

    for (size_t i = 1; i < symbols->count; i++) {
        if (gelf_getsym(symbols->data, (int)i, &symbol) == NULL)
            return 0;
        if (symbol.st_shndx != SHN_UNDEF || GELF_ST_BIND(symbol.st_info) != STB_GLOBAL)
            continue;
        name = symbol_name(symbols, &symbol);
        if (name != NULL && strncmp(name, "reeve_", 6) == 0 && !is_in_server(name))
            return elf_refuse(reading,
                              "needs %s, which this server does not have: was it built "
                              "for a newer reeve?",
                              name);
    }
    return 0;
}

/* glibc keeps for ever what defines one that somebody has bound to. */
static void warn_of_unique(struct elf_reading *reading, const struct symbols *symbols)
{
    GElf_Sym symbol;
    const char *name;

    for (size_t i = 1; i < symbols->count; i++) {
        if (gelf_getsym(symbols->data, (int)i, &symbol) == NULL)
            return;
        if (symbol.st_shndx == SHN_UNDEF || GELF_ST_BIND(symbol.st_info) != STB_GNU_UNIQUE)
            continue;
        name = symbol_name(symbols, &symbol);
        elf_warn(reading,
                 "it defines unique symbols (%.64s), so its code may never be unloaded: compile "
                 "it with -fno-gnu-unique",
                 name != NULL ? name : "?");
        return;
    }
}

static void note_clash(struct symbols *symbols, const char *name)
{
    size_t used = strlen(symbols->names);

    if (symbols->clashes++ < CLASHES_NAMED)
        snprintf(symbols->names + used, sizeof(symbols->names) - used, "%s%.64s",
                 used > 0 ? ", " : "", name);
}

/* The symbol that a relocation refers to. */
static void check_reference(struct symbols *symbols, size_t i)
{
    GElf_Sym symbol;
    const char *name;

    if (i == 0 || i >= symbols->count || symbols->is_seen[i] ||
        gelf_getsym(symbols->data, (int)i, &symbol) == NULL)
        return;
    symbols->is_seen[i] = true;
    if (symbol.st_shndx == SHN_UNDEF || GELF_ST_BIND(symbol.st_info) == STB_LOCAL ||
        GELF_ST_VISIBILITY(symbol.st_other) != STV_DEFAULT)
        return;
    name = symbol_name(symbols, &symbol);
    if (name != NULL && is_in_server(name))
        note_clash(symbols, name);
}

static void check_references(struct symbols *symbols, unsigned type)
{
    GElf_Shdr header;
    Elf_Scn *section = NULL;
    Elf_Data *data;
    GElf_Rela rela;
    GElf_Rel rel;

    while ((section = find_section(symbols->elf, section, type, &header)) != NULL) {
        data = elf_getdata(section, NULL);
        for (size_t i = 0; data != NULL && i < entries_of(&header, data); i++)
            if (type == SHT_RELA && gelf_getrela(data, (int)i, &rela) != NULL)
                check_reference(symbols, GELF_R_SYM(rela.r_info));
            else if (type == SHT_REL && gelf_getrel(data, (int)i, &rel) != NULL)
                check_reference(symbols, GELF_R_SYM(rel.r_info));
    }
}

static void warn_of_clashes(struct elf_reading *reading, struct symbols *symbols)
{
    char more[32] = "";

    symbols->is_seen = calloc(symbols->count, sizeof(symbols->is_seen[0]));
    if (symbols->is_seen == NULL)
        return; /* it is advice only */
    check_references(symbols, SHT_RELA);
    check_references(symbols, SHT_REL);
    free(symbols->is_seen);
    if (symbols->clashes == 0)
        return;
    if (symbols->clashes > CLASHES_NAMED)
        snprintf(more, sizeof(more), " and %u more", symbols->clashes - CLASHES_NAMED);
    elf_warn(reading,
             "%s%s %s defined in the module and in the server, whose copy wins: build it "
             "with -fvisibility=hidden -Wl,-Bsymbolic-functions",
             symbols->names, more, symbols->clashes == 1 ? "is" : "are");
}

int elf_read_linking(struct elf_reading *reading)
{
    struct symbols symbols = {.elf = reading->elf};
    bool is_symbolic = false;
    GElf_Shdr header;
    Elf_Scn *section;

    if (read_dynamic(reading, &is_symbolic) != 0)
        return -1;
    section = find_section(reading->elf, NULL, SHT_DYNSYM, &header);
    symbols.data = section != NULL ? elf_getdata(section, NULL) : NULL;
    if (symbols.data == NULL)
        return 0;
    symbols.count = entries_of(&header, symbols.data);
    symbols.strings = header.sh_link;
    if (check_missing(reading, &symbols) != 0)
        return -1;
    warn_of_unique(reading, &symbols);
    if (!is_symbolic)
        warn_of_clashes(reading, &symbols);
    return 0;
}
