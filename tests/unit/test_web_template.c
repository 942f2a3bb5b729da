/* test_web_template.c: templates: the specification's rules, mistakes, limits, and output that
 * comes in pieces. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cjson/cJSON.h>
#include <cmocka.h>
#include <reeve/view.h>

#include "template_cases.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static char output[1u << 20];
static size_t length, pieces, largest;
static unsigned fails_at; /* the piece that cannot be written; 0: all can */

static int collect(void *arg, const void *data, size_t size)
{
    (void)arg;
    if (++pieces == fails_at) {
        errno = EPIPE;
        return -1;
    }
    largest = size > largest ? size : largest;
    if (length + size < sizeof output) {
        memcpy(output + length, data, size);
        output[length + size] = '\0';
    }
    length += size;
    return 0;
}

static reeve_templates *set_of(const char *text, const char *others)
{
    reeve_templates *set = reeve_templates_new();
    cJSON *json = cJSON_Parse(others ? others : "{}");
    char error[REEVE_TEMPLATE_ERROR];
    const cJSON *other;

    assert_non_null(json);
    cJSON_ArrayForEach (other, json)
        assert_int_equal(reeve_templates_add(set, other->string, other->valuestring,
                                             strlen(other->valuestring), error),
                         0);
    if (reeve_templates_add(set, "main", text, strlen(text), error) == -1)
        fail_msg("%s: %s", text, error);
    cJSON_Delete(json);
    return set;
}

static int render_within(const char *text, const char *model, const char *others,
                         const reeve_template_limits *limits)
{
    reeve_templates *set = set_of(text, others);
    cJSON *json = cJSON_Parse(model);
    int result, reason;

    assert_non_null(json);
    length = pieces = largest = 0;
    output[0] = '\0';
    result = reeve_template_render(reeve_templates_find(set, "main"), json, limits, collect, NULL);
    reason = errno;
    cJSON_Delete(json);
    reeve_templates_free(set);
    errno = reason;
    return result;
}

static const char *render(const char *text, const char *model, const char *others)
{
    assert_int_equal(render_within(text, model, others, NULL), 0);
    return output;
}

/* ---- the specification ---- */

static void follows_every_rule_of_the_specification(void **state)
{
    unsigned failed = 0;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct template_case *c = &cases[i];

        if (strcmp(render(c->text, c->model, c->others), c->want) == 0)
            continue;
        print_error("%s: %s\n  wanted: [%s]\n  got:    [%s]\n", c->rule, c->text, c->want, output);
        failed++;
    }
    assert_int_equal(failed, 0);
}

/* ---- values ---- */

static void escapes_what_could_end_a_text_or_an_attribute(void **state)
{
    char text[2] = "", model[64];

    (void)state;
    for (int c = 1; c < 128; c++) {
        const char *want = c == '&'    ? "&amp;"
                           : c == '<'  ? "&lt;"
                           : c == '>'  ? "&gt;"
                           : c == '"'  ? "&quot;"
                           : c == '\'' ? "&#39;"
                                       : text;

        text[0] = (char)c;
        snprintf(model, sizeof model, "{\"v\":\"\\u%04x\"}", (unsigned)c);
        assert_string_equal(render("{{v}}", model, NULL), want);
        assert_string_equal(render("{{{v}}}", model, NULL), text);
    }
}

static void replaces_bytes_that_are_no_utf8(void **state)
{
    static const struct {
        const char *value, *want;
    } rows[] = {
        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
        {"\xf0\x9f\x98\x80<", "\xf0\x9f\x98\x80&lt;"},
        {"a\xff\"", "a\xef\xbf\xbd&quot;"},       /* would have swallowed the quote, once */
        {"\xc3\"", "\xef\xbf\xbd&quot;"},         /* the second byte is missing */
        {"\xc0\xbc", "\xef\xbf\xbd\xef\xbf\xbd"}, /* an overlong '<' */
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* half a surrogate pair */
        {"x\xe2\x82", "x\xef\xbf\xbd\xef\xbf\xbd"},               /* cut off at the end */
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        reeve_templates *set = set_of("{{v}}", NULL);
        cJSON *model = cJSON_CreateObject();

        cJSON_AddStringToObject(model, "v", rows[i].value);
        length = 0;
        assert_int_equal(
            reeve_template_render(reeve_templates_find(set, "main"), model, NULL, collect, NULL),
            0);
        assert_string_equal(output, rows[i].want);
        cJSON_Delete(model);
        reeve_templates_free(set);
    }
}

