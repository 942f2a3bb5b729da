/* beneath.h: opening files below the root and nowhere else. */
#ifndef FILES_BENEATH_H
#define FILES_BENEATH_H

struct dirent;

/* Opens `path`, relative to the folder `root`, for reading; `flags` are added to O_RDONLY. Returns
 * a descriptor, or -1 with open's errno. EXDEV: the path, or a symbolic link on the way, leads out
 * of the root. */
int open_beneath(int root, const char *path, int flags);

/* The names in the folder `path`, sorted, as scandir gives them. Returns their number, or -1 with
 * errno. */
int scan_beneath(int root, const char *path, struct dirent ***entries_out);

#endif
