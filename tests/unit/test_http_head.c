/* test_http_head.c: methods, targets, header lines and Host: what is accepted and as what, and what
 * is refused with which status. */
#include "head_case.h"

/* ---- methods ---- */

static const char *const methods[] = {
#define XX(number, name, string) #string,
    HTTP_METHOD_MAP(XX)
#undef XX
};

static int method_number(const char *method)
{
    for (size_t i = 0; i < COUNT(methods); i++)
        if (strcmp(method, methods[i]) == 0)
            return (int)i;
    return -1;
}

static void expect_method(const char *method)
{
    char text[128];
    int length = snprintf(text, sizeof text, "%s / HTTP/1.1\r\nHost: a\r\n\r\n", method);
    struct result result;
    take_split(&result, text, (size_t)length, 0);
    int number = method_number(method);
    int status = number == -1 || number == HTTP_CONNECT ? 501 : 200;

    if (result.status != status)
        fail_msg("%s: %d and not %d", method, result.status, status);
    if (status == 200)
        assert_int_equal(result.head.method, number);
    free(result.data);
}

static void every_method_is_known_by_its_exact_name_only(void **state)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcxyz-_!#$%&'*+.^`|~0189";
    char name[32];

    (void)state;
    for (size_t m = 0; m < COUNT(methods); m++) {
        expect_method(methods[m]);
        for (size_t at = 0; at <= strlen(methods[m]); at++) {
            strcpy(name, methods[m]);
            for (const char *c = letters; *c; c++) {
                name[at] = *c;
                name[strlen(methods[m]) + (methods[m][at] == '\0')] = '\0';
                expect_method(name);
            }
            name[at] = '\0';
            if (at > 0)
                expect_method(name);
        }
    }
}

static void methods_that_are_not_implemented_are_501(void **state)
{
    static const struct verdict cases[] = {
        {REQUEST_LINE("get / HTTP/1.1"), 501},
        {REQUEST_LINE("Get / HTTP/1.1"), 501},
        {REQUEST_LINE("GETS / HTTP/1.1"), 501},
        {REQUEST_LINE("BREW /pot HTTP/1.1"), 501},
        {REQUEST_LINE("QUERY / HTTP/1.1"), 501},
        {REQUEST_LINE("X / HTTP/1.0"), 501},
        {REQUEST_LINE("!#$%&'*+-.^_`|~09azAZ / HTTP/1.1"), 501},
        {REQUEST_LINE("PRI * HTTP/1.1"), 501},
        {BYTES("BREW / HTTP/1.1\r\n\r\n"), 501},
        {REQUEST_LINE("CONNECT a:443 HTTP/1.1"), 501},
        {REQUEST_LINE("CONNECT [::1]:443 HTTP/1.1"), 501},
        {REQUEST_LINE("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF / HTTP/1.1"), 501},
        {REQUEST_LINE("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1"), 501},
        {REQUEST_LINE("BREW /< HTTP/1.1"), 400},
        {REQUEST_LINE("BREW / HTTP/1"), 400},
        {REQUEST_LINE("BREW  / HTTP/1.1"), 400},
        {REQUEST_LINE("CONNECT a:443 HTTP/1"), 400},
        {REQUEST_LINE("CONNECT a b HTTP/1.1"), 400},
    };

    (void)state;
    expect_verdicts(cases, COUNT(cases));
}

/* ---- targets ---- */