static void prints_numbers_so_that_they_can_be_read(void **state)
{
    (void)state;
    assert_string_equal(render("{{.}}", "1000000000000000", NULL), "1000000000000000");
    assert_string_equal(render("{{.}}", "-9007199254740991", NULL), "-9007199254740991");
    assert_string_equal(render("{{.}}", "-0", NULL), "0");
    assert_string_equal(render("{{.}}", "0.1", NULL), "0.1");
    assert_string_equal(render("{{.}}", "1e300", NULL), "1e+300");
    assert_string_equal(render("({{.}})", "1e999", NULL), "()"); /* infinity */
    assert_string_equal(render("({{a}}{{l}})", "{\"a\":{},\"l\":[1]}", NULL), "()");
}

/* ---- mistakes ---- */

static void says_where_a_mistake_is(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"a\n  {{b", "2:3: this tag has no \"}}\""},
        {"{{{b}}", "1:1: this tag has no \"}}}\""},
        {"{{=a b}}", "1:1: this tag has no \"=}}\""},
        {"{{", "1:1: this tag has no \"}}\""},
        {"{{#a}}\n{{#b}}{{/b}}\n", "1:4: \"a\" has no end"},
        {"{{/a}}", "1:1: \"a\" was not begun"},
        {"{{#a}}{{#b}}\n{{/a}}{{/b}}", "2:1: \"a\" ends here, where \"b\" has to"},
        {"x{{}}", "1:2: this tag has no name"},
        {"{{#}}{{/}}", "1:1: this tag has no name"},
        {"{{a b}}", "1:3: a name has no white space"},
        {"{{ #a}}", "1:4: \"#\" has to follow the delimiter at once"},
        {"{{a..b}}", "1:3: there is nothing between these dots"},
        {"{{.a}}", "1:3: there is nothing between these dots"},
        {"{{#a.}}{{/a.}}", "1:4: there is nothing between these dots"},
        {"{{=a=}}", "1:1: delimiters are two words of up to 15 bytes, without \"=\""},
        {"{{=a b c=}}", "1:1: delimiters are two words of up to 15 bytes, without \"=\""},
        {"{{=0123456789abcdef b=}}",
         "1:1: delimiters are two words of up to 15 bytes, without \"=\""},
        {"ok\nno \xff", "2:4: this is not UTF-8"},
    };
    reeve_templates *set = reeve_templates_new();
    char error[REEVE_TEMPLATE_ERROR];

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(reeve_templates_add(set, "x", rows[i].text, strlen(rows[i].text), error),
                         -1);
        assert_int_equal(errno, EINVAL);
        assert_string_equal(error, rows[i].want);
    }
    assert_int_equal(reeve_templates_add(set, "x", "a\0b", 3, error), -1);
    assert_string_equal(error, "1:2: a template has no zero bytes");
    assert_null(reeve_templates_find(set, "x"));
    reeve_templates_free(set);
}

static void takes_no_more_than_fits(void **state)
{
    reeve_templates *set = reeve_templates_new();
    char *text = malloc((1u << 20) + 2), error[REEVE_TEMPLATE_ERROR], name[300];

    (void)state;
    memset(text, 'x', (1u << 20) + 2);
    assert_int_equal(reeve_templates_add(set, "large", text, 1u << 20, error), 0);
    assert_int_equal(reeve_templates_add(set, "x", text, (1u << 20) + 1, error), -1);
    assert_int_equal(errno, EFBIG);
    assert_int_equal(reeve_templates_add(set, "large", "", 0, error), -1);
    assert_int_equal(errno, EEXIST);
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(reeve_templates_add(set, name, "", 0, error), -1);
    assert_int_equal(errno, EINVAL);
    text[0] = '\0';
    for (unsigned i = 0; i < 101; i++)
        strcat(text, "{{#a}}");
    assert_int_equal(reeve_templates_add(set, "deep", text, strlen(text), error), -1);
    assert_string_equal(error, "1:601: more than 100 sections within each other");
    free(text);
    reeve_templates_free(set);
}

