/* test_app_route.c: the longest mount wins, by whole segments, among the apps that the listener
 * serves. */
#include "app/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static char public[] = "public", private[] = "private";
static char root[] = "/", api[] = "/api", v1[] = "/api/v1", apix[] = "/apix", deep[] = "/a/b/c";
static char *only_private[] = {private}, *both[] = {private, public};

static struct config_listen listens[] = {{.name = public}, {.name = private}};

enum { ROOT, API, V1, APIX, DEEP, APPS, NONE = -1 };

static struct config_app apps[APPS];
static struct config config;
static struct route_table *tables;

static int setup(void **state)
{
    (void)state;
    memset(apps, 0, sizeof(apps));
    apps[ROOT].mount = root;
    apps[API].mount = api;
    apps[V1].mount = v1;
    apps[APIX].mount = apix;
    apps[DEEP].mount = deep;
    config =
        (struct config){.listens = listens, .listen_count = 2, .apps = apps, .app_count = APPS};
    tables = NULL;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    route_tables_free(tables, &config);
    return 0;
}

static void make_tables(void)
{
    tables = route_tables_new(&config);
    assert_non_null(tables);
}

/* Which app serves `path` at the listener. */
static int app_at(int listen, const char *path)
{
    const struct route *route = route_find(&tables[listen], path, strlen(path));

    return route ? (int)route->app : NONE;
}

static void the_longest_mount_wins(void **state)
{
    (void)state;
    make_tables();
    assert_int_equal(app_at(0, "/"), ROOT);
    assert_int_equal(app_at(0, "/other"), ROOT);
    assert_int_equal(app_at(0, "/api"), API);
    assert_int_equal(app_at(0, "/api/v2"), API);
    assert_int_equal(app_at(0, "/api/v1"), V1);
    assert_int_equal(app_at(0, "/api/v1/x"), V1);
    assert_int_equal(app_at(0, "/a/b/c/d"), DEEP);
}

static void a_mount_is_of_whole_segments(void **state)
{
    (void)state;
    make_tables();
    assert_int_equal(app_at(0, "/apix"), APIX);
    assert_int_equal(app_at(0, "/apixy"), ROOT);
    assert_int_equal(app_at(0, "/ap"), ROOT);
    assert_int_equal(app_at(0, "/api/v10"), API);
    assert_int_equal(app_at(0, "/api/"), API);
    assert_int_equal(app_at(0, "/a/b"), ROOT);
    assert_int_equal(app_at(0, "/API"), ROOT);
}

static void the_rest_of_the_path_is_what_lies_behind_the_mount(void **state)
{
    const struct route *route;

    (void)state;
    make_tables();
    route = route_find(&tables[0], "/api/v1/x", 9);
    assert_int_equal(route->length, 7);
    assert_string_equal(route->mount, "/api/v1");
    route = route_find(&tables[0], "/", 1); /* SCRIPT_NAME "", PATH_INFO "/" */
    assert_int_equal(route->length, 0);
}

static void only_length_bytes_count(void **state)
{
    (void)state;
    make_tables();
    assert_int_equal(route_find(&tables[0], "/api/v1", 4)->app, API);
    assert_int_equal(route_find(&tables[0], "/apixyz", 5)->app, APIX);
}

static void without_a_match_there_is_none(void **state)
{
    (void)state;
    config.apps = apps + API; /* nobody at "/" */
    config.app_count = 1;
    make_tables();
    assert_int_equal(app_at(0, "/"), NONE);
    assert_int_equal(app_at(0, "/ap"), NONE);
    assert_int_equal(app_at(0, "/api"), 0);
    assert_null(route_find(&tables[0], "", 0));
}

static void a_chat_listener_leads_nowhere(void **state)
{
    (void)state;
    listens[0].protocol = LISTEN_CHAT;
    make_tables();
    listens[0].protocol = LISTEN_HTTP;
    assert_int_equal(tables[0].count, 0);
    assert_int_equal(app_at(0, "/"), NONE);
    assert_int_equal(app_at(1, "/"), ROOT);
}

static void an_app_serves_the_listeners_it_is_bound_to(void **state)
{
    (void)state;
    apps[API].listens = only_private;
    apps[API].listen_count = 1;
    apps[V1].listens = both;
    apps[V1].listen_count = 2;
    make_tables();
    assert_int_equal(app_at(0, "/api/v2"), ROOT);
    assert_int_equal(app_at(1, "/api/v2"), API);
    assert_int_equal(app_at(0, "/api/v1"), V1);
    assert_int_equal(app_at(1, "/api/v1"), V1);
    assert_int_equal(app_at(1, "/"), ROOT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_longest_mount_wins),
        TEST(a_mount_is_of_whole_segments),
        TEST(the_rest_of_the_path_is_what_lies_behind_the_mount),
        TEST(only_length_bytes_count),
        TEST(without_a_match_there_is_none),
        TEST(an_app_serves_the_listeners_it_is_bound_to),
        TEST(a_chat_listener_leads_nowhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