static void targets_of_other_bytes_or_forms_are_refused(void **state)
{
    static const struct verdict cases[] = {
        {REQUEST_LINE("GET * HTTP/1.1"), 400},
        {REQUEST_LINE("OPTIONS ** HTTP/1.1"), 400},
        {REQUEST_LINE("OPTIONS *?a HTTP/1.1"), 400},
        {REQUEST_LINE("OPTIONS */ HTTP/1.1"), 400},
        {REQUEST_LINE("GET a HTTP/1.1"), 400},
        {REQUEST_LINE("GET a:443 HTTP/1.1"), 400},
        {REQUEST_LINE("GET index.html HTTP/1.1"), 400},
        {REQUEST_LINE("GET ?a=b HTTP/1.1"), 400},
        {REQUEST_LINE("GET /a#b HTTP/1.1"), 400},
        {REQUEST_LINE("GET /?a#b HTTP/1.1"), 400},
        {REQUEST_LINE("GET /\xc3\xa4 HTTP/1.1"), 400},
        {REQUEST_LINE("GET /a\"b HTTP/1.1"), 400},
        {REQUEST_LINE("GET /a<b HTTP/1.1"), 400},
        {REQUEST_LINE("GET /a\\b HTTP/1.1"), 400},
        {REQUEST_LINE("GET /a^b HTTP/1.1"), 400},
        {REQUEST_LINE("GET /a`b HTTP/1.1"), 400},
        {REQUEST_LINE("GET /{a} HTTP/1.1"), 400},
        {REQUEST_LINE("GET /a|b HTTP/1.1"), 400},
        {REQUEST_LINE("GET /?a[]=1 HTTP/1.1"), 400},
        {REQUEST_LINE("GET /% HTTP/1.1"), 400},
        {REQUEST_LINE("GET /%2 HTTP/1.1"), 400},
        {REQUEST_LINE("GET /%zz HTTP/1.1"), 400},
        {REQUEST_LINE("GET /?a=%2 HTTP/1.1"), 400},
        {REQUEST_LINE("GET http:// HTTP/1.1"), 400},
        {REQUEST_LINE("GET http:///a HTTP/1.1"), 400},
        {REQUEST_LINE("GET http://?a HTTP/1.1"), 400},
        {REQUEST_LINE("GET http:/a HTTP/1.1"), 400},
        {REQUEST_LINE("GET http:a HTTP/1.1"), 400},
        {REQUEST_LINE("GET http//a HTTP/1.1"), 400},
        {REQUEST_LINE("GET ://a/ HTTP/1.1"), 400},
        {REQUEST_LINE("GET //a/\x80 HTTP/1.1"), 400},
        {REQUEST_LINE("GET ftp://a/ HTTP/1.1"), 400},
        {REQUEST_LINE("GET ws://a/ HTTP/1.1"), 400},
        {REQUEST_LINE("GET httpx://a/ HTTP/1.1"), 400},
        {REQUEST_LINE("GET http://user@a/ HTTP/1.1"), 400},
        {REQUEST_LINE("GET http://user:pass@a/ HTTP/1.1"), 400},
        {REQUEST_LINE("GET http://@a/ HTTP/1.1"), 400},
        {REQUEST_LINE("GET http://a:b/ HTTP/1.1"), 400},
        {REQUEST_LINE("GET http://a:1:2/ HTTP/1.1"), 400},
        {REQUEST_LINE("GET http://a:99999/ HTTP/1.1"), 400},
        {REQUEST_LINE("GET http://[::1/ HTTP/1.1"), 400},
        {REQUEST_LINE("GET http://:80/ HTTP/1.1"), 400},
        {REQUEST_LINE("GET http://a\\b/ HTTP/1.1"), 400},
        {REQUEST_LINE("GET http://a#b HTTP/1.1"), 400},
        {REQUEST_LINE("GET http://a/#b HTTP/1.1"), 400},
        {REQUEST_LINE("GET http://a/\x80 HTTP/1.1"), 400},
        {REQUEST_LINE("GET http://a/%0 HTTP/1.1"), 400},
        {REQUEST_LINE("GET http://\x80/ HTTP/1.1"), 400},
        {REQUEST_LINE("GET http://a/\tb HTTP/1.1"), 400},
        {BYTES("GET http://a/ HTTP/1.1\r\n\r\n"), 400}, /* Host is wanted all the same */
        {BYTES("GET http://a/ HTTP/1.1\r\nHost: b/c\r\n\r\n"), 400},
    };

    (void)state;
    expect_verdicts(cases, COUNT(cases));
}

struct target {
    const char *line;
    enum target_form form;
    const char *path, *query, *host;
};

static void expect_span(struct span span, const char *text)
{
    assert_int_equal(span.length, strlen(text));
    assert_memory_equal(span.data, text, span.length);
}

static void expect_terminated(struct span span, const char *text)
{
    expect_span(span, text);
    assert_int_equal(span.data[span.length], '\0');
}

