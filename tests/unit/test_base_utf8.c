/* test_base_utf8.c: which bytes are a character, against the ranges of RFC 3629. */
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static size_t put(unsigned code, char *out)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

static void every_character_and_no_surrogate(void **state)
{
    char text[4];

    (void)state;
    for (unsigned code = 0; code < 0x120000; code++) {
        size_t length = put(code, text);
        bool is_good = (code < 0xd800 || code > 0xdfff) && code < 0x110000;

        if (utf8_sequence(text, length) != (is_good ? length : 0))
            fail_msg("U+%04X", code);
        if (utf8_sequence(text, length - 1) != 0)
            fail_msg("U+%04X, cut off", code);
    }
}

/* Of all pairs of bytes, and of each with two more, only what put makes is taken. */
static void nothing_else(void **state)
{
    unsigned count = 0;
    char text[4];

    (void)state;
    for (unsigned first = 0; first < 256; first++)
        for (unsigned second = 0; second < 256; second++) {
            text[0] = (char)first;
            text[1] = (char)second;
            text[2] = text[3] = (char)0x80;
            count += utf8_sequence(text, 4) > 1;
        }
    /* Second bytes: 30 forms of two and 16 of three and 5 of four, less what is overlong, a surrogate
     * or too large. */
    assert_int_equal(count, 30 * 64 + 16 * 64 - 32 - 32 + 5 * 64 - 16 - 48);
}

static void spans_end_where_something_is_wrong(void **state)
{
    char text[64];

    (void)state;
    for (size_t bad = 0; bad < sizeof text; bad++) {
        memset(text, 'a', sizeof text);
        assert_int_equal(utf8_span(text, bad), bad);
        text[bad] = (char)0xff;
        assert_int_equal(utf8_span(text, sizeof text), bad);
    }
    assert_int_equal(utf8_span("12345678\xc3\xbc"
                               "1234567\xc3",
                               18),
                     17);
    assert_true(utf8_is_valid("", 0));
}

/* ---- in pieces ---- */

/* The reference: some text that is UTF-8 begins with these bytes. */
static bool may_go_on(const char *text, size_t length)
{
    size_t good = utf8_span(text, length), rest = length - good;
    char whole[4];

    if (rest == 0)
        return true;
    if (rest > 3)
        return false;
    memset(whole, 0x80, sizeof whole);
    memcpy(whole, text + good, rest);
    for (unsigned second = 0x80; second <= 0xbf; second++) {
        if (rest == 1)
            whole[1] = (char)second;
        for (size_t size = rest + 1; size <= sizeof whole; size++)
            if (utf8_sequence(whole, size) == size)
                return true;
    }
    return false;
}

/* Each cut in two and one by one: refused with just the byte that makes it so. */
static void check_pieces(const char *text, size_t length)
{
    size_t first_bad = 0;
    struct utf8_pieces one = {.length = 0};

    while (first_bad < length && may_go_on(text, first_bad + 1))
        first_bad++;
    for (size_t at = 0; at <= first_bad && at < length; at++)
        assert_int_equal(utf8_put(&one, text + at, 1), at < first_bad);
    for (size_t cut = 0; cut <= length; cut++) {
        struct utf8_pieces two = {.length = 0};
        bool is_good = utf8_put(&two, text, cut);

        assert_int_equal(is_good, cut <= first_bad);
        if (!is_good)
            continue;
        assert_int_equal(utf8_is_complete(&two), utf8_is_valid(text, cut));
        is_good = utf8_put(&two, text + cut, length - cut);
        assert_int_equal(is_good, first_bad == length);
        if (is_good)
            assert_int_equal(utf8_is_complete(&two), utf8_is_valid(text, length));
    }
}

static void pieces_are_refused_as_early_as_can_be(void **state)
{
    static const unsigned char thirds[] = {0x00, 0x7f, 0x80, 0xbf, 0xc0, 0xff};
    char text[24] = "abcdefghijkl";

    (void)state;
    for (unsigned first = 0; first < 256; first++)
        for (unsigned second = 0; second < 256; second++)
            for (unsigned i = 0; i < sizeof thirds; i++) {
                text[9] = (char)first;
                text[10] = (char)second;
                text[11] = (char)thirds[i];
                text[12] = (char)thirds[(first + i) % sizeof thirds];
                check_pieces(text + 8, 6);
                if (i == 2)
                    check_pieces(text, sizeof text);
            }
}

static void the_second_byte_tells(void **state)
{
    static const char *const bad[] = {"\xf4\x90", "\xed\xa0", "\xe0\x9f", "\xf0\x8f",
                                      "\xc0",     "\xc1",     "\xf5",     "\x80",
                                      "\xfe",     "\xff",     "\xc3("};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct utf8_pieces pieces = {.length = 0};

        assert_false(utf8_put(&pieces, bad[i], strlen(bad[i])));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_character_and_no_surrogate),
        cmocka_unit_test(nothing_else),
        cmocka_unit_test(spans_end_where_something_is_wrong),
        cmocka_unit_test(pieces_are_refused_as_early_as_can_be),
        cmocka_unit_test(the_second_byte_tells),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
