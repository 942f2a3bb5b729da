/* test_web_json.c: JSON by the letter, before it is parsed and after, and JSON as text, within
 * limits. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json_depth.h"
#include "web/view_check.h"
#include "web/view_json.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* As reeve_json_read does it: 0, 400, or 1 when cJSON would not have it. */
static int judge(const char *text)
{
    size_t at;
    const char *flaw = view_check_text(text, strlen(text), &at);
    cJSON *json;
    int status;

    if (flaw)
        return 400;
    json = cJSON_ParseWithOpts(text, NULL, true);
    if (!json)
        return 1;
    status = view_check_tree(json, &flaw);
    cJSON_Delete(json);
    return status;
}

static void takes_what_rfc_8259_allows(void **state)
{
    static const char *const texts[] = {
        "null",
        " true ",
        "false\n",
        "0",
        "-0",
        "10",
        "-12.5e+3",
        "1E-2",
        "\"\"",
        "[]",
        "{}",
        "[1,\t2,\r\n3]",
        "{\"a\":{\"b\":[{}]}}",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"",
        "\"gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80 \\ud83d\\ude00\"",
        "\"\x7f\"",
        "\"\\\\u0000\"",
        "[{\"a\":1},{\"a\":1}]",
        "{\"a\":1,\"A\":2,\"\":3}",
        "9007199254740993",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++)
        if (judge(texts[i]) != 0)
            fail_msg("refused: %s", texts[i]);
}

static void refuses_what_it_does_not(void **state)
{
    static const char *const texts[] = {
        "",
        " ",
        "nul",
        "True",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "[1 2]",
        "{\"a\"}",
        "[",
        "}",
        "1 2",
        "[1]x",
        "'a'",
        "/* a */ 1",
        "// a\n1",
        "NaN",
        "Infinity",
        "-Infinity",
        /* numbers that cJSON would take */
        "01",
        "-",
        "-01",
        "1.",
        ".5",
        "1.e2",
        "1e",
        "1e+",
        "+1",
        "0x10",
        "1e999",
        "[-1e999]",
        "[1,2,01]",
        /* bytes that cJSON would take */
        "\"a\nb\"",
        "\"a\tb\"",
        "\"\x01\"",
        "[1,\v2]",
        "\f1",
        "\x01"
        "1",
        "[1\x7f]",
        "\xef\xbb\xbf[]",
        "\"\xff\"",
        "\"\xc3\"",
        "\"\xed\xa0\x80\"",
        "\"\xc0\x80\"",
        /* texts that would end early, or not at all */
        "\"a\\u0000b\"",
        "{\"\\u0000\":1}",
        "\"a",
        "\"a\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\ud83d\"",
        "\"\\ude00\"",
        /* names that come twice */
        "{\"a\":1,\"a\":1}",
        "{\"a\":1,\"b\":2,\"c\":{\"d\":1,\"e\":2,\"d\":3}}",
        "{\"a\":1,\"\\u0061\":2}",
        "[[{\"\":1,\"\":2}]]",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++)
        if (judge(texts[i]) == 0)
            fail_msg("taken: %s", texts[i]);
}

static void says_where(void **state)
{
    static const struct {
        const char *text, *flaw;
        size_t at;
    } rows[] = {
        {"[1, 02]", "a number that is none", 4},
        {"[\"ok\", \"a\nb\"]", "a control byte within a text", 9},
        {"[\"\\u0000\"]", "a text with U+0000", 2},
        {"[\"a", "a text without an end", 3},
        {"[\xff]", "bytes that are not UTF-8", 1},
        {"[\v]", "a byte that JSON does not know", 1},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t at = 99;

        assert_string_equal(view_check_text(rows[i].text, strlen(rows[i].text), &at), rows[i].flaw);
        assert_int_equal(at, rows[i].at);
    }
}

/* Whatever is looked at after that ends at the first one. */
static void finds_every_zero_byte(void **state)
{
    static const char text[] = "[1, \"a\\n\"] ";
    char copy[sizeof text];

    (void)state;
    for (size_t i = 0; i < sizeof text - 1; i++) {
        size_t at = 99;

        memcpy(copy, text, sizeof text);
        copy[i] = '\0';
        assert_non_null(view_check_text(copy, sizeof text - 1, &at));
        assert_int_equal(at, i);
    }
}

static void counts_values_and_depth_without_parsing(void **state)
{
    (void)state;
    assert_int_equal(view_check_count("1", 1), 1);
    assert_true(view_check_count("[1,2,3]", 7) >= 4);
    assert_true(view_check_count("{\"a\":[{},{}]}", 13) >= 4);
    assert_int_equal(view_check_count("\",,[[{{\\\",,\"", 12), 1);
    assert_true(json_is_shallow("[[]]", 2));
    assert_false(json_is_shallow("[[]]", 1));
    assert_false(json_is_shallow("[],[[{", 2));
    assert_true(json_is_shallow("\"[[[\\\"[[[\"", 0));
    assert_true(json_is_shallow("]]][", 1));
}

