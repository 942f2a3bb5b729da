/* sites.c: libdw reads the staged file, for as long as one question takes.
 *
 * Nothing is looked up before somebody asks. What a file says of itself is only shown, so whatever
 * is odd about it costs no more than a name. */
#include "master/sites.h"

#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "master/build.h"
#include "master/pool.h"

/* ---- one file ---- */

#define FILE_SIZE_MAX ((off_t)64 << 20)

struct place {
    const char *function; /* NULL: not known */
    const char *file;     /* NULL: not known */
    int line;
    uint64_t into; /* bytes from the beginning of the function */
};

/* The function that the source names there, which may have been inlined. */
static const char *function_of(Dwfl_Module *module, Dwarf_Addr address)
{
    Dwarf_Addr bias;
    Dwarf_Die *unit = dwfl_module_addrdie(module, address, &bias), *scopes = NULL;
    int count = unit ? dwarf_getscopes(unit, address - bias, &scopes) : 0;
    const char *name = NULL;

    for (int i = 0; i < count && !name; i++) {
        int tag = dwarf_tag(&scopes[i]);

        if (tag == DW_TAG_subprogram || tag == DW_TAG_inlined_subroutine)
            name = dwarf_diename(&scopes[i]);
    }
    free(scopes);
    return name;
}

static void find_line(Dwfl_Module *module, Dwarf_Addr address, struct place *place)
{
    Dwfl_Line *line = dwfl_module_getsrc(module, address);
    const char *path = line ? dwfl_lineinfo(line, NULL, &place->line, NULL, NULL, NULL) : NULL;
    const char *slash = path ? strrchr(path, '/') : NULL;

    place->file = slash ? slash + 1 : path;
}

static void find_place(Dwfl_Module *module, uint64_t offset, struct place *place)
{
    GElf_Addr bias;
    GElf_Sym symbol;
    GElf_Off into = 0;
    const char *name, *in_source;

    if (!dwfl_module_getelf(module, &bias))
        return;
    name = dwfl_module_addrinfo(module, bias + offset, &into, &symbol, NULL, NULL, NULL);
    /* A name before this address, of something that ends before it too, is no answer. */
    if (name && name[0] && (symbol.st_size == 0 || into < symbol.st_size)) {
        place->function = name;
        place->into = into;
    }
    find_line(module, bias + offset, place);
    in_source = function_of(module, bias + offset);
    if (in_source)
        place->function = in_source;
}

static char *write_place(const struct place *place, uint64_t offset)
{
    char *text = NULL;
    int length;

    if (place->function && place->file)
        length = asprintf(&text, "%s (%s:%d)", place->function, place->file, place->line);
    else if (place->function)
        length = asprintf(&text, "%s+0x%" PRIx64, place->function, place->into);
    else if (place->file)
        length = asprintf(&text, "%s:%d", place->file, place->line);
    else
        length = asprintf(&text, "+0x%" PRIx64, offset);
    return length < 0 ? NULL : text;
}

/* No file but the staged one is looked for: no separate debug information, no server of it. */
static int find_no_other(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base,
                         const char *path, const char *link, GElf_Word checksum, char **found_out)
{
    (void)module, (void)data, (void)name, (void)base;
    (void)path, (void)link, (void)checksum, (void)found_out;
    return -1;
}

/* The master does this itself: what would keep it too long from its workers is told as a number. */
static bool is_too_large(const char *path)
{
    struct stat st;

    return stat(path, &st) != 0 || st.st_size > FILE_SIZE_MAX;
}

static char *look_up(const char *path, uint64_t offset)
{
    static const Dwfl_Callbacks callbacks = {.section_address = dwfl_offline_section_address,
                                             .find_debuginfo = find_no_other};
    struct place place = {0};
    Dwfl *dwfl = is_too_large(path) ? NULL : dwfl_begin(&callbacks);
    Dwfl_Module *module = NULL;
    char *text;

    if (dwfl) {
        module = dwfl_report_offline(dwfl, "module", path, -1);
        dwfl_report_end(dwfl, NULL, NULL);
    }
    if (module)
        find_place(module, offset, &place);
    text = write_place(&place, offset);
    if (dwfl)
        dwfl_end(dwfl); /* the names were its */
    return text;
}

/* ---- what was asked before ---- */

#define KEPT 128

struct answer {
    dev_t device; /* of the file: a path may come again, that of a descriptor above all */
    ino_t inode;
    struct timespec changed;
    uint64_t offset;
    char *text; /* NULL: an unused one */
};

static struct answer kept[KEPT];
static size_t next_kept;

static bool is_about(const struct answer *answer, const struct stat *file, uint64_t offset)
{
    return answer->text && answer->offset == offset && answer->inode == file->st_ino &&
           answer->device == file->st_dev && answer->changed.tv_sec == file->st_ctim.tv_sec &&
           answer->changed.tv_nsec == file->st_ctim.tv_nsec;
}

static const char *find_kept(const struct stat *file, uint64_t offset)
{
    for (size_t i = 0; i < KEPT; i++)
        if (is_about(&kept[i], file, offset))
            return kept[i].text;
    return NULL;
}

static void keep(const struct stat *file, uint64_t offset, const char *text)
{
    struct answer *answer = &kept[next_kept++ % KEPT];

    free(answer->text);
    *answer = (struct answer){.device = file->st_dev,
                              .inode = file->st_ino,
                              .changed = file->st_ctim,
                              .offset = offset,
                              .text = strdup(text)};
}

char *site_name(const char *staged_path, uint64_t offset)
{
    const char *known;
    struct stat file;
    char *text;

    if (stat(staged_path, &file) == -1 || !S_ISREG(file.st_mode))
        return write_place(&(struct place){0}, offset);
    known = find_kept(&file, offset);
    if (known)
        return strdup(known);
    text = look_up(staged_path, offset);
    if (text)
        keep(&file, offset, text);
    return text;
}

const char *site_path(struct pool *pool, unsigned app, uint64_t generation)
{
    for (struct worker *w = pool_first(pool); w != NULL; w = pool_next(w)) {
        const struct hold *hold = hold_find(&w->holds, app, generation);

        if (hold != NULL)
            return hold->build->path;
    }
    return NULL;
}
