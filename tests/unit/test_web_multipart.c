/* test_web_multipart.c: the parts of a multipart body, however it is cut, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "web/form_part.h"
#include "web/form_type.h"
#include "web/multipart.h"

static const struct multipart_limits usual = {.max_parts = 10, .max_head = 200, .max_headers = 4};

/* What a parser makes of a body, as text: "{headers}" where a part begins, its bytes, "." at its
 * end; last the status it was refused with, or "ok". */
struct story {
    struct multipart parser;
    char *text;
    size_t length;
};

static void tell(struct story *story, const char *bytes, size_t length)
{
    memcpy(story->text + story->length, bytes, length);
    story->length += length;
    story->text[story->length] = '\0';
}

static void tell_head(struct story *story)
{
    tell(story, "{", 1);
    for (const char *line = story->parser.head; *line; line += strlen(line) + 1) {
        tell(story, line, strlen(line));
        tell(story, "|", 1);
    }
    tell(story, "}", 1);
}

/* Gives it the bytes, in memory of just that size. */
static void feed(struct story *story, const char *bytes, size_t size)
{
    enum multipart_event event = MULTIPART_DATA;
    char *copy = malloc(size ? size : 1);
    struct span data;
    size_t at = 0, used;

    memcpy(copy, bytes, size);
    while (event != MULTIPART_MORE && event != MULTIPART_BAD) {
        event = multipart_step(&story->parser, copy + at, size - at, &used, &data);
        at += used;
        if (event == MULTIPART_DATA) {
            assert_true(data.length > 0);
            tell(story, data.data, data.length);
        } else if (event == MULTIPART_PART) {
            tell_head(story);
        } else if (event == MULTIPART_ENDS) {
            tell(story, ".", 1);
        }
    }
    assert_true(event == MULTIPART_BAD || at == size);
    free(copy);
}

static void begin(struct story *story, size_t size, const struct multipart_limits *limits)
{
    *story = (struct story){.text = malloc(size + 1000)};
    story->text[0] = '\0';
    assert_int_equal(multipart_init(&story->parser, "B", limits), 0);
}

static void end(struct story *story)
{
    char verdict[16] = "ok";

    if (multipart_finish(&story->parser) == -1)
        snprintf(verdict, sizeof verdict, "%d", story->parser.status);
    assert_true(!story->parser.error == (story->parser.status == 0));
    tell(story, verdict, strlen(verdict));
    multipart_fini(&story->parser);
}

/* `by` bytes at a time, after a first piece of another size. */
static char *story_of(const char *body, size_t size, size_t first, size_t by,
                      const struct multipart_limits *limits)
{
    struct story story;

    begin(&story, size, limits);
    feed(&story, body, first < size ? first : size);
    for (size_t at = first; at < size; at += by)
        feed(&story, body + at, by < size - at ? by : size - at);
    end(&story);
    return story.text;
}

static void expect_with(const struct multipart_limits *limits, const char *body, size_t size,
                        const char *want)
{
    char *whole = story_of(body, size, size, size, limits), *cut;

    assert_string_equal(whole, want);
    for (size_t first = 0; first < size; first++) {
        cut = story_of(body, size, first, size, limits);
        assert_string_equal(cut, want);
        free(cut);
    }
    for (size_t by = 1; by < 4; by++) {
        cut = story_of(body, size, 0, by, limits);
        assert_string_equal(cut, want);
        free(cut);
    }
    free(whole);
}

#define EXPECT(body, want) expect_with(&usual, body, sizeof(body) - 1, want)

/* ---- boundaries ---- */

static void parts_are_told_apart(void **state)
{
    (void)state;
    EXPECT("--B\r\na: b\r\n\r\none\r\n--B\r\nc: d\r\ne:f\r\n\r\n\r\ntwo\r\n\r\n--B--\r\n",
           "{a: b|}one.{c: d|e:f|}\r\ntwo\r\n.ok");
    EXPECT("--B\r\na: b\r\n\r\n\r\n--B--", "{a: b|}.ok");
    EXPECT("--B\r\na: b\r\n\r\n--B--", "{a: b|}.ok"); /* RFC 2046: no body at all */
    EXPECT("--B\r\n\r\nx\r\n--B--", "{}x.ok");
    EXPECT("--B--", "ok");
    EXPECT("\r\n--B--\r\n", "ok");
}

