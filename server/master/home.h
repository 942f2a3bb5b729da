/* home.h: the master's place on disk: the locked state folder with the spool in it, and the pid
 * file. Nothing else in the master creates or removes folders. Where nothing can be written there
 * is no folder, and the spool is in memory. */
#ifndef MASTER_HOME_H
#define MASTER_HOME_H

#include <stdbool.h>

#include "master/spool.h"

struct home {
    char *folder;        /* state_dir, or a private one that goes with the process; NULL: none, */
                         /* and so no history either */
    struct spool *spool; /* in FOLDER/spool, empty after home_open; or in memory */
    bool is_private;
    int lock;       /* holds the flock; -1: none */
    char *pid_file; /* once it was written */
};

/* Creates, locks and tidies up. A state_dir must be usable; NULL: a private folder in $TMPDIR,
 * /tmp, /dev/shm or /var/tmp, else none. Returns 0, or -1 with one sentence in *error_out and
 * everything undone. */
int home_open(struct home *home, const char *state_dir, char **error_out);

/* Takes over, after an exec in place, what the former image had: `folder` (NULL: none) with its
 * lock. Nothing is tidied up: workers have modules of the spool loaded. 0, or -1 with a sentence;
 * folder and lock are left as they were then. */
int home_adopt(struct home *home, const char *folder, int lock, bool is_private, char **error_out);

/* Says in the log what an operator loses by the place that was found, if anything: as a warning, or
 * as information when one warning came of the same cause already. */
void home_tell(const struct home *home, bool has_warned);

/* Writes the pid file whole or not at all. 0, or -1 with a sentence. */
int home_write_pid(struct home *home, const char *path, char **error_out);

/* Removes the pid file if it is still ours, the spool, and a private folder. Not to be called
 * before an exec in place. */
void home_close(struct home *home);

#endif
