/* libraries.h: which shared libraries a loaded module stands on. */
#ifndef APP_LIBRARIES_H
#define APP_LIBRARIES_H

#include <stddef.h>

/* The first library that the module needs and that is not one of the system's, or NULL. Such a
 * library is not reloaded with the module: while an older build is loaded the linker takes the copy
 * that is there, whatever lies in the file. The text is in `path`. */
const char *libraries_find_private(void *handle, char *path, size_t size);

#endif
