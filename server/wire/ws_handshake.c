/* ws_handshake.c: the conditions of RFC 6455 section 4.2.1 one after the other, and the answer. Its
 * extensions are ws_extensions.c's. */
#include "wire/ws_handshake.h"

#include <sha1.h>
#include <string.h>

#include "base/base64.h"
#include "http/chars.h"
#include "wire/ws_extensions.h"

#define KEY_LENGTH 24 /* 16 bytes in base64 */
#define MAGIC      "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

/* ---- lists ---- */

/* The next element of a list, without the space around it; elements may be empty (RFC 9110 section
 * 5.6.1). False: there is none. */
static bool next_element(const char **list, const char **element_out, size_t *length_out)
{
    const char *at = *list;
    size_t length;

    at += strspn(at, ", \t");
    if (*at == '\0')
        return false;
    length = strcspn(at, ",");
    *list = at + length;
    while (length > 0 && (at[length - 1] == ' ' || at[length - 1] == '\t'))
        length--;
    *element_out = at;
    *length_out = length;
    return true;
}

/* In any case. */
static bool list_has_word(const char *list, const char *lower)
{
    const char *element;
    size_t length;

    while (list != NULL && next_element(&list, &element, &length))
        if (length == strlen(lower) && char_equals_lower(element, lower, length))
            return true;
    return false;
}

static bool list_has(const char *list, const char *name)
{
    const char *element;
    size_t length;

    while (next_element(&list, &element, &length))
        if (length == strlen(name) && memcmp(element, name, length) == 0)
            return true;
    return false;
}

/* One token at least, and nothing but tokens. */
static bool list_is_of_tokens(const char *list)
{
    const char *element;
    size_t length, count = 0;

    for (; next_element(&list, &element, &length); count++)
        if (!char_is_token(element, length))
            return false;
    return count > 0;
}

/* ---- conditions ---- */

static void refuse(struct ws_handshake *out, int status, const char *why)
{
    out->status = status;
    out->why = why;
}

static bool is_key(const char *key)
{
    unsigned char nonce[KEY_LENGTH / 4 * 3 + 3];

    return strlen(key) == KEY_LENGTH && base64_decode(key, nonce) == 16;
}

/* 0 to 255 without a zero before it. */
static bool is_version(const char *version)
{
    size_t length = strspn(version, "0123456789");

    return length > 0 && length <= 3 && version[length] == '\0' &&
           (version[0] != '0' || length == 1) && (length < 3 || strcmp(version, "255") <= 0);
}

static void judge(const struct ws_request *request, struct ws_handshake *out)
{
    if (request->method == NULL || strcmp(request->method, "GET") != 0)
        refuse(out, 405, "a WebSocket is asked for by GET");
    else if (request->minor < 1 || !list_has_word(request->upgrade, "websocket"))
        refuse(out, 426, "this is for WebSockets: Upgrade: websocket is missing");
    else if (!list_has_word(request->connection, "upgrade"))
        refuse(out, 400, "Connection: Upgrade is missing");
    else if (request->version == NULL || !is_version(request->version))
        refuse(out, 400, "Sec-WebSocket-Version is missing or malformed");
    else if (strcmp(request->version, "13") != 0)
        refuse(out, 426, "only version 13 of the protocol is spoken here");
    else if (request->key == NULL || !is_key(request->key))
        refuse(out, 400, "Sec-WebSocket-Key is missing or malformed");
    else if (request->protocol != NULL && !list_is_of_tokens(request->protocol))
        refuse(out, 400, "Sec-WebSocket-Protocol is malformed");
    else
        out->status = 101;
}

/* ---- the answer ---- */

static void make_accept(const char *key, char *accept)
{
    unsigned char digest[SHA1_DIGEST_LENGTH];
    SHA1_CTX sha1;

    SHA1Init(&sha1);
    SHA1Update(&sha1, (const uint8_t *)key, KEY_LENGTH);
    SHA1Update(&sha1, (const uint8_t *)MAGIC, sizeof MAGIC - 1);
    SHA1Final(digest, &sha1);
    base64_encode(digest, sizeof digest, accept);
}

static const char *choose(const char *const *subprotocols, const char *wanted)
{
    for (; wanted != NULL && subprotocols != NULL && *subprotocols != NULL; subprotocols++)
        if (list_has(wanted, *subprotocols))
            return *subprotocols;
    return NULL;
}

static void put_headers(struct ws_handshake *out)
{
    struct ws_header *next = out->headers;

    if (out->status == 405)
        *next++ = (struct ws_header){"Allow", "GET"};
    if (out->status == 101 || out->status == 426) {
        *next++ = (struct ws_header){"Upgrade", "websocket"};
        *next++ = (struct ws_header){"Connection", "Upgrade"};
    }
    if (out->status == 426)
        *next++ = (struct ws_header){"Sec-WebSocket-Version", "13"};
    if (out->status == 101)
        *next++ = (struct ws_header){"Sec-WebSocket-Accept", out->accept};
    if (out->subprotocol != NULL)
        *next++ = (struct ws_header){"Sec-WebSocket-Protocol", out->subprotocol};
    if (out->extensions[0] != '\0')
        *next++ = (struct ws_header){"Sec-WebSocket-Extensions", out->extensions};
    *next = (struct ws_header){NULL, NULL};
}

void ws_handshake(const struct ws_request *request, const struct ws_offer *offer,
                  struct ws_handshake *out)
{
    memset(out, 0, sizeof *out);
    judge(request, out);
    if (out->status == 101 && request->extensions != NULL &&
        ws_extensions_agree(request->extensions, offer, &out->deflate, out->extensions) == -1)
        refuse(out, 400, "Sec-WebSocket-Extensions is malformed");
    if (out->status == 101) {
        make_accept(request->key, out->accept);
        out->subprotocol = choose(offer->subprotocols, request->protocol);
    }
    put_headers(out);
}
