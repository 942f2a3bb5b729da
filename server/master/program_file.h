/* program_file.h: whether a file could be executed in the place of this program, and whether it is
 * still the same a moment later. */
#ifndef MASTER_PROGRAM_FILE_H
#define MASTER_PROGRAM_FILE_H

#include <stdbool.h>
#include <sys/stat.h>

struct program_file {
    struct stat st; /* all zeros: there is no such file */
};

/* A program for this machine that this user may execute. 0, or -1 with a sentence. */
int program_file_check(const char *path, struct program_file *file_out, char **error_out);

/* What it is now; NULL is fine. */
void program_file_look(const char *path, struct program_file *file_out);
bool program_file_is_same(const char *path, const struct program_file *file);

#endif