/* ---- printing ---- */

/* The errno, or 0 and the text in `text_out`. */
static int print(const cJSON *json, const reeve_json_limits *limits, char *text_out, size_t size)
{
    size_t length = 0;
    char *text = view_json_text(json, limits, &length);

    if (!text)
        return errno;
    assert_int_equal(length, strlen(text));
    snprintf(text_out, size, "%s", text);
    free(text);
    return 0;
}

static void prints_what_cjson_prints(void **state)
{
    static const char *const texts[] = {
        "null",
        "[]",
        "{}",
        "[true,false,null,0,-2147483648,2147483647,1.5,1e+300,0.1]",
        "{\"a\":{\"b\":[{},[],\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\"]},\"\xc3\xbc\\n\":1}",
    };
    char got[512];

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        cJSON *json = cJSON_Parse(texts[i]);
        char *pretty = cJSON_Print(json);

        assert_int_equal(print(json, NULL, got, sizeof got), 0);
        assert_string_equal(got, texts[i]);
        assert_int_equal(print(json, REEVE_JSON_LIMITS(.is_pretty = true), got, sizeof got), 0);
        assert_string_equal(got, pretty);
        cJSON_free(pretty);
        cJSON_Delete(json);
    }
}

static void prints_no_number_as_null(void **state)
{
    double none[] = {NAN, INFINITY, -INFINITY};
    cJSON *json = cJSON_CreateDoubleArray(none, 3);
    char got[64];

    (void)state;
    assert_int_equal(print(json, NULL, got, sizeof got), 0);
    assert_string_equal(got, "[null,null,null]");
    cJSON_Delete(json);
}

static void prints_nothing_that_is_no_utf8(void **state)
{
    cJSON *text = cJSON_CreateString("a\xff"), *object = cJSON_CreateObject();
    char got[64];

    (void)state;
    assert_int_equal(print(text, NULL, got, sizeof got), EILSEQ);
    cJSON_AddNullToObject(object, "a\xc3");
    assert_int_equal(print(object, NULL, got, sizeof got), EILSEQ);
    assert_int_equal(print(NULL, NULL, got, sizeof got), EINVAL);
    cJSON_Delete(text);
    cJSON_Delete(object);
}

static cJSON *nested(unsigned depth)
{
    cJSON *json = cJSON_CreateArray();

    while (--depth > 0) {
        cJSON *around = cJSON_CreateArray();

        cJSON_AddItemToArray(around, json);
        json = around;
    }
    return json;
}

static void prints_only_so_deep(void **state)
{
    static const struct {
        unsigned depth, most;
        int want;
    } rows[] = {{32, 0, 0},    {33, 0, ELOOP}, {33, 33, 0},        {1, 1, 0},
                {2, 1, ELOOP}, {128, 128, 0},  {129, 1000, ELOOP}, {900, 1000, ELOOP}};
    char got[512];

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        cJSON *json = nested(rows[i].depth);

        assert_int_equal(print(json, REEVE_JSON_LIMITS(.max_depth = rows[i].most), got, 512),
                         rows[i].want);
        cJSON_Delete(json);
    }
}

/* An item that contains itself is deep, and one that follows itself is long. */
static void prints_no_circles(void **state)
{
    cJSON *circle = cJSON_CreateArray(), *ring = cJSON_CreateArray();
    char got[512];

    (void)state;
    circle->child = circle;
    assert_int_equal(print(circle, NULL, got, sizeof got), ELOOP);
    circle->child = NULL;
    cJSON_AddItemToArray(ring, cJSON_CreateNull());
    ring->child->next = ring->child;
    assert_int_equal(print(ring, NULL, got, sizeof got), EFBIG);
    ring->child->next = NULL;
    cJSON_Delete(circle);
    cJSON_Delete(ring);
}

static void prints_only_so_much(void **state)
{
    cJSON *json = cJSON_Parse("[\"0123456789\",1,2,3]");
    char got[512];

    (void)state;
    assert_int_equal(print(json, REEVE_JSON_LIMITS(.max_values = 5), got, 512), 0);
    assert_int_equal(print(json, REEVE_JSON_LIMITS(.max_values = 4), got, 512), EFBIG);
    assert_int_equal(print(json, REEVE_JSON_LIMITS(.max_bytes = 24), got, 512), 0);
    assert_int_equal(print(json, REEVE_JSON_LIMITS(.max_bytes = 17), got, 512), EFBIG);
    cJSON_Delete(json);
}

