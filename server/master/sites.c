/* sites.c: the staged file is read for as long as one question takes (dwarf_names.h).
 *
 * Nothing is looked up before somebody asks. What a file says of itself is only shown, so whatever
 * is odd about it costs no more than a name. */
#include "master/sites.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "master/build.h"
#include "master/dwarf_names.h"
#include "master/pool.h"

/* ---- one file ---- */

#define FILE_SIZE_MAX ((off_t)64 << 20)

static char *write_place(const struct dwarf_name *place, uint64_t offset)
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

/* The master does this itself: what would keep it too long from its workers is told as a number. */
static bool is_too_large(const char *path)
{
    struct stat st;

    return stat(path, &st) != 0 || st.st_size > FILE_SIZE_MAX;
}

static char *look_up(const char *path, uint64_t offset)
{
    struct dwarf_file *file = is_too_large(path) ? NULL : dwarf_file_open(path);
    struct dwarf_name names[DWARF_NAMES_MAX] = {{.function = NULL}};
    char *text;

    if (file && dwarf_names_at(file, offset, 0, names) == 0)
        names[0] = (struct dwarf_name){.function = NULL};
    text = write_place(&names[0], offset);
    dwarf_file_close(file); /* the names were its */
    return text;
}

/* ---- what was asked before ---- */

#define KEPT 256

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

static bool look_at(const char *path, struct stat *file_out)
{
    return stat(path, file_out) == 0 && S_ISREG(file_out->st_mode);
}

const char *site_known(const char *staged_path, uint64_t offset)
{
    struct stat file;

    return look_at(staged_path, &file) ? find_kept(&file, offset) : NULL;
}

void site_keep(const char *staged_path, uint64_t offset, const char *text)
{
    struct stat file;

    if (look_at(staged_path, &file))
        keep(&file, offset, text);
}

char *site_name(const char *staged_path, uint64_t offset)
{
    const char *known;
    struct stat file;
    char *text;

    if (!look_at(staged_path, &file))
        return write_place(&(struct dwarf_name){.function = NULL}, offset);
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
