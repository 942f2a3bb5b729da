/* base64.c: see base64.h. Decoding takes nothing that is not base64. */
#include "base/base64.h"

#include <stdint.h>
#include <string.h>

/* 0 to 63, or -1. */
static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

ssize_t base64_decode(const char *text, unsigned char *out)
{
    size_t length = strcspn(text, "="), padding = strlen(text + length);
    unsigned char *to = out;
    uint32_t bits = 0;
    unsigned count = 0;

    if (strspn(text + length, "=") != padding || length % 4 == 1 ||
        (padding > 0 && (padding > 2 || (length + padding) % 4 != 0)))
        return -1;
    for (size_t i = 0; i < length; i++) {
        int value = value_of(text[i]);

        if (value == -1)
            return -1;
        bits = bits << 6 | (uint32_t)value;
        count += 6;
        if (count >= 8) {
            count -= 8;
            *to++ = (unsigned char)(bits >> count);
        }
    }
    return bits & ((1u << count) - 1) ? -1 : to - out;
}

void base64_encode(const unsigned char *data, size_t size, char *out)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t at = 0; at < size; at += 3) {
        size_t left = size - at;
        uint32_t bits = (uint32_t)data[at] << 16 | (left > 1 ? (uint32_t)data[at + 1] << 8 : 0) |
                        (left > 2 ? data[at + 2] : 0);

        *out++ = letters[bits >> 18];
        *out++ = letters[bits >> 12 & 63];
        *out++ = left > 1 ? letters[bits >> 6 & 63] : '=';
        *out++ = left > 2 ? letters[bits & 63] : '=';
    }
    *out = '\0';
}
