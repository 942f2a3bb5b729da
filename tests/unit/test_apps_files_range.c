/* test_apps_files_range.c: what files makes of the Range header. An application's logic is no room
 * of the server, so the test takes its source in whole. */
#include "../../apps/files/range.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* "2-4,8-9" for a set, "whole" or "unsatisfiable" for the other verdicts. */
static const char *parse(const char *header, int64_t size)
{
    static char text[1024];
    struct range_set set;
    size_t length = 0;

    switch (range_parse(header, size, &set)) {
    case RANGE_WHOLE:
        return "whole";
    case RANGE_UNSATISFIABLE:
        return "unsatisfiable";
    case RANGE_PARTS:
        break;
    }
    assert_true(set.count >= 1 && set.count <= RANGE_LIMIT);
    for (size_t i = 0; i < set.count; i++)
        length +=
            (size_t)snprintf(text + length, sizeof(text) - length, "%s%lld-%lld", i == 0 ? "" : ",",
                             (long long)set.items[i].first, (long long)set.items[i].last);
    return text;
}

static void one_range_is_cut_to_the_file(void **state)
{
    (void)state;
    assert_string_equal(parse("bytes=0-0", 10), "0-0");
    assert_string_equal(parse("bytes=2-4", 10), "2-4");
    assert_string_equal(parse("bytes=2-", 10), "2-9");
    assert_string_equal(parse("bytes=9-", 10), "9-9");
    assert_string_equal(parse("bytes=0-9", 10), "0-9");
    assert_string_equal(parse("bytes=5-10", 10), "5-9");
    assert_string_equal(parse("bytes=5-999999", 10), "5-9");
    assert_string_equal(parse("BYTES=002-04", 10), "2-4");
}

static void a_suffix_counts_from_the_end(void **state)
{
    (void)state;
    assert_string_equal(parse("bytes=-1", 10), "9-9");
    assert_string_equal(parse("bytes=-10", 10), "0-9");
    assert_string_equal(parse("bytes=-11", 10), "0-9");
    assert_string_equal(parse("bytes=-99999999999999999999999", 10), "0-9");
}

static void a_range_behind_the_end_is_unsatisfiable(void **state)
{
    (void)state;
    assert_string_equal(parse("bytes=10-", 10), "unsatisfiable");
    assert_string_equal(parse("bytes=10-20", 10), "unsatisfiable");
    assert_string_equal(parse("bytes=-0", 10), "unsatisfiable");
    assert_string_equal(parse("bytes=10-,-0,11-12", 10), "unsatisfiable");
    assert_string_equal(parse("bytes=0-", 0), "unsatisfiable");
    assert_string_equal(parse("bytes=0-0", 0), "unsatisfiable");
}

static void the_end_of_an_empty_file_is_all_of_it(void **state)
{
    (void)state;
    assert_string_equal(parse("bytes=-5", 0), "whole");
    assert_string_equal(parse("bytes=-0", 0), "unsatisfiable");
}

static void numbers_too_large_do_not_wrap(void **state)
{
    (void)state;
    assert_string_equal(parse("bytes=0-18446744073709551616", 10), "0-9");
    assert_string_equal(parse("bytes=18446744073709551617-", 10), "unsatisfiable");
    assert_string_equal(parse("bytes=9223372036854775807-9223372036854775807", 10),
                        "unsatisfiable");
    assert_string_equal(parse("bytes=9223372036854775808-5", 10), "whole");
    assert_string_equal(parse("bytes=0-", INT64_MAX), "0-9223372036854775806");
    assert_string_equal(parse("bytes=-9223372036854775807", INT64_MAX), "0-9223372036854775806");
}

