/* ws_extensions.h: Sec-WebSocket-Extensions (RFC 6455 section 9.1): what a client offers, of which
 * permessage-deflate (RFC 7692 section 7.1) is the only one that is known here. */
#ifndef WIRE_WS_EXTENSIONS_H
#define WIRE_WS_EXTENSIONS_H

#include "wire/ws_handshake.h"

/* Goes through the client's list and takes the first offer that can be met: what that means, and
 * the header's answer, "" if there is none. -1: the list is malformed, and nothing was agreed on.
 */
int ws_extensions_agree(const char *list, const struct ws_offer *offer,
                        struct ws_deflate_terms *terms_out, char answer_out[WS_EXTENSIONS_MAX]);

#endif
