/* test_base_identity.c: a listener is found by another configuration, whatever its place there. */
#include "base/identity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct config_listen listens[] = {
    {.name = (char *)(uintptr_t) "public", .address.text = "127.0.0.1:8080"},
    {.name = (char *)(uintptr_t) "127.0.0.1:0", .address.text = "127.0.0.1:40001"},
    {.name = (char *)(uintptr_t) "unix:/run/a", .address.text = "unix:/run/a"},
};
static const struct config config = {.listens = listens, .listen_count = COUNT(listens)};

static void each_finds_itself(void **state)
{
    char text[IDENTITY_MOST];

    (void)state;
    for (size_t i = 0; i < COUNT(listens); i++) {
        assert_true(identity_write(&listens[i], text));
        assert_int_equal(identity_find(&config, text), i);
    }
}

static void the_address_counts_before_the_name_and_further_lines_do_not(void **state)
{
    static const struct {
        const char *text;
        int index;
    } rows[] = {
        {"127.0.0.1:8080\nother\n", 0},
        {"127.0.0.1:8080\nunix:/run/a\n", 0},
        {"127.0.0.1:40777\n127.0.0.1:0\n", 1}, /* the kernel chose another port */
        {"0.0.0.0:80\npublic\ntls\nmore\n", 0},
        {"0.0.0.0:80\npublic", 0},
        {"unix:/run/a", 2},
        {"127.0.0.1:808\nnobody\n", -1},
        {"127.0.0.1:80800\n", -1},
        {"public\n", -1},
        {"\n\n", -1},
        {"", -1},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        if (identity_find(&config, rows[i].text) != rows[i].index)
            fail_msg("%s", rows[i].text);
}

static void a_name_that_does_not_fit_is_said_to(void **state)
{
    static char name[IDENTITY_MOST + 1];
    struct config_listen listen = {.name = name, .address.text = "127.0.0.1:80"};
    char text[IDENTITY_MOST];

    (void)state;
    memset(name, 'x', sizeof name - 1);
    assert_false(identity_write(&listen, text));
}

static void a_listener_is_among_those_of_whoever_would_find_it(void **state)
{
    const struct config_listen by_address = {.name = (char *)(uintptr_t) "other",
                                             .address.text = "unix:/run/a"},
                               by_name = {.name = (char *)(uintptr_t) "public",
                                          .address.text = "127.0.0.1:9090"},
                               neither = {.name = (char *)(uintptr_t) "127.0.0.1:808",
                                          .address.text = "public"};
    char texts[4096];

    (void)state;
    identity_write_all(&config, texts, sizeof texts);
    for (size_t i = 0; i < COUNT(listens); i++)
        assert_true(identity_is_among(&listens[i], texts));
    assert_true(identity_is_among(&by_address, texts));
    assert_true(identity_is_among(&by_name, texts));
    assert_false(identity_is_among(&neither, texts));
    assert_false(identity_is_among(&listens[0], ""));
    assert_false(identity_is_among(&listens[0], "127.0.0.1:80801"));
}

/* A connection that waits for a request has no business where none are spoken. */
static void a_listener_that_speaks_something_else_is_another_one(void **state)
{
    static struct config_listen changed[] = {
        {.name = (char *)(uintptr_t) "public",
         .address.text = "127.0.0.1:8080",
         .protocol = LISTEN_CHAT},
        {.name = (char *)(uintptr_t) "lines",
         .address.text = "127.0.0.1:7070",
         .protocol = LISTEN_CHAT},
        {.name = (char *)(uintptr_t) "unix:/run/a", .address.text = "unix:/run/a"},
    };
    static const struct config next = {.listens = changed, .listen_count = COUNT(changed)};
    char texts[4096];

    (void)state;
    assert_int_equal(identity_find(&next, "127.0.0.1:8080\npublic\n"), -1);
    assert_int_equal(identity_find(&next, "0.0.0.0:80\npublic\n"), -1);
    assert_int_equal(identity_find(&next, "127.0.0.1:8080\nunix:/run/a\n"), -1);
    assert_int_equal(identity_find(&next, "unix:/run/a\nunix:/run/a\n"), 2);
    identity_write_all(&next, texts, sizeof texts);
    assert_string_equal(texts, "unix:/run/a\nunix:/run/a\n");
    assert_false(identity_is_among(&listens[0], texts));
    assert_true(identity_is_among(&listens[2], texts));
    identity_write_all(&config, texts, sizeof texts);
    assert_false(identity_is_among(&changed[0], texts)); /* was http, is chat: and back */
}

static void those_that_do_not_fit_are_left_out_whole(void **state)
{
    char texts[32 + 1];

    (void)state;
    identity_write_all(&config, texts, sizeof texts - 1);
    assert_string_equal(texts, "127.0.0.1:8080\npublic\n");
    assert_false(identity_is_among(&listens[1], texts));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_finds_itself),
        cmocka_unit_test(the_address_counts_before_the_name_and_further_lines_do_not),
        cmocka_unit_test(a_name_that_does_not_fit_is_said_to),
        cmocka_unit_test(a_listener_is_among_those_of_whoever_would_find_it),
        cmocka_unit_test(a_listener_that_speaks_something_else_is_another_one),
        cmocka_unit_test(those_that_do_not_fit_are_left_out_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
