/* test_web_route_tree.c: which pattern a path finds, what its parameters stand for, and which
 * patterns are refused. */
#include "web/route_tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct route_tree *tree;
static char found[2048];

static int setup(void **state)
{
    (void)state;
    tree = route_tree_new();
    return tree ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    route_tree_free(tree);
    return 0;
}

static void add(const char *pattern)
{
    struct route_refusal refusal;
    const struct route_end *end = route_tree_add(tree, pattern, &refusal);

    if (!end)
        fail_msg("%s: %s", pattern, refusal.why);
    assert_string_equal(end->pattern, pattern);
}

#define ADD(...) add_all((const char *const[]){__VA_ARGS__, NULL})

static void add_all(const char *const *patterns)
{
    for (; *patterns; patterns++)
        add(*patterns);
}

/* "PATTERN name=value name=value", or "none". */
static const char *find(const char *path)
{
    struct route_value values[ROUTE_PARAMS_MAX];
    const struct route_end *end = route_tree_find(tree, path, values);
    int n = snprintf(found, sizeof found, "%s", end ? end->pattern : "none");

    for (unsigned i = 0; end && i < end->param_count; i++)
        n += snprintf(found + n, sizeof found - (size_t)n, " %s=%.*s", end->params[i].name,
                      (int)values[i].length, values[i].text);
    return found;
}

#define FINDS(path, what) assert_string_equal(find(path), what)

static void refuses(const char *pattern, const char *why, const char *other)
{
    struct route_refusal refusal;

    assert_null(route_tree_add(tree, pattern, &refusal));
    assert_non_null(refusal.why);
    if (!strstr(refusal.why, why))
        fail_msg("%s: %s", pattern, refusal.why);
    if (other)
        assert_string_equal(refusal.other, other);
    else
        assert_null(refusal.other);
}

/* ---- finding ---- */

static void fixed_paths_are_found_in_whole(void **state)
{
    (void)state;
    FINDS("/", "none");
    ADD("/", "/users", "/users/new", "/users/", "/a b/\xc3\xa9");
    FINDS("/", "/");
    FINDS("/users", "/users");
    FINDS("/users/", "/users/");
    FINDS("/users/new", "/users/new");
    FINDS("/a b/\xc3\xa9", "/a b/\xc3\xa9");
    FINDS("/user", "none");
    FINDS("/userss", "none");
    FINDS("/Users", "none");
    FINDS("/users//", "none");
    FINDS("/users/new/", "none");
    FINDS("//users", "none");
    FINDS("/new", "none");
    FINDS("", "none");
    FINDS("users", "none");
}

static void a_parameter_is_one_segment_and_not_empty(void **state)
{
    (void)state;
    ADD("/users/{id}", "/users/{id}/posts/{post}");
    FINDS("/users/7", "/users/{id} id=7");
    FINDS("/users/a b:c", "/users/{id} id=a b:c");
    FINDS("/users/7/posts/x", "/users/{id}/posts/{post} id=7 post=x");
    FINDS("/users/", "none");
    FINDS("/users", "none");
    FINDS("/users/7/", "none");
    FINDS("/users/7/posts", "none");
    FINDS("/users/7/posts/", "none");
    FINDS("/users//posts/x", "none");
}

static void numbers_have_64_bits(void **state)
{
    (void)state;
    ADD("/i/{n:int}", "/u/{n:uint}");
    FINDS("/i/0", "/i/{n:int} n=0");
    FINDS("/i/-12", "/i/{n:int} n=-12");
    FINDS("/i/007", "/i/{n:int} n=007");
    FINDS("/i/9223372036854775807", "/i/{n:int} n=9223372036854775807");
    FINDS("/i/-9223372036854775808", "/i/{n:int} n=-9223372036854775808");
    FINDS("/i/9223372036854775808", "none");
    FINDS("/i/-9223372036854775809", "none");
    FINDS("/i/99999999999999999999999999", "none");
    FINDS("/i/-", "none");
    FINDS("/i/+1", "none");
    FINDS("/i/1x", "none");
    FINDS("/i/ 1", "none");
    FINDS("/i/1.0", "none");
    FINDS("/i/--1", "none");
    FINDS("/u/18446744073709551615", "/u/{n:uint} n=18446744073709551615");
    FINDS("/u/18446744073709551616", "none");
    FINDS("/u/-1", "none");
    FINDS("/u/", "none");
}

