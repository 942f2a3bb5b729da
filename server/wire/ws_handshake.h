/* ws_handshake.h: whether a request asks for a WebSocket as RFC 6455 section 4.2 has it, and how
 * that is answered: by a status that refuses, or by a key, a subprotocol and what
 * permessage-deflate (RFC 7692) is to do.
 *
 * Reads and writes header values; sends nothing, and leaves the Origin to the caller. */
#ifndef WIRE_WS_HANDSHAKE_H
#define WIRE_WS_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Values of headers; NULL: there is none. Several lines of one are joined by commas. */
struct ws_request {
    const char *method;
    int minor; /* of HTTP/1 */
    const char *upgrade;
    const char *connection;
    const char *key; /* Sec-WebSocket-Key, and so on */
    const char *version;
    const char *protocol;
    const char *extensions;
};

/* What this side is ready to do. */
struct ws_offer {
    const char *const *subprotocols; /* best first, ended by NULL; NULL: none */
    bool has_deflate;                /* permessage-deflate */
    bool keeps_context;              /* ... in each direction, unless the client does not want it */
    uint8_t out_bits, in_bits;       /* ... largest windows, 9 to 15; 0: 15 */
};

/* What permessage-deflate is to do: what ws_deflate.h is to be given. */
struct ws_deflate_terms {
    bool is_on;
    bool keeps_out, keeps_in; /* context: of what is sent, and of what comes */
    uint8_t out_bits;         /* window of what is sent, at most: 9 to 15 */
    uint8_t in_bits;          /* ... of what comes: 8 to 15 */
};

struct ws_header {
    const char *name;
    const char *value;
};

#define WS_ACCEPT_LENGTH  28
#define WS_EXTENSIONS_MAX 160

struct ws_handshake {
    int status;              /* 101, or 400, 405, 426: the request is refused */
    const char *why;         /* refused: a sentence; NULL else */
    const char *subprotocol; /* one of the offer's; NULL: none */
    struct ws_deflate_terms deflate;
    /* The answer's headers, ended by a NULL name: those of 101; Allow of 405; of 426 those that say
     * what would be right. They point into the rest of this struct, so it stays where it is. */
    struct ws_header headers[6];
    char accept[WS_ACCEPT_LENGTH + 1];
    char extensions[WS_EXTENSIONS_MAX]; /* what was agreed on; "" for nothing */
};

/* Decides:
 *   405  the method is not GET
 *   426  no WebSocket is asked for (Upgrade is missing or something else, or it is HTTP/1.0, where
 *        it means nothing), or one of another version than 13
 *   400  something of the handshake is missing or malformed
 *   101  it is one
 *
 * The subprotocol is the first of the offer's that the client named, in whatever order; names are
 * compared with their case. Of the client's offers of permessage-deflate the first one that can be
 * met is taken. One with a parameter that is unknown, twice there, or has no value it may have is
 * passed over, and so are other extensions. */
void ws_handshake(const struct ws_request *request, const struct ws_offer *offer,
                  struct ws_handshake *out);

#endif
