/* ws_deflate.c: see ws_deflate.h. Every message ends with an empty stored block, 00 00 ff ff behind
 * its head, which is not sent (RFC 7692 section 7.2.1): deflate makes it when it is flushed, and
 * inflate gets it from here. */
#include "wire/ws_deflate.h"

#define ZLIB_CONST /* what is put in is not written to */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define SMALL_BITS   12 /* a window for messages of at most 4 KB that stand alone */
#define MEMORY_LEVEL 8  /* zlib's usual one, for large windows */
#define WINDOWS      (WS_WINDOW_MAX - WS_WINDOW_MIN + 1)

static const char tail[4] = {0x00, 0x00, (char)0xff, (char)0xff};

/* ---- compressing ---- */

struct ws_deflater {
    int level;
    bool keeps_context;
    size_t threshold;
    z_stream *streams[WINDOWS]; /* by the bits of their window; NULL: not needed yet */
};

struct ws_deflater *ws_deflater_new(int level, size_t threshold, bool keeps_context)
{
    struct ws_deflater *deflater = calloc(1, sizeof *deflater);

    if (deflater == NULL)
        return NULL;
    deflater->level = level;
    deflater->threshold = threshold;
    deflater->keeps_context = keeps_context;
    return deflater;
}

void ws_deflater_free(struct ws_deflater *deflater)
{
    if (deflater == NULL)
        return;
    for (unsigned i = 0; i < WINDOWS; i++) {
        if (deflater->streams[i] != NULL)
            deflateEnd(deflater->streams[i]);
        free(deflater->streams[i]);
    }
    free(deflater);
}

/* The memory that finds repetitions grows with the window: most of a small message's cost is to
 * clear it. */
static z_stream *new_stream(int level, int bits)
{
    z_stream *stream = calloc(1, sizeof *stream);
    int memory_level = bits <= SMALL_BITS ? 5 : MEMORY_LEVEL - (WS_WINDOW_MAX - bits);

    if (stream != NULL &&
        deflateInit2(stream, level, Z_DEFLATED, -bits, memory_level, Z_DEFAULT_STRATEGY) != Z_OK) {
        free(stream);
        stream = NULL;
    }
    return stream;
}

/* At the beginning of a message; NULL: ENOMEM. */
static z_stream *stream_for(struct ws_deflater *deflater, int bits, size_t size)
{
    z_stream **place;

    if (!deflater->keeps_context && size <= 1u << SMALL_BITS && bits > SMALL_BITS)
        bits = SMALL_BITS;
    place = &deflater->streams[bits - WS_WINDOW_MIN];
    if (*place == NULL)
        *place = new_stream(deflater->level, bits);
    else if (!deflater->keeps_context)
        deflateReset(*place);
    return *place;
}

size_t ws_deflate(struct ws_deflater *deflater, int window_bits, const char *data, size_t size,
                  char *out)
{
    size_t room = ws_deflate_room(size);
    z_stream *stream;

    if (size == 0 || size < deflater->threshold || room > UINT_MAX)
        return 0;
    stream = stream_for(deflater, window_bits, size);
    if (stream == NULL)
        return 0;
    stream->next_in = (const Bytef *)data;
    stream->avail_in = (uInt)size;
    stream->next_out = (Bytef *)out;
    stream->avail_out = (uInt)room;
    if (deflate(stream, Z_SYNC_FLUSH) != Z_OK || stream->avail_out == 0) {
        /* The peer will not see this in its window, so nothing may refer to it. */
        deflateReset(stream);
        return 0;
    }
    return room - stream->avail_out - sizeof tail;
}

void ws_deflater_forget(struct ws_deflater *deflater)
{
    if (deflater == NULL)
        return;
    for (unsigned i = 0; i < WINDOWS; i++)
        if (deflater->streams[i] != NULL)
            deflateReset(deflater->streams[i]);
}

/* ---- inflating ---- */

struct ws_inflater {
    z_stream *stream; /* NULL: not needed yet */
    int bits;
    bool keeps_context;
    bool is_in_tail; /* the payload was put in, and the tail after it */
    bool has_ended;  /* the last block said that it is the last; or there is none */
    const char *data;
    size_t left; /* of data: not put in yet */
};

