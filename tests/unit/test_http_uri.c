/* test_http_uri.c: decoding happens once and refuses what is ambiguous; targets and authorities are
 * those of RFC 3986. Every buffer is exactly as long as it must be. */
#include "http/uri.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(literal) literal, sizeof(literal) - 1
#define COUNT(array)   (sizeof(array) / sizeof *(array))

struct decoding {
    const char *raw;
    size_t length;
    const char *decoded; /* NULL: refused */
    size_t decoded_length;
};

typedef ssize_t decoder(const char *raw, size_t length, char *out);

static char *copy_of(const char *bytes, size_t length, size_t more)
{
    char *copy = malloc(length + more ? length + more : 1);

    assert_non_null(copy);
    memcpy(copy, bytes, length);
    return copy;
}

static void expect_text(const struct decoding *expected, ssize_t length, const char *text)
{
    ssize_t wanted = expected->decoded ? (ssize_t)expected->decoded_length : -1;

    if (length != wanted)
        fail_msg("%zd and not %zd for: %s", length, wanted, expected->raw);
    if (wanted >= 0)
        assert_memory_equal(text, expected->decoded, expected->decoded_length + 1);
}

/* Into a buffer of its own, and in place. */
static void expect_decoding(decoder *decode, const struct decoding *expected)
{
    char *raw = copy_of(expected->raw, expected->length, 0);
    char *out = copy_of(expected->raw, expected->length, 1);

    expect_text(expected, decode(raw, expected->length, out), out);
    memcpy(out, raw, expected->length);
    expect_text(expected, decode(out, expected->length, out), out);
    free(raw);
    free(out);
}

