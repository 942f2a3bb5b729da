/* form_file.h: temporary files of a form: made without a name, written in order, and given a name
 * when somebody wants to keep one. */
#ifndef WEB_FORM_FILE_H
#define WEB_FORM_FILE_H

#include <stddef.h>

/* A new file without a name in that folder, mode 0600, or -1 with errno. */
int file_create(const char *folder);
/* All of it. 0, or -1 with errno, when some of it may have been written. */
int file_write(int fd, const void *data, size_t size);

#endif
