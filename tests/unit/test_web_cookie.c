/* test_web_cookie.c: cookies as browsers send them, whatever is among them, and Set-Cookie values
 * that arrive as they are meant. */
#include <reeve/form.h>

#include "app_case.h"
#include "web/cookie.h"

/* All pairs that count: "name=value;". */
static const char *pairs(const char *header)
{
    static char text[65536];
    struct cookie_walk walk = {.at = header};
    struct span name, value;
    char *out = text;

    *out = '\0';
    while (cookie_next(&walk, &name, &value))
        out +=
            sprintf(out, "%.*s=%.*s;", (int)name.length, name.data, (int)value.length, value.data);
    return text;
}

static void pairs_are_read(void **state)
{
    (void)state;
    assert_string_equal(pairs("a=1; b=2"), "a=1;b=2;");
    assert_string_equal(pairs("a=1;b=2;;  c = 3\t;"), "a=1;b=2;c=3;");
    assert_string_equal(pairs("a=b=c; d="), "a=b=c;d=;");
    assert_string_equal(pairs("a=\"1 2\"; b=\"; c=\"\"; d=\"x"), "a=1 2;b=\";c=;d=\"x;");
    assert_string_equal(pairs("a=%41+b, c"), "a=%41+b, c;");
    assert_string_equal(pairs("a=\xc3\xa4"), "a=\xc3\xa4;");
    assert_string_equal(pairs(""), "");
}

static void what_makes_no_sense_is_passed_over(void **state)
{
    (void)state;
    assert_string_equal(pairs("a; =b; c d=e; ok=1; \x01=2; b=\x01; (=)"), "ok=1;");
    assert_string_equal(pairs(";;;===;=;,=1;ok=1"), "ok=1;");
}

static void there_are_limits(void **state)
{
    char *many = malloc(1000 * 5 + 1), *large = malloc(10000), *at = many;
    (void)state;

    for (unsigned i = 0; i < 1000; i++)
        at += sprintf(at, "%03u=;", i);
    assert_string_equal(pairs(many) + 99 * 5, "099=;");
    memset(many, ';', 100); /* empty ones count: they are looked at */
    assert_string_equal(pairs(many), "");

    sprintf(large, "a=%0*d; b=2", REEVE_COOKIE_SIZE_MAX - 1, 0);
    assert_int_equal(strlen(pairs(large)), REEVE_COOKIE_SIZE_MAX + 2 + 4);
    sprintf(large, "a=%0*d; b=2", REEVE_COOKIE_SIZE_MAX, 0);
    assert_string_equal(pairs(large), "b=2;");
    free(many);
    free(large);
}

/* ---- Set-Cookie ---- */

/* The text, or "EINVAL". It is the same in a buffer that is too small, as far as it goes. */
static const char *formatted(const reeve_cookie *cookie)
{
    static char text[16384];
    ssize_t length = cookie_write(cookie, text, sizeof text);
    char small[8];

    if (length == -1)
        return errno == EINVAL ? "EINVAL" : "?";
    assert_int_equal(length, strlen(text));
    assert_int_equal(cookie_write(cookie, small, sizeof small), length);
    assert_int_equal(strncmp(small, text, strlen(small)), 0);
    assert_int_equal(strlen(small), length < 7 ? length : 7);
    return text;
}

#define FORMATTED(...) formatted(REEVE_COOKIE(__VA_ARGS__))

static void a_set_cookie_has_what_was_asked_for(void **state)
{
    (void)state;
    assert_string_equal(FORMATTED(.name = "a", .value = "1"), "a=1");
    assert_string_equal(FORMATTED(.name = "a"), "a=");
    assert_string_equal(FORMATTED(.name = "__Host-a", .value = "x", .path = "/", .max_age = 60,
                                  .secure = true, .http_only = true,
                                  .same_site = REEVE_SAME_SITE_NONE, .partitioned = true),
                        "__Host-a=x; Path=/; Max-Age=60; Secure; HttpOnly; SameSite=None; "
                        "Partitioned");
    assert_string_equal(FORMATTED(.name = "a", .domain = "www.example", .expires = 784111777,
                                  .same_site = REEVE_SAME_SITE_STRICT),
                        "a=; Domain=www.example; Expires=Sun, 06 Nov 1994 08:49:37 GMT; "
                        "SameSite=Strict");
    assert_string_equal(FORMATTED(.name = "a", .max_age = -1, .same_site = REEVE_SAME_SITE_LAX),
                        "a=; Max-Age=0; SameSite=Lax");
}

static void what_would_break_it_is_refused(void **state)
{
    static const char *const values[] = {"a b",  "a;b",    "a,b",  "a\"b",
                                         "a\\b", "a\r\nb", "\x7f", "\xc3\xa4"};
    static const char *const names[] = {"", "a b", "a=b", "a;b", "a\r\n", "\"a\"", "\xc3\xa4"};
    static const char *const paths[] = {"", "a", "/;", "/\r\n", "/\xc3\xa4"};
    static const char *const domains[] = {"", "a b", "a;b", "a_b", "a\n", "a:80"};
    (void)state;

    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        assert_string_equal(FORMATTED(.name = "a", .value = values[i]), "EINVAL");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_string_equal(FORMATTED(.name = names[i]), "EINVAL");
    assert_string_equal(FORMATTED(.value = "no name"), "EINVAL");
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        assert_string_equal(FORMATTED(.name = "a", .path = paths[i]), "EINVAL");
    for (size_t i = 0; i < sizeof domains / sizeof domains[0]; i++)
        assert_string_equal(FORMATTED(.name = "a", .domain = domains[i]), "EINVAL");
    assert_string_equal(FORMATTED(.name = "a", .expires = -1), "EINVAL");
    assert_string_equal(FORMATTED(.name = "a", .expires = 253402300800), "EINVAL");
    assert_string_equal(FORMATTED(.name = "a", .same_site = (reeve_same_site)9), "EINVAL");
}

