/* ws_frame.h: WebSocket frames (RFC 6455 section 5), as a server sees them: what a client has sent
 * is taken apart, in the buffer where it lies, and heads are made for what the server sends.
 *
 * It owns no memory, and knows neither what a message is made of (ws_message.h) nor what
 * compression does. What a client may not send is an error here, not a guess. */
#ifndef WIRE_WS_FRAME_H
#define WIRE_WS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ws_opcode {
    WS_OPCODE_CONTINUATION = 0,
    WS_OPCODE_TEXT = 1,
    WS_OPCODE_BINARY = 2,
    WS_OPCODE_CLOSE = 8,
    WS_OPCODE_PING = 9,
    WS_OPCODE_PONG = 10,
};

#define WS_CONTROL_MAX 125                   /* bytes of a control frame's payload */
#define WS_REASON_MAX  (WS_CONTROL_MAX - 2)  /* ... of a close frame's reason */
#define WS_INPUT_MIN   (14 + WS_CONTROL_MAX) /* a driver's buffer has room for so much */

/* Close codes (section 7.4.1) that matter here. */
enum {
    WS_CODE_PROTOCOL = 1002,
    WS_CODE_NONE = 1005, /* never on the wire: the close frame was empty */
    WS_CODE_BAD_DATA = 1007,
    WS_CODE_TOO_LARGE = 1009,
    WS_CODE_FAILED = 1011,
};

/* What came. `data` points into the driver's bytes. */
enum ws_kind {
    WS_MORE,    /* nothing: there have to be more bytes */
    WS_PIECE,   /* of a message's payload: data, size, maybe none; is_... */
    WS_PING,    /* data, size */
    WS_PONG,    /* data, size */
    WS_CLOSE,   /* code, WS_CODE_NONE if there was none; data, size: the reason, UTF-8 */
    WS_ERROR,   /* code: what to close with; why */
    WS_MESSAGE, /* from ws_messages_next only, which gives no pieces: data, size, is_text, memory */
};

struct ws_item {
    enum ws_kind kind;
    uint16_t code;
    bool is_first, is_last; /* piece of its message */
    bool is_text;
    bool is_compressed; /* RSV1: the message is to be inflated */
    char *data; /* data[size] may be written to, except when a piece is not its whole message */
    size_t size;
    void *memory; /* WS_MESSAGE: what data lies in, to be freed by the receiver; NULL: the bytes */
    const char *why; /* WS_ERROR: a sentence */
    uint64_t
        missing; /* so many bytes of the present frame have still to come, as far as is known */
};

/* Embedded. Every field is private. */
struct ws_decoder {
    uint64_t left;     /* of the present data frame: payload that was not taken yet */
    uint64_t declared; /* by the frames of the present message so far */
    uint64_t most;     /* bytes of a message */
    uint32_t mask;     /* of the present frame, from the next byte on, as it lies in memory */
    uint8_t opcode;    /* of the present message; 0: there is none */
    bool is_final;     /* the present frame is its last one */
    bool is_compressed;
    bool is_begun; /* a piece of the message was given */
    bool has_deflate;
    bool has_ended; /* after a close or an error */
};

/* Messages have at most max_message bytes, 0 standing for any number. Compressed ones may be longer
 * on the wire by an eighth and a kilobyte, as deflate may have to: what they inflate to is another
 * matter. has_deflate: permessage-deflate was agreed on. */
void ws_decoder_init(struct ws_decoder *d, size_t max_message, bool has_deflate);

/* Another max_message, from the next frame on. */
void ws_decoder_set_limit(struct ws_decoder *d, size_t max_message);

/* Takes the next item from bytes[0..length), and unmasks what it takes: all that the driver has and
 * that was not taken before. Returns how many bytes were taken: the item lies in these, the next
 * call begins behind them. WS_MORE comes when there is nothing in what is there (0 may have been
 * taken), so it is called until then; control frames and heads wait in the driver's buffer until
 * they are whole, which is why that has room for WS_INPUT_MIN.
 *
 * Behind a close or an error nothing counts (section 5.5.1): all is taken, and WS_MORE. */
size_t ws_decode(struct ws_decoder *d, char *bytes, size_t length, struct ws_item *item_out);

/* The payload of a message's frames in all, at most. */
uint64_t ws_decoder_limit(const struct ws_decoder *d, bool is_compressed);

/* As if an error had come. */
void ws_decoder_end(struct ws_decoder *d);

/* In the midst of a message. */
static inline bool ws_decoder_is_busy(const struct ws_decoder *d)
{
    return d->opcode != 0;
}

/* ---- what is sent ---- */

/* A server's frame: its head, of 2 to 10 bytes; the payload follows as it is. Returns the head's
 * length. is_compressed on the first frame of a message. */
size_t ws_frame_head(enum ws_opcode opcode, bool is_final, bool is_compressed, uint64_t length,
                     char out[10]);

/* A close frame's payload: its length. No code and no reason for WS_CODE_NONE. A reason of more
 * than WS_REASON_MAX bytes is cut between two characters; NULL: none. */
size_t ws_frame_close(uint16_t code, const char *reason, char out[WS_CONTROL_MAX]);

/* Such a code may be in a close frame: 1000 to 1014 but 1004, 1005 and 1006; 3000 to 4999. */
bool ws_frame_is_code(unsigned code);

/* As a client does it, for tests: the head, of 6 to 14 bytes, and what has to be done to the
 * payload. The second is its own reverse. */
size_t ws_frame_head_masked(enum ws_opcode opcode, bool is_final, bool is_compressed,
                            uint64_t length, const char key[4], char out[14]);
void ws_frame_mask(char *data, size_t length, const char key[4]);

#endif
