/* fuzz_chat.c: any bytes through the chat splitter, with terminators and cuts that the input
 * chooses, beside a reference that searches everything anew each time.
 *
 * Aborts when it does not find just what the reference does, when it holds back more than may begin
 * a terminator, or takes for data what does. The input: pairs of an order and a number, what an
 * order takes (a terminator, bytes of the client) after it. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/splitter.h"

#define REQUIRE(condition)                                                  \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                        \
        }                                                                   \
    } while (0)

struct input {
    const char *at;
    size_t left;
};

/* A driver that keeps what it has not taken, and what the terminator is in plain words. */
struct driver {
    struct splitter splitter;
    char *had;
    size_t length;
    const char *mark; /* NULL: a length, or none */
    size_t mark_length;
    uint64_t count;
    bool is_counting;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *take(struct input *input, size_t wished, size_t *length_out)
{
    const char *at = input->at;

    *length_out = wished < input->left ? wished : input->left;
    input->at += *length_out;
    input->left -= *length_out;
    return at;
}

static uint8_t take_byte(struct input *input)
{
    size_t length;
    const char *at = take(input, 1, &length);

    return length != 0 ? (uint8_t)*at : 0;
}

/* The reference: how many bytes are certainly data, and whether the terminator follows. */
static bool look_plainly(const struct driver *d, size_t *data_out, size_t *mark_out)
{
    *mark_out = 0;
    *data_out = d->length;
    if (d->mark == NULL) {
        if (d->is_counting && d->count <= d->length)
            *data_out = (size_t)d->count;
        return d->is_counting && d->count <= d->length;
    }
    for (size_t at = 0; at < d->length; at++) {
        size_t rest = d->length - at, n = rest < d->mark_length ? rest : d->mark_length;

        if (memcmp(d->had + at, d->mark, n) != 0)
            continue;
        *data_out = at;
        *mark_out = n == d->mark_length ? n : 0;
        return *mark_out != 0;
    }
    return false;
}

static void took(struct driver *d, size_t n, bool passes)
{
    char *rest = malloc(d->length - n + 1); /* a buffer of its own each time */

    memcpy(rest, d->had + n, d->length - n);
    free(d->had);
    d->had = rest;
    d->length -= n;
    if (d->mark == NULL && d->is_counting) {
        d->count -= n < d->count ? n : d->count;
        d->is_counting = !passes;
    }
    if (passes)
        splitter_passed(&d->splitter, n);
    else
        splitter_took(&d->splitter, n);
}

/* Looks once, and takes: all of it, or as much as `appetite` says. True: there may be more. */
static bool step(struct driver *d, uint8_t appetite)
{
    size_t data, mark, plain_data, plain_mark;
    bool is_found = splitter_look(&d->splitter, d->had, d->length, &data, &mark);

    REQUIRE(is_found == look_plainly(d, &plain_data, &plain_mark));
    REQUIRE(data == plain_data && mark == plain_mark);
    if (appetite < 128 || !is_found) {
        if (data != 0 || is_found)
            took(d, appetite < 128 ? data + mark : data * (appetite - 128u) / 128,
                 is_found && appetite < 128);
        return is_found && appetite < 128;
    }
    took(d, appetite >= 248 ? data : data * (appetite - 128u) / 128, false);
    return false;
}

static void receive(struct driver *d, struct input *input, size_t wished)
{
    size_t length;
    const char *bytes = take(input, wished, &length);
    char *more = realloc(d->had, d->length + length + 1);

    memcpy(more + d->length, bytes, length);
    d->had = more;
    d->length += length;
}

static void set_bytes(struct driver *d, struct input *input, size_t wished)
{
    size_t length;
    const char *mark = take(input, wished, &length);

    if (splitter_set_bytes(&d->splitter, mark, length) != 0) {
        REQUIRE(length == 0);
        return;
    }
    d->mark = mark;
    d->mark_length = length;
    d->is_counting = false;
}

static void set_length(struct driver *d, uint64_t length)
{
    d->mark = NULL;
    d->count = length;
    d->is_counting = true;
    splitter_set_length(&d->splitter, length);
}

static void obey(struct driver *d, struct input *input, uint8_t order, uint8_t number)
{
    switch (order % 8) {
    case 0:
        set_bytes(d, input, number % 32);
        break;
    case 1:
        set_length(d, number < 250 ? number : UINT64_MAX >> number % 8);
        break;
    case 2:
        d->mark = NULL;
        d->is_counting = false;
        splitter_set_none(&d->splitter);
        break;
    case 3:
        d->length = 0;
        splitter_forget(&d->splitter);
        break;
    case 4: /* byte by byte */
        for (unsigned i = 0; i < number && input->left > 0; i++) {
            receive(d, input, 1);
            step(d, number);
        }
        break;
    default:
        receive(d, input, number);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {(const char *)data, size};
    struct driver d = {.had = malloc(1)};

    splitter_init(&d.splitter);
    while (input.left > 0) {
        uint8_t order = take_byte(&input), number = take_byte(&input);

        obey(&d, &input, order, number);
        while (step(&d, order >> 3 << 3))
            ;
    }
    splitter_fini(&d.splitter);
    free(d.had);
    return 0;
}
