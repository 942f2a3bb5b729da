/* fuzz_multipart.c: any bytes as a multipart body. The first two bytes of the input say how it is
 * cut into reads, and whether the limits are narrow; the boundary is "B".
 *
 * Aborts when what comes out depends on the cuts, when it is not what a reader that sees the whole
 * body at once finds between the boundaries, or when finding it took more than a few steps a byte.
 * Each part's headers are read as those of a form, and its Content-Type as that of a body. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "web/form_part.h"
#include "web/form_type.h"
#include "web/multipart.h"

#define REQUIRE(condition)                                                  \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                        \
        }                                                                   \
    } while (0)

static const char delimiter[] = "\r\n--B";

/* What came out: a byte for each event, then its bytes. */
struct result {
    struct multipart parser;
    char *text;
    size_t length, parts, data; /* bytes of data */
    int status;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void tell(struct result *result, const char *bytes, size_t length)
{
    memcpy(result->text + result->length, bytes, length);
    result->length += length;
}

static void read_head(const struct multipart *parser)
{
    char *memory = malloc(part_room(parser->head_length));
    struct reeve_part part;
    struct form_type type;
    const char *error = NULL;
    int status = part_describe(&part, parser->head, parser->head_length, memory, &error);

    REQUIRE((status == 0) == (error == NULL));
    if (status == 0) {
        REQUIRE(part.name && part.type && reeve_part_header(&part, "content-disposition"));
        status = form_type_read(part.type, &type, &error);
        REQUIRE(status == 400 || status == 415 || type.kind == FORM_URLENCODED);
    }
    free(memory);
}

static void take(struct result *result, enum multipart_event event, const struct span *data)
{
    if (event == MULTIPART_DATA) {
        REQUIRE(data->length > 0);
        tell(result, data->data, data->length);
        result->data += data->length;
    } else if (event == MULTIPART_PART) {
        result->parts++;
        tell(result, "{", 1);
        tell(result, result->parser.head, result->parser.head_length + 1);
        read_head(&result->parser);
    } else if (event == MULTIPART_ENDS) {
        tell(result, "}", 1);
    }
}

/* In memory of just that size. */
static void feed(struct result *result, const char *bytes, size_t size)
{
    enum multipart_event event = MULTIPART_DATA;
    char *copy = malloc(size ? size : 1);
    struct span data;
    size_t at = 0, used;

    memcpy(copy, bytes, size);
    while (event != MULTIPART_MORE && event != MULTIPART_BAD) {
        event = multipart_step(&result->parser, copy + at, size - at, &used, &data);
        at += used;
        REQUIRE(at <= size);
        take(result, event, &data);
    }
    REQUIRE(event == MULTIPART_BAD || at == size);
    free(copy);
}

/* In pieces of 1 to `most` bytes, as the seed says. */
static void parse(struct result *result, const struct multipart_limits *limits, const char *bytes,
                  size_t size, size_t most, uint32_t seed)
{
    *result = (struct result){.text = malloc(2 * size + 1)};
    REQUIRE(multipart_init(&result->parser, "B", limits) == 0);
    for (size_t at = 0, piece; at < size; at += piece) {
        seed = seed * 1664525u + 1013904223u;
        piece = most < size ? 1 + (seed >> 16) % most : size;
        piece = piece < size - at ? piece : size - at;
        feed(result, bytes + at, piece);
    }
    result->status = multipart_finish(&result->parser) == -1 ? result->parser.status : 0;
    REQUIRE(result->parser.compared <= 3 * size);
    multipart_fini(&result->parser);
}

/* Behind the next delimiter from `at` on, or NULL. */
static const char *skip_delimiter(const char *at, const char *end)
{
    const char *found = memmem(at, (size_t)(end - at), delimiter, sizeof delimiter - 1);

    return found ? found + sizeof delimiter - 1 : NULL;
}

/* A body that was accepted: its parts, counted from the whole of it. */
static size_t count_parts(const char *bytes, size_t size)
{
    char *whole = malloc(size + 3); /* with the line end that the beginning stands for */
    const char *end = whole + 2 + size, *at;
    size_t count = 0;

    memcpy(whole, "\r\n", 2);
    memcpy(whole + 2, bytes, size);
    for (at = skip_delimiter(whole, end); at && end - at >= 2 && memcmp(at, "--", 2) != 0;
         at = skip_delimiter(at, end))
        count++;
    REQUIRE(at && end - at >= 2);
    free(whole);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct multipart_limits wide = {1000, 8192, 16}, narrow = {2, 40, 2};
    struct result whole, cut;

    if (size < 2)
        return 0;
    const char *bytes = (const char *)data + 2;
    const struct multipart_limits *limits = data[0] & 1 ? &narrow : &wide;
    size -= 2;
    parse(&whole, limits, bytes, size, size, 0);
    parse(&cut, limits, bytes, size, 1 + data[0] / 2, data[1]);

    REQUIRE(whole.status == cut.status && whole.length == cut.length);
    REQUIRE(memcmp(whole.text, cut.text, whole.length) == 0);
    REQUIRE(whole.parts <= limits->max_parts && whole.data <= size);
    if (whole.status == 0)
        REQUIRE(whole.parts == count_parts(bytes, size));
    free(whole.text);
    free(cut.text);
    return 0;
}
