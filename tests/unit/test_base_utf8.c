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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_character_and_no_surrogate),
        cmocka_unit_test(nothing_else),
        cmocka_unit_test(spans_end_where_something_is_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
