/* dwarf_names.c: see dwarf_names.h. No file but the one that was asked for is looked for: no
 * separate debug information, no server of it. */
#include "master/dwarf_names.h"

#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <stdlib.h>
#include <string.h>

/* A tree that is deeper, or a walk that is longer, is no compiler's. */
#define DEPTH_MAX 100
#define WALK_MAX  4000000u

struct dwarf_file {
    Dwfl *dwfl;
    Dwfl_Module *module;
    GElf_Addr bias; /* from the file's addresses to libdwfl's */
};

/* ---- the file ---- */

static int find_no_other(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base,
                         const char *path, const char *link, GElf_Word checksum, char **found_out)
{
    (void)module, (void)data, (void)name, (void)base;
    (void)path, (void)link, (void)checksum, (void)found_out;
    return -1;
}

struct dwarf_file *dwarf_file_open(const char *path)
{
    static const Dwfl_Callbacks callbacks = {.section_address = dwfl_offline_section_address,
                                             .find_debuginfo = find_no_other};
    struct dwarf_file *file = calloc(1, sizeof *file);

    if (!file)
        return NULL;
    file->dwfl = dwfl_begin(&callbacks);
    if (file->dwfl) {
        file->module = dwfl_report_offline(file->dwfl, "module", path, -1);
        dwfl_report_end(file->dwfl, NULL, NULL);
    }
    if (file->module && dwfl_module_getelf(file->module, &file->bias))
        return file;
    dwarf_file_close(file);
    return NULL;
}

void dwarf_file_close(struct dwarf_file *file)
{
    if (!file)
        return;
    if (file->dwfl)
        dwfl_end(file->dwfl);
    free(file);
}

static const char *base_name(const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;

    return slash ? slash + 1 : path;
}

/* ---- by its debug information ---- */

/* The functions around an address, the outermost first: not inlined, each next one is inlined into
 * the one before. */
struct chain {
    Dwarf_Die items[DWARF_NAMES_MAX];
    size_t count;
    Dwarf_Addr address;
    unsigned walked;
};

/* The unit that has the address in it; NULL: none. */
static Dwarf_Die *unit_of(const struct dwarf_file *file, Dwarf_Addr address, Dwarf_Addr *bias_out)
{
    Dwarf_Die *unit = dwfl_module_addrdie(file->module, address, bias_out);
    unsigned walked = 0;

    if (unit)
        return unit;
    /* Not every compiler writes a table of the units' addresses. */
    while ((unit = dwfl_module_nextcu(file->module, unit, bias_out)) && walked++ < WALK_MAX)
        if (dwarf_haspc(unit, address - *bias_out) == 1)
            return unit;
    return NULL;
}

static bool is_around(Dwarf_Die *die, Dwarf_Addr address)
{
    return dwarf_haspc(die, address) == 1;
}

/* What may have functions in it, without being one, and has no addresses of its own. */
static bool is_folder(int tag)
{
    return tag == DW_TAG_namespace || tag == DW_TAG_module || tag == DW_TAG_class_type ||
           tag == DW_TAG_structure_type;
}

static void note(struct chain *chain, const Dwarf_Die *die, int tag)
{
    if (tag == DW_TAG_subprogram)
        chain->count = 0; /* a function within one is no inlined one */
    if (tag != DW_TAG_lexical_block && chain->count < DWARF_NAMES_MAX)
        chain->items[chain->count++] = *die;
}

/* True: the address was found below `parent`. */
static bool descend(struct chain *chain, Dwarf_Die *parent, int depth)
{
    Dwarf_Die die;

    if (depth == DEPTH_MAX || dwarf_child(parent, &die) != 0)
        return false;
    do {
        int tag = dwarf_tag(&die);

        if (chain->walked++ >= WALK_MAX)
            return false;
        if (is_folder(tag)) {
            if (descend(chain, &die, depth + 1))
                return true;
        } else if ((tag == DW_TAG_subprogram || tag == DW_TAG_inlined_subroutine ||
                    tag == DW_TAG_lexical_block) &&
                   is_around(&die, chain->address)) {
            note(chain, &die, tag);
            descend(chain, &die, depth + 1);
            return true;
        }
    } while (dwarf_siblingof(&die, &die) == 0);
    return false;
}

