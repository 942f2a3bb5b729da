/* uri.c: percent-decoding and the grammar of paths and authorities (RFC 3986).
 *
 * Decodes once and refuses what is ambiguous; it never normalises. */
#include "http/uri.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

#include "http/chars.h"

static bool is_escape(const char *at, const char *end)
{
    return end - at >= 3 && *at == '%' && char_is(at[1], CHAR_HEX) && char_is(at[2], CHAR_HEX);
}

static char escaped(const char *at)
{
    return (char)(char_hex_value(at[1]) << 4 | char_hex_value(at[2]));
}

/* A "." or ".." between the slash at `slash` and `end`. */
static bool is_dot_segment(const char *slash, const char *end)
{
    ptrdiff_t length = end - slash - 1;
    return (length == 1 && slash[1] == '.') || (length == 2 && slash[1] == '.' && slash[2] == '.');
}

/* A raw dot segment is one after decoding too, so looking at the decoded path finds both. */
static bool has_dot_segment(const char *path, size_t length)
{
    const char *end = path + length;
    for (const char *slash = path, *next; slash; slash = next) {
        next = memchr(slash + 1, '/', (size_t)(end - slash - 1));
        if (is_dot_segment(slash, next ? next : end))
            return true;
    }
    return false;
}

ssize_t uri_decode_path(const char *raw, size_t length, char *out)
{
    const char *end = raw + length;
    size_t n = 0;

    if (!length || *raw != '/')
        return -1;
    for (const char *at = raw; at < end; n++) {
        bool is_coded = *at == '%';
        if (is_coded && !is_escape(at, end))
            return -1;
        char c = is_coded ? escaped(at) : *at;
        if (!char_is(c, CHAR_TEXT) || c == '\t')
            return -1;
        out[n] = c;
        at += is_coded ? 3 : 1;
    }
    out[n] = '\0';
    return has_dot_segment(out, n) ? -1 : (ssize_t)n;
}

ssize_t uri_decode_component(const char *raw, size_t length, char *out)
{
    const char *end = raw + length;
    size_t n = 0;

    for (const char *at = raw; at < end; n++) {
        bool is_coded = *at == '%';
        if (is_coded && !is_escape(at, end))
            return -1;
        char c = is_coded ? escaped(at) : *at == '+' ? ' ' : *at;
        if (c == '\0')
            return -1;
        out[n] = c;
        at += is_coded ? 3 : 1;
    }
    out[n] = '\0';
    return (ssize_t)n;
}

/* The end of the run of that class and of whole escapes. */
static const char *skip_run(const char *at, const char *end, enum char_class class)
{
    while (at < end) {
        if (char_is(*at, class))
            at++;
        else if (is_escape(at, end))
            at += 3;
        else
            break;
    }
    return at;
}

bool uri_is_target(const char *raw, size_t length)
{
    return skip_run(raw, raw + length, CHAR_TARGET) == raw + length;
}

/* "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" ): an address of a kind to come. */
static bool is_future_address(const char *at, const char *end)
{
    const char *version = ++at;
    while (at < end && char_is(*at, CHAR_HEX))
        at++;
    if (at == version || at == end || *at != '.')
        return false;
    const char *address = ++at;
    while (at < end && (char_is(*at, CHAR_REG_NAME) || *at == ':'))
        at++;
    return at == end && at > address;
}

/* What stands between the brackets of an IP-literal. */
static bool is_bracketed(const char *at, const char *end)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    size_t length = (size_t)(end - at);

    if (length && (*at | 0x20) == 'v')
        return is_future_address(at, end);
    if (length >= sizeof text || memchr(at, '\0', length))
        return false;
    memcpy(text, at, length);
    text[length] = '\0';
    return inet_pton(AF_INET6, text, &address) == 1;
}

/* *DIGIT, and a number that a port can have. */
static bool is_port(const char *at, const char *end)
{
    uint32_t port = 0;
    for (; at < end; at++) {
        if (!char_is_digit(*at))
            return false;
        port = port * 10 + (uint32_t)(*at - '0');
        if (port > UINT16_MAX)
            return false;
    }
    return true;
}

bool uri_is_authority(const char *raw, size_t length)
{
    const char *end = raw + length, *at;

    if (length && *raw == '[') {
        at = memchr(raw, ']', length);
        if (!at || !is_bracketed(raw + 1, at))
            return false;
        at++;
    } else {
        at = skip_run(raw, end, CHAR_REG_NAME);
        if (at == raw)
            return false;
    }
    return at == end || (*at == ':' && is_port(at + 1, end));
}
