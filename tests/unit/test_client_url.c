/* test_client_url.c: URLs are taken apart as RFC 3986 says, what is none is refused, and references
 * resolve as in its section 5.4. */
#include "client/url.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SIZE(array) (sizeof(array) / sizeof(array)[0])

/* As assert_int_equal, and tells in which row. */
static void assert_row(const char *row, int got, int want)
{
    if (got != want)
        print_error("%s\n", row);
    assert_int_equal(got, want);
}

static void what_is_a_url_is_taken_apart(void **state)
{
    static const struct {
        const char *text, *origin, *host, *port, *target;
    } table[] = {
        {"http://h", "h:80", "h", "80", ""},
        {"http://h/", "h:80", "h", "80", "/"},
        {"HTTP://Example.ORG:8080/A?b=c/d?e#f", "example.org:8080", "example.org", "8080",
         "/A?b=c/d?e"},
        {"http://h?q", "h:80", "h", "80", "?q"},
        {"http://h#f", "h:80", "h", "80", ""},
        {"http://h:/", "h:80", "h", "80", "/"},
        {"http://h:00080/", "h:80", "h", "80", "/"},
        {"http://127.0.0.1:65535/%20", "127.0.0.1:65535", "127.0.0.1", "65535", "/%20"},
        {"http://[::1]:9/x", "[::1]:9", "::1", "9", "/x"},
        {"http://[2001:DB8::7]", "[2001:db8::7]:80", "2001:db8::7", "80", ""},
        {"http+unix://%2Frun%2Fa%20b.sock/x?y", "unix:/run/a b.sock", "localhost", "", "/x?y"},
        {"http+unix://%2fs", "unix:/s", "localhost", "", ""},
    };
    struct url url;

    (void)state;
    for (size_t i = 0; i < SIZE(table); i++) {
        assert_row(table[i].text, url_parse(table[i].text, &url), 0);
        assert_string_equal(url.origin, table[i].origin);
        assert_string_equal(url.host, table[i].host);
        assert_string_equal(url.port, table[i].port);
        assert_int_equal(url.target.length, strlen(table[i].target));
        assert_memory_equal(url.target.data, table[i].target, url.target.length);
    }
}

static void what_is_none_is_refused(void **state)
{
    static const struct {
        const char *text;
        int error;
    } table[] = {
        {"", EINVAL},
        {"h/p", EINVAL},
        {"/p", EINVAL},
        {"http:/h/", EINVAL},
        {"http:///p", EINVAL},
        {"http://:80/", EINVAL},
        {"http://u:p@h/", EINVAL},
        {"http://h:0/", EINVAL},
        {"http://h:65536/", EINVAL},
        {"http://h:99999999999/", EINVAL},
        {"http://h:8x/", EINVAL},
        {"http://h:80:80/", EINVAL},
        {"http://[::1/", EINVAL},
        {"http://[zz]/", EINVAL},
        {"http://%41/", EINVAL},
        {"http://h/a b", EINVAL},
        {"http://h/\r\nX: y", EINVAL},
        {"http://h\r\n/", EINVAL},
        {"http://h/%zz", EINVAL},
        {"http://h/\xc3\xa4", EINVAL},
        {"http+unix://run/x", EINVAL},
        {"http+unix:///run/x", EINVAL},
        {"http+unix://%2Fa%00b/", EINVAL},
        {"http+unix://%2Fa%2/", EINVAL},
        {"http+unix://%2F%0a/", EINVAL},
        {"https://h/", EPROTONOSUPPORT},
        {"ftp://h/", EPROTONOSUPPORT},
    };
    struct url url;

    (void)state;
    for (size_t i = 0; i < SIZE(table); i++) {
        assert_row(table[i].text, url_parse(table[i].text, &url), table[i].error);
    }
}

/* A host of 255 bytes and more, a socket's path of 107 and more, a URL beyond all measure. */
static void lengths_end_where_they_must(void **state)
{
    static char text[URL_LONGEST + 64];
    struct url url;

    (void)state;
    snprintf(text, sizeof text, "http://%0*d/", URL_HOST - 1, 7);
    assert_int_equal(url_parse(text, &url), 0);
    snprintf(text, sizeof text, "http://%0*d/", URL_HOST, 7);
    assert_int_equal(url_parse(text, &url), EINVAL);
    snprintf(text, sizeof text, "http+unix://%%2F%0*d/", (int)sizeof url.path - 2, 7);
    assert_int_equal(url_parse(text, &url), 0);
    snprintf(text, sizeof text, "http+unix://%%2F%0*d/", (int)sizeof url.path - 1, 7);
    assert_int_equal(url_parse(text, &url), EINVAL);
    snprintf(text, sizeof text, "http://h/%0*d", URL_LONGEST - 9, 7);
    assert_int_equal(url_parse(text, &url), 0);
    snprintf(text, sizeof text, "http://h/%0*d", URL_LONGEST - 8, 7);
    assert_int_equal(url_parse(text, &url), EINVAL);
}