struct ws_inflater *ws_inflater_new(int window_bits, bool keeps_context)
{
    struct ws_inflater *inflater = calloc(1, sizeof *inflater);

    if (inflater == NULL)
        return NULL;
    inflater->bits = window_bits < WS_WINDOW_MIN ? WS_WINDOW_MIN : window_bits;
    inflater->keeps_context = keeps_context;
    return inflater;
}

void ws_inflater_free(struct ws_inflater *inflater)
{
    if (inflater == NULL)
        return;
    if (inflater->stream != NULL)
        inflateEnd(inflater->stream);
    free(inflater->stream);
    free(inflater);
}

void ws_inflate_begin(struct ws_inflater *inflater, const char *data, size_t size)
{
    inflater->data = data;
    inflater->left = size;
    inflater->is_in_tail = false;
    inflater->has_ended = size == 0;
    if (inflater->stream == NULL)
        return;
    inflater->stream->avail_in = 0;
    if (!inflater->keeps_context)
        inflateReset(inflater->stream);
}

static int make_stream(struct ws_inflater *inflater)
{
    inflater->stream = calloc(1, sizeof *inflater->stream);
    if (inflater->stream == NULL)
        return -1;
    if (inflateInit2(inflater->stream, -inflater->bits) == Z_OK)
        return 0;
    free(inflater->stream);
    inflater->stream = NULL;
    errno = ENOMEM;
    return -1;
}

/* Puts in what comes next. False: that was all. */
static bool put_in(struct ws_inflater *inflater)
{
    z_stream *stream = inflater->stream;

    if (inflater->left > 0) {
        stream->next_in = (const Bytef *)inflater->data;
        stream->avail_in = inflater->left < UINT_MAX ? (uInt)inflater->left : UINT_MAX;
        inflater->data += stream->avail_in;
        inflater->left -= stream->avail_in;
        return true;
    }
    /* After a last block some forget that an empty one has to follow, whose tail this would be. An
     * empty payload, instead of that of an empty message, is taken for one. */
    if (inflater->is_in_tail || inflater->has_ended)
        return false;
    stream->next_in = (const Bytef *)tail;
    stream->avail_in = sizeof tail;
    inflater->is_in_tail = true;
    return true;
}

/* All is put in and nothing is left to come out: it has to be between two blocks, on a byte's
 * boundary (128 is the one, 31 are the bits of a byte begun). */
static enum ws_inflated judge(const struct ws_inflater *inflater)
{
    if (inflater->has_ended && !inflater->is_in_tail)
        return WS_INFLATED;
    return (inflater->stream->data_type & (128 | 31)) == 128 ? WS_INFLATED : WS_INFLATE_BAD;
}

/* Until the room is full, or all that was put in was used. */
static enum ws_inflated inflate_on(struct ws_inflater *inflater)
{
    z_stream *stream = inflater->stream;

    for (;;) {
        if (stream->avail_in == 0 && !put_in(inflater))
            return judge(inflater);
        switch (inflate(stream, Z_SYNC_FLUSH)) {
        case Z_OK:
        case Z_BUF_ERROR:
            inflater->has_ended = false;
            break;
        case Z_STREAM_END:
            /* Blocks may follow the last one (section 7.2.3.5), and look back behind it. */
            inflateResetKeep(stream);
            inflater->has_ended = true;
            break;
        case Z_MEM_ERROR:
            return WS_INFLATE_NO_MEMORY;
        default:
            return WS_INFLATE_BAD;
        }
        if (stream->avail_out == 0)
            return WS_INFLATE_FULL;
    }
}

enum ws_inflated ws_inflate_some(struct ws_inflater *inflater, char *out, size_t room,
                                 size_t *size_out)
{
    uInt most = room < UINT_MAX ? (uInt)room : UINT_MAX;
    enum ws_inflated result;

    *size_out = 0;
    if (inflater->stream == NULL && make_stream(inflater) == -1)
        return WS_INFLATE_NO_MEMORY;
    inflater->stream->next_out = (Bytef *)out;
    inflater->stream->avail_out = most;
    result = inflate_on(inflater);
    *size_out = most - inflater->stream->avail_out;
    return result;
}
