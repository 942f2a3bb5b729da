/* test_http_body.c: which bytes a body decoder takes for data, where it finds the end, what it
 * refuses, and that none of this depends on how the bytes were cut into reads. Every buffer is
 * exactly as long as its bytes, so that the sanitizers see a look beyond them. */
#include "http/body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(literal) literal, sizeof(literal) - 1
#define COUNT(array)   (sizeof(array) / sizeof *(array))

static const struct head chunked = {.is_chunked = true};

/* What became of some bytes. */
struct result {
    struct body body;
    enum body_state state;
    size_t used; /* framing and data */
    size_t length;
    char data[256];
};

static const char *state_name(enum body_state state)
{
    static const char *const names[] = {"END", "DATA", "MORE", "BAD", "TOO_LARGE"};

    return names[state];
}

static size_t take_data(struct result *result, const char *data, size_t length)
{
    uint64_t left = body_left(&result->body);
    size_t n = left < length ? (size_t)left : length;

    assert_true(result->length + n <= sizeof result->data);
    memcpy(result->data + result->length, data, n);
    result->length += n;
    result->state = body_took(&result->body, n);
    return n;
}

/* Gives the decoder bytes[used..length) in a buffer of just that size. */
static void feed(struct result *result, const char *bytes, size_t length)
{
    size_t size = length - result->used, at = 0;
    char *copy = malloc(size ? size : 1);

    assert_non_null(copy);
    memcpy(copy, bytes + result->used, size);
    while (result->state == BODY_DATA || result->state == BODY_MORE) {
        size_t framing;
        result->state = body_step(&result->body, copy + at, size - at, &framing);
        at += framing;
        if (result->state == BODY_DATA)
            at += take_data(result, copy + at, size - at);
        if (at == size)
            break;
    }
    result->used += at;
    free(copy);
}

static void begin(struct result *result, const struct head *head, uint64_t max_body)
{
    *result = (struct result){0};
    result->state = body_init(&result->body, head, max_body);
}

struct decoded {
    const char *bytes;
    size_t length;
    enum body_state state;
    const char *data;
    size_t rest; /* bytes that must be left over */
};

static void expect_result(const struct result *result, const struct decoded *expected, size_t split)
{
    bool is_end = expected->state == BODY_END;

    if (result->state != expected->state ||
        (is_end && result->used != expected->length - expected->rest) ||
        result->length != strlen(expected->data) ||
        memcmp(result->data, expected->data, result->length) != 0)
        fail_msg("split at %zu: %s, %zu used, data %.*s for: %.*s", split,
                 state_name(result->state), result->used, (int)result->length, result->data,
                 (int)expected->length, expected->bytes);
}

static void expect_decoded(const struct decoded *expected, uint64_t max_body)
{
    struct result result;

    for (size_t split = 0; split <= expected->length; split++) {
        begin(&result, &chunked, max_body);
        feed(&result, expected->bytes, split);
        feed(&result, expected->bytes, expected->length);
        expect_result(&result, expected, split);
    }
    begin(&result, &chunked, max_body);
    for (size_t n = 1; n <= expected->length; n++)
        feed(&result, expected->bytes, n);
    expect_result(&result, expected, 1);
}

static void expect_all(const struct decoded *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        expect_decoded(&cases[i], 0);
}

