/* ws_deflate.h: permessage-deflate (RFC 7692) by zlib: messages compressed and inflated one by one.
 *
 * Usually without context takeover: each message stands alone, and one deflater and one inflater,
 * made when they are first needed, serve all connections of a process. A connection that keeps
 * context has its own, for the direction in which it does. What was agreed on is ws_handshake.h's
 * business, and how large a message may get is ws_message.h's. */
#ifndef WIRE_WS_DEFLATE_H
#define WIRE_WS_DEFLATE_H

#include <stdbool.h>
#include <stddef.h>

#define WS_WINDOW_MIN 9 /* bits: 8, which the RFC has, too, are too few for zlib to compress with */
#define WS_WINDOW_MAX 15

/* What the server uses: level 3 costs half of zlib's usual 6, and makes a tenth more of chat and
 * JSON. */
#define WS_DEFLATE_LEVEL     3
#define WS_DEFLATE_THRESHOLD 128

struct ws_deflater;
struct ws_inflater;

/* ---- compressing ---- */

/* `level` as zlib has it, 1 (fast) to 9. Messages of less than `threshold` bytes are not worth it.
 * keeps_context: for one connection, which gives the same window_bits each time. Up to 270 KB from
 * the first message on, for 15 bits. NULL: ENOMEM. */
struct ws_deflater *ws_deflater_new(int level, size_t threshold, bool keeps_context);
void ws_deflater_free(struct ws_deflater *deflater); /* NULL: nothing */

/* Room for what a message of so many bytes is compressed to. */
static inline size_t ws_deflate_room(size_t size)
{
    return size + 4;
}

/* Compresses a message into out[0..ws_deflate_room(size)) as its frame, with RSV1, has to have it.
 * window_bits: 9 to 15, what the peer can inflate. Returns the length, which is less than `size`;
 * or 0: the message is to be sent as it is, since it would not be smaller, is below the threshold,
 * or memory has run out. */
size_t ws_deflate(struct ws_deflater *deflater, int window_bits, const char *data, size_t size,
                  char *out);

/* With context: the peer was sent a compressed message that was not made here, such as one for
 * many. The next one stands alone. NULL: nothing. */
void ws_deflater_forget(struct ws_deflater *deflater);

/* ---- inflating ---- */

enum ws_inflated {
    WS_INFLATED,         /* the message is whole */
    WS_INFLATE_FULL,     /* the room is, and there may be more */
    WS_INFLATE_BAD,      /* not what deflate makes, or not all of it */
    WS_INFLATE_NO_MEMORY /* ENOMEM */
};

/* keeps_context: for one connection. window_bits: 8 to 15, what the peer was told; 15 without
 * context, where any peer may come. Up to 40 KB from the first message on, for 15 bits. NULL:
 * ENOMEM. */
struct ws_inflater *ws_inflater_new(int window_bits, bool keeps_context);
void ws_inflater_free(struct ws_inflater *inflater); /* NULL: nothing */

/* The next message is this, the payload of all its frames. The bytes stay where they are until it
 * is inflated, or given up: then, with context, there is no next one. */
void ws_inflate_begin(struct ws_inflater *inflater, const char *data, size_t size);
/* Inflates up to `room` bytes (not 0) of it into `out`; *size_out: how many. */
enum ws_inflated ws_inflate_some(struct ws_inflater *inflater, char *out, size_t room,
                                 size_t *size_out);

#endif