static void what_is_around_the_parts_is_skipped(void **state)
{
    (void)state;
    EXPECT("hello\r\n--Aa\r\n--\r\n\r\n--B\r\na: b\r\n\r\n1\r\n--B--\r\nbye\r\n--B\r\n",
           "{a: b|}1.ok");
    EXPECT("--B \t \r\na: b\r\n\r\n1\r\n--B-- \t\r\n", "{a: b|}1.ok");
}

static void what_begins_like_a_boundary_is_data(void **state)
{
    (void)state;
    EXPECT("--B\r\na: b\r\n\r\n\r\r\n\r\n-\r\n--\r\r\n--A\r\n -B\r\n--B--",
           "{a: b|}\r\r\n\r\n-\r\n--\r\r\n--A\r\n -B.ok");
    EXPECT("--B\r\na: b\r\n\r\n--\r\n--B--", "{a: b|}--.ok");
    EXPECT("--B\r\na: b\r\n\r\n-x\r\n--B--", "{a: b|}-x.ok");
    EXPECT("--B\r\na: b\r\n\r\nx--B--\n--B--\r--B--\r\n--B--", "{a: b|}x--B--\n--B--\r--B--.ok");
}

static void an_ambiguous_boundary_is_refused(void **state)
{
    (void)state;
    EXPECT("--Bx\r\na: b\r\n\r\n1\r\n--B--", "400");
    EXPECT("--B\r\na: b\r\n\r\n1\r\n--B2\r\n--B--", "{a: b|}1.400");
    EXPECT("--B\na: b\r\n\r\n1\r\n--B--", "400");
    EXPECT("--B\r\na: b\r\n\r\n1\r\n--B-\r\n", "{a: b|}1.400");
    EXPECT("--B\r\na: b\r\n\r\n1\r\n--B--x", "{a: b|}1.400");
    EXPECT("--B\r\na: b\r\n\r\n1\r\n--B--\n", "{a: b|}1.400");
    EXPECT("--B \rx", "400");
}

static void a_body_that_ends_early_is_refused(void **state)
{
    static const char body[] = "--B\r\na: b\r\n\r\none\r\n--B--";
    (void)state;

    for (size_t size = 0; size < sizeof body - 1; size++) {
        char *story = story_of(body, size, size, 1, &usual);

        assert_string_equal(story + strlen(story) - 3, "400");
        free(story);
    }
}

static void a_boundary_is_of_certain_bytes(void **state)
{
    char longest[MULTIPART_BOUNDARY_MAX + 2];
    (void)state;

    memset(longest, 'x', sizeof longest);
    assert_true(multipart_is_boundary(longest, MULTIPART_BOUNDARY_MAX));
    assert_false(multipart_is_boundary(longest, MULTIPART_BOUNDARY_MAX + 1));
    assert_false(multipart_is_boundary("", 0));
    assert_true(multipart_is_boundary("a'()+_,-./:=? z", 15));
    assert_false(multipart_is_boundary("a ", 2));
    assert_false(multipart_is_boundary("a\rb", 3));
    assert_false(multipart_is_boundary("a\0b", 3));
    assert_false(multipart_is_boundary("a\"b", 3));
    assert_false(multipart_is_boundary("\xc3\xa4", 2));
}

/* ---- headers ---- */

static void malformed_headers_are_refused(void **state)
{
    (void)state;
    EXPECT("--B\r\na: b\n\r\n1\r\n--B--", "400");
    EXPECT("--B\r\na: b\rc: d\r\n\r\n1\r\n--B--", "400");
    EXPECT("--B\r\na: b\r\n folded\r\n\r\n1\r\n--B--", "400");
    EXPECT("--B\r\na : b\r\n\r\n1\r\n--B--", "400");
    EXPECT("--B\r\n: b\r\n\r\n1\r\n--B--", "400");
    EXPECT("--B\r\na: b\r\n--Bc: d\r\n\r\n1\r\n--B--", "400");
    EXPECT("--B\r\nno colon\r\n\r\n1\r\n--B--", "400");
    EXPECT("--B\r\na: \0b\r\n\r\n1\r\n--B--", "400");
    EXPECT("--B\r\na: \x01\r\n\r\n1\r\n--B--", "400");
    EXPECT("--B\r\na: b\r\n--B--", "400");
}

static char *repeat(const char *begin, const char *what, size_t times, const char *tail,
                    size_t *size_out)
{
    size_t length = strlen(what);
    char *text = malloc(strlen(begin) + length * times + strlen(tail) + 1), *at;

    at = stpcpy(text, begin);
    for (size_t i = 0; i < times; i++, at += length)
        memcpy(at, what, length);
    strcpy(at, tail);
    *size_out = strlen(text);
    return text;
}

