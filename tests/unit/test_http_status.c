/* test_http_status.c: every code has a line that begins with it, and dates are those of strftime in
 * the C locale. */
#include "http/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void known_codes_have_their_names(void **state)
{
    (void)state;
    assert_string_equal(status_line(100), "100 Continue");
    assert_string_equal(status_line(200), "200 OK");
    assert_string_equal(status_line(304), "304 Not Modified");
    assert_string_equal(status_line(404), "404 Not Found");
    assert_string_equal(status_line(413), "413 Content Too Large");
    assert_string_equal(status_line(431), "431 Request Header Fields Too Large");
    assert_string_equal(status_line(505), "505 HTTP Version Not Supported");
}

static void unknown_codes_say_so(void **state)
{
    (void)state;
    assert_string_equal(status_line(199), "199 Unknown");
    assert_string_equal(status_line(299), "299 Unknown");
    assert_string_equal(status_line(418), "418 Unknown");
    assert_string_equal(status_line(599), "599 Unknown");
}

static void every_line_begins_with_its_code_and_stays(void **state)
{
    char begin[16];

    (void)state;
    for (int code = 100; code <= 599; code++) {
        snprintf(begin, sizeof begin, "%d ", code);
        assert_memory_equal(status_line(code), begin, 4);
        assert_true(strlen(status_line(code)) > 4);
        assert_ptr_equal(status_line(code), status_line(code));
    }
}

static void what_is_no_code_is_an_error_of_ours(void **state)
{
    static const int codes[] = {-1, 0, 99, 600, 999, 1000, 2147483647};

    (void)state;
    for (size_t i = 0; i < COUNT(codes); i++)
        assert_string_equal(status_line(codes[i]), "500 Internal Server Error");
}

static void expect_date(time_t when, const char *text)
{
    char out[HTTP_DATE_LENGTH + 2];

    memset(out, '#', sizeof out);
    http_date(when, out);
    assert_string_equal(out, text);
    assert_int_equal(strlen(out), HTTP_DATE_LENGTH);
    assert_int_equal(out[HTTP_DATE_LENGTH + 1], '#');
}

static void dates_are_imf_fixdates(void **state)
{
    (void)state;
    expect_date(0, "Thu, 01 Jan 1970 00:00:00 GMT");
    expect_date(784111777, "Sun, 06 Nov 1994 08:49:37 GMT"); /* RFC 9110's own example */
    expect_date(951782400, "Tue, 29 Feb 2000 00:00:00 GMT");
    expect_date(1795200184, "Fri, 20 Nov 2026 18:43:04 GMT");
    expect_date(253402300799, "Fri, 31 Dec 9999 23:59:59 GMT");
}

static void dates_beyond_four_digits_stop_there(void **state)
{
    (void)state;
    expect_date(-1, "Thu, 01 Jan 1970 00:00:00 GMT");
    expect_date(253402300800, "Fri, 31 Dec 9999 23:59:59 GMT");
    expect_date(INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT");
    expect_date(INT64_MIN, "Thu, 01 Jan 1970 00:00:00 GMT");
}

/* No test calls setlocale, so strftime speaks English. */
static void dates_agree_with_strftime(void **state)
{
    char text[64];
    struct tm tm;

    (void)state;
    for (time_t when = 0; when < 200000000000; when += 86399 * 401) {
        strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&when, &tm));
        expect_date(when, text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_codes_have_their_names),
        cmocka_unit_test(unknown_codes_say_so),
        cmocka_unit_test(every_line_begins_with_its_code_and_stays),
        cmocka_unit_test(what_is_no_code_is_an_error_of_ours),
        cmocka_unit_test(dates_are_imf_fixdates),
        cmocka_unit_test(dates_beyond_four_digits_stop_there),
        cmocka_unit_test(dates_agree_with_strftime),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