/* The examples of RFC 3986, section 5.4, as far as they lead to http. */
static void references_are_resolved(void **state)
{
    static const char base[] = "http://a/b/c/d;p?q";
    static const struct {
        const char *location, *whole;
    } table[] = {
        {"g", "http://a/b/c/g"},
        {"./g", "http://a/b/c/g"},
        {"g/", "http://a/b/c/g/"},
        {"/g", "http://a/g"},
        {"//g", "http://g"},
        {"?y", "http://a/b/c/d;p?y"},
        {"g?y", "http://a/b/c/g?y"},
        {"#s", "http://a/b/c/d;p?q#s"},
        {"g#s", "http://a/b/c/g#s"},
        {"g?y#s", "http://a/b/c/g?y#s"},
        {";x", "http://a/b/c/;x"},
        {"g;x", "http://a/b/c/g;x"},
        {"", "http://a/b/c/d;p?q"},
        {".", "http://a/b/c/"},
        {"./", "http://a/b/c/"},
        {"..", "http://a/b/"},
        {"../", "http://a/b/"},
        {"../g", "http://a/b/g"},
        {"../..", "http://a/"},
        {"../../", "http://a/"},
        {"../../g", "http://a/g"},
        {"../../../g", "http://a/g"},
        {"../../../../g", "http://a/g"},
        {"/./g", "http://a/g"},
        {"/../g", "http://a/g"},
        {"g.", "http://a/b/c/g."},
        {".g", "http://a/b/c/.g"},
        {"..g", "http://a/b/c/..g"},
        {"./../g", "http://a/b/g"},
        {"./g/.", "http://a/b/c/g/"},
        {"g/./h", "http://a/b/c/g/h"},
        {"g/../h", "http://a/b/c/h"},
        {"g;x=1/../y", "http://a/b/c/y"},
        {"g?y/./x", "http://a/b/c/g?y/./x"},
        {"g#s/../x", "http://a/b/c/g#s/../x"},
        {"http://other:1/x/../y", "http://other:1/x/../y"},
        {"https://other/", "https://other/"},
        {"ftp://other/", NULL},
        {"http+unix://%2Fs/", NULL},
        {"mailto:someone", NULL},
        {"javascript:alert(1)", NULL},
    };
    char *whole;

    (void)state;
    for (size_t i = 0; i < SIZE(table); i++) {
        whole = url_resolve(base, table[i].location);
        if (table[i].whole)
            assert_string_equal(whole, table[i].whole);
        else
            assert_true(!whole && errno == EBADMSG);
        free(whole);
    }
}

static void a_base_without_a_path_or_on_a_unix_socket_is_one_too(void **state)
{
    static const struct {
        const char *base, *location, *whole;
    } table[] = {
        {"http://a", "g", "http://a/g"},
        {"http://a", "", "http://a"},
        {"http://a?q", "g", "http://a/g"},
        {"http://a?q", "?y", "http://a/?y"},
        {"http://a?q=/x/y", "g", "http://a/g"},
        {"http+unix://%2Fs/b/c", "g", "http+unix://%2Fs/b/g"},
        {"http+unix://%2Fs/b/c", "/../g", "http+unix://%2Fs/g"},
        {"http+unix://%2Fs/b/c", "//g", NULL},
    };
    char *whole;

    (void)state;
    for (size_t i = 0; i < SIZE(table); i++) {
        whole = url_resolve(table[i].base, table[i].location);
        if (table[i].whole)
            assert_string_equal(whole, table[i].whole);
        else
            assert_null(whole);
        free(whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_a_url_is_taken_apart),
        cmocka_unit_test(what_is_none_is_refused),
        cmocka_unit_test(lengths_end_where_they_must),
        cmocka_unit_test(references_are_resolved),
        cmocka_unit_test(a_base_without_a_path_or_on_a_unix_socket_is_one_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
