/* ws_message.h: WebSocket messages out of frames: fragments are joined, compressed ones inflated,
 * text is checked to be UTF-8 as early as its bytes allow.
 *
 * A message that lies in the driver's buffer as one frame, not compressed, stays there; another one
 * is gathered in memory that grows with what has come, whatever was declared. Never more than the
 * largest message, and a compressed one beside it while it is inflated. */
#ifndef WIRE_WS_MESSAGE_H
#define WIRE_WS_MESSAGE_H

#include "base/utf8.h"
#include "wire/ws_frame.h"

struct ws_inflater;

/* Embedded. Every field is private. */
struct ws_messages {
    struct ws_decoder decoder;
    struct ws_inflater *inflater; /* the caller's; NULL: permessage-deflate was not agreed on */
    char *gathered;               /* of the present message; NULL: nothing yet */
    size_t size, room;            /* of it: a message of `size` and a NUL have room */
    struct utf8_pieces text;
};

/* max_message: bytes, inflated; 0: any number. An inflater that keeps no context may be shared by
 * any number of these: it is used within a call only. */
void ws_messages_init(struct ws_messages *m, size_t max_message, struct ws_inflater *inflater);
void ws_messages_fini(struct ws_messages *m);
/* Another limit, for what has not come yet. */
void ws_messages_limit(struct ws_messages *m, size_t max_message);

/* As ws_decode, with messages instead of their pieces. A message has a NUL behind it, which does
 * not count. Where it lies is item->memory: the receiver's to free; or NULL: in the bytes that were
 * taken. So the next messages can be taken while that one is still in use.
 *
 * Errors are besides those of ws_decode: 1007, a text that is not UTF-8 or data that do not
 * inflate; 1009, inflated it is too large; 1011, memory has run out. */
size_t ws_messages_next(struct ws_messages *m, char *bytes, size_t length,
                        struct ws_item *item_out);

/* Bytes of memory that it holds for a message that has not come whole. */
static inline size_t ws_messages_held(const struct ws_messages *m)
{
    return m->room;
}

#endif
