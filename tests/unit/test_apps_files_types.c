/* test_apps_files_types.c: the table of media types can be searched, and is found in by any case.
 */
#include "../../apps/files/types.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void the_table_is_sorted(void **state)
{
    (void)state;
    for (size_t i = 1; i < sizeof(types) / sizeof(types[0]); i++)
        if (strcasecmp(types[i - 1].ending, types[i].ending) >= 0)
            fail_msg("%s stands before %s", types[i - 1].ending, types[i].ending);
}

static void text_is_declared_to_be_utf_8(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        assert_int_equal(strncmp(types[i].name, "text/", 5) == 0,
                         strstr(types[i].name, "; charset=utf-8") != NULL);
}

static void a_type_follows_from_the_last_ending(void **state)
{
    (void)state;
    assert_string_equal(type_of("index.html"), "text/html; charset=utf-8");
    assert_string_equal(type_of("a/b/PHOTO.JPG"), "image/jpeg");
    assert_string_equal(type_of("x.tar.gz"), "application/gzip");
    assert_string_equal(type_of("page.html/file"), "application/octet-stream");
    assert_string_equal(type_of("README"), "application/octet-stream");
    assert_string_equal(type_of("dot."), "application/octet-stream");
    assert_string_equal(type_of(""), "application/octet-stream");
    assert_string_equal(type_of("x.htmlx"), "application/octet-stream");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_sorted),
        cmocka_unit_test(text_is_declared_to_be_utf_8),
        cmocka_unit_test(a_type_follows_from_the_last_ending),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