/* ---- limits ---- */

static void ends_partials_that_name_themselves(void **state)
{
    (void)state;
    assert_int_equal(render_within("{{>main}}", "{}", NULL, NULL), -1);
    assert_int_equal(errno, ELOOP);
    assert_int_equal(render_within("{{<main}}{{$a}}{{/a}}{{/main}}", "{}", NULL, NULL), -1);
    assert_int_equal(errno, ELOOP);
    assert_int_equal(render_within("{{<p}}{{$a}}{{$a}}{{/a}}{{/a}}{{/p}}", "{}",
                                   "{\"p\":\"{{$a}}{{/a}}\"}", NULL),
                     -1);
    assert_int_equal(errno, ELOOP);
    assert_int_equal(render_within("{{#a}}{{#a}}{{/a}}{{/a}}", "{\"a\":1}", NULL,
                                   REEVE_TEMPLATE_LIMITS(.max_depth = 1)),
                     -1);
    assert_int_equal(errno, ELOOP);
    assert_int_equal(render_within("{{#a}}{{#a}}{{/a}}{{/a}}", "{\"a\":1}", NULL,
                                   REEVE_TEMPLATE_LIMITS(.max_depth = 2)),
                     0);
}

static void ends_when_there_is_too_much_output(void **state)
{
    (void)state;
    assert_int_equal(render_within("1234", "{}", NULL, REEVE_TEMPLATE_LIMITS(.max_bytes = 4)), 0);
    assert_int_equal(render_within("12345", "{}", NULL, REEVE_TEMPLATE_LIMITS(.max_bytes = 4)), -1);
    assert_int_equal(errno, EFBIG);
    assert_int_equal(length, 0);
}

/* Ten loops in each other over the same list: nothing is written, and there is no end to it. */
static void ends_when_there_is_too_much_work(void **state)
{
    const char *list = "{\"l\":[1,2,3,4,5,6,7,8,9,0]}";

    (void)state;
    assert_int_equal(render_within("{{#l}}{{#l}}{{#l}}{{#l}}{{#l}}{{#l}}{{#l}}{{#l}}{{#l}}{{#l}}"
                                   "{{/l}}{{/l}}{{/l}}{{/l}}{{/l}}{{/l}}{{/l}}{{/l}}{{/l}}{{/l}}",
                                   list, NULL, NULL),
                     -1);
    assert_int_equal(errno, E2BIG);
    /* Looking for a name in a long object is work, too. */
    assert_int_equal(
        render_within("{{#l}}{{no}}{{/l}}", list, NULL, REEVE_TEMPLATE_LIMITS(.max_steps = 40)),
        -1);
    assert_int_equal(errno, E2BIG);
    assert_int_equal(
        render_within("{{#l}}{{no}}{{/l}}", list, NULL, REEVE_TEMPLATE_LIMITS(.max_steps = 80)), 0);
}

static void writes_in_pieces_and_stops_when_one_fails(void **state)
{
    char model[4096] = "{\"l\":[0";

    (void)state;
    for (unsigned i = 0; i < 1000; i++)
        strcat(model, ",1");
    strcat(model, "],\"v\":\"<0123456789>\"}");
    assert_int_equal(render_within("{{#l}}{{v}} and some more text to go with it, {{v}}\n{{/l}}",
                                   model, NULL, NULL),
                     0);
    assert_int_equal(length, 1001 * (2 * 18 + 36));
    assert_int_equal(largest, 16384);
    assert_int_equal(pieces, (length + 16383) / 16384);
    for (fails_at = 1; fails_at <= 5; fails_at++) {
        assert_int_equal(
            render_within("{{#l}}{{v}} and some more text to go with it, {{v}}\n{{/l}}", model,
                          NULL, NULL),
            -1);
        assert_int_equal(errno, EPIPE);
        assert_int_equal(pieces, fails_at);
    }
    fails_at = 0;
    assert_int_equal(reeve_template_render(NULL, NULL, NULL, collect, NULL), -1);
    assert_int_equal(errno, ENOENT);
}