static void paths_are_decoded_once(void **state)
{
    static const struct decoding cases[] = {
        {BYTES("/"), BYTES("/")},
        {BYTES("/a/b"), BYTES("/a/b")},
        {BYTES("/a//b/"), BYTES("/a//b/")},
        {BYTES("/%41%62%2F%2f"), BYTES("/Ab//")},
        {BYTES("/%20+%2B"), BYTES("/ ++")},
        {BYTES("/%252e%252e/"), BYTES("/%2e%2e/")},
        {BYTES("/%C3%A4%ff"), BYTES("/\xc3\xa4\xff")},
        {BYTES("/%25"), BYTES("/%")},
        {BYTES("/..."), BYTES("/...")},
        {BYTES("/.a/b./..c/d../a.b"), BYTES("/.a/b./..c/d../a.b")},
        {BYTES("/.well-known/x"), BYTES("/.well-known/x")},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        expect_decoding(uri_decode_path, &cases[i]);
}

static void ambiguous_paths_are_refused(void **state)
{
    static const struct decoding cases[] = {
        {BYTES(""), NULL, 0},
        {BYTES("a"), NULL, 0},
        {BYTES("*"), NULL, 0},
        {BYTES("%2Fa"), NULL, 0},
        {BYTES("/%"), NULL, 0},
        {BYTES("/%4"), NULL, 0},
        {BYTES("/%4g"), NULL, 0},
        {BYTES("/%g4"), NULL, 0},
        {BYTES("/%%41"), NULL, 0},
        {BYTES("/%u0041"), NULL, 0},
        {BYTES("/%00"), NULL, 0},
        {BYTES("/a%00b"), NULL, 0},
        {BYTES("/a\0b"), NULL, 0},
        {BYTES("/%0d%0a"), NULL, 0},
        {BYTES("/%09"), NULL, 0},
        {BYTES("/%1f"), NULL, 0},
        {BYTES("/%7F"), NULL, 0},
        {BYTES("/."), NULL, 0},
        {BYTES("/./"), NULL, 0},
        {BYTES("/.."), NULL, 0},
        {BYTES("/../"), NULL, 0},
        {BYTES("/../a"), NULL, 0},
        {BYTES("/a/.."), NULL, 0},
        {BYTES("/a/../b"), NULL, 0},
        {BYTES("/a/./b"), NULL, 0},
        {BYTES("/a//../b"), NULL, 0},
        {BYTES("/%2e"), NULL, 0},
        {BYTES("/%2e%2E"), NULL, 0},
        {BYTES("/.%2e/a"), NULL, 0},
        {BYTES("/%2e./a"), NULL, 0},
        {BYTES("/a%2f..%2fb"), NULL, 0},
        {BYTES("/a%2f%2e%2e"), NULL, 0},
        {BYTES("/..%2fa"), NULL, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        expect_decoding(uri_decode_path, &cases[i]);
}

static void components_are_decoded_with_plus_as_space(void **state)
{
    static const struct decoding cases[] = {
        {BYTES(""), BYTES("")},
        {BYTES("a+b%20c%2Bd"), BYTES("a b c+d")},
        {BYTES("%0d%0a%09..%2f"), BYTES("\r\n\t../")},
        {BYTES("%C3%A4"), BYTES("\xc3\xa4")},
        {BYTES("%2525"), BYTES("%25")},
        {BYTES("%"), NULL, 0},
        {BYTES("a%4"), NULL, 0},
        {BYTES("%zz"), NULL, 0},
        {BYTES("%00"), NULL, 0},
        {BYTES("a\0"), NULL, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        expect_decoding(uri_decode_component, &cases[i]);
}

typedef bool checker(const char *raw, size_t length);

static bool check_copy(checker *check, const char *bytes, size_t length)
{
    char *copy = copy_of(bytes, length, 0);
    bool result = check(copy, length);

    free(copy);
    return result;
}

static void targets_hold_the_bytes_of_rfc_3986(void **state)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                  "-._~!$&'()*+,;=:@/?";

    (void)state;
    for (int c = 0; c < 256; c++) {
        char text[] = {'/', (char)c};
        bool is_allowed = c && strchr(allowed, c);
        if (check_copy(uri_is_target, text, 2) != is_allowed)
            fail_msg("byte %d", c);
    }
    assert_true(check_copy(uri_is_target, BYTES("/a%20b%fF?%00")));
    assert_false(check_copy(uri_is_target, BYTES("/a%")));
    assert_false(check_copy(uri_is_target, BYTES("/a%2")));
    assert_false(check_copy(uri_is_target, BYTES("/a%2g")));
    assert_false(check_copy(uri_is_target, BYTES("/a%%20")));
    assert_false(check_copy(uri_is_target, BYTES("/a%20%")));
}

static void authorities_are_a_host_and_at_most_a_port(void **state)
{
    static const char *const good[] = {
        "a",
        "example.org",
        "example.org.",
        "EXAMPLE.org:80",
        "example.org:",
        "a:0",
        "a:65535",
        "a:00080",
        "127.0.0.1:8080",
        "1.2.3.4.5",
        "a_b-c~d!$&'()*+,;=",
        "%41%c3%a4",
        "xn--bcher-kva.example",
        "[::]",
        "[::1]:8080",
        "[2001:DB8::7]:",
        "[::ffff:127.0.0.1]",
        "[1:2:3:4:5:6:7:8]",
        "[v1.a:b]",
        "[vFf.a]:1",
    };
    static const char *const bad[] = {
        "",
        ":",
        ":80",
        "a:b",
        "a:80a",
        "a:-1",
        "a:+1",
        "a: 80",
        "a:80:90",
        "a::80",
        "a:65536",
        "a:99999999999999999999",
        "a b",
        " a",
        "a ",
        "u@a",
        "u:p@a",
        "a/",
        "a/b",
        "a?b",
        "a#b",
        "http://a",
        "a\\b",
        "a\"b",
        "<a>",
        "a%",
        "a%4",
        "a%zz",
        "a\x80",
        "\xc3\xa4.example",
        "a\x7f",
        "a\t",
        "[",
        "]",
        "[]",
        "[]:80",
        "[::1",
        "::1",
        "::1]",
        "[::1]a",
        "[::1]80",
        "[::1]:a",
        "[::1]]",
        "[[::1]]",
        "[1:2:3]",
        "[1:2:3:4:5:6:7:8:9]",
        "[::g]",
        "[127.0.0.1]",
        "[a]",
        "[::1%25eth0]",
        "[::1%eth0]",
        "[ ::1]",
        "[v]",
        "[v.]",
        "[v.a]",
        "[v1:a]",
        "[v1]",
        "[v1.]",
        "[v1.a/b]",
        "[vx.a]",
        "[0000:0000:0000:0000:0000:ffff:0255.255.255.255]", /* 46 bytes inside */
        "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]",
        "a[::1]",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++)
        if (!check_copy(uri_is_authority, good[i], strlen(good[i])))
            fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < COUNT(bad); i++)
        if (check_copy(uri_is_authority, bad[i], strlen(bad[i])))
            fail_msg("accepted: %s", bad[i]);
    assert_false(check_copy(uri_is_authority, BYTES("a\0b")));
    assert_false(check_copy(uri_is_authority, BYTES("[::1\0]")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_decoded_once),
        cmocka_unit_test(ambiguous_paths_are_refused),
        cmocka_unit_test(components_are_decoded_with_plus_as_space),
        cmocka_unit_test(targets_hold_the_bytes_of_rfc_3986),
        cmocka_unit_test(authorities_are_a_host_and_at_most_a_port),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