static void expect_repeated(const char *begin, const char *what, size_t times, const char *tail,
                            const char *want)
{
    size_t size;
    char *body = repeat(begin, what, times, tail, &size);

    expect_with(&usual, body, size, want);
    free(body);
}

static void what_is_too_much_is_refused_before_it_is_there(void **state)
{
    char want[256];
    (void)state;

    snprintf(want, sizeof want, "{a:%197s|}.ok", "");
    expect_repeated("--B\r\na:", " ", 197, "\r\n\r\n--B--", want);
    expect_repeated("--B\r\na:", " ", 199, "", "413");
    expect_repeated("--B\r\n", "x", 100, "", "400"); /* the end is missing, no more */
    expect_repeated("--B\r\n", "x", 1000, "", "413");
    expect_repeated("--B\r\n", "a:b\r\n", 4, "\r\n--B--", "{a:b|a:b|a:b|a:b|}.ok");
    expect_repeated("--B\r\n", "a:b\r\n", 5, "\r\n--B--", "413");
    expect_repeated("", "--B\r\n\r\n\r\n", 10, "--B--", "{}.{}.{}.{}.{}.{}.{}.{}.{}.{}.ok");
    expect_repeated("", "--B\r\n\r\n\r\n", 11, "--B--", "{}.{}.{}.{}.{}.{}.{}.{}.{}.{}.413");
    expect_repeated("", "x", 195, "\r\n--B--", "ok");
    expect_repeated("", "x", 196, "\r\n--B--", "400");
    expect_repeated("--B--\r\n", "x", 200, "", "ok");
    expect_repeated("--B--\r\n", "x", 201, "", "400");
    expect_repeated("--B", " ", 201, "", "400");
}

/* ---- time ---- */

static uint64_t compared(const char *what, size_t times, size_t by, size_t *size_out)
{
    static const struct multipart_limits wide = {.max_parts = 1, .max_head = 200, .max_headers = 4};
    struct story story;
    char *body = repeat("--0123456789\r\na:b\r\n\r\n", what, times, "", size_out);

    begin(&story, *size_out, &wide);
    multipart_fini(&story.parser);
    assert_int_equal(multipart_init(&story.parser, "0123456789", &wide), 0);
    for (size_t at = 0; at < *size_out; at += by)
        feed(&story, body + at, by < *size_out - at ? by : *size_out - at);
    assert_int_equal(story.length, strlen("{a:b|}") + *size_out -
                                       strlen("--0123456789a:b\r\n\r\n\r\n") -
                                       story.parser.matched);
    multipart_fini(&story.parser);
    free(story.text);
    free(body);
    return story.parser.compared;
}

static void a_boundary_that_never_quite_comes_costs_as_much_as_the_body_is_long(void **state)
{
    static const char *const hostile[] = {"\r\n--012345678", "\r",    "\r\n", "\r\n--", "\r\r\n--0",
                                          "0123456789--",    "\r\n-", "x",    "\n\r"};
    (void)state;

    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++)
        for (size_t by = 1; by <= 100000; by *= 10) {
            size_t size;
            uint64_t steps = compared(hostile[i], 20000, by, &size);

            assert_in_range(steps, 0, 3 * size);
        }
}

/* ---- what a part's headers say ---- */

static struct reeve_part part;
static char memory[4096];

/* The name and the file name, or the status. */
static const char *described(const char *head)
{
    static char text[1024];
    char lines[1024];
    size_t length = strlen(head) + (*head != '\0');
    const char *error = NULL;
    int status;

    memset(lines, 0, sizeof lines);
    strcpy(lines, head);
    for (char *p = lines; *p; p++)
        if (*p == '\n')
            *p = '\0';
    status = part_describe(&part, lines, length, memory, &error);
    if (status == 0)
        snprintf(text, sizeof text, "%s|%s", part.name, part.filename ? part.filename : "(none)");
    else
        snprintf(text, sizeof text, "%d", status);
    assert_true((status == 0) == (error == NULL));
    return text;
}

#define DISPOSITION "Content-Disposition: form-data"