static void set_line(struct dwarf_name *name, const char *path, int line)
{
    if (!path || line <= 0)
        return;
    name->file = base_name(path);
    name->line = line;
}

static void read_line(Dwarf_Die *unit, Dwarf_Addr address, struct dwarf_name *name)
{
    Dwarf_Line *line = dwarf_getsrc_die(unit, address);
    int number = 0;

    if (line && dwarf_lineno(line, &number) == 0)
        set_line(name, dwarf_linesrc(line, NULL, NULL), number);
}

static Dwarf_Word number_of(Dwarf_Die *die, unsigned what)
{
    Dwarf_Attribute attribute;
    Dwarf_Word number = 0;

    if (!dwarf_attr(die, what, &attribute) || dwarf_formudata(&attribute, &number) != 0)
        return 0;
    return number;
}

/* Where the inlined function was called. */
static void read_call(Dwarf_Die *unit, Dwarf_Die *inlined, struct dwarf_name *name)
{
    Dwarf_Word file = number_of(inlined, DW_AT_call_file);
    Dwarf_Word line = number_of(inlined, DW_AT_call_line);
    Dwarf_Files *files;
    size_t count;

    if (line <= INT32_MAX && dwarf_getsrcfiles(unit, &files, &count) == 0 && file < count)
        set_line(name, dwarf_filesrc(files, file, NULL, NULL), (int)line);
}

/* A unit without debug information gives no name, perhaps a line. */
static size_t by_debug_information(const struct dwarf_file *file, Dwarf_Addr address,
                                   struct dwarf_name names[DWARF_NAMES_MAX])
{
    struct chain chain = {.count = 0};
    Dwarf_Addr bias;
    Dwarf_Die *unit = unit_of(file, address, &bias);
    size_t count;

    if (!unit)
        return 0;
    chain.address = address - bias;
    descend(&chain, unit, 0);
    count = chain.count > 0 ? chain.count : 1;
    memset(names, 0, count * sizeof names[0]);
    read_line(unit, chain.address, &names[0]);
    for (size_t i = 0; i < chain.count; i++) {
        Dwarf_Die *die = &chain.items[chain.count - 1 - i];

        names[i].function = dwarf_diename(die);
        names[i].is_inlined = i + 1 < chain.count;
        if (names[i].is_inlined)
            read_call(unit, die, &names[i + 1]);
    }
    return count;
}

/* ---- by its symbols ---- */

/* A name before the address, of something that ends before it too, or that begins elsewhere than
 * the function does, is another's: that of a static function is often not there. */
static bool is_its_name(const char *name, const GElf_Sym *symbol, uint64_t into, bool is_at_start)
{
    return name && name[0] && (is_at_start || into < symbol->st_size);
}

static void by_symbol(const struct dwarf_file *file, uint64_t offset, uint64_t function,
                      struct dwarf_name *name_out)
{
    GElf_Off into = 0;
    GElf_Sym symbol;
    const char *name =
        dwfl_module_addrinfo(file->module, file->bias + offset, &into, &symbol, NULL, NULL, NULL);
    bool is_at_start = function != 0 && offset - into == function;

    if ((function != 0 && !is_at_start) || !is_its_name(name, &symbol, into, is_at_start))
        return;
    name_out->function = name;
    name_out->into = into;
}

size_t dwarf_names_at(struct dwarf_file *file, uint64_t offset, uint64_t function,
                      struct dwarf_name names_out[DWARF_NAMES_MAX])
{
    size_t count = by_debug_information(file, file->bias + offset, names_out);
    struct dwarf_name *last;

    if (count == 0)
        names_out[count++] = (struct dwarf_name){.function = NULL};
    last = &names_out[count - 1];
    if (!last->function)
        by_symbol(file, offset, function, last);
    return last->function || last->file || count > 1 ? count : 0;
}