static void chunks_are_taken_apart(void **state)
{
    static const struct decoded cases[] = {
        {BYTES("0\r\n\r\n"), BODY_END, "", 0},
        {BYTES("5\r\nhello\r\n0\r\n\r\n"), BODY_END, "hello", 0},
        {BYTES("5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n"), BODY_END, "hello, world", 0},
        {BYTES("1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n"), BODY_END, "abc", 0},
        {BYTES("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n"), BODY_END, "01234567890123456789",
         0},
        {BYTES("10\r\n0123456789abcdef\r\n0\r\n\r\n"), BODY_END, "0123456789abcdef", 0},
        {BYTES("0005\r\nhello\r\n000\r\n\r\n"), BODY_END, "hello", 0},
        {BYTES("00000000000000000000005\r\nhello\r\n0\r\n\r\n"), BODY_END, "hello", 0},
        {BYTES("4\r\n\r\n\r\n\r\n0\r\n\r\n"), BODY_END, "\r\n\r\n", 0},
        {BYTES("5\r\n0\r\n\r\n\r\n0\r\n\r\n"), BODY_END, "0\r\n\r\n", 0},
        {BYTES("0\r\n\r\nGET / HTTP/1.1\r\n"), BODY_END, "", 16},
        {BYTES("1\r\na\r\n0\r\n\r\n0\r\n\r\n"), BODY_END, "a", 5},
        {BYTES("5\r\nhello\r\n0\r\n\r"), BODY_MORE, "hello", 0},
        {BYTES("5\r\nhel"), BODY_DATA, "hel", 0},
        {BYTES("5"), BODY_MORE, "", 0},
        {BYTES(""), BODY_MORE, "", 0},
    };

    (void)state;
    expect_all(cases, COUNT(cases));
}

static void chunk_sizes_are_hexadecimal_digits_only(void **state)
{
    static const struct decoded cases[] = {
        {BYTES("0x5\r\nhello\r\n0\r\n\r\n"), BODY_BAD, "", 0},
        {BYTES("0X5\r\nhello\r\n0\r\n\r\n"), BODY_BAD, "", 0},
        {BYTES("x5\r\n"), BODY_BAD, "", 0},
        {BYTES("+5\r\nhello\r\n0\r\n\r\n"), BODY_BAD, "", 0},
        {BYTES("-5\r\nhello\r\n0\r\n\r\n"), BODY_BAD, "", 0},
        {BYTES("-0\r\n\r\n"), BODY_BAD, "", 0},
        {BYTES(" 5\r\nhello\r\n0\r\n\r\n"), BODY_BAD, "", 0},
        {BYTES("\t5\r\nhello\r\n0\r\n\r\n"), BODY_BAD, "", 0},
        {BYTES("5 \r\nhello\r\n0\r\n\r\n"), BODY_BAD, "", 0},
        {BYTES("5\t\r\nhello\r\n0\r\n\r\n"), BODY_BAD, "", 0},
        {BYTES("5 5\r\nhello\r\n0\r\n\r\n"), BODY_BAD, "", 0},
        {BYTES("\r\n5\r\nhello\r\n0\r\n\r\n"), BODY_BAD, "", 0},
        {BYTES("\r\n\r\n"), BODY_BAD, "", 0},
        {BYTES(";a=b\r\n\r\n"), BODY_BAD, "", 0},
        {BYTES("g\r\n"), BODY_BAD, "", 0},
        {BYTES("5g\r\nhello\r\n"), BODY_BAD, "", 0},
        {BYTES("5_0\r\nhello\r\n"), BODY_BAD, "", 0},
        {BYTES("5,5\r\nhello\r\n"), BODY_BAD, "", 0},
        {BYTES("5.\r\nhello\r\n"), BODY_BAD, "", 0},
        {BYTES("\"5\"\r\nhello\r\n"), BODY_BAD, "", 0},
        {BYTES("5\0\r\nhello\r\n"), BODY_BAD, "", 0},
        {BYTES("\xb2\r\n"), BODY_BAD, "", 0},
        {BYTES("GET / HTTP/1.1\r\n"), BODY_BAD, "", 0},
    };

    (void)state;
    expect_all(cases, COUNT(cases));
}