static void renders_without_a_model(void **state)
{
    reeve_templates *set = set_of("({{a}}{{#a}}1{{/a}}{{^a}}2{{/a}}{{.}})", NULL);

    (void)state;
    length = 0;
    assert_int_equal(
        reeve_template_render(reeve_templates_find(set, "main"), NULL, NULL, collect, NULL), 0);
    assert_string_equal(output, "(2)");
    reeve_templates_free(set);
}

/* ---- a folder ---- */

static char folder[] = "/tmp/templates-XXXXXX";

static void put_file(const char *name, const char *text)
{
    char path[128];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void drop_file(const char *name)
{
    char path[128];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_true(unlink(path) == 0 || rmdir(path) == 0);
}

static void load_fails(const char *want)
{
    reeve_templates *set = reeve_templates_new();
    char error[REEVE_TEMPLATE_ERROR], sentence[REEVE_TEMPLATE_ERROR];

    snprintf(sentence, sizeof sentence, "%s%s", folder, want);
    assert_int_equal(reeve_templates_load(set, folder, error), -1);
    assert_string_equal(error, sentence);
    reeve_templates_free(set);
}

static void loads_the_templates_of_a_folder(void **state)
{
    reeve_templates *set = reeve_templates_new();
    char error[REEVE_TEMPLATE_ERROR], name[16];

    (void)state;
    assert_non_null(mkdtemp(folder));
    put_file("page.mustache", "({{>head}})");
    put_file("head.mustache", "{{v}}");
    put_file(".hidden.mustache", "{{");
    put_file("other.txt", "{{");
    for (unsigned i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "%u.mustache", i);
        put_file(name, "");
    }
    assert_int_equal(reeve_templates_load(set, folder, error), 0);
    assert_non_null(reeve_templates_find(set, "page"));
    for (unsigned i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "%u", i);
        assert_non_null(reeve_templates_find(set, name));
        snprintf(name, sizeof name, "%u.mustache", i);
        drop_file(name);
    }
    assert_null(reeve_templates_find(set, ".hidden"));
    assert_null(reeve_templates_find(set, "other"));
    assert_null(reeve_templates_find(set, "hea"));
    assert_null(reeve_templates_find(set, "heads"));
    reeve_templates_free(set);

    put_file("head.mustache", "\n {{#a}}");
    load_fails("/head.mustache:2:5: \"a\" has no end");
    put_file("head.mustache", "\n {{>hed}}");
    load_fails("/head.mustache:2:5: there is no template \"hed\"");
    drop_file("head.mustache");
    load_fails("/page.mustache:1:5: there is no template \"head\"");
    assert_int_equal(mkdirat(AT_FDCWD, strcat(strcpy(error, folder), "/head.mustache"), 0700), 0);
    load_fails("/head.mustache: Invalid argument");
    drop_file("head.mustache");
    drop_file("page.mustache");
    drop_file("other.txt");
    drop_file(".hidden.mustache");
    assert_int_equal(rmdir(folder), 0);
    load_fails(": No such file or directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_every_rule_of_the_specification),
        cmocka_unit_test(escapes_what_could_end_a_text_or_an_attribute),
        cmocka_unit_test(replaces_bytes_that_are_no_utf8),
        cmocka_unit_test(prints_numbers_so_that_they_can_be_read),
        cmocka_unit_test(says_where_a_mistake_is),
        cmocka_unit_test(takes_no_more_than_fits),
        cmocka_unit_test(ends_partials_that_name_themselves),
        cmocka_unit_test(ends_when_there_is_too_much_output),
        cmocka_unit_test(ends_when_there_is_too_much_work),
        cmocka_unit_test(writes_in_pieces_and_stops_when_one_fails),
        cmocka_unit_test(renders_without_a_model),
        cmocka_unit_test(loads_the_templates_of_a_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
