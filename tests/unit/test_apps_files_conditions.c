/* test_apps_files_conditions.c: entity-tags, dates and preconditions of files, by the examples of
 * RFC 9110 and by their neighbours. */
#include "../../apps/files/conditions.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define EXAMPLE      784111777 /* Sun, 06 Nov 1994 08:49:37 GMT */
#define EXAMPLE_TEXT "Sun, 06 Nov 1994 08:49:37 GMT"
#define EARLIER_TEXT "Sun, 06 Nov 1994 08:49:36 GMT"
#define LATER_TEXT   "Sun, 06 Nov 1994 08:49:38 GMT"
#define NOW          1700000000 /* in November 2023 */

static const struct validators file = {"\"abc\"", EXAMPLE};

/* ---- entity-tags ---- */

static void a_list_has_its_tags(void **state)
{
    (void)state;
    assert_true(etag_list_has("\"abc\"", "\"abc\"", true));
    assert_true(etag_list_has("\"x\", \"abc\"", "\"abc\"", true));
    assert_true(etag_list_has("\"x\",\"abc\",\"y\"", "\"abc\"", true));
    assert_true(etag_list_has(", ,\t\"abc\"\t ,", "\"abc\"", true));
    assert_true(etag_list_has("*", "\"abc\"", true));
    assert_false(etag_list_has("\"x\"", "\"abc\"", false));
    assert_false(etag_list_has("\"ab\"", "\"abc\"", false));
    assert_false(etag_list_has("\"abcd\"", "\"abc\"", false));
    assert_false(etag_list_has("\"ABC\"", "\"abc\"", false));
    assert_false(etag_list_has("", "\"abc\"", false));
    assert_false(etag_list_has(",", "\"abc\"", false));
}

static void a_comma_may_be_part_of_a_tag(void **state)
{
    (void)state;
    assert_false(etag_list_has("\"x,\"abc\",y\"", "\"abc\"", false));
    assert_true(etag_list_has("\"a,b\", \"abc\"", "\"abc\"", false));
    assert_true(etag_list_has("\"\\\", \"abc\"", "\"abc\"", false)); /* no escapes in tags */
}

static void a_weak_tag_matches_weakly_only(void **state)
{
    (void)state;
    assert_true(etag_list_has("W/\"abc\"", "\"abc\"", false));
    assert_false(etag_list_has("W/\"abc\"", "\"abc\"", true));
    assert_true(etag_list_has("W/\"abc\", \"abc\"", "\"abc\"", true));
    assert_false(etag_list_has("w/\"abc\"", "\"abc\"", false));
}

static void a_malformed_list_matches_nothing_behind_its_flaw(void **state)
{
    (void)state;
    assert_false(etag_list_has("abc", "\"abc\"", false));
    assert_false(etag_list_has("\"abc", "\"abc\"", false));
    assert_false(etag_list_has("x, \"abc\"", "\"abc\"", false));
    assert_false(etag_list_has("\"x\" \"abc\"", "\"abc\"", false));
    assert_false(etag_list_has("\"x y\", \"abc\"", "\"abc\"", false));
    assert_false(etag_list_has("*, \"abc\"", "\"abc\"", false));
    assert_false(etag_list_has("W/ \"abc\"", "\"abc\"", false));
    assert_false(etag_list_has("W/", "\"abc\"", false));
}

/* ---- dates ---- */

static long long parsed(const char *text, time_t now)
{
    time_t date;

    return date_parse(text, now, &date) ? (long long)date : -1;
}

static void all_three_formats_tell_the_same_second(void **state)
{
    (void)state;
    assert_int_equal(parsed("Sun, 06 Nov 1994 08:49:37 GMT", NOW), EXAMPLE);
    assert_int_equal(parsed("Sunday, 06-Nov-94 08:49:37 GMT", NOW), EXAMPLE);
    assert_int_equal(parsed("Sun Nov  6 08:49:37 1994", NOW), EXAMPLE);
    assert_int_equal(parsed("Wed Nov 16 08:49:37 1994", NOW), EXAMPLE + 10 * 86400);
}

