/* encoder.c: gzip streams (RFC 1952) by zlib, and their pool. */
#include "web/encoder.h"

#include <errno.h>
#include <stdlib.h>

/* A window of 8 KiB and a memory level of 7 take 32 + 64 KiB, where zlib's usual 32 KiB and 8 take
 * 256, and cost a few per cent in size. */
#define WINDOW_BITS  13
#define MEMORY_LEVEL 7
#define AS_GZIP      16 /* deflateInit2's sign for it */
#define KEPT         16

struct encoder_pool {
    int level;
    unsigned most, count; /* count: taken and idle ones */
    unsigned idle_count;
    SLIST_HEAD(, encoder) idle;
};

struct encoder_pool *encoder_pool_new(int level, unsigned most)
{
    struct encoder_pool *pool = calloc(1, sizeof *pool);

    if (!pool)
        return NULL;
    pool->level = level;
    pool->most = most;
    return pool;
}

static void free_encoder(struct encoder *encoder)
{
    deflateEnd(&encoder->stream);
    free(encoder);
}

void encoder_pool_free(struct encoder_pool *pool)
{
    struct encoder *encoder;

    while ((encoder = SLIST_FIRST(&pool->idle))) {
        SLIST_REMOVE_HEAD(&pool->idle, idle);
        free_encoder(encoder);
    }
    free(pool);
}

static struct encoder *new_encoder(int level)
{
    struct encoder *encoder = calloc(1, sizeof *encoder);

    if (encoder && deflateInit2(&encoder->stream, level, Z_DEFLATED, WINDOW_BITS + AS_GZIP,
                                MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
        free(encoder);
        encoder = NULL;
    }
    return encoder;
}

struct encoder *encoder_take(struct encoder_pool *pool)
{
    struct encoder *encoder = SLIST_FIRST(&pool->idle);

    if (encoder) {
        SLIST_REMOVE_HEAD(&pool->idle, idle);
        pool->idle_count--;
        return encoder;
    }
    if (pool->count >= pool->most)
        return NULL;
    encoder = new_encoder(pool->level);
    if (encoder)
        pool->count++;
    return encoder;
}

void encoder_give(struct encoder_pool *pool, struct encoder *encoder)
{
    if (pool->idle_count >= KEPT || deflateReset(&encoder->stream) != Z_OK) {
        free_encoder(encoder);
        pool->count--;
        return;
    }
    encoder->out_size = 0;
    SLIST_INSERT_HEAD(&pool->idle, encoder, idle);
    pool->idle_count++;
}

static int put_out(struct encoder *encoder, encoder_sink *sink, void *arg)
{
    int result = encoder->out_size > 0 ? sink(encoder, arg) : 0;

    encoder->out_size = 0;
    return result;
}

/* Until zlib has taken all, and, when it is to flush, given all: it leaves room only then. */
static int run(struct encoder *encoder, int flush, encoder_sink *sink, void *arg)
{
    z_stream *stream = &encoder->stream;

    for (;;) {
        stream->next_out = encoder->out + encoder->out_size;
        stream->avail_out = (unsigned)(ENCODER_OUT - encoder->out_size);
        if (deflate(stream, flush) == Z_STREAM_ERROR) {
            errno = EIO;
            return -1;
        }
        encoder->out_size = ENCODER_OUT - stream->avail_out;
        if (stream->avail_out > 0)
            return 0;
        if (put_out(encoder, sink, arg) == -1)
            return -1;
    }
}

int encoder_put(struct encoder *encoder, const void *data, size_t size, encoder_sink *sink,
                void *arg)
{
    encoder->stream.next_in = data;
    encoder->stream.avail_in = (unsigned)size;
    return run(encoder, Z_NO_FLUSH, sink, arg);
}

int encoder_flush(struct encoder *encoder, encoder_sink *sink, void *arg)
{
    return run(encoder, Z_SYNC_FLUSH, sink, arg) == -1 ? -1 : put_out(encoder, sink, arg);
}

int encoder_end(struct encoder *encoder, encoder_sink *sink, void *arg)
{
    return run(encoder, Z_FINISH, sink, arg) == -1 ? -1 : put_out(encoder, sink, arg);
}
