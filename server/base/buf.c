/* buf.c: growing a buffer, and the pool's free list.
 *
 * A buffer that has grown gives its large memory back when it returns to the pool: the pool holds
 * fresh sizes only. It never shrinks one that is in use. */
#include "base/buf.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/poison.h"

void buf_pool_init(struct buf_pool *pool, size_t unit, size_t keep)
{
    SLIST_INIT(&pool->free);
    pool->unit = unit;
    pool->kept = 0;
    pool->keep = keep;
}

void buf_pool_fini(struct buf_pool *pool)
{
    struct buf *buf;

    while ((buf = SLIST_FIRST(&pool->free)) != NULL) {
        SLIST_REMOVE_HEAD(&pool->free, pooled);
        UNPOISON(buf->inplace, pool->unit);
        free(buf);
    }
    pool->kept = 0;
}

static struct buf *take_kept(struct buf_pool *pool)
{
    struct buf *buf = SLIST_FIRST(&pool->free);

    if (buf == NULL)
        return NULL;
    SLIST_REMOVE_HEAD(&pool->free, pooled);
    pool->kept--;
    UNPOISON(buf->inplace, pool->unit);
    return buf;
}

struct buf *buf_take(struct buf_pool *pool)
{
    struct buf *buf = take_kept(pool);

    if (buf == NULL)
        buf = malloc(sizeof(*buf) + pool->unit);
    if (buf == NULL)
        return NULL;
    buf->start = buf->end = 0;
    buf->size = pool->unit;
    buf->data = buf->inplace;
    return buf;
}

void buf_give(struct buf_pool *pool, struct buf **giver)
{
    struct buf *buf = *giver;

    *giver = NULL;
    if (buf == NULL)
        return;
    if (buf->data != buf->inplace)
        free(buf->data);
    if (pool->kept >= pool->keep) {
        free(buf);
        return;
    }
    buf->data = NULL; /* who still reads from it shall fall */
    POISON(buf->inplace, pool->unit);
    SLIST_INSERT_HEAD(&pool->free, buf, pooled);
    pool->kept++;
}

/* At least twice as large, so that many small appends copy each byte a bounded number of times.
 * 0 when there is no such size. */
static size_t grown_size(const struct buf *buf, size_t more)
{
    size_t wanted;

    if (__builtin_add_overflow(buf->end, more, &wanted) || wanted > PTRDIFF_MAX)
        return 0;
    return wanted > buf->size * 2 ? wanted : buf->size * 2;
}

int buf_reserve(struct buf *buf, size_t more)
{
    bool is_inplace = buf->data == buf->inplace;
    size_t size;
    char *data;

    if (more <= buf->size - buf->end)
        return 0;
    size = grown_size(buf, more);
    data = size == 0 ? NULL : realloc(is_inplace ? NULL : buf->data, size);
    if (data == NULL) {
        errno = ENOMEM;
        return -1;
    }
    if (is_inplace)
        memcpy(data + buf->start, buf->inplace + buf->start, buf_length(buf));
    buf->data = data;
    buf->size = size;
    return 0;
}

int buf_append(struct buf *buf, const void *data, size_t size)
{
    if (size == 0)
        return 0;
    if (buf_reserve(buf, size) == -1)
        return -1;
    memcpy(buf->data + buf->end, data, size);
    buf->end += size;
    return 0;
}