static void prefixes_keep_their_promise(void **state)
{
    (void)state;
    assert_string_equal(FORMATTED(.name = "__Secure-a"), "EINVAL");
    assert_string_equal(FORMATTED(.name = "__secure-a"), "EINVAL");
    assert_string_equal(FORMATTED(.name = "__Secure-a", .secure = true), "__Secure-a=; Secure");
    assert_string_equal(FORMATTED(.name = "__Host-a", .secure = true), "EINVAL");
    assert_string_equal(FORMATTED(.name = "__Host-a", .path = "/"), "EINVAL");
    assert_string_equal(FORMATTED(.name = "__Host-a", .path = "/x", .secure = true), "EINVAL");
    assert_string_equal(FORMATTED(.name = "__Host-a", .path = "/", .domain = "x", .secure = true),
                        "EINVAL");
    assert_string_equal(FORMATTED(.name = "a", .same_site = REEVE_SAME_SITE_NONE), "EINVAL");
    assert_string_equal(FORMATTED(.name = "a", .partitioned = true), "EINVAL");
}

static void a_set_cookie_is_not_larger_than_browsers_take(void **state)
{
    char *value = malloc(REEVE_COOKIE_SIZE_MAX + 1), *path = malloc(1026);
    (void)state;

    memset(value, 'x', REEVE_COOKIE_SIZE_MAX + 1);
    value[REEVE_COOKIE_SIZE_MAX] = '\0';
    assert_string_equal(FORMATTED(.name = "a", .value = value), "EINVAL");
    assert_string_equal(FORMATTED(.name = "a", .value = value + 1) + REEVE_COOKIE_SIZE_MAX, "x");
    value[10] = '%';
    assert_string_equal(FORMATTED(.name = "a", .value = value + 1, .encode = true), "EINVAL");
    memset(path, '/', 1026);
    path[1025] = '\0';
    assert_string_equal(FORMATTED(.name = "a", .path = path), "EINVAL");
    assert_int_equal(strlen(FORMATTED(.name = "a", .path = path + 1)), 2 + 7 + 1024);
    free(value);
    free(path);
}

static void any_value_can_be_encoded(void **state)
{
    (void)state;
    assert_string_equal(
        FORMATTED(.name = "a", .value = "100% \"x\", y;\\\r\n\xc3\xa4+/=", .encode = true),
        "a=100%25%20%22x%22%2C%20y%3B%5C%0D%0A%C3%A4+/=");
}

/* ---- from a request ---- */

static struct app_case the;
static char seen[1024];

static int note_pair(const char *name, const char *value, void *arg)
{
    size_t length = strlen(seen);

    snprintf(seen + length, sizeof seen - length, "%s=%s;", name, value);
    return strcmp(name, arg) == 0 ? 7 : 0;
}

static void note(const char *text)
{
    note_pair("", text ? text : "(none)", (char[]){"-"});
}

static int looks(reeve_environ *environ, reeve_start_response *start_response)
{
    char stop[] = "stop";

    note(reeve_cookie_get(environ, "a"));
    note(reeve_cookie_get(environ, "A"));
    note(reeve_cookie_get(environ, ""));
    note(reeve_cookie_each(environ, note_pair, stop) == 7 ? "stopped" : "through");
    note(reeve_cookie_decode(environ, "%41+%e4b"));
    note(reeve_cookie_decode(environ, ""));
    note(reeve_cookie_decode(environ, "%4"));
    note(reeve_cookie_decode(environ, "%zz"));
    note(reeve_cookie_decode(environ, "x%00"));
    return start_response(
        environ, "204 No Content",
        REEVE_HEADERS({"Set-Cookie", reeve_cookie_format(environ, REEVE_COOKIE(.name = "a"))}));
}

static void a_request_s_cookies_are_found(void **state)
{
    (void)state;
    assert_int_equal(app_case_open(&the, looks), 0);
    app_case_ask(&the, "GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1; stop=\r\nCookie: a=2\r\n\r\n");
    assert_string_equal(seen, "=1;=(none);=(none);a=1;stop=;=stopped;=A+\xe4"
                              "b;=;=(none);=(none);=(none);");
    assert_non_null(strstr(the.wire, "Set-Cookie: a=\r\n"));
    seen[0] = '\0';
    app_case_ask(&the, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(strncmp(seen, "=(none);=(none);=(none);=through;", 32), 0);
    app_case_close(&the);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_are_read),
        cmocka_unit_test(what_makes_no_sense_is_passed_over),
        cmocka_unit_test(there_are_limits),
        cmocka_unit_test(a_set_cookie_has_what_was_asked_for),
        cmocka_unit_test(what_would_break_it_is_refused),
        cmocka_unit_test(prefixes_keep_their_promise),
        cmocka_unit_test(a_set_cookie_is_not_larger_than_browsers_take),
        cmocka_unit_test(any_value_can_be_encoded),
        cmocka_unit_test(a_request_s_cookies_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
