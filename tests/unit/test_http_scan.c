/* test_http_scan.c: request lines and line ends, what is refused before a head is complete and what
 * is waited for, and the limits. */
#include "head_case.h"

/* ---- the request line ---- */

static void request_lines_are_exactly_of_the_grammar(void **state)
{
    static const struct verdict cases[] = {
        {REQUEST_LINE("GET / HTTP/1.1"), 200},
        {REQUEST_LINE("GET / HTTP/1.0"), 200},
        {REQUEST_LINE("GET / HTTP/1.2"), 200},
        {REQUEST_LINE("GET / HTTP/1.9"), 200},
        {REQUEST_LINE("GET  / HTTP/1.1"), 400},
        {REQUEST_LINE("GET /  HTTP/1.1"), 400},
        {REQUEST_LINE("GET / HTTP/1.1 "), 400},
        {REQUEST_LINE(" GET / HTTP/1.1"), 400},
        {REQUEST_LINE("GET\t/ HTTP/1.1"), 400},
        {REQUEST_LINE("GET /\tHTTP/1.1"), 400},
        {REQUEST_LINE("GET / HTTP/1.1\t"), 400},
        {REQUEST_LINE("GET /a b HTTP/1.1"), 400},
        {REQUEST_LINE("GET HTTP/1.1"), 400},
        {REQUEST_LINE("GET  HTTP/1.1"), 400},
        {REQUEST_LINE("GET /"), 400},
        {REQUEST_LINE("GET / "), 400},
        {REQUEST_LINE("GET"), 400},
        {REQUEST_LINE("GET "), 400},
        {REQUEST_LINE("/ HTTP/1.1"), 400},
        {REQUEST_LINE("GET / HTTP/1"), 400},
        {REQUEST_LINE("GET / HTTP/1."), 400},
        {REQUEST_LINE("GET / HTTP/.1"), 400},
        {REQUEST_LINE("GET / HTTP/11.1"), 400},
        {REQUEST_LINE("GET / HTTP/1.10"), 400},
        {REQUEST_LINE("GET / HTTP/1.1.1"), 400},
        {REQUEST_LINE("GET / HTTP/1,1"), 400},
        {REQUEST_LINE("GET / HTTP/a.b"), 400},
        {REQUEST_LINE("GET / HTTP/a.1"), 400},
        {REQUEST_LINE("GET / HTTP/2.b"), 400},
        {REQUEST_LINE("GET / http/1.1"), 400},
        {REQUEST_LINE("GET / Http/1.1"), 400},
        {REQUEST_LINE("GET / HTTP 1.1"), 400},
        {REQUEST_LINE("GET / HTTPS/1.1"), 400},
        {REQUEST_LINE("GET / XTTP/1.1"), 400},
        {REQUEST_LINE("SOURCE / ICE/1.0"), 400},
        {REQUEST_LINE("GET / RTSP/1.0"), 400},
        {REQUEST_LINE("GET / HTTP/1.1\0"), 400},
        {REQUEST_LINE("GE\0T / HTTP/1.1"), 400},
        {REQUEST_LINE("GET /\x7f HTTP/1.1"), 400},
        {REQUEST_LINE("G\x80T / HTTP/1.1"), 400},
        {REQUEST_LINE("G\"T / HTTP/1.1"), 400},
        {REQUEST_LINE("GET: / HTTP/1.1"), 400},
        {REQUEST_LINE("G(E)T / HTTP/1.1"), 400},
    };

    (void)state;
    expect_verdicts(cases, COUNT(cases));
}

static void other_major_versions_are_505(void **state)
{
    static const struct verdict cases[] = {
        {BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505},
        {REQUEST_LINE("GET / HTTP/2.0"), 505},
        {REQUEST_LINE("GET / HTTP/0.9"), 505},
        {REQUEST_LINE("GET / HTTP/0.0"), 505},
        {REQUEST_LINE("GET / HTTP/3.0"), 505},
        {REQUEST_LINE("GET / HTTP/9.9"), 505},
        {REQUEST_LINE("NONE / HTTP/2.1"), 505},
        {REQUEST_LINE("GET /| HTTP/2.0"), 400},
    };

    (void)state;
    expect_verdicts(cases, COUNT(cases));
}

