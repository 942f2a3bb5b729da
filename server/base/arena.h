/* arena.h: memory that is taken piece by piece and given back at once. A request's lifetime. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
    char *next, *end;           /* of the current block */
    struct arena_block *blocks; /* beyond the first, which belongs to whoever embeds the arena */
    char *first;
    size_t first_size;
};

/* From here to arena_fini, `first` is the arena's alone: AddressSanitizer catches whoever else
 * touches it. */
void arena_init(struct arena *arena, void *first, size_t first_size);
/* Gives everything back but the first block. */
void arena_reset(struct arena *arena);
/* Gives everything back; `first` is the embedder's again. */
void arena_fini(struct arena *arena);
/* `size` bytes aligned to 16, or NULL. */
void *arena_alloc(struct arena *arena, size_t size);
/* A copy with a NUL behind it. */
char *arena_copy(struct arena *arena, const char *text, size_t length);

#endif
