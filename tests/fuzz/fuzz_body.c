/* fuzz_body.c: any bytes as a chunked body. The first byte of the input says where it is cut in two
 * reads, the second sets max_body.
 *
 * Aborts when verdict, data or end depend on the cut, or when an accepted body is not what a decoder
 * that sees all of it at once takes it for. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/body.h"

#define REQUIRE(condition)                                                  \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                        \
        }                                                                   \
    } while (0)

struct result {
    struct body body;
    enum body_state state;
    size_t used, length;
    char *data;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_open(const struct result *result)
{
    return result->state == BODY_DATA || result->state == BODY_MORE;
}

static size_t take_data(struct result *result, const char *data, size_t length)
{
    uint64_t left = body_left(&result->body);
    size_t n = left < length ? (size_t)left : length;

    REQUIRE(left > 0);
    memcpy(result->data + result->length, data, n);
    result->length += n;
    result->state = body_took(&result->body, n);
    return n;
}

/* Gives the decoder bytes[used..length), in a buffer of just that size. */
static void feed(struct result *result, const char *bytes, size_t length)
{
    size_t size = length - result->used, at = 0, framing;
    char *copy = malloc(size ? size : 1);

    memcpy(copy, bytes + result->used, size);
    while (is_open(result) && at < size) {
        result->state = body_step(&result->body, copy + at, size - at, &framing);
        REQUIRE(framing <= size - at);
        at += framing;
        if (result->state == BODY_DATA)
            at += take_data(result, copy + at, size - at);
    }
    result->used += at;
    free(copy);
}

static void decode(struct result *result, uint64_t max_body, const char *bytes, size_t length,
                   size_t split)
{
    static const struct head chunked = {.is_chunked = true};

    *result = (struct result){.data = malloc(length ? length : 1)};
    result->state = body_init(&result->body, &chunked, max_body);
    feed(result, bytes, split);
    feed(result, bytes, length);
}

/* The same grammar without extensions and trailers, written down a second time: -1 when it does not
 * apply, else the number of bytes up to the end. */
static long plain_length(const char *bytes, size_t length)
{
    const char *at = bytes, *end = bytes + length;

    for (;;) {
        uint64_t size = 0;
        int digits = 0;
        for (; at < end && strchr("0123456789abcdefABCDEF", *at) && *at; at++, digits++)
            size = size << 4 | (uint64_t)(*at <= '9' ? *at - '0' : (*at | 0x20) - 'a' + 10);
        if (digits == 0 || digits > 15 || end - at < 2 || memcmp(at, "\r\n", 2) != 0)
            return -1;
        at += 2;
        if (size > (uint64_t)(end - at) || end - at - (long)size < 2 ||
            memcmp(at + size, "\r\n", 2) != 0)
            return -1;
        at += size + 2;
        if (size == 0)
            return at - bytes;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct result whole, cut;

    if (size < 2)
        return 0;
    const char *bytes = (const char *)data + 2;
    size_t length = size - 2;
    uint64_t max_body = data[1];
    decode(&whole, max_body, bytes, length, length);
    decode(&cut, max_body, bytes, length, length ? *data % length : 0);

    REQUIRE(whole.state == cut.state && whole.used == cut.used && whole.length == cut.length);
    REQUIRE(memcmp(whole.data, cut.data, whole.length) == 0);
    REQUIRE(max_body == 0 || whole.length <= max_body);
    long plain = plain_length(bytes, length);
    if (plain >= 0 && whole.state != BODY_TOO_LARGE)
        REQUIRE(whole.state == BODY_END && whole.used == (size_t)plain);
    if (whole.state == BODY_END)
        REQUIRE(whole.used >= 4 && memcmp(bytes + whole.used - 2, "\r\n", 2) == 0);
    free(whole.data);
    free(cut.data);
    return 0;
}
