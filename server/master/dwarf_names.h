/* dwarf_names.h: what a file of code says of a place in it: its functions, inlined ones too, with
 * file and line; by its debug information, else by its symbols (libdw). Nothing is kept here, and
 * no process made: see sites.h and symbols.h. */
#ifndef MASTER_DWARF_NAMES_H
#define MASTER_DWARF_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DWARF_NAMES_MAX 24 /* functions at one place */

struct dwarf_file;

struct dwarf_name {
    const char *function; /* NULL: not known */
    const char *file;     /* of the source, without its folder; NULL: not known */
    int line;             /* 0: not known */
    bool is_inlined;      /* into the next one */
    uint64_t into;        /* bytes from the beginning of the function, if a symbol named it */
};

/* NULL: it is not there, or no file of code. */
struct dwarf_file *dwarf_file_open(const char *path);
void dwarf_file_close(struct dwarf_file *file);

/* Fills in the functions at `offset` from the load address, the innermost first, and returns how
 * many; 0: nothing is known. `function` is where the function begins by its unwind information, 0:
 * not known; a symbol that begins elsewhere is not its name. The texts live as long as `file`. */
size_t dwarf_names_at(struct dwarf_file *file, uint64_t offset, uint64_t function,
                      struct dwarf_name names_out[DWARF_NAMES_MAX]);

#endif
