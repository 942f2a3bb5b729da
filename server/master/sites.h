/* sites.h: a place in a module's code, by function, file and line. */
#ifndef MASTER_SITES_H
#define MASTER_SITES_H

#include <stdint.h>

struct pool;

/* "answer_forever (numbered.c:44)" for `offset` from the module's load address, by what the staged
 * file says of itself: without debug information "answer_forever+0x12", without symbols or a
 * readable file "+0x1234". An offset behind a call may lie in the next line: pass one within it.
 * The latest answers are kept. To be freed; NULL when memory has run out. */
char *site_name(const char *staged_path, uint64_t offset);

/* The same without looking anything up: what was asked before, or was given here. Borrowed until the
 * next call of any of these; NULL: it is not known. */
const char *site_known(const char *staged_path, uint64_t offset);
void site_keep(const char *staged_path, uint64_t offset, const char *text);

/* The staged file of a generation that some worker still has, or NULL. Borrowed. */
const char *site_path(struct pool *pool, unsigned app, uint64_t generation);

#endif