static void chunk_sizes_do_not_overflow(void **state)
{
    static const struct decoded cases[] = {
        {BYTES("7fffffffffffffff\r\nabc"), BODY_DATA, "abc", 0},
        {BYTES("0007fffffffffffffff\r\nabc"), BODY_DATA, "abc", 0},
        {BYTES("8000000000000000\r\nabc"), BODY_BAD, "", 0},
        {BYTES("ffffffffffffffff\r\nabc"), BODY_BAD, "", 0},
        {BYTES("10000000000000005\r\nhello\r\n0\r\n\r\n"), BODY_BAD, "", 0},
        {BYTES("100000000000000000000000000000005\r\nhello\r\n0\r\n\r\n"), BODY_BAD, "", 0},
        {BYTES("ffffffffffffffffffffffff\r\n"), BODY_BAD, "", 0},
        {BYTES("1\r\na\r\n7fffffffffffffff\r\nb"), BODY_BAD, "a", 0},
        {BYTES("1\r\na\r\n7ffffffffffffffe\r\nb"), BODY_DATA, "ab", 0},
    };

    (void)state;
    expect_all(cases, COUNT(cases));
}

static void framing_ends_in_crlf_and_nothing_else(void **state)
{
    static const struct decoded cases[] = {
        {BYTES("5\nhello\r\n0\r\n\r\n"), BODY_BAD, "", 0},
        {BYTES("5\r\nhello\n0\r\n\r\n"), BODY_BAD, "hello", 0},
        {BYTES("5\r\nhello\r\n0\n\r\n"), BODY_BAD, "hello", 0},
        {BYTES("5\r\nhello\r\n0\r\n\n"), BODY_BAD, "hello", 0},
        {BYTES("5\r\nhello\r\n0\n\n"), BODY_BAD, "hello", 0},
        {BYTES("0\r\n\n"), BODY_BAD, "", 0},
        {BYTES("0\n\r\n"), BODY_BAD, "", 0},
        {BYTES("5\rhello\r\n0\r\n\r\n"), BODY_BAD, "", 0},
        {BYTES("5\r\r\nhello\r\n"), BODY_BAD, "", 0},
        {BYTES("5\n\rhello\r\n"), BODY_BAD, "", 0},
        {BYTES("5\r\nhelloXX0\r\n\r\n"), BODY_BAD, "hello", 0},
        {BYTES("5\r\nhello\rX0\r\n\r\n"), BODY_BAD, "hello", 0},
        {BYTES("5\r\nhello\r\r\n0\r\n\r\n"), BODY_BAD, "hello", 0},
        {BYTES("5\r\nhello0\r\n\r\n"), BODY_BAD, "hello", 0},
        {BYTES("5\r\nhello!\r\n0\r\n\r\n"), BODY_BAD, "hello", 0},
        {BYTES("6\r\nhello\r\n0\r\n\r\n"), BODY_BAD, "hello\r", 0},
        {BYTES("5\r\nhello\r\n\r\n0\r\n\r\n"), BODY_BAD, "hello", 0},
        {BYTES("0\r\n\rX"), BODY_BAD, "", 0},
        {BYTES("0\r\r\n\r\n"), BODY_BAD, "", 0},
    };

    (void)state;
    expect_all(cases, COUNT(cases));
}

#define REST "\r\n1\r\na\r\n0\r\n\r\n"