static void targets_are_split_into_host_path_and_query(void **state)
{
    static const struct target cases[] = {
        {"GET / HTTP/1.1", TARGET_ORIGIN, "/", "", "a"},
        {"GET /a/b?c=d&e HTTP/1.1", TARGET_ORIGIN, "/a/b", "c=d&e", "a"},
        {"GET /? HTTP/1.1", TARGET_ORIGIN, "/", "", "a"},
        {"GET /?a?b HTTP/1.1", TARGET_ORIGIN, "/", "a?b", "a"},
        {"GET //x/y HTTP/1.1", TARGET_ORIGIN, "//x/y", "", "a"},
        {"GET /%2e%2E/%00?%00 HTTP/1.1", TARGET_ORIGIN, "/%2e%2E/%00", "%00", "a"},
        {"GET /-._~!$&'()*+,;=:@/?-._~!$&'()*+,;=:@/ HTTP/1.1", TARGET_ORIGIN,
         "/-._~!$&'()*+,;=:@/", "-._~!$&'()*+,;=:@/", "a"},
        {"OPTIONS * HTTP/1.1", TARGET_ASTERISK, "*", "", "a"},
        {"OPTIONS /* HTTP/1.1", TARGET_ORIGIN, "/*", "", "a"},
        {"GET http://b HTTP/1.1", TARGET_ABSOLUTE, "/", "", "b"},
        {"GET http://b/ HTTP/1.1", TARGET_ABSOLUTE, "/", "", "b"},
        {"GET http://b?c HTTP/1.1", TARGET_ABSOLUTE, "/", "c", "b"},
        {"GET http://b:8080/c?d HTTP/1.1", TARGET_ABSOLUTE, "/c", "d", "b:8080"},
        {"GET http://b:/ HTTP/1.1", TARGET_ABSOLUTE, "/", "", "b:"},
        {"GET HTTPS://B.example/c HTTP/1.1", TARGET_ABSOLUTE, "/c", "", "B.example"},
        {"GET hTTp://[::1]:80/c HTTP/1.1", TARGET_ABSOLUTE, "/c", "", "[::1]:80"},
        {"OPTIONS http://b HTTP/1.1", TARGET_ABSOLUTE, "/", "", "b"},
        {"GET http://b/c HTTP/1.0", TARGET_ABSOLUTE, "/c", "", "b"},
    };
    char text[256];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        int length = snprintf(text, sizeof text, "%s\r\nHost: a\r\n\r\n", cases[i].line);
        expect_status(text, (size_t)length, 200);
        struct result result;
        take_split(&result, text, (size_t)length, 0);
        assert_int_equal(result.head.form, cases[i].form);
        expect_span(result.head.path, cases[i].path);
        expect_terminated(result.head.query, cases[i].query);
        expect_span(result.head.host, cases[i].host);
        const char *target = strchr(cases[i].line, ' ') + 1;
        assert_int_equal(result.head.target.length, strchr(target, ' ') - target);
        assert_memory_equal(result.head.target.data, target, result.head.target.length);
        assert_int_equal(result.head.target.data[result.head.target.length], '\0');
        free(result.data);
    }
}

/* ---- header lines ---- */

static void header_lines_are_exactly_of_the_grammar(void **state)
{
    static const struct verdict cases[] = {
        {HEADERS("X: y\r\n"), 200},
        {HEADERS("X:y\r\n"), 200},
        {HEADERS("X:\r\n"), 200},
        {HEADERS("X: \r\n"), 200},
        {HEADERS("X:\t \t\r\n"), 200},
        {HEADERS("X: \ty\t \r\n"), 200},
        {HEADERS("X: a\tb\r\n"), 200},
        {HEADERS("X: \x80\xff\r\n"), 200},
        {HEADERS("X: :\"(),/:;<=>?@[\\]{}\r\n"), 200},
        {HEADERS("!#$%&'*+-.^_`|~09azAZ: y\r\n"), 200},
        {HEADERS("Transfer-Encodings: x\r\nTransfer-Encoding-: x\r\n"), 200},
        {HEADERS("X : y\r\n"), 400},
        {HEADERS("X\t: y\r\n"), 400},
        {HEADERS(" X: y\r\n"), 400},
        {HEADERS("\tX: y\r\n"), 400},
        {HEADERS("X y: z\r\n"), 400},
        {HEADERS("X\r\n"), 400},
        {HEADERS("X y\r\n"), 400},
        {HEADERS(": y\r\n"), 400},
        {HEADERS(":\r\n"), 400},
        {HEADERS("X(: y\r\n"), 400},
        {HEADERS("X\": y\r\n"), 400},
        {HEADERS("X/: y\r\n"), 400},
        {HEADERS("X@: y\r\n"), 400},
        {HEADERS("X[]: y\r\n"), 400},
        {HEADERS("X{}: y\r\n"), 400},
        {HEADERS("X\x80: y\r\n"), 400},
        {HEADERS("X\x7f: y\r\n"), 400},
        {HEADERS("X\0: y\r\n"), 400},
        {HEADERS("X: a\0b\r\n"), 400},
        {HEADERS("X:\0\r\n"), 400},
        {HEADERS("X: \x01\r\n"), 400},
        {HEADERS("X: \x0b\r\n"), 400},
        {HEADERS("X: \x0c\r\n"), 400},
        {HEADERS("X: a\x1b[0m\r\n"), 400},
        {HEADERS("X: a\x7f\r\n"), 400},
        {HEADERS("X: a\r\n b\r\n"), 400},
        {HEADERS("X: a\r\n\tb\r\n"), 400},
        {HEADERS("X: a\r\n \r\n"), 400},
        {HEADERS("X:\r\n a\r\n"), 400},
        {BYTES(LINE_1_1 " X: y\r\nHost: a\r\n\r\n"), 400},
        {BYTES(LINE_1_1 " \r\nHost: a\r\n\r\n"), 400},
        {BYTES(LINE_1_1 "Host: a\r\n \r\n\r\n"), 400},
    };

    (void)state;
    expect_verdicts(cases, COUNT(cases));
}

