/* home.h: the master's place on disk: the locked state folder with the spool in it, and the pid
 * file. Nothing else in the master creates or removes folders. */
#ifndef MASTER_HOME_H
#define MASTER_HOME_H

#include <stdbool.h>

struct home {
    char *folder; /* state_dir, or a private one that goes with the process */
    char *spool;  /* FOLDER/spool: staged modules; empty after home_open */
    bool is_private;
    int lock;       /* holds the flock; -1: none */
    char *pid_file; /* once it was written */
};

/* Creates, locks and tidies up. state_dir NULL: a private temporary folder.
 * Returns 0, or -1 with one sentence in *error_out and everything undone. */
int home_open(struct home *home, const char *state_dir, char **error_out);

/* Writes the pid file whole or not at all. 0, or -1 with a sentence. */
int home_write_pid(struct home *home, const char *path, char **error_out);

/* Removes the pid file if it is still ours, and the private folder. */
void home_close(struct home *home);

#endif
