/* identity.h: which listener is meant, in words that a process with another configuration
 * understands: there the same one may have another index, or be missing.
 *
 * It is about connections that are handed on between requests, so of HTTP alone: where the same
 * address speaks another protocol, that listener is another one. */
#ifndef BASE_IDENTITY_H
#define BASE_IDENTITY_H

#include "base/config.h"

#define IDENTITY_MOST 1024

/* Its address and its name, a line each; whoever reads it ignores further lines. False when that
 * does not fit. */
bool identity_write(const struct config_listen *listen, char text[IDENTITY_MOST]);

/* The index of the listener with that address; or of that name, where none has. -1: neither, or it
 * does not speak HTTP. */
int identity_find(const struct config *config, const char *text);

/* Those of all listeners that speak HTTP, one behind the other, as far as they fit. */
void identity_write_all(const struct config *config, char *text, size_t size);
/* The one who wrote those has such a listener: identity_find would find it there. */
bool identity_is_among(const struct config_listen *listen, const char *texts);

#endif