static void dates_at_the_edges_are_right(void **state)
{
    (void)state;
    assert_int_equal(parsed("Thu, 01 Jan 1970 00:00:00 GMT", NOW), 0);
    assert_int_equal(parsed("Thu, 29 Feb 2024 23:59:59 GMT", NOW), 1709251199);
    assert_int_equal(parsed("Fri, 31 Dec 2100 00:00:00 GMT", NOW), 4133894400);
    assert_int_equal(parsed("Sat, 31 Dec 2016 23:59:60 GMT", NOW), 1483228800);
}

static void a_year_of_two_digits_is_at_most_50_years_ahead(void **state)
{
    (void)state;
    assert_int_equal(parsed("Friday, 06-Nov-20 08:49:37 GMT", NOW),
                     parsed("Fri, 06 Nov 2020 08:49:37 GMT", NOW));
    assert_int_equal(parsed("Monday, 06-Nov-73 08:49:37 GMT", NOW),
                     parsed("Mon, 06 Nov 2073 08:49:37 GMT", NOW));
    assert_int_equal(parsed("Wednesday, 06-Nov-74 08:49:37 GMT", NOW),
                     parsed("Wed, 06 Nov 1974 08:49:37 GMT", NOW));
}

static void what_is_no_date_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "0",
        "784111777",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        " Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
        "sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 NOV 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06  Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 1994 -8:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Tue, 29 Feb 2023 00:00:00 GMT",
        "Xyz, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Xyz 1994 08:49:37 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sunday, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sun Nov 06 08:49:37 1994 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov   6 08:49:37 1994",
        "S",
        "Sun, 06 Nov",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        if (parsed(wrong[i], NOW) != -1)
            fail_msg("\"%s\" passed for a date", wrong[i]);
}

static void a_formatted_date_reads_back(void **state)
{
    char text[DATE_SIZE];

    (void)state;
    date_format(EXAMPLE, text);
    assert_string_equal(text, EXAMPLE_TEXT);
    for (time_t date = 0; date < 5000000000; date += 86400 * 13 + 4321) {
        date_format(date, text);
        assert_int_equal(parsed(text, NOW), date);
    }
}

/* ---- preconditions ---- */

static enum condition_verdict check(struct conditions conditions)
{
    conditions.now = NOW;
    return conditions_check(&conditions, &file);
}

static void without_conditions_all_goes_on(void **state)
{
    (void)state;
    assert_int_equal(check((struct conditions){0}), CONDITION_HOLDS);
}

static void if_match_wants_a_strong_match(void **state)
{
    (void)state;
    assert_int_equal(check((struct conditions){.if_match = "\"abc\""}), CONDITION_HOLDS);
    assert_int_equal(check((struct conditions){.if_match = "*"}), CONDITION_HOLDS);
    assert_int_equal(check((struct conditions){.if_match = "\"x\""}), CONDITION_FAILED);
    assert_int_equal(check((struct conditions){.if_match = "W/\"abc\""}), CONDITION_FAILED);
    assert_int_equal(check((struct conditions){.if_match = "rubbish"}), CONDITION_FAILED);
}

static void if_unmodified_since_fails_for_a_younger_file(void **state)
{
    (void)state;
    assert_int_equal(check((struct conditions){.if_unmodified_since = EXAMPLE_TEXT}),
                     CONDITION_HOLDS);
    assert_int_equal(check((struct conditions){.if_unmodified_since = LATER_TEXT}),
                     CONDITION_HOLDS);
    assert_int_equal(check((struct conditions){.if_unmodified_since = EARLIER_TEXT}),
                     CONDITION_FAILED);
    assert_int_equal(check((struct conditions){.if_unmodified_since = "rubbish"}), CONDITION_HOLDS);
}

static void if_none_match_finds_the_client_up_to_date(void **state)
{
    (void)state;
    assert_int_equal(check((struct conditions){.if_none_match = "\"abc\""}),
                     CONDITION_NOT_MODIFIED);
    assert_int_equal(check((struct conditions){.if_none_match = "\"x\", W/\"abc\""}),
                     CONDITION_NOT_MODIFIED);
    assert_int_equal(check((struct conditions){.if_none_match = "*"}), CONDITION_NOT_MODIFIED);
    assert_int_equal(check((struct conditions){.if_none_match = "\"x\""}), CONDITION_HOLDS);
}

