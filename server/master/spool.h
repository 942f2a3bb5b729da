/* spool.h: where staged modules lie: in a folder, or, where nothing can be written, in memory.
 *
 * Each has a path that no other module has had while it was loaded, since the dynamic linker takes
 * a name that it has seen for the same module. */
#ifndef MASTER_SPOOL_H
#define MASTER_SPOOL_H

#include <stdbool.h>
#include <stdint.h>

struct spool;

/* In `folder`, which is made when it is missing. NULL with one sentence in *error_out; with errno
 * ENOEXEC when it could be written, but modules cannot be loaded from there. */
struct spool *spool_in(const char *folder, char **error_out);

/* Files without a folder (memfd) that only this process holds open; its children reach them as
 * /proc/PID/fd/N, whatever they have closed. NULL with a sentence when that cannot be. */
struct spool *spool_in_memory(char **error_out);
void spool_free(struct spool *spool);

/* NULL: in memory. */
const char *spool_folder(const struct spool *spool);

/* The path of a module that is to be staged, to be freed. In a folder nothing is made there yet,
 * and *fd_out is -1; in memory it is there and empty, and lives until *fd_out is closed. NULL with
 * errno. */
char *spool_path(struct spool *spool, const char *app, uint64_t generation, int *fd_out);

/* The descriptor behind a path in memory, for whoever got nothing but the path over an exec; -1:
 * the path is a file's. */
int spool_descriptor(const char *path);

#endif
