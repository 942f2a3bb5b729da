/* test_web_negotiation.c: what a client would rather have, from headers as they come. */
#include "web/negotiation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct wish {
    const char *header;
    enum negotiation_gzip wish;
};

static void gzip_comes_when_it_is_asked_for(void **state)
{
    static const struct wish wishes[] = {
        {NULL, NEGOTIATION_PLAIN},
        {"", NEGOTIATION_PLAIN},
        {"gzip", NEGOTIATION_GZIP},
        {"GZip", NEGOTIATION_GZIP},
        {"x-gzip", NEGOTIATION_GZIP},
        {"gzip, deflate, br", NEGOTIATION_GZIP},
        {"deflate, br", NEGOTIATION_PLAIN},
        {"gzipped", NEGOTIATION_PLAIN},
        {"*", NEGOTIATION_GZIP},
        {"identity, *;q=0.5", NEGOTIATION_PLAIN},
        {"gzip;q=0", NEGOTIATION_PLAIN},
        {"gzip;q=0.000", NEGOTIATION_PLAIN},
        {"gzip;q=0, *", NEGOTIATION_PLAIN},
        {"gzip;q=0.001", NEGOTIATION_GZIP},
        {"gzip ; q=0.5 , identity;q=0.6", NEGOTIATION_PLAIN},
        {"gzip;Q=0.6,identity;q=0.5", NEGOTIATION_GZIP},
        {"gzip, identity", NEGOTIATION_GZIP},
        {"gzip, identity;q=0", NEGOTIATION_REFUSED},
        {"gzip, *;q=0", NEGOTIATION_REFUSED},
        {"gzip, identity;q=0.1, *;q=0", NEGOTIATION_GZIP},
        {"*;q=0", NEGOTIATION_PLAIN}, /* nothing at all: what is there is better than that */
        {"identity;q=0", NEGOTIATION_PLAIN},
        {",, gzip ,", NEGOTIATION_GZIP},
    };

    (void)state;
    for (size_t i = 0; i < sizeof wishes / sizeof *wishes; i++)
        if (negotiation_gzip(wishes[i].header) != wishes[i].wish)
            fail_msg("%s", wishes[i].header);
}

static void what_is_malformed_is_passed_over(void **state)
{
    static const struct wish wishes[] = {
        {"gzip;q=2", NEGOTIATION_PLAIN},       {"gzip;q=1.5", NEGOTIATION_PLAIN},
        {"gzip;q=0.1234", NEGOTIATION_PLAIN},  {"gzip;q=", NEGOTIATION_PLAIN},
        {"gzip;q=.5", NEGOTIATION_PLAIN},      {"gzip;q", NEGOTIATION_PLAIN},
        {"gzip br", NEGOTIATION_PLAIN},        {"\"gzip\"", NEGOTIATION_PLAIN},
        {"x;a=\", gzip\"", NEGOTIATION_PLAIN}, {"x;a=\"\\\", gzip", NEGOTIATION_PLAIN},
        {"br;q=x, gzip", NEGOTIATION_GZIP},    {"a b c;\"x,y\", gzip", NEGOTIATION_GZIP},
        {";q=1,gzip", NEGOTIATION_GZIP},       {"br;;q=1,gzip", NEGOTIATION_GZIP},
        {";;;=;=\"", NEGOTIATION_PLAIN},       {"\"", NEGOTIATION_PLAIN},
    };

    (void)state;
    for (size_t i = 0; i < sizeof wishes / sizeof *wishes; i++)
        if (negotiation_gzip(wishes[i].header) != wishes[i].wish)
            fail_msg("%s", wishes[i].header);
}

static void the_best_type_is_that_of_the_highest_quality(void **state)
{
    static const char *const types[] = {"text/plain", "text/html", "application/json", NULL};
    static const struct {
        const char *accept;
        unsigned best;
    } wishes[] = {
        {NULL, 0},
        {"*/*", 0},
        {"text/html", 1},
        {"TEXT/HTML", 1},
        {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", 1},
        {"application/json, text/plain, */*", 0},
        {"application/json", 2},
        {"application/json;q=0.9, text/html;q=0.1", 2},
        {"application/*", 2},
        {"application/*, text/*;q=0.5", 2},
        {"text/*;q=0.5, text/html", 1},
        {"*/*, application/json", 2}, /* named, and so meant */
        {"text/plain;q=0, text/*", 1},
        {"image/png", 0},
        {"text/html;level=1, application/json;q=0.1", 2},
        {"", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof wishes / sizeof *wishes; i++)
        if (negotiation_best_type(wishes[i].accept, types) != wishes[i].best)
            fail_msg("%s", wishes[i].accept);
}

static void the_most_specific_range_decides(void **state)
{
    int specificity;

    (void)state;
    assert_int_equal(negotiation_type_quality("text/html;q=0.1, text/*;q=0.5, */*;q=0.9",
                                              "text/html", &specificity),
                     100);
    assert_int_equal(specificity, 3);
    assert_int_equal(negotiation_type_quality("*/*;q=0.9, text/*;q=0.5", "text/html", &specificity),
                     500);
    assert_int_equal(specificity, 2);
    assert_int_equal(negotiation_type_quality("image/*, */*;q=0.25", "text/html", &specificity),
                     250);
    assert_int_equal(specificity, 1);
    assert_int_equal(negotiation_type_quality("image/*", "text/html", &specificity), 0);
    assert_int_equal(specificity, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gzip_comes_when_it_is_asked_for),
        cmocka_unit_test(what_is_malformed_is_passed_over),
        cmocka_unit_test(the_best_type_is_that_of_the_highest_quality),
        cmocka_unit_test(the_most_specific_range_decides),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