static void what_is_malformed_is_ignored(void **state)
{
    static const char *const malformed[] = {
        "",           "bytes",       "bytes=",      "bytes=,",      "bytes= , ",   "bytes=-",
        "bytes=a-b",  "bytes=1",     "bytes=4-2",   "bytes=1--2",   "bytes=--2",   "bytes=+1-2",
        "bytes=1 -2", "bytes=1- 2",  "bytes=1-2x",  "bytes=1-2 3",  "bytes=0x1-2", "bytes =1-2",
        "byte=1-2",   "items=0-1",   "bytes:1-2",   " bytes=1-2",   "bytes=1-2;",  "bytes=1-2,x",
        "seconds=1-", "bytes=1-2,4", "bytes=0-0-0", "bytes=\t1-2\r"};

    (void)state;
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++)
        if (strcmp(parse(malformed[i], 10), "whole") != 0)
            fail_msg("\"%s\" gave %s", malformed[i], parse(malformed[i], 10));
}

static void one_malformed_range_spoils_the_whole_set(void **state)
{
    (void)state;
    assert_string_equal(parse("bytes=0-1,4-2", 10), "whole");
    assert_string_equal(parse("bytes=0-1,20-,4-2", 10), "whole");
}

static void several_ranges_keep_their_order(void **state)
{
    (void)state;
    assert_string_equal(parse("bytes=0-1,4-5", 10), "0-1,4-5");
    assert_string_equal(parse("bytes=4-5,0-1,-1", 10), "4-5,0-1,9-9");
    assert_string_equal(parse("bytes=0-1,2-3", 10), "0-1,2-3");
}

static void empty_elements_and_white_space_between_ranges_are_allowed(void **state)
{
    (void)state;
    assert_string_equal(parse("bytes=, 0-1 ,\t,4-5 , ", 10), "0-1,4-5");
}

static void the_satisfiable_ones_of_a_set_are_served(void **state)
{
    (void)state;
    assert_string_equal(parse("bytes=50-60,2-3,-0", 10), "2-3");
}

static void overlapping_ranges_are_ignored(void **state)
{
    (void)state;
    assert_string_equal(parse("bytes=0-4,4-5", 10), "whole");
    assert_string_equal(parse("bytes=4-5,0-4", 10), "whole");
    assert_string_equal(parse("bytes=0-,0-,0-", 10), "whole");
    assert_string_equal(parse("bytes=2-3,0-9", 10), "whole");
    assert_string_equal(parse("bytes=8-,-1", 10), "whole");
}

/* "bytes=0-0,2-2,4-4,..." */
static const char *many(int count)
{
    static char header[4096];
    size_t length = (size_t)sprintf(header, "bytes=");

    for (int i = 0; i < count; i++)
        length += (size_t)sprintf(header + length, "%s%d-%d", i == 0 ? "" : ",", 2 * i, 2 * i);
    return header;
}

static void more_ranges_than_the_limit_are_ignored(void **state)
{
    struct range_set set;

    (void)state;
    assert_int_equal(range_parse(many(RANGE_LIMIT), 1000, &set), RANGE_PARTS);
    assert_int_equal(set.count, RANGE_LIMIT);
    assert_int_equal(range_parse(many(RANGE_LIMIT + 1), 1000, &set), RANGE_WHOLE);
    assert_int_equal(range_parse(many(300), 1000, &set), RANGE_WHOLE);
}

static void both_ends_count_in_the_size(void **state)
{
    (void)state;
    assert_int_equal(range_size(&(struct range){0, 0}), 1);
    assert_int_equal(range_size(&(struct range){5, 9}), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_range_is_cut_to_the_file),
        cmocka_unit_test(a_suffix_counts_from_the_end),
        cmocka_unit_test(a_range_behind_the_end_is_unsatisfiable),
        cmocka_unit_test(the_end_of_an_empty_file_is_all_of_it),
        cmocka_unit_test(numbers_too_large_do_not_wrap),
        cmocka_unit_test(what_is_malformed_is_ignored),
        cmocka_unit_test(one_malformed_range_spoils_the_whole_set),
        cmocka_unit_test(several_ranges_keep_their_order),
        cmocka_unit_test(empty_elements_and_white_space_between_ranges_are_allowed),
        cmocka_unit_test(the_satisfiable_ones_of_a_set_are_served),
        cmocka_unit_test(overlapping_ranges_are_ignored),
        cmocka_unit_test(more_ranges_than_the_limit_are_ignored),
        cmocka_unit_test(both_ends_count_in_the_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