/* A part of a larger whole is printed without its neighbours. */
static void prints_a_part(void **state)
{
    cJSON *json = cJSON_Parse("{\"a\":[1],\"b\":2}");
    char got[64];

    (void)state;
    assert_int_equal(print(json->child, NULL, got, sizeof got), 0);
    assert_string_equal(got, "[1]");
    cJSON_Delete(json);
}

static cJSON *any_json(unsigned depth)
{
    cJSON *json;

    switch (rand() % (depth > 0 ? 8 : 5)) {
    case 0:
        return cJSON_CreateNumber(rand() % 3 ? rand() - RAND_MAX / 2 : rand() / 7.0);
    case 1:
        return cJSON_CreateString("\"\\\b\x01\x1f<\xc3\xbc\xe2\x82\xac");
    case 2:
        return cJSON_CreateBool(rand() % 2);
    case 3:
        return cJSON_CreateNull();
    case 4:
        return cJSON_CreateNumber(rand() * 1e290 * (rand() % 2 ? 1 : -1));
    case 5:
        json = cJSON_CreateArray();
        for (int i = rand() % 5; i > 0; i--)
            cJSON_AddItemToArray(json, any_json(depth - 1));
        return json;
    default:
        json = cJSON_CreateObject();
        for (int i = rand() % 5; i > 0; i--)
            cJSON_AddItemToObject(json, "\x01\"name", any_json(depth - 1));
        return json;
    }
}

/* The measure has to be enough whatever there is: else printing would fail. */
static void measures_enough(void **state)
{
    static char got[1u << 16];

    (void)state;
    srand(7);
    for (unsigned i = 0; i < 2000; i++) {
        cJSON *json = any_json(6);
        char *want = cJSON_PrintUnformatted(json);

        assert_int_equal(print(json, NULL, got, sizeof got), 0);
        assert_string_equal(got, want);
        cJSON_free(want);
        want = cJSON_Print(json);
        assert_int_equal(print(json, REEVE_JSON_LIMITS(.is_pretty = true), got, sizeof got), 0);
        assert_string_equal(got, want);
        cJSON_free(want);
        cJSON_Delete(json);
    }
}

/* Each byte in each place of the eight that are looked at in one go, often enough that one that was
 * measured too short would not fit in. */
static void measures_each_byte_in_each_place(void **state)
{
    static char text[1801], got[16384];

    (void)state;
    for (unsigned byte = 1; byte < 256; byte++) {
        for (size_t place = 0; place < 9; place++) {
            cJSON *json;
            char *want;

            memset(text, 'a', sizeof text - 1);
            for (size_t at = place; at < sizeof text - 1; at += 9)
                text[at] = (char)byte;
            json = cJSON_CreateStringReference(text);
            want = cJSON_PrintUnformatted(json);
            assert_int_equal(print(json, NULL, got, sizeof got), byte < 0x80 ? 0 : EILSEQ);
            if (byte < 0x80)
                assert_string_equal(got, want);
            cJSON_free(want);
            cJSON_Delete(json);
        }
    }
}

static void takes_characters_in_each_place(void **state)
{
    char text[64], got[64], want[66];

    (void)state;
    for (int before = 0; before < 20; before++) {
        cJSON *json = cJSON_CreateStringReference(text);

        snprintf(text, sizeof text, "%.*s\xf0\x9f\x8e\x89\xe2\x82\xac\xc3\xbc%.*s", before,
                 "aaaaaaaaaaaaaaaaaaaa", before % 7, "zzzzzzz");
        snprintf(want, sizeof want, "\"%s\"", text);
        assert_int_equal(print(json, NULL, got, sizeof got), 0);
        assert_string_equal(got, want);
        text[before + 6] = 'x'; /* in the middle of one */
        assert_int_equal(print(json, NULL, got, sizeof got), EILSEQ);
        cJSON_Delete(json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_rfc_8259_allows),
        cmocka_unit_test(refuses_what_it_does_not),
        cmocka_unit_test(says_where),
        cmocka_unit_test(finds_every_zero_byte),
        cmocka_unit_test(counts_values_and_depth_without_parsing),
        cmocka_unit_test(prints_what_cjson_prints),
        cmocka_unit_test(prints_no_number_as_null),
        cmocka_unit_test(prints_nothing_that_is_no_utf8),
        cmocka_unit_test(prints_only_so_deep),
        cmocka_unit_test(prints_no_circles),
        cmocka_unit_test(prints_only_so_much),
        cmocka_unit_test(prints_a_part),
        cmocka_unit_test(measures_enough),
        cmocka_unit_test(measures_each_byte_in_each_place),
        cmocka_unit_test(takes_characters_in_each_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