static void uuids_and_slugs_are_what_they_say(void **state)
{
    (void)state;
    ADD("/g/{u:uuid}", "/s/{s:slug}");
    FINDS("/g/123e4567-e89b-12D3-a456-426614174000",
          "/g/{u:uuid} u=123e4567-e89b-12D3-a456-426614174000");
    FINDS("/g/123e4567-e89b-12d3-a456-42661417400", "none");
    FINDS("/g/123e4567-e89b-12d3-a456-4266141740000", "none");
    FINDS("/g/123e4567ee89b-12d3-a456-426614174000", "none");
    FINDS("/g/123e4567-e89b-12d3-a456-42661417400g", "none");
    FINDS("/s/A-z_09", "/s/{s:slug} s=A-z_09");
    FINDS("/s/a.b", "none");
    FINDS("/s/a b", "none");
    FINDS("/s/\xc3\xa9", "none");
    FINDS("/s/", "none");
}

static void a_path_parameter_takes_the_rest(void **state)
{
    (void)state;
    ADD("/files/{name:path}", "/files/", "/files/readme");
    FINDS("/files/a", "/files/{name:path} name=a");
    FINDS("/files/a/b//c/", "/files/{name:path} name=a/b//c/");
    FINDS("/files/readme/x", "/files/{name:path} name=readme/x");
    FINDS("/files/readme", "/files/readme");
    FINDS("/files/", "/files/");
    FINDS("/files", "none");
    ADD("/{all:path}");
    FINDS("/", "/{all:path} all=");
    FINDS("/files", "/{all:path} all=files");
    FINDS("//x", "/{all:path} all=/x");
}

static void the_narrower_one_wins(void **state)
{
    (void)state;
    ADD("/x/{rest:path}", "/x/{any}", "/x/{s:slug}", "/x/{n:int}", "/x/{u:uuid}", "/x/7");
    FINDS("/x/7", "/x/7");
    FINDS("/x/8", "/x/{n:int} n=8");
    FINDS("/x/123e4567-e89b-12d3-a456-426614174000",
          "/x/{u:uuid} u=123e4567-e89b-12d3-a456-426614174000");
    FINDS("/x/8a", "/x/{s:slug} s=8a");
    FINDS("/x/8.a", "/x/{any} any=8.a");
    FINDS("/x/", "/x/{rest:path} rest=");
    FINDS("/x/7/8", "/x/{rest:path} rest=7/8");
}

/* The better beginning leads nowhere: then the next one is tried, with its own parameters. */
static void a_dead_end_is_left_again(void **state)
{
    (void)state;
    ADD("/{a}/{b}/end", "/{a}/{n:int}/{c}/last", "/one/{b:slug}/other", "/one/{z:path}");
    FINDS("/one/2/end", "/one/{z:path} z=2/end");
    FINDS("/one/two/other", "/one/{b:slug}/other b=two");
    FINDS("/two/2/end", "/{a}/{b}/end a=two b=2");
    FINDS("/two/2/x/last", "/{a}/{n:int}/{c}/last a=two n=2 c=x");
    FINDS("/two/2/x", "none");
}

static void the_order_of_adding_does_not_matter(void **state)
{
    static const char *const patterns[] = {"/a/b", "/a/{x}", "/{y}/b", "/a/{p:path}"};

    (void)state;
    for (int first = 0; first < 4; first++) {
        route_tree_free(tree);
        tree = route_tree_new();
        for (int i = 0; i < 4; i++)
            add(patterns[(first + i) % 4]);
        FINDS("/a/b", "/a/b");
        FINDS("/a/c", "/a/{x} x=c");
        FINDS("/c/b", "/{y}/b y=c");
        FINDS("/a/c/d", "/a/{p:path} p=c/d");
        FINDS("/c/d", "none");
    }
}

static void a_thousand_patterns_are_told_apart(void **state)
{
    char pattern[64], path[64], expected[80];

    (void)state;
    for (int i = 0; i < 1000; i++) {
        snprintf(pattern, sizeof pattern, "/api/v%d/thing%d/{id:int}", i % 7, i);
        add(pattern);
    }
    for (int i = 0; i < 1000; i++) {
        snprintf(path, sizeof path, "/api/v%d/thing%d/%d", i % 7, i, i);
        snprintf(expected, sizeof expected, "/api/v%d/thing%d/{id:int} id=%d", i % 7, i, i);
        FINDS(path, expected);
        snprintf(path, sizeof path, "/api/v%d/thing%d/%d", (i + 1) % 7, i, i);
        FINDS(path, "none");
    }
}

