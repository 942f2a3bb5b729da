/* descriptor.h: whether a module's REEVE_APP descriptor fits this server. */
#ifndef APP_DESCRIPTOR_H
#define APP_DESCRIPTOR_H

#include <reeve/app.h>
#include <stdbool.h>
#include <stddef.h>

/* Checks the module's descriptor, and takes a copy in which fields that an older interface did not
 * have are zero. Returns NULL, or in `text` a sentence that names every field that does not fit,
 * what was found in it and what is expected. */
const char *descriptor_check(const reeve_app *descriptor, char *text, size_t size,
                             reeve_app *copy_out);

#endif
