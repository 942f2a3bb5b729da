/* files.h: numbered files ("7.json") in private folders: listed, read, and written whole or not at
 * all, by a draft that is renamed. No symbolic link is followed.
 *
 * Nothing here waits for the disk (fsync): the master must not hang on one. A killed process costs
 * nothing; after a power cut the newest files may be short or gone, and their reader has to look.
 */
#ifndef MASTER_FILES_H
#define MASTER_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define FILES_NUMBER_MAX 999999999999999ull /* 15 digits: exact as a JSON number, too */
#define FILES_NAME_MAX   32

struct files_list {
    uint64_t *numbers; /* ascending; to be freed */
    size_t count;
};

/* Told of each entry that is no numbered file. */
typedef void files_on_foreign(const char *name, void *arg);

/* The descriptor of the folder PATH/ROOM, or PATH/ROOM/PART when part is not NULL; with is_made the
 * missing ones of these three are made, mode 0700. -1 with errno. */
int files_folder(const char *path, const char *room, const char *part, bool is_made);

/* The numbers of the files NUMBER.SUFFIX in a folder; drafts that a killed process left are
 * removed. on_foreign may be NULL. 0, or -1 with errno. */
int files_list(int folder, const char *suffix, struct files_list *list_out,
               files_on_foreign *on_foreign, void *arg);

void files_name(char name[FILES_NAME_MAX], uint64_t number, const char *suffix);

/* Up to `size` bytes; fewer only at the end of the file. -1 with errno. */
ssize_t files_read_bytes(int fd, char *buffer, size_t size);
/* All of them, or -1 with errno. */
int files_write_bytes(int fd, const char *data, size_t size);
/* The whole of a regular file with a NUL behind it, to be freed. NULL with errno: EFBIG when it is
 * larger than `max`. */
char *files_read(int folder, const char *name, size_t max, size_t *size_out);

/* Writes or replaces a file, mode 0600. 0, or -1 with errno and the former one untouched. */
int files_write(int folder, const char *name, const char *data, size_t size);

/* The file at `path` becomes `name` too: by a hard link, or where that is not possible by a copy,
 * mode 0600. Replaces a former one. 0, or -1 with errno, ENODATA when it is empty, and the former
 * one untouched. */
int files_keep(int folder, const char *name, const char *path);

#endif