static void a_name_and_a_file_name_are_read(void **state)
{
    (void)state;
    assert_string_equal(described(DISPOSITION "; name=\"a\""), "a|(none)");
    assert_string_equal(described("content-disposition:FORM-Data ;NAME=a;\t"), "a|(none)");
    assert_string_equal(described(DISPOSITION "; name=\"\""), "|(none)");
    assert_string_equal(described(DISPOSITION "; name=\"a\"; filename=\"\""), "a|");
    assert_string_equal(described(DISPOSITION "; name=\"a;b\"; filename=\"c; name=d\""),
                        "a;b|c; name=d");
    assert_string_equal(described(DISPOSITION "; name=\"\\\"a\\\\\"; filename=\"C:\\new\\x\""),
                        "\"a\\|C:\\new\\x");
    assert_string_equal(described(DISPOSITION "; filename=\"%22\xe2\x82\xac\"; x=y; name=a"),
                        "a|%22\xe2\x82\xac");
}

static void an_extended_file_name_wins(void **state)
{
    (void)state;
    assert_string_equal(
        described(DISPOSITION "; name=a; filename=\"x\"; filename*=UTF-8''%e2%82%ac%20r.txt"),
        "a|\xe2\x82\xac r.txt");
    assert_string_equal(described(DISPOSITION "; name=a; filename*=utf-8'en'b; filename=x"), "a|b");
    assert_string_equal(described(DISPOSITION "; name=a; filename*=iso-8859-1''b"), "400");
    assert_string_equal(described(DISPOSITION "; name=a; filename*=utf-8''%00"), "400");
    assert_string_equal(described(DISPOSITION "; name=a; filename*=utf-8''%0d%0a"), "400");
    assert_string_equal(described(DISPOSITION "; name=a; filename*=utf-8''%c0%af"), "400");
    assert_string_equal(described(DISPOSITION "; name=a; filename*=utf-8''%ed%a0%80"), "400");
    assert_string_equal(described(DISPOSITION "; name=a; filename*=utf-8''%e2%82"), "400");
    assert_string_equal(described(DISPOSITION "; name=a; filename*=utf-8''%e"), "400");
    assert_string_equal(described(DISPOSITION "; name=a; filename*=utf-8'x"), "400");
    assert_string_equal(described(DISPOSITION "; name=a; filename*=utf-8''a*b"), "400");
    assert_string_equal(described(DISPOSITION "; name=a; filename*=\"utf-8''b\""), "400");
}

static void a_malformed_disposition_is_refused(void **state)
{
    (void)state;
    assert_string_equal(described(""), "400");
    assert_string_equal(described("X: y"), "400");
    assert_string_equal(described(DISPOSITION), "400");
    assert_string_equal(described(DISPOSITION "; filename=x"), "400");
    assert_string_equal(described("Content-Disposition: attachment; name=a"), "400");
    assert_string_equal(described("Content-Disposition: form-datax; name=a"), "400");
    assert_string_equal(described("Content-Disposition: form-data name=a"), "400");
    assert_string_equal(described(DISPOSITION "; name=a; name=b"), "400");
    assert_string_equal(described(DISPOSITION "; name=a; filename=b; filename=c"), "400");
    assert_string_equal(described(DISPOSITION "; name=a; filename*=utf-8''b; filename*=utf-8''c"),
                        "400");
    assert_string_equal(described(DISPOSITION "; name=\"a"), "400");
    assert_string_equal(described(DISPOSITION "; name=\"a\\"), "400");
    assert_string_equal(described(DISPOSITION "; name=\"a\"b"), "400");
    assert_string_equal(described(DISPOSITION "; name = a"), "400");
    assert_string_equal(described(DISPOSITION "; name="), "400");
    assert_string_equal(described(DISPOSITION "; name=a b"), "400");
    assert_string_equal(described(DISPOSITION "; name=a\n" DISPOSITION "; name=a"), "400");
    assert_string_equal(described(DISPOSITION "; name=a\nContent-Type: a/b\nContent-Type: a/b"),
                        "400");
}

static void a_part_within_a_part_or_encoded_is_refused(void **state)
{
    (void)state;
    assert_string_equal(
        described(DISPOSITION "; name=a\nContent-Type: Multipart/mixed; boundary=x"), "415");
    assert_string_equal(described(DISPOSITION "; name=a\nContent-Transfer-Encoding: base64"),
                        "415");
    assert_string_equal(described(DISPOSITION "; name=a\nContent-Transfer-Encoding: Binary"),
                        "a|(none)");
}

