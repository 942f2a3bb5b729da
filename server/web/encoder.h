/* encoder.h: gzip streams, a bounded number of them, reused. What they put out goes to a function of
 * the caller's, a buffer at a time. */
#ifndef WEB_ENCODER_H
#define WEB_ENCODER_H

#define ZLIB_CONST /* what is put in is not written to */
#include <stddef.h>
#include <sys/queue.h>
#include <zlib.h>

#define ENCODER_OUT (16u << 10)

struct encoder {
    SLIST_ENTRY(encoder) idle;
    z_stream stream;
    size_t out_size; /* of what is to be put out */
    unsigned char out[ENCODER_OUT];
};

struct encoder_pool;

/* At most `most` encoders at a time. NULL: ENOMEM. */
struct encoder_pool *encoder_pool_new(int level, unsigned most);
/* All of them have been given back. */
void encoder_pool_free(struct encoder_pool *pool);

/* At the beginning of a stream; NULL: there are too many, or memory has run out. */
struct encoder *encoder_take(struct encoder_pool *pool);
/* From any state. */
void encoder_give(struct encoder_pool *pool, struct encoder *encoder);

/* Takes encoder->out, out_size bytes of it. 0, or -1 with errno, which ends the call. */
typedef int encoder_sink(struct encoder *encoder, void *arg);

int encoder_put(struct encoder *encoder, const void *data, size_t size, encoder_sink *sink,
                void *arg);
/* All that was put so far can be read by the client. */
int encoder_flush(struct encoder *encoder, encoder_sink *sink, void *arg);
int encoder_end(struct encoder *encoder, encoder_sink *sink, void *arg);

#endif
