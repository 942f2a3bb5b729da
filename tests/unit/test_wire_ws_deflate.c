/* test_wire_ws_deflate.c: messages come back from what they were compressed to; RFC 7692's own
 * examples; windows, context, bombs, and what does not inflate. */
#include "memory_case.h"

#include "wire/ws_deflate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ZLIB_CONST
#include <zlib.h>

#define BYTES(literal) literal, sizeof(literal) - 1
#define COUNT(array)   (sizeof(array) / sizeof *(array))
#define ROOM           (1u << 20)

static char packed[ROOM + 4], inflated[2 * ROOM];
static const size_t steps[] = {1, 2, 3, 7, 100, ROOM};

/* All of it, at most `step` bytes a call; *size_out in `inflated`. */
static enum ws_inflated inflate_by(struct ws_inflater *z, const char *data, size_t size,
                                   size_t step, size_t *size_out)
{
    enum ws_inflated result = WS_INFLATE_FULL;
    char *copy = malloc(size > 0 ? size : 1), *out = malloc(step);
    size_t more;

    assert_true(copy != NULL && out != NULL);
    memcpy(copy, data, size);
    ws_inflate_begin(z, copy, size);
    for (*size_out = 0; result == WS_INFLATE_FULL && *size_out + step <= sizeof inflated;) {
        result = ws_inflate_some(z, out, step, &more);
        assert_true(more == step || result != WS_INFLATE_FULL);
        memcpy(inflated + *size_out, out, more);
        *size_out += more;
    }
    free(copy);
    free(out);
    return result;
}

static void inflates_to(struct ws_inflater *z, const char *data, size_t size, const char *want,
                        size_t length)
{
    size_t got;

    assert_int_equal(inflate_by(z, data, size, ROOM, &got), WS_INFLATED);
    assert_int_equal(got, length);
    assert_memory_equal(inflated, want, length);
}

/* Inflated from nothing, in steps of each size. */
static void stands_for(const char *data, size_t size, const char *want, size_t length)
{
    struct ws_inflater *z = ws_inflater_new(15, false);
    size_t got;

    for (size_t i = 0; i < COUNT(steps); i++) {
        if (length / steps[i] > 10000)
            continue;
        assert_int_equal(inflate_by(z, data, size, steps[i], &got), WS_INFLATED);
        assert_int_equal(got, length);
        assert_memory_equal(inflated, want, length);
    }
    ws_inflater_free(z);
}

static void does_not_inflate(const char *data, size_t size)
{
    struct ws_inflater *z = ws_inflater_new(15, false);
    size_t got;

    for (size_t i = 0; i < COUNT(steps); i++)
        assert_int_equal(inflate_by(z, data, size, steps[i], &got), WS_INFLATE_BAD);
    /* Which does no harm to the next one. */
    inflates_to(z, BYTES("\xf2\x48\xcd\xc9\xc9\x07\x00"), BYTES("Hello"));
    ws_inflater_free(z);
}

/* Of words, so that it is smaller compressed. */
static void write_text(char *text, size_t size, unsigned seed)
{
    static const char *const words[] = {"websocket ", "message ", "deflate ",
                                        "window ",    "a ",       "42 "};

    for (size_t at = 0; at < size; seed = seed * 1103515245u + 12345u) {
        const char *word = words[(seed >> 16) % COUNT(words)];
        size_t n = strlen(word) < size - at ? strlen(word) : size - at;

        memcpy(text + at, word, n);
        at += n;
    }
}

static void write_noise(char *bytes, size_t size)
{
    uint32_t seed = 1;

    for (size_t at = 0; at < size; at++) {
        seed = seed * 1664525u + 1013904223u;
        bytes[at] = (char)(seed >> 24);
    }
}