static void headers_are_found_by_name(void **state)
{
    (void)state;
    described("X-One:  1 \t\n" DISPOSITION "; name=a\nContent-Type: text/html \nx-Two:");
    assert_string_equal(reeve_part_header(&part, "x-one"), "1");
    assert_string_equal(reeve_part_header(&part, "X-TWO"), "");
    assert_null(reeve_part_header(&part, "X-Three"));
    assert_null(reeve_part_header(&part, "X"));
    assert_string_equal(reeve_part_type(&part), "text/html");
    described(DISPOSITION "; name=a");
    assert_string_equal(reeve_part_type(&part), "text/plain");
}

/* ---- the body's type ---- */

static int type_of(const char *text, struct form_type *type)
{
    const char *error = NULL;
    int status = form_type_read(text, type, &error);

    assert_true((status == 0) == (error == NULL));
    return status;
}

static void a_boundary_is_taken_from_the_type(void **state)
{
    struct form_type type;
    (void)state;

    assert_int_equal(type_of("multipart/form-data; boundary=abc", &type), 0);
    assert_int_equal(type.kind, FORM_MULTIPART);
    assert_string_equal(type.boundary, "abc");
    assert_int_equal(type_of("Multipart/Form-Data ;x=\"a\\\"b\"; Boundary=\"a b:\\c\" ;", &type),
                     0);
    assert_string_equal(type.boundary, "a b:c");
    assert_int_equal(type_of("application/x-www-form-urlencoded;charset=\"UTF-8\"", &type), 0);
    assert_int_equal(type.kind, FORM_URLENCODED);
}

static void another_type_or_a_malformed_one_is_refused(void **state)
{
    struct form_type type;
    char text[300];
    (void)state;

    assert_int_equal(type_of(NULL, &type), 415);
    assert_int_equal(type_of("", &type), 415);
    assert_int_equal(type_of("multipart/form-datas; boundary=a", &type), 415);
    assert_int_equal(type_of("multipart/mixed; boundary=a", &type), 415);
    assert_int_equal(type_of("application/x-www-form-urlencoded; charset=latin1", &type), 415);
    assert_int_equal(type_of("application/x-www-form-urlencoded, text/plain", &type), 415);
    assert_int_equal(type_of("multipart/form-data", &type), 400);
    assert_int_equal(type_of("multipart/form-data; boundary=", &type), 400);
    assert_int_equal(type_of("multipart/form-data; boundary=\"\"", &type), 400);
    assert_int_equal(type_of("multipart/form-data; boundary=\"a \"", &type), 400);
    assert_int_equal(type_of("multipart/form-data; boundary=a; boundary=a", &type), 400);
    assert_int_equal(type_of("multipart/form-data; boundary=\"a", &type), 400);
    assert_int_equal(type_of("multipart/form-data; boundary=a b", &type), 400);
    assert_int_equal(type_of("multipart/form-data; boundary=a, x", &type), 400);
    assert_int_equal(
        type_of("application/x-www-form-urlencoded; charset=utf-8; charset=utf-8", &type), 400);
    snprintf(text, sizeof text, "multipart/form-data; boundary=%0*d", MULTIPART_BOUNDARY_MAX, 0);
    assert_int_equal(type_of(text, &type), 0);
    snprintf(text, sizeof text, "multipart/form-data; boundary=%0*d", MULTIPART_BOUNDARY_MAX + 1,
             0);
    assert_int_equal(type_of(text, &type), 400);
    snprintf(text, sizeof text, "multipart/form-data; boundary=%0*d", 200, 0);
    assert_int_equal(type_of(text, &type), 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_told_apart),
        cmocka_unit_test(what_is_around_the_parts_is_skipped),
        cmocka_unit_test(what_begins_like_a_boundary_is_data),
        cmocka_unit_test(an_ambiguous_boundary_is_refused),
        cmocka_unit_test(a_body_that_ends_early_is_refused),
        cmocka_unit_test(a_boundary_is_of_certain_bytes),
        cmocka_unit_test(malformed_headers_are_refused),
        cmocka_unit_test(what_is_too_much_is_refused_before_it_is_there),
        cmocka_unit_test(a_boundary_that_never_quite_comes_costs_as_much_as_the_body_is_long),
        cmocka_unit_test(a_name_and_a_file_name_are_read),
        cmocka_unit_test(an_extended_file_name_wins),
        cmocka_unit_test(a_malformed_disposition_is_refused),
        cmocka_unit_test(a_part_within_a_part_or_encoded_is_refused),
        cmocka_unit_test(headers_are_found_by_name),
        cmocka_unit_test(a_boundary_is_taken_from_the_type),
        cmocka_unit_test(another_type_or_a_malformed_one_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