static void extensions_are_checked_and_dropped(void **state)
{
    static const struct decoded good[] = {
        {BYTES("1;a\r\na\r\n0;b\r\n\r\n"), BODY_END, "a", 0},
        {BYTES("1;a=b"
               "\r\na\r\n0\r\n\r\n"),
         BODY_END, "a", 0},
        {BYTES("1;a=b;c;d=e"
               "\r\na\r\n0\r\n\r\n"),
         BODY_END, "a", 0},
        {BYTES("1 ; a = b ; c"
               "\r\na\r\n0\r\n\r\n"),
         BODY_END, "a", 0},
        {BYTES("1\t;\ta\t=\tb\t;c"
               "\r\na\r\n0\r\n\r\n"),
         BODY_END, "a", 0},
        {BYTES("1;a=\"b;\\\"\\\\ \t\xff\""
               "\r\na\r\n0\r\n\r\n"),
         BODY_END, "a", 0},
        {BYTES("1;a=\"\""
               "\r\na\r\n0\r\n\r\n"),
         BODY_END, "a", 0},
        {BYTES("1;a=\"b\";c"
               "\r\na\r\n0\r\n\r\n"),
         BODY_END, "a", 0},
        {BYTES("1;a=\"b\" ;c"
               "\r\na\r\n0\r\n\r\n"),
         BODY_END, "a", 0},
        {BYTES("1;a ;b"
               "\r\na\r\n0\r\n\r\n"),
         BODY_END, "a", 0},
    };
    static const struct decoded bad[] = {
        {BYTES("1;" REST), BODY_BAD, "", 0},
        {BYTES("1;;a" REST), BODY_BAD, "", 0},
        {BYTES("1;=b" REST), BODY_BAD, "", 0},
        {BYTES("1;a=" REST), BODY_BAD, "", 0},
        {BYTES("1;a=;b" REST), BODY_BAD, "", 0},
        {BYTES("1;a==b" REST), BODY_BAD, "", 0},
        {BYTES("1;a=b=c" REST), BODY_BAD, "", 0},
        {BYTES("1;a b" REST), BODY_BAD, "", 0},
        {BYTES("1;a=b c" REST), BODY_BAD, "", 0},
        {BYTES("1;a " REST), BODY_BAD, "", 0},
        {BYTES("1;a=b " REST), BODY_BAD, "", 0},
        {BYTES("1 ;" REST), BODY_BAD, "", 0},
        {BYTES("1 a" REST), BODY_BAD, "", 0},
        {BYTES("1;a\n" REST), BODY_BAD, "", 0},
        {BYTES("1;a\rb" REST), BODY_BAD, "", 0},
        {BYTES("1;a=b\nX" REST), BODY_BAD, "", 0},
        {BYTES("1;\n" REST), BODY_BAD, "", 0},
        {BYTES("1;a=\"b\n\"" REST), BODY_BAD, "", 0},
        {BYTES("1;a=\"b\r\n\"" REST), BODY_BAD, "", 0},
        {BYTES("1;a=\"b\\\n\"" REST), BODY_BAD, "", 0},
        {BYTES("1;a=\"b\0\"" REST), BODY_BAD, "", 0},
        {BYTES("1;a=\"b" REST), BODY_BAD, "", 0},
        {BYTES("1;a=\"b\"c" REST), BODY_BAD, "", 0},
        {BYTES("1;a\xff" REST), BODY_BAD, "", 0},
        {BYTES("1;a\x7f" REST), BODY_BAD, "", 0},
    };

    (void)state;
    expect_all(good, COUNT(good));
    expect_all(bad, COUNT(bad));
}

static void trailers_are_checked_and_dropped(void **state)
{
    static const struct decoded cases[] = {
        {BYTES("0\r\nA: b\r\n\r\n"), BODY_END, "", 0},
        {BYTES("0\r\nA:b\r\nC:\t\xff d\r\nE:\r\n\r\nGET"), BODY_END, "", 3},
        {BYTES("0\r\nContent-Length: 5\r\n\r\nhello"), BODY_END, "", 5},
        {BYTES("0\r\nA: b\n\r\n"), BODY_BAD, "", 0},
        {BYTES("0\r\nA: b\r\n\n"), BODY_BAD, "", 0},
        {BYTES("0\r\nA: b\rC: d\r\n\r\n"), BODY_BAD, "", 0},
        {BYTES("0\r\nA\r\n\r\n"), BODY_BAD, "", 0},
        {BYTES("0\r\nA b\r\n\r\n"), BODY_BAD, "", 0},
        {BYTES("0\r\nA : b\r\n\r\n"), BODY_BAD, "", 0},
        {BYTES("0\r\n: b\r\n\r\n"), BODY_BAD, "", 0},
        {BYTES("0\r\n A: b\r\n\r\n"), BODY_BAD, "", 0},
        {BYTES("0\r\nA: b\r\n c\r\n\r\n"), BODY_BAD, "", 0},
        {BYTES("0\r\nA: b\0\r\n\r\n"), BODY_BAD, "", 0},
        {BYTES("0\r\nGET / HTTP/1.1\r\n\r\n"), BODY_BAD, "", 0},
    };

    (void)state;
    expect_all(cases, COUNT(cases));
}

