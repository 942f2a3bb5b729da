/* buf.h: a growable run of bytes with a moving front, and a pool that keeps the small ones warm.
 *
 * Valid bytes are data[start..end). Owned by one connection at a time; an idle connection gives its
 * buffers back. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stddef.h>
#include <string.h>
#include <sys/queue.h>

struct buf {
    size_t start, end, size; /* size: of data */
    SLIST_ENTRY(buf) pooled;
    char *data; /* behind the struct, or of its own once it has grown */
    char inplace[];
};

struct buf_pool {
    SLIST_HEAD(, buf) free;
    size_t unit;       /* a fresh buffer's size */
    size_t kept, keep; /* how many lie here, and at most */
};

void buf_pool_init(struct buf_pool *pool, size_t unit, size_t keep);
void buf_pool_fini(struct buf_pool *pool);
/* An empty buffer; NULL when memory has run out. */
struct buf *buf_take(struct buf_pool *pool);
/* Gives it back and nulls the giver's pointer; NULL inside is fine. */
void buf_give(struct buf_pool *pool, struct buf **buf);

/* Room for `more` bytes behind the end: start and end stay, data may move. 0, or -1 with ENOMEM. */
int buf_reserve(struct buf *buf, size_t more);
int buf_append(struct buf *buf, const void *data, size_t size);

static inline size_t buf_length(const struct buf *buf)
{
    return buf->end - buf->start;
}
static inline char *buf_bytes(const struct buf *buf)
{
    return buf->data + buf->start;
}
static inline void buf_consume(struct buf *buf, size_t n)
{
    buf->start += n;
    if (buf->start == buf->end)
        buf->start = buf->end = 0;
}

#endif
