/* arena.c: blocks that double, and a block of its own for what is large.
 *
 * Nothing is freed singly. Under AddressSanitizer whatever was not handed out is poisoned, with a
 * gap behind each piece. */
#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/poison.h"

#define ALIGNMENT 16u
#define BLOCK_MIN 1024u
#define BLOCK_MAX 65536u

struct arena_block {
    struct arena_block *next;
    size_t ordinary; /* how large ordinary blocks were when it came: the next is twice as large */
    _Alignas(ALIGNMENT) char data[];
};

static void begin_at(struct arena *arena, char *start, size_t size)
{
    size_t skip = -(uintptr_t)start & (ALIGNMENT - 1);

    if (skip > size) /* no room for anything, or no memory at all */
        skip = size = 0;
    arena->next = size > 0 ? start + skip : start;
    arena->end = size > 0 ? start + size : start;
    POISON(start, size);
}

void arena_init(struct arena *arena, void *first, size_t first_size)
{
    arena->blocks = NULL;
    arena->first = first;
    arena->first_size = first_size;
    begin_at(arena, arena->first, first_size);
}

static void free_blocks(struct arena *arena)
{
    struct arena_block *block;

    while ((block = arena->blocks) != NULL) {
        arena->blocks = block->next;
        free(block);
    }
}

void arena_reset(struct arena *arena)
{
    free_blocks(arena);
    begin_at(arena, arena->first, arena->first_size);
}

void arena_fini(struct arena *arena)
{
    free_blocks(arena);
    UNPOISON(arena->first, arena->first_size);
    arena->next = arena->end = arena->first = NULL;
    arena->first_size = 0;
}

static struct arena_block *add_block(struct arena *arena, size_t size, size_t ordinary)
{
    struct arena_block *block = malloc(sizeof(*block) + size);

    if (block == NULL)
        return NULL;
    block->next = arena->blocks;
    block->ordinary = ordinary;
    arena->blocks = block;
    return block;
}

static size_t clamp_block(size_t size)
{
    if (size < BLOCK_MIN)
        return BLOCK_MIN;
    return size > BLOCK_MAX ? BLOCK_MAX : size;
}

/* Where the current block has no room for `size`. */
static char *alloc_slowly(struct arena *arena, size_t size)
{
    size_t ordinary = arena->blocks != NULL ? arena->blocks->ordinary : arena->first_size;
    size_t next = clamp_block(ordinary > BLOCK_MAX ? BLOCK_MAX : ordinary * 2);
    struct arena_block *block;
    char *piece;

    if (size > next / 4) { /* the current block stays: its rest is still good for small pieces */
        block = add_block(arena, size, ordinary);
        return block == NULL ? NULL : block->data;
    }
    block = add_block(arena, next, next);
    if (block == NULL)
        return NULL;
    begin_at(arena, block->data, next);
    piece = arena->next;
    arena->next += size;
    return piece;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    size_t whole;
    char *piece;

    if (size > PTRDIFF_MAX - 4096) /* the roundings below must not overflow */
        return NULL;
    whole = (size + (size == 0) + POISON_GAP + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (whole <= (size_t)(arena->end - arena->next)) {
        piece = arena->next;
        arena->next += whole;
    } else {
        piece = alloc_slowly(arena, whole);
        if (piece == NULL)
            return NULL;
        POISON(piece, whole);
    }
    UNPOISON(piece, size);
    return piece;
}

char *arena_copy(struct arena *arena, const char *text, size_t length)
{
    char *copy = length < SIZE_MAX ? arena_alloc(arena, length + 1) : NULL;

    if (copy == NULL)
        return NULL;
    if (length > 0)
        memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}