/* ---- limits ---- */

static void a_chunk_past_max_body_is_refused_before_its_data(void **state)
{
    static const struct decoded at_limit = {BYTES("5\r\nhello\r\n5\r\nhello\r\n0\r\n\r\n"),
                                            BODY_END, "hellohello", 0};
    static const struct decoded past_it = {BYTES("5\r\nhello\r\n6\r\nhello!\r\n0\r\n\r\n"),
                                           BODY_TOO_LARGE, "hello", 0};
    static const struct decoded huge = {BYTES("5\r\nhello\r\n7fffffffffffffff\r\n"), BODY_TOO_LARGE,
                                        "hello", 0};

    (void)state;
    expect_decoded(&at_limit, 10);
    expect_decoded(&past_it, 10);
    expect_decoded(&huge, 10);
}

/* `count` times the text; the verdict on all of it, or on as much as was taken. */
static enum body_state repeated(struct body *body, const char *text, unsigned count)
{
    enum body_state state = BODY_MORE;
    size_t length = strlen(text), framing;

    while (count-- && (state == BODY_MORE || state == BODY_DATA)) {
        for (size_t at = 0; at < length;) {
            state = body_step(body, text + at, length - at, &framing);
            at += framing;
            if (state == BODY_DATA) {
                uint64_t n = body_left(body);
                assert_true(n <= length - at);
                at += n;
                state = body_took(body, n);
            } else {
                break;
            }
        }
    }
    return state;
}

static enum body_state endless(const char *first, const char *text)
{
    struct body body;

    body_init(&body, &chunked, 0);
    repeated(&body, first, 1);
    return repeated(&body, text, 100000);
}

static void absurdly_much_framing_is_refused(void **state)
{
    (void)state;
    assert_int_equal(endless("", "0"), BODY_BAD);
    assert_int_equal(endless("1;", "a"), BODY_BAD);
    assert_int_equal(endless("1", ";a=b"), BODY_BAD);
    assert_int_equal(endless("1;a=\"", "b"), BODY_BAD);
    assert_int_equal(endless("0\r\n", "A: b\r\n"), BODY_BAD);
    assert_int_equal(endless("0\r\nA:", "b"), BODY_BAD);
    assert_int_equal(endless("", "1;abcdefgh\r\nx\r\n"), BODY_BAD);
    assert_int_equal(endless("", "0000000001\r\nx\r\n"), BODY_BAD);
}

/* An AWS-style signature on every 8 KiB, and chunks of one byte: wasteful, but in use. */
static void framing_that_data_outweighs_goes_on_for_ever(void **state)
{
    char *chunk = malloc(8192 + 128);

    (void)state;
    assert_non_null(chunk);
    int begin_length = sprintf(chunk, "2000;chunk-signature=%064d\r\n", 0);
    memset(chunk + begin_length, 'x', 8192);
    strcpy(chunk + begin_length + 8192, "\r\n");
    assert_int_equal(endless("", chunk), BODY_MORE);
    assert_int_equal(endless("", "1\r\nx\r\n"), BODY_MORE);
    free(chunk);
}

/* ---- Content-Length ---- */