static void if_modified_since_finds_the_client_up_to_date(void **state)
{
    (void)state;
    assert_int_equal(check((struct conditions){.if_modified_since = EXAMPLE_TEXT}),
                     CONDITION_NOT_MODIFIED);
    assert_int_equal(check((struct conditions){.if_modified_since = LATER_TEXT}),
                     CONDITION_NOT_MODIFIED);
    assert_int_equal(check((struct conditions){.if_modified_since = EARLIER_TEXT}),
                     CONDITION_HOLDS);
    assert_int_equal(check((struct conditions){.if_modified_since = "rubbish"}), CONDITION_HOLDS);
}

static void a_tag_outweighs_a_date(void **state)
{
    (void)state;
    assert_int_equal(
        check((struct conditions){.if_match = "\"abc\"", .if_unmodified_since = EARLIER_TEXT}),
        CONDITION_HOLDS);
    assert_int_equal(
        check((struct conditions){.if_none_match = "\"x\"", .if_modified_since = LATER_TEXT}),
        CONDITION_HOLDS);
}

static void failing_comes_before_not_modified(void **state)
{
    (void)state;
    assert_int_equal(check((struct conditions){.if_match = "\"x\"", .if_none_match = "\"abc\""}),
                     CONDITION_FAILED);
    assert_int_equal(check((struct conditions){.if_match = "\"abc\"", .if_none_match = "\"abc\""}),
                     CONDITION_NOT_MODIFIED);
    assert_int_equal(check((struct conditions){.if_unmodified_since = EARLIER_TEXT,
                                               .if_modified_since = LATER_TEXT}),
                     CONDITION_FAILED);
}

static void if_range_holds_for_this_very_file(void **state)
{
    (void)state;
    assert_true(if_range_holds("\"abc\"", &file, NOW));
    assert_false(if_range_holds("\"x\"", &file, NOW));
    assert_false(if_range_holds("W/\"abc\"", &file, NOW));
    assert_false(if_range_holds("\"abc\", \"x\"", &file, NOW)); /* one tag, no list */
    assert_false(if_range_holds("*", &file, NOW));
    assert_true(if_range_holds(EXAMPLE_TEXT, &file, NOW));
    assert_true(if_range_holds("Sunday, 06-Nov-94 08:49:37 GMT", &file, NOW));
    assert_false(if_range_holds(EARLIER_TEXT, &file, NOW));
    assert_false(if_range_holds(LATER_TEXT, &file, NOW)); /* exactly, not at least */
    assert_false(if_range_holds("W/" EXAMPLE_TEXT, &file, NOW));
    assert_false(if_range_holds("", &file, NOW));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_has_its_tags),
        cmocka_unit_test(a_comma_may_be_part_of_a_tag),
        cmocka_unit_test(a_weak_tag_matches_weakly_only),
        cmocka_unit_test(a_malformed_list_matches_nothing_behind_its_flaw),
        cmocka_unit_test(all_three_formats_tell_the_same_second),
        cmocka_unit_test(dates_at_the_edges_are_right),
        cmocka_unit_test(a_year_of_two_digits_is_at_most_50_years_ahead),
        cmocka_unit_test(what_is_no_date_is_refused),
        cmocka_unit_test(a_formatted_date_reads_back),
        cmocka_unit_test(without_conditions_all_goes_on),
        cmocka_unit_test(if_match_wants_a_strong_match),
        cmocka_unit_test(if_unmodified_since_fails_for_a_younger_file),
        cmocka_unit_test(if_none_match_finds_the_client_up_to_date),
        cmocka_unit_test(if_modified_since_finds_the_client_up_to_date),
        cmocka_unit_test(a_tag_outweighs_a_date),
        cmocka_unit_test(failing_comes_before_not_modified),
        cmocka_unit_test(if_range_holds_for_this_very_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
