/* fuzz_cookie.c: any bytes as a Cookie header, and as name, value and attributes of a Set-Cookie.
 *
 * Aborts when a pair is not what was in the header, when a Set-Cookie has a byte that would end it,
 * or when what was written does not read back as it was. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/chars.h"
#include "web/cookie.h"

#define REQUIRE(condition)                                                  \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                        \
        }                                                                   \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_header(const char *header)
{
    struct cookie_walk walk = {.at = header};
    const char *behind = header + strlen(header);
    struct span name, value;
    unsigned count = 0;

    while (cookie_next(&walk, &name, &value)) {
        REQUIRE(char_is_token(name.data, name.length));
        REQUIRE(name.data >= header && value.data > name.data + name.length - 1);
        REQUIRE(value.data + value.length <= behind && walk.at <= behind);
        REQUIRE(!memchr(value.data, ';', value.length));
        REQUIRE(name.length + value.length <= REEVE_COOKIE_SIZE_MAX);
        REQUIRE(++count <= REEVE_COOKIES_MAX);
    }
}

/* The value as it was before it was encoded. */
static void require_value(const struct span *value, const char *want)
{
    const char *at = value->data, *end = at + value->length;

    for (; at < end; want++) {
        bool is_coded = *at == '%';
        char c = is_coded ? (char)(char_hex_value(at[1]) << 4 | char_hex_value(at[2])) : *at;

        REQUIRE(c == *want);
        at += is_coded ? 3 : 1;
    }
    REQUIRE(!*want);
}

static void write_cookie(const reeve_cookie *cookie)
{
    ssize_t length = cookie_write(cookie, NULL, 0);
    struct cookie_walk walk;
    struct span name, value;
    char *text;

    if (length == -1)
        return;
    text = malloc((size_t)length + 1);
    REQUIRE(cookie_write(cookie, text, (size_t)length + 1) == length);
    REQUIRE(strlen(text) == (size_t)length);
    for (const char *p = text; *p; p++)
        REQUIRE(*p >= ' ' && *p < 0x7f);
    walk = (struct cookie_walk){.at = text};
    REQUIRE(cookie_next(&walk, &name, &value));
    REQUIRE(name.length == strlen(cookie->name));
    if (cookie->encode)
        require_value(&value, cookie->value);
    else
        REQUIRE(value.length == strlen(cookie->value));
    free(text);
}

/* The input is strings, each with a NUL behind it. */
static const char *next_string(const char **at, const char *end)
{
    const char *text = *at;

    *at = text < end ? text + strlen(text) + 1 : text;
    return text < end ? text : "";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    const char *at = text, *end = text + size;
    unsigned bits = size > 0 ? data[0] : 0;
    reeve_cookie cookie = {.size = sizeof cookie};

    memcpy(text, data, size);
    text[size] = '\0';
    read_header(text);
    cookie.encode = bits & 1;
    cookie.secure = bits & 2;
    cookie.partitioned = bits & 4;
    cookie.same_site = (reeve_same_site)(bits >> 3 & 3);
    at += size > 0;
    cookie.name = next_string(&at, end);
    cookie.value = next_string(&at, end);
    cookie.path = bits & 32 ? next_string(&at, end) : NULL;
    cookie.domain = bits & 64 ? next_string(&at, end) : NULL;
    cookie.max_age = bits & 128 ? (int64_t)size : 0;
    write_cookie(&cookie);
    free(text);
    return 0;
}