static void a_long_path_ends_where_the_patterns_do(void **state)
{
    char path[20001];

    (void)state;
    ADD("/{a}", "/{a}/{b:slug}");
    for (size_t i = 0; i < sizeof path - 1; i++)
        path[i] = i % 2 ? 'a' : '/';
    path[sizeof path - 1] = '\0';
    FINDS(path, "none");
    memset(path + 1, 'a', sizeof path - 2);
    assert_memory_equal(find(path), "/{a} a=aaa", 10);
}

/* ---- refusing ---- */

static void what_is_no_pattern_is_refused(void **state)
{
    (void)state;
    refuses("", "begins with", NULL);
    refuses("users", "begins with", NULL);
    refuses("/a//b", "empty", NULL);
    refuses("//", "empty", NULL);
    refuses("/{id", "whole segment", NULL);
    refuses("/id}", "whole segment", NULL);
    refuses("/x{id}", "whole segment", NULL);
    refuses("/{id}.json", "whole segment", NULL);
    refuses("/{}", "name", NULL);
    refuses("/{:int}", "name", NULL);
    refuses("/{1a}", "name", NULL);
    refuses("/{a-b}", "name", NULL);
    refuses("/{a}{b}", "name", NULL);
    refuses("/{a:}", "type", NULL);
    refuses("/{a:float}", "type", NULL);
    refuses("/{a:int:int}", "type", NULL);
    refuses("/{a}/b/{a:int}", "same name", NULL);
    refuses("/{a:path}/b", "at the end", NULL);
    refuses("/{a:path}/", "at the end", NULL);
    refuses("/a/../b", "..", NULL);
    refuses("/.", "..", NULL);
    refuses("/a?b", "?", NULL);
    refuses("/a\nb", "control", NULL);
    refuses("/a\tb", "control", NULL);
}

static void patterns_have_bounds(void **state)
{
    char pattern[ROUTE_PATTERN_MAX + 2];
    size_t n = 0;

    (void)state;
    memset(pattern, 'a', sizeof pattern);
    pattern[0] = '/';
    pattern[ROUTE_PATTERN_MAX + 1] = '\0';
    refuses(pattern, "512", NULL);
    pattern[ROUTE_PATTERN_MAX] = '\0';
    add(pattern);
    for (int i = 0; i < 17; i++)
        n += (size_t)sprintf(pattern + n, "/{p%d}", i);
    refuses(pattern, "16", NULL);
    *strrchr(pattern, '/') = '\0';
    add(pattern);
    for (n = 0; n < 33 * 2; n += 2)
        memcpy(pattern + n, "/a", 3);
    refuses(pattern, "32", NULL);
    pattern[32 * 2] = '\0';
    add(pattern);
    FINDS(pattern, pattern);
}

static void what_nobody_could_tell_apart_is_refused(void **state)
{
    (void)state;
    ADD("/u/{id}", "/u/{id}/x/{n:int}", "/f/{p:path}", "/n/{i:int}/a");
    ADD("/u/{id}", "/f/{p:path}"); /* the same again is the same */
    refuses("/u/{name}", "same paths", "/u/{id}");
    refuses("/u/{i}/x/{n:int}", "same paths", "/u/{id}/x/{n:int}");
    refuses("/f/{q:path}", "same paths", "/f/{p:path}");
    refuses("/n/{j:uint}", "int and uint", "/n/{i:int}/a");
    ADD("/u/{name}/y", "/n/{other:int}/b"); /* other names on another way are fine */
    FINDS("/u/1/y", "/u/{name}/y name=1");
    FINDS("/u/1", "/u/{id} id=1");
    FINDS("/n/1/b", "/n/{other:int}/b other=1");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(fixed_paths_are_found_in_whole),
        TEST(a_parameter_is_one_segment_and_not_empty),
        TEST(numbers_have_64_bits),
        TEST(uuids_and_slugs_are_what_they_say),
        TEST(a_path_parameter_takes_the_rest),
        TEST(the_narrower_one_wins),
        TEST(a_dead_end_is_left_again),
        TEST(the_order_of_adding_does_not_matter),
        TEST(a_thousand_patterns_are_told_apart),
        TEST(a_long_path_ends_where_the_patterns_do),
        TEST(what_is_no_pattern_is_refused),
        TEST(patterns_have_bounds),
        TEST(what_nobody_could_tell_apart_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