static void values_come_without_the_white_space_around_them(void **state)
{
    static const char text[] =
        LINE_1_1 "A:b\r\nHOST: \tx:1 \t\r\nC: \t\r\nD:\r\nE: f  g\t\r\na: 2\r\n\r\n";
    static const char *const names[] = {"A", "HOST", "C", "D", "E", "a"};
    static const char *const values[] = {"b", "x:1", "", "", "f  g", "2"};

    (void)state;
    for (size_t split = 0; split < sizeof text - 1; split++) {
        struct result result;
        take_split(&result, BYTES(text), split);
        assert_int_equal(result.status, 200);
        assert_int_equal(result.head.field_count, COUNT(names));
        assert_int_equal(result.scan.lines, COUNT(names));
        for (size_t i = 0; i < COUNT(names); i++) {
            expect_terminated(result.fields[i].name, names[i]);
            expect_terminated(result.fields[i].value, values[i]);
        }
        expect_terminated(result.head.host, "x:1");
        free(result.data);
    }
}

static void fields_are_found_in_any_case_and_in_order(void **state)
{
    struct result result;
    take_split(&result, BYTES(LINE_1_1 "Host: a\r\nCookie: 1\r\nX: y\r\ncOOKIE: 2\r\n\r\n"), 0);
    const struct head *head = &result.head;

    (void)state;
    assert_ptr_equal(head_find(head, "cookie", 0), &head->fields[1]);
    assert_ptr_equal(head_find(head, "COOKIE", 1), &head->fields[1]);
    assert_ptr_equal(head_find(head, "Cookie", 2), &head->fields[3]);
    assert_null(head_find(head, "Cookie", 4));
    assert_null(head_find(head, "Cook", 0));
    assert_null(head_find(head, "Cookies", 0));
    free(result.data);
}

static void the_next_request_is_left_alone(void **state)
{
    static const char text[] = "\r\nPOST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n"
                               "Upgrade: x\r\nContent-Length: 3\r\n\r\nabcGET /\x01\n";
    struct result result;
    take_split(&result, BYTES(text), 0);

    (void)state;
    assert_int_equal(result.status, 200);
    assert_int_equal(result.scan.begin, 2);
    assert_string_equal(text + result.scan.length, "abcGET /\x01\n");
    free(result.data);
}

/* ---- Host ---- */

static void http_1_1_has_exactly_one_good_host(void **state)
{
    static const struct verdict cases[] = {
        {BYTES(LINE_1_1 "\r\n"), 400},
        {BYTES(LINE_1_1 "X-Host: a\r\n\r\n"), 400},
        {BYTES("GET / HTTP/1.2\r\n\r\n"), 400},
        {BYTES(LINE_1_1 "Host: a\r\nHost: a\r\n\r\n"), 400},
        {BYTES(LINE_1_1 "Host: a\r\nhost: b\r\n\r\n"), 400},
        {BYTES("GET / HTTP/1.0\r\n\r\n"), 200},
        {BYTES("GET / HTTP/1.0\r\nHost: a\r\n\r\n"), 200},
        {BYTES("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"), 400},
        {BYTES("GET / HTTP/1.0\r\nHost: a b\r\n\r\n"), 400},
        {BYTES(LINE_1_1 "Host:\r\n\r\n"), 400},
        {BYTES(LINE_1_1 "Host: a b\r\n\r\n"), 400},
        {BYTES(LINE_1_1 "Host: a/b\r\n\r\n"), 400},
        {BYTES(LINE_1_1 "Host: u@a\r\n\r\n"), 400},
        {BYTES(LINE_1_1 "Host: a:b\r\n\r\n"), 400},
        {BYTES(LINE_1_1 "Host: http://a\r\n\r\n"), 400},
        {BYTES(LINE_1_1 "Host: a\x80\r\n\r\n"), 400},
        {BYTES(LINE_1_1 "Host: [::1\r\n\r\n"), 400},
        {BYTES(LINE_1_1 "Host: [::1]:8080\r\n\r\n"), 200},
        {BYTES(LINE_1_1 "Host: a.example:\r\n\r\n"), 200},
    };

    (void)state;
    expect_verdicts(cases, COUNT(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_method_is_known_by_its_exact_name_only),
        cmocka_unit_test(methods_that_are_not_implemented_are_501),
        cmocka_unit_test(targets_of_other_bytes_or_forms_are_refused),
        cmocka_unit_test(targets_are_split_into_host_path_and_query),
        cmocka_unit_test(header_lines_are_exactly_of_the_grammar),
        cmocka_unit_test(values_come_without_the_white_space_around_them),
        cmocka_unit_test(fields_are_found_in_any_case_and_in_order),
        cmocka_unit_test(the_next_request_is_left_alone),
        cmocka_unit_test(http_1_1_has_exactly_one_good_host),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