static void a_declared_length_is_counted_down(void **state)
{
    static const struct head head = {.has_length = true, .content_length = 5};
    struct result result;

    (void)state;
    for (size_t split = 0; split <= 8; split++) {
        begin(&result, &head, 0);
        assert_int_equal(result.state, BODY_DATA);
        feed(&result, "helloGET", split);
        feed(&result, "helloGET", 8);
        assert_int_equal(result.state, BODY_END);
        assert_int_equal(result.used, 5);
        assert_memory_equal(result.data, "hello", 5);
    }
}

static void a_declared_length_past_max_body_is_refused_at_once(void **state)
{
    static const struct head head = {.has_length = true, .content_length = 5};
    static const struct head huge = {.has_length = true, .content_length = UINT64_MAX};
    struct body body;
    size_t framing;

    (void)state;
    assert_int_equal(body_init(&body, &head, 5), BODY_DATA);
    assert_int_equal(body_init(&body, &head, 4), BODY_TOO_LARGE);
    assert_int_equal(body_step(&body, "hello", 5, &framing), BODY_TOO_LARGE);
    assert_int_equal(framing, 0);
    assert_int_equal(body_init(&body, &huge, UINT64_MAX - 1), BODY_TOO_LARGE);
    assert_int_equal(body_init(&body, &huge, 0), BODY_DATA);
    assert_true(body_left(&body) == UINT64_MAX);
}

static void without_length_and_coding_there_is_no_body(void **state)
{
    static const struct head none, empty = {.has_length = true};
    struct body body;
    size_t framing;

    (void)state;
    assert_int_equal(body_init(&body, &none, 0), BODY_END);
    assert_int_equal(body_init(&body, &empty, 1), BODY_END);
    assert_int_equal(body_step(&body, "GET", 3, &framing), BODY_END);
    assert_int_equal(framing, 0);
}

static void verdicts_are_final(void **state)
{
    struct body body;
    size_t framing;

    (void)state;
    body_init(&body, &chunked, 0);
    assert_int_equal(body_step(&body, "x", 1, &framing), BODY_BAD);
    assert_int_equal(body_step(&body, "5\r\n", 3, &framing), BODY_BAD);
    assert_int_equal(framing, 0);
    body_init(&body, &chunked, 0);
    assert_int_equal(body_step(&body, "0\r\n\r\n", 5, &framing), BODY_END);
    assert_int_equal(body_step(&body, "5\r\n", 3, &framing), BODY_END);
    assert_int_equal(framing, 0);
}

static void data_is_never_skipped(void **state)
{
    struct body body;
    size_t framing;

    (void)state;
    body_init(&body, &chunked, 0);
    assert_int_equal(body_step(&body, "5\r\nhello", 8, &framing), BODY_DATA);
    assert_int_equal(framing, 3);
    assert_int_equal(body_step(&body, "hello", 5, &framing), BODY_DATA);
    assert_int_equal(framing, 0);
    assert_int_equal(body_took(&body, 2), BODY_DATA);
    assert_int_equal(body_left(&body), 3);
    assert_int_equal(body_took(&body, 0), BODY_DATA);
    assert_int_equal(body_took(&body, 3), BODY_MORE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_are_taken_apart),
        cmocka_unit_test(chunk_sizes_are_hexadecimal_digits_only),
        cmocka_unit_test(chunk_sizes_do_not_overflow),
        cmocka_unit_test(framing_ends_in_crlf_and_nothing_else),
        cmocka_unit_test(extensions_are_checked_and_dropped),
        cmocka_unit_test(trailers_are_checked_and_dropped),
        cmocka_unit_test(a_chunk_past_max_body_is_refused_before_its_data),
        cmocka_unit_test(absurdly_much_framing_is_refused),
        cmocka_unit_test(framing_that_data_outweighs_goes_on_for_ever),
        cmocka_unit_test(a_declared_length_is_counted_down),
        cmocka_unit_test(a_declared_length_past_max_body_is_refused_at_once),
        cmocka_unit_test(without_length_and_coding_there_is_no_body),
        cmocka_unit_test(verdicts_are_final),
        cmocka_unit_test(data_is_never_skipped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
