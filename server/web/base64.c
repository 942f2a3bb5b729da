/* base64.c: decodes base64, and takes nothing that is not. */
#include "web/base64.h"

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