/* Section 7.2.3. */
static void the_examples_of_the_rfc_inflate(void **state)
{
    struct ws_inflater *z = ws_inflater_new(15, true);

    (void)state;
    stands_for(BYTES("\xf2\x48\xcd\xc9\xc9\x07\x00"), BYTES("Hello"));
    stands_for(BYTES("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"), BYTES("Hello")); /* stored */
    stands_for(BYTES("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), BYTES("Hello")); /* a last block */
    stands_for(BYTES("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"),
               BYTES("Hello")); /* two blocks */
    stands_for(BYTES("\x00"), BYTES(""));
    stands_for(BYTES("\x02\x00"), BYTES(""));
    inflates_to(z, BYTES("\xf2\x48\xcd\xc9\xc9\x07\x00"), BYTES("Hello"));
    inflates_to(z, BYTES("\xf2\x00\x11\x00\x00"), BYTES("Hello")); /* as the one before */
    ws_inflater_free(z);
}

static void what_is_loose_but_clear_is_taken(void **state)
{
    (void)state;
    stands_for(BYTES(""), BYTES(""));                                  /* not even the 00 */
    stands_for(BYTES("\xf3\x48\xcd\xc9\xc9\x07\x00"), BYTES("Hello")); /* no empty block */
    stands_for(BYTES("\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff\x00"), BYTES("Hello"));
}

static void what_is_no_deflate_is_told(void **state)
{
    (void)state;
    does_not_inflate(BYTES("Hello"));
    does_not_inflate(BYTES("\x06"));                          /* a reserved type */
    does_not_inflate(BYTES("\x00\x05\x00\x00\x00Hello\x00")); /* a wrong length */
    does_not_inflate(BYTES("\xf2\x48"));                      /* cut off */
    does_not_inflate(BYTES("\xf2\x48\xcd\xc9\xc9\x07"));      /* ... by its last byte */
    does_not_inflate(BYTES("\x00\x05\x00\xfa\xff\x48\x65"));  /* ... in a stored block */
    does_not_inflate(BYTES("\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff")); /* with its tail */
    does_not_inflate(BYTES("\xf2\x00\x11\x00\x00")); /* back behind the begin */
}

/* ---- compressing ---- */

static void messages_come_back(void **state)
{
    static const size_t sizes[] = {20, 100, 1000, 4095, 4096, 4097, 40000, 65536, 300000, ROOM};
    static char text[ROOM];

    (void)state;
    for (int level = 1; level <= 9; level += 4) {
        struct ws_deflater *z = ws_deflater_new(level, 0, false);

        for (int bits = 9; bits <= 15; bits++)
            for (size_t i = 0; i < COUNT(sizes); i++) {
                size_t size;

                write_text(text, sizes[i], (unsigned)i);
                size = ws_deflate(z, bits, text, sizes[i], packed);
                if (sizes[i] >= 100)
                    assert_in_range(size, 1, sizes[i] - 1);
                if (size > 0)
                    stands_for(packed, size, text, sizes[i]);
            }
        ws_deflater_free(z);
    }
}

/* A peer with a window of just that size can read it. */
static void no_larger_window_is_used_than_agreed(void **state)
{
    static char text[ROOM];
    struct ws_deflater *z = ws_deflater_new(6, 0, false);

    (void)state;
    write_noise(text, ROOM);
    memcpy(text + 5000, text, 5000);
    memcpy(text + 30000, text, 20000);
    for (int bits = 9; bits <= 15; bits++) {
        struct ws_inflater *back = ws_inflater_new(bits, false);
        size_t size = ws_deflate(z, bits, text, 50000, packed);

        if (size > 0)
            inflates_to(back, packed, size, text, 50000);
        assert_int_equal(size > 0, bits >= 13); /* what repeats is 5000 bytes away, or 30000 */
        ws_inflater_free(back);
    }
    ws_deflater_free(z);
}

static void what_is_not_worth_it_is_not_done(void **state)
{
    struct ws_deflater *z = ws_deflater_new(6, 64, false);
    static char noise[5000];
    char text[64];

    (void)state;
    memset(text, 'a', sizeof text);
    assert_int_equal(ws_deflate(z, 15, text, 63, packed), 0);
    assert_in_range(ws_deflate(z, 15, text, 64, packed), 1, 20);
    assert_int_equal(ws_deflate(z, 15, text, 0, packed), 0);
    write_noise(noise, sizeof noise);
    for (size_t size = 64; size < sizeof noise; size += 61)
        assert_int_equal(ws_deflate(z, 15, noise, size, packed), 0);
    ws_deflater_free(z);
    z = ws_deflater_new(6, 0, false);
    assert_int_equal(ws_deflate(z, 15, "", 0, packed), 0);
    assert_int_equal(ws_deflate(z, 15, "a", 1, packed), 0);
    ws_deflater_free(z);
}

/* The room is never overrun, however badly it goes: the sanitizer looks. */
static void the_room_is_enough(void **state)
{
    struct ws_deflater *z = ws_deflater_new(1, 0, false);
    static char bytes[600];

    (void)state;
    for (size_t size = 1; size < sizeof bytes; size++) {
        char *out = malloc(ws_deflate_room(size));

        write_noise(bytes, size);
        memset(bytes, 'a', size * (size % 4) / 8);
        assert_in_range(ws_deflate(z, 15, bytes, size, out), 0, size - 1);
        free(out);
    }
    ws_deflater_free(z);
}

/* ---- context ---- */

static void context_makes_later_ones_smaller(void **state)
{
    struct ws_deflater *z = ws_deflater_new(6, 0, true);
    struct ws_inflater *back = ws_inflater_new(15, true);
    static char text[1000];
    size_t first, size;

    (void)state;
    write_noise(text, sizeof text);
    memset(text, '-', 100);
    first = ws_deflate(z, 15, text, sizeof text, packed);
    assert_true(first > 800);
    inflates_to(back, packed, first, text, sizeof text);
    for (unsigned i = 0; i < 100; i++) {
        size = ws_deflate(z, 15, text, sizeof text, packed);
        assert_in_range(size, 1, 40);
        inflates_to(back, packed, size, text, sizeof text);
    }
    ws_deflater_free(z);
    ws_inflater_free(back);
}

/* One that is sent as it is, since compressed it is not smaller, is in nobody's window. */
static void context_is_left_out_where_it_has_to_be(void **state)
{
    for (int bits = 9; bits <= 15; bits++) {
        struct ws_deflater *z = ws_deflater_new(6, 0, true);
        struct ws_inflater *back = ws_inflater_new(bits, true);
        static char text[3000], noise[3000];
        size_t size;

        write_text(text, sizeof text, 1);
        write_noise(noise, sizeof noise);
        for (unsigned i = 0; i < 20; i++) {
            size = ws_deflate(z, bits, text, sizeof text - i, packed);
            assert_in_range(size, 1, sizeof text - i - 1);
            inflates_to(back, packed, size, text, sizeof text - i);
            assert_int_equal(ws_deflate(z, bits, noise, 2000 + i * 50, packed), 0);
        }
        ws_deflater_free(z);
        ws_inflater_free(back);
    }
    (void)state;
}

static void a_message_for_many_may_come_between(void **state)
{
    struct ws_deflater *own = ws_deflater_new(6, 0, true), *shared = ws_deflater_new(6, 0, false);
    struct ws_inflater *back = ws_inflater_new(15, true);
    static char text[20000], other[9000];
    size_t size;

    (void)state;
    write_text(text, sizeof text, 1);
    write_text(other, sizeof other, 2);
    for (unsigned i = 0; i < 10; i++) {
        size = ws_deflate(own, 15, text, sizeof text - i, packed);
        inflates_to(back, packed, size, text, sizeof text - i);
        size = ws_deflate(shared, 15, other, sizeof other, packed);
        inflates_to(back, packed, size, other, sizeof other);
        ws_deflater_forget(own);
    }
    ws_deflater_forget(NULL);
    ws_deflater_free(own);
    ws_deflater_free(shared);
    ws_inflater_free(back);
}

/* A last block in the midst, and the next one looks back behind it. */
static void a_last_block_does_not_end_the_context(void **state)
{
    static const char begin[] = "\xf3\x48\xcd\xc9\xc9\x07\x00", rest[] = "\xf2\x00\x11\x00\x00";
    struct ws_inflater *z = ws_inflater_new(15, true);
    char both[16];

    (void)state;
    memcpy(both, begin, 7);
    memcpy(both + 7, rest, 5);
    stands_for(both, 12, BYTES("HelloHello"));
    inflates_to(z, begin, 7, BYTES("Hello"));
    inflates_to(z, rest, 5, BYTES("Hello"));
    inflates_to(z, both, 12, BYTES("HelloHello"));
    inflates_to(z, BYTES(""), BYTES(""));
    inflates_to(z, rest, 5, BYTES("Hello"));
    ws_inflater_free(z);
}

/* Without context nothing is left of the message before. */
static void a_shared_inflater_forgets(void **state)
{
    struct ws_inflater *z = ws_inflater_new(15, false);
    size_t got;

    (void)state;
    inflates_to(z, BYTES("\xf2\x48\xcd\xc9\xc9\x07\x00"), BYTES("Hello"));
    assert_int_equal(inflate_by(z, BYTES("\xf2\x00\x11\x00\x00"), ROOM, &got), WS_INFLATE_BAD);
    /* One that was given up half-way. */
    ws_inflate_begin(z, BYTES("\xf2\x48\xcd\xc9\xc9\x07\x00"));
    assert_int_equal(ws_inflate_some(z, inflated, 2, &got), WS_INFLATE_FULL);
    inflates_to(z, BYTES("\xf2\x48\xcd\xc9\xc9\x07\x00"), BYTES("Hello"));
    ws_inflater_free(z);
    ws_inflater_free(NULL);
    ws_deflater_free(NULL);
}

/* zlib itself as the client, in each way that it has. */
static void what_clients_make_is_read(void **state)
{
    static const int flushes[] = {Z_SYNC_FLUSH, Z_FULL_FLUSH};
    static const int strategies[] = {Z_DEFAULT_STRATEGY, Z_HUFFMAN_ONLY, Z_RLE, Z_FIXED};
    static char text[70000];

    (void)state;
    write_text(text, sizeof text, 3);
    for (int level = 0; level <= 9; level += 3)
        for (unsigned way = 0; way < COUNT(flushes) * COUNT(strategies); way++) {
            struct ws_inflater *back = ws_inflater_new(15, true);
            z_stream z = {.next_in = NULL};

            assert_int_equal(deflateInit2(&z, level, Z_DEFLATED, -15, 8, strategies[way / 2]),
                             Z_OK);
            for (size_t size = 1; size < sizeof text; size = size * 5 + 1) {
                z.next_in = (Bytef *)text;
                z.avail_in = (uInt)size;
                z.next_out = (Bytef *)packed;
                z.avail_out = sizeof packed;
                assert_int_equal(deflate(&z, flushes[way % 2]), Z_OK);
                inflates_to(back, packed, sizeof packed - z.avail_out - 4, text, size);
            }
            deflateEnd(&z);
            ws_inflater_free(back);
        }
}

/* A thousand last blocks a step forward each, of two bytes: it does not cost a window each. */
static void many_last_blocks_are_read(void **state)
{
    static char blocks[200001];
    struct ws_inflater *z = ws_inflater_new(15, true);
    size_t got;

    (void)state;
    for (size_t at = 0; at + 1 < sizeof blocks; at += 2)
        memcpy(blocks + at, "\x03", 2);
    assert_int_equal(inflate_by(z, blocks, sizeof blocks, ROOM, &got), WS_INFLATED);
    assert_int_equal(got, 0);
    ws_inflater_free(z);
}

/* ---- memory ---- */

static void memory_may_run_out(void **state)
{
    static char text[1000];
    size_t size, got;

    (void)state;
    if (!CAN_FAIL)
        skip();
    write_text(text, sizeof text, 1);
    for (int at = 0; at < 20; at++) {
        struct ws_deflater *deflater;

        left = at;
        deflater = ws_deflater_new(6, 0, false);
        size = deflater ? ws_deflate(deflater, 15, text, sizeof text, packed) : 0;
        left = -1;
        if (deflater) {
            size_t again = ws_deflate(deflater, 15, text, sizeof text, packed);

            assert_true(again > 0 && (size == 0 || size == again));
        }
        ws_deflater_free(deflater);
    }
    for (int at = 0; at < 10; at++) {
        enum ws_inflated result = WS_INFLATE_NO_MEMORY;
        struct ws_inflater *inflater;

        size = 7;
        left = at;
        inflater = ws_inflater_new(15, false);
        if (inflater) {
            ws_inflate_begin(inflater, BYTES("\xf2\x48\xcd\xc9\xc9\x07\x00"));
            result = ws_inflate_some(inflater, inflated, ROOM, &got);
        }
        left = -1;
        assert_true(result == WS_INFLATE_NO_MEMORY || (result == WS_INFLATED && got == 5));
        assert_true(at < 6 || result == WS_INFLATED);
        if (inflater)
            inflates_to(inflater, BYTES("\xf2\x48\xcd\xc9\xc9\x07\x00"), BYTES("Hello"));
        ws_inflater_free(inflater);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_the_rfc_inflate),
        cmocka_unit_test(what_is_loose_but_clear_is_taken),
        cmocka_unit_test(what_is_no_deflate_is_told),
        cmocka_unit_test(messages_come_back),
        cmocka_unit_test(no_larger_window_is_used_than_agreed),
        cmocka_unit_test(what_is_not_worth_it_is_not_done),
        cmocka_unit_test(the_room_is_enough),
        cmocka_unit_test(context_makes_later_ones_smaller),
        cmocka_unit_test(context_is_left_out_where_it_has_to_be),
        cmocka_unit_test(a_message_for_many_may_come_between),
        cmocka_unit_test(a_last_block_does_not_end_the_context),
        cmocka_unit_test(a_shared_inflater_forgets),
        cmocka_unit_test(what_clients_make_is_read),
        cmocka_unit_test(many_last_blocks_are_read),
        cmocka_unit_test(memory_may_run_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