static void later_minor_versions_count_as_1(void **state)
{
    struct result result;
    take_split(&result, BYTES("GET / HTTP/1.9\r\nHost: a\r\n\r\n"), 0);

    (void)state;
    assert_int_equal(result.head.minor, 1);
    free(result.data);
}

static void lines_end_in_crlf_and_nothing_else(void **state)
{
    static const struct verdict cases[] = {
        {BYTES("GET / HTTP/1.1\nHost: a\r\n\r\n"), 400},
        {BYTES("GET / HTTP/1.1\r\nHost: a\n\r\n"), 400},
        {BYTES("GET / HTTP/1.1\r\nHost: a\r\n\n"), 400},
        {BYTES("GET / HTTP/1.1\nHost: a\n\n"), 400},
        {BYTES("GET / HTTP/1.1\rHost: a\r\n\r\n"), 400},
        {BYTES("GET / HTTP/1.1\r\nHost: a\r\rX: b\r\n\r\n"), 400},
        {BYTES("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n"), 400},
        {BYTES("GET / HTTP/1.1\r\r\nHost: a\r\n\r\n"), 400},
        {BYTES("GET / HTTP/1.1\r\nHost: a\r\n\r\r\n"), 400},
        {BYTES("GET / HTTP/1.1\r\nHost: a\r\n\rX"), 400},
        {BYTES("GET / HTTP/1.1\r\nHost: a\rContent-Length: 5\r\n\r\n"), 400},
        {BYTES("GET / HTTP/1.1\r\nX: a\nContent-Length: 5\r\nHost: a\r\n\r\n"), 400},
        {BYTES("GET\r\n / HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    };

    (void)state;
    expect_verdicts(cases, COUNT(cases));
}

static void a_few_empty_lines_before_it_are_skipped(void **state)
{
#define TWO "\r\n\r\n"
    static const struct verdict cases[] = {
        {BYTES("\r\n" LINE_1_1 HOST "\r\n"), 200},
        {BYTES(TWO TWO TWO TWO LINE_1_1 HOST "\r\n"), 200},
        {BYTES(TWO TWO TWO TWO "\r\n" LINE_1_1 HOST "\r\n"), 400},
        {BYTES("\n" LINE_1_1 HOST "\r\n"), 400},
        {BYTES("\r" LINE_1_1 HOST "\r\n"), 400},
        {BYTES("\r\n\n" LINE_1_1 HOST "\r\n"), 400},
        {BYTES("\r\n " LINE_1_1 HOST "\r\n"), 400},
        {BYTES(TWO TWO TWO TWO), 0},
        {BYTES("\r\n\r"), 0},
    };
#undef TWO

    (void)state;
    expect_verdicts(cases, COUNT(cases));
}

static void rubbish_is_refused_as_soon_as_no_byte_could_mend_it(void **state)
{
    static const struct verdict cases[] = {
        {BYTES("\x16"), 400}, /* a TLS ClientHello */
        {BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), 400},
        {BYTES("\x80\x2e\x01"), 400}, /* SSL 2's */
        {BYTES("\x00"), 400},
        {BYTES("\x03\x00\x00\x13\x0e"), 400}, /* RDP */
        {BYTES(" "), 400},
        {BYTES("\n"), 400},
        {BYTES("\rG"), 400},
        {BYTES("{\"a\":1}"), 400},
        {BYTES("GET\x01"), 400},
        {BYTES("GET /\x01"), 400},
        {BYTES("GET /\n"), 400},
        {BYTES("GET / HTTP/1.1\n"), 400},
        {BYTES("SSH-2.0-OpenSSH_9.2p1\r\n"), 400},
        {BYTES("EHLO example.org\r\n"), 400},
        {BYTES("hello\r\n"), 400},
        {BYTES("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG"), 501},
        {BYTES(LINE_1_1 " "), 400},
        {BYTES(LINE_1_1 "X: \x01"), 400},
        {BYTES(LINE_1_1 "\n"), 400},
        {BYTES("GET / HTTP/2.0\r\n"), 505},
        {BYTES("GET /<b> HTTP/1.1\r\n"), 400},
    };

    (void)state;
    expect_verdicts(cases, COUNT(cases));
}

static void what_may_yet_become_a_head_is_waited_for(void **state)
{
    static const char head[] = "\r\nGET / HTTP/1.1\r\nHost: a\r\nX:\tb\r\n\r\n";

    (void)state;
    for (size_t n = 0; n < sizeof head - 1; n++)
        expect_status(head, n, 0);
    expect_status(BYTES(head), 200);
}

/* ---- limits ---- */

/* Prefix, n bytes of filling, suffix. The caller frees it. */
static char *filled(const char *prefix, size_t n, const char *suffix, size_t *size_out)
{
    size_t before = strlen(prefix), after = strlen(suffix);
    char *text = malloc(before + n + after);

    assert_non_null(text);
    memcpy(text, prefix, before);
    memset(text + before, 'a', n);
    memcpy(text + before + n, suffix, after);
    *size_out = before + n + after;
    return text;
}

static int status_under(const struct head_limits *under, const char *text, size_t size, size_t step)
{
    struct head_scan scan = {0};
    int status = 0;

    for (size_t n = step; !status; n += step) {
        size_t here = n < size ? n : size;
        char *copy = copy_of(text, here);
        status = head_scan(&scan, copy, here, under);
        free(copy);
        if (here == size)
            break;
    }
    return status;
}

static void expect_filled(const struct head_limits *under, const char *prefix, size_t n,
                          const char *suffix, int status)
{
    size_t size;
    char *text = filled(prefix, n, suffix, &size);

    assert_int_equal(status_under(under, text, size, size), status);
    assert_int_equal(status_under(under, text, size, 1), status);
    assert_int_equal(status_under(under, text, size, 7), status);
    free(text);
}

static void a_target_too_long_is_414_as_soon_as_that_is_known(void **state)
{
    static const struct head_limits under = {4096, 100, 10};
    static const char end[] = " HTTP/1.1\r\nHost: a\r\n\r\n";

    (void)state;
    expect_filled(&under, "GET /", 99, end, 200);
    expect_filled(&under, "GET /", 100, end, 414);
    expect_filled(&under, "OPTIONS /", 99, end, 200);
    expect_filled(&under, "OPTIONS /", 100, end, 414);
    expect_filled(&under, "GET /", 108, "", 0);
    expect_filled(&under, "GET /", 109, "", 414); /* no version fits behind it any more */
    expect_filled(&under, "GET /", 5000, end, 414);
    expect_filled(&under, "GET /", 200, "\x01", 414);
    expect_filled(&under, "GET /", 50, "\x01", 400);
    expect_filled(&under, "GET http://", 93, end, 200);
    expect_filled(&under, "GET http://", 94, end, 414);
}

static void a_head_too_large_is_431_as_soon_as_that_is_known(void **state)
{
    static const struct head_limits under = {200, 1000, 10};
    /* 16 bytes of request line, 9 of Host, 3 before the filling, 2 and 2 behind it */
    static const char begin[] = LINE_1_1 HOST "X: ";

    (void)state;
    expect_filled(&under, begin, 168, "\r\n\r\n", 200);
    expect_filled(&under, begin, 169, "\r\n\r\n", 431);
    expect_filled(&under, begin, 170, "\r\n", 431);
    expect_filled(&under, begin, 171, "", 0);
    expect_filled(&under, begin, 172, "", 431);
    expect_filled(&under, begin, 5000, "", 431);
    expect_filled(&under, "GET /", 194, "", 0);
    expect_filled(&under, "GET /", 195, "", 414); /* of which no header is guilty */
}

static void a_header_too_many_is_431_with_its_first_byte(void **state)
{
    static const struct head_limits under = {8192, 1000, 3}, none = {8192, 1000, 0};
    static const char three[] = LINE_1_1 "Host: a\r\nA: b\r\nC: d\r\n";

    (void)state;
    expect_filled(&under, three, 0, "\r\n", 200);
    expect_filled(&under, three, 0, "\r", 0);
    expect_filled(&under, three, 0, "E", 431);
    expect_filled(&under, three, 0, "E: f\r\n\r\n", 431);
    expect_filled(&under, three, 0, " E: f\r\n\r\n", 400);
    expect_filled(&none, "GET / HTTP/1.0\r\n\r\n", 0, "", 200);
    expect_filled(&none, LINE_1_1 HOST "\r\n", 0, "", 431);
}

static void a_head_of_a_mebibyte_is_parsed_when_limits_allow(void **state)
{
    static const struct head_limits under = {1 << 20, 1 << 19, 10};
    struct head_field fields[10];
    struct head_scan scan = {0};
    struct head head;
    size_t target_size, size;
    char *target = filled("GET /", (1 << 19) - 2, " HTTP/1.1\r\nHost: a\r\nX: %", &target_size);

    (void)state;
    target[target_size - 1] = '\0';
    char *text = filled(target, (1 << 20) - target_size + 1 - 4, "\r\n\r\n", &size);
    assert_int_equal(size, 1 << 20);
    assert_int_equal(head_scan(&scan, text, size, &under), 200);
    assert_int_equal(head_parse(&head, &scan, text, fields, &under), 0);
    assert_int_equal(head.target.length, (1 << 19) - 1);
    assert_int_equal(head.field_count, 2);
    free(target);
    free(text);
}

/* ---- all of it, with one byte changed ---- */

static void no_change_of_a_byte_makes_the_verdict_depend_on_reads(void **state)
{
    static const char text[] =
        "\r\nPUT /a?%20 HTTP/1.1\r\nHost: [::1]:80\r\nTransfer-Encoding: chunked"
        "\r\nConnection: upgrade\r\nUpgrade: x\r\nX:\t\xff\r\n\r\n";
    char changed[sizeof text];

    (void)state;
    for (size_t at = 0; at < sizeof text - 1; at++) {
        for (int c = 0; c < 256; c++) {
            memcpy(changed, text, sizeof text);
            changed[at] = (char)c;
            int whole = status_of_split(changed, sizeof text - 1, 0);
            assert_int_equal(status_of_split(changed, sizeof text - 1, at), whole);
            assert_int_equal(status_of_split(changed, sizeof text - 1, at + 1), whole);
            assert_int_equal(status_of_single_bytes(changed, sizeof text - 1), whole);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_lines_are_exactly_of_the_grammar),
        cmocka_unit_test(other_major_versions_are_505),
        cmocka_unit_test(later_minor_versions_count_as_1),
        cmocka_unit_test(lines_end_in_crlf_and_nothing_else),
        cmocka_unit_test(a_few_empty_lines_before_it_are_skipped),
        cmocka_unit_test(rubbish_is_refused_as_soon_as_no_byte_could_mend_it),
        cmocka_unit_test(what_may_yet_become_a_head_is_waited_for),
        cmocka_unit_test(a_target_too_long_is_414_as_soon_as_that_is_known),
        cmocka_unit_test(a_head_too_large_is_431_as_soon_as_that_is_known),
        cmocka_unit_test(a_header_too_many_is_431_with_its_first_byte),
        cmocka_unit_test(a_head_of_a_mebibyte_is_parsed_when_limits_allow),
        cmocka_unit_test(no_change_of_a_byte_makes_the_verdict_depend_on_reads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
