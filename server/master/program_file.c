/* program_file.c: see program_file.h. Reads the first bytes of the file, and executes nothing: what
 * it does when it runs is the check's to find out. */
#include "master/program_file.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "master/sentence.h"

/* The beginning of an ELF file: class, byte order and machine are at the same place in both
 * classes. False: it is none, or cannot be read. */
static bool read_head(const char *path, Elf64_Ehdr *head_out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t size;

    if (fd == -1)
        return false;
    size = read(fd, head_out, sizeof(*head_out));
    close(fd);
    return size == (ssize_t)sizeof(*head_out) && memcmp(head_out->e_ident, ELFMAG, SELFMAG) == 0;
}

static bool is_for(const Elf64_Ehdr *a, const Elf64_Ehdr *b)
{
    return a->e_ident[EI_CLASS] == b->e_ident[EI_CLASS] &&
           a->e_ident[EI_DATA] == b->e_ident[EI_DATA] && a->e_machine == b->e_machine;
}

int program_file_check(const char *path, struct program_file *file_out, char **error_out)
{
    Elf64_Ehdr head, mine;

    *file_out = (struct program_file){.st = {0}};
    if (stat(path, &file_out->st) != 0)
        return sentence_set(error_out, "%s: %s", path, strerror(errno));
    if (!S_ISREG(file_out->st.st_mode))
        return sentence_set(error_out, "%s is no file", path);
    if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) != 0)
        return sentence_set(error_out, "%s cannot be executed: %s", path, strerror(errno));
    /* One that may be executed but not read is left to the check. */
    if (faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) != 0)
        return 0;
    if (!read_head(path, &head))
        return sentence_set(error_out, "%s is no program (no ELF file)", path);
    if (read_head("/proc/self/exe", &mine) && !is_for(&head, &mine))
        return sentence_set(error_out, "%s is a program for another machine", path);
    return 0;
}

void program_file_look(const char *path, struct program_file *file_out)
{
    if (path == NULL || stat(path, &file_out->st) != 0)
        *file_out = (struct program_file){.st = {0}};
}

bool program_file_is_same(const char *path, const struct program_file *file)
{
    const struct stat *then = &file->st;
    struct program_file now;

    program_file_look(path, &now);
    return now.st.st_dev == then->st_dev && now.st.st_ino == then->st_ino &&
           now.st.st_size == then->st_size && now.st.st_mtim.tv_sec == then->st_mtim.tv_sec &&
           now.st.st_mtim.tv_nsec == then->st_mtim.tv_nsec &&
           now.st.st_ctim.tv_sec == then->st_ctim.tv_sec &&
           now.st.st_ctim.tv_nsec == then->st_ctim.tv_nsec;
}
