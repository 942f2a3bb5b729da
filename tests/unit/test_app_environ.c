/* test_app_environ.c: what an application finds in its environ (PEP 3333, RFC 3875), and what it
 * can change there. */
#include "app_case.h"

#define HOST                "Host: www.example:8080\r\n"
#define GET(target, fields) "GET " target " HTTP/1.1\r\n" HOST fields "\r\n"

static struct app_case the;
static char seen[8192]; /* what the application wrote down */

static int setup(void **state)
{
    (void)state;
    memset(seen, 0, sizeof(seen));
    return app_case_open(&the, NULL);
}

static int teardown(void **state)
{
    (void)state;
    app_case_close(&the);
    return 0;
}

static void ask(reeve_application *application, const char *request)
{
    memset(seen, 0, sizeof(seen));
    the.descriptor.application = application;
    app_case_ask(&the, request);
}

static void note(const char *text)
{
    strncat(seen, text ? text : "(none)", sizeof(seen) - strlen(seen) - 1);
    strncat(seen, "|", sizeof(seen) - strlen(seen) - 1);
}

static int answer(reeve_environ *request, reeve_start_response *start_response)
{
    start_response(request, "200 OK", REEVE_NO_HEADERS);
    return 0;
}

/* ---- looking up ---- */

static const char *names[16]; /* what to look up, ended by NULL */

static void set_names(const char *const *wanted)
{
    size_t i = 0;

    do
        names[i] = wanted[i];
    while (wanted[i++]);
}

static int looks_up(reeve_environ *request, reeve_start_response *start_response)
{
    for (const char *const *name = names; *name; name++)
        note(reeve_environ_get(request, *name));
    return answer(request, start_response);
}

#define LOOK_UP(...) set_names((const char *const[]){__VA_ARGS__, NULL})

static void the_request_line_is_taken_apart(void **state)
{
    (void)state;
    LOOK_UP("REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "REQUEST_URI",
            "SERVER_PROTOCOL");
    ask(looks_up, GET("/a%20b/d?x=%20&y", ""));
    assert_string_equal(seen, "GET||/a b/d|x=%20&y|/a%20b/d?x=%20&y|HTTP/1.1|");
    ask(looks_up, GET("/", ""));
    assert_string_equal(seen, "GET||/||/|HTTP/1.1|");
    ask(looks_up, "DELETE http://other:81/p?q HTTP/1.0\r\n\r\n");
    assert_string_equal(seen, "DELETE||/p|q|http://other:81/p?q|HTTP/1.0|");
}

static void a_path_that_climbs_or_ends_early_is_refused(void **state)
{
    static const char *const paths[] = {"/a/../b", "/..", "/a/%2e%2E/b", "/a%00b", "/a/%2e./b"};
    char request[128];

    (void)state;
    LOOK_UP("PATH_INFO");
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\n" HOST "\r\n", paths[i]);
        ask(looks_up, request);
        assert_string_equal(seen, "");
        assert_memory_equal(the.wire, "HTTP/1.1 400 ", 13);
    }
}

static void the_mount_goes_to_script_name(void **state)
{
    static char mount[] = "/app/x";

    (void)state;
    the.apps[0].mount = mount;
    route_tables_free(the.room.routes, &the.config);
    the.room.routes = route_tables_new(&the.config);
    LOOK_UP("SCRIPT_NAME", "PATH_INFO");
    ask(looks_up, GET("/app/x/y", ""));
    assert_string_equal(seen, "/app/x|/y|");
    ask(looks_up, GET("/app/x", ""));
    assert_string_equal(seen, "/app/x||");
    ask(looks_up, GET("/%61pp/x/", ""));
    assert_string_equal(seen, "/app/x|/|");
    ask(looks_up, GET("/app/xy", ""));
    assert_string_equal(seen, "");
    assert_memory_equal(the.wire, "HTTP/1.1 404 ", 13);
}

static void server_and_client_are_named(void **state)
{
    (void)state;
    LOOK_UP("SERVER_NAME", "SERVER_PORT", "REMOTE_ADDR", "REMOTE_PORT", "GATEWAY_INTERFACE");
    ask(looks_up, GET("/", ""));
    assert_string_equal(seen, "www.example|8080|192.0.2.7|4711|CGI/1.1|");
    ask(looks_up, "GET / HTTP/1.1\r\nHost: [2001:db8::1]:99\r\n\r\n");
    assert_string_equal(seen, "[2001:db8::1]|8080|192.0.2.7|4711|CGI/1.1|");
    ask(looks_up, "GET / HTTP/1.1\r\nHost: [2001:db8::1]\r\n\r\n");
    assert_string_equal(seen, "[2001:db8::1]|8080|192.0.2.7|4711|CGI/1.1|");
    ask(looks_up, "GET / HTTP/1.1\r\nHost: plain\r\n\r\n");
    assert_string_equal(seen, "plain|8080|192.0.2.7|4711|CGI/1.1|");
    ask(looks_up, "GET http://absolute:1/ HTTP/1.1\r\nHost: other\r\n\r\n");
    assert_string_equal(seen, "absolute|8080|192.0.2.7|4711|CGI/1.1|");
    ask(looks_up, "GET / HTTP/1.0\r\n\r\n");
    assert_string_equal(seen, "localhost|8080|192.0.2.7|4711|CGI/1.1|");
}

static void the_wsgi_variables_are_there(void **state)
{
    (void)state;
    LOOK_UP("wsgi.url_scheme", "wsgi.multiprocess", "wsgi.multithread", "wsgi.run_once");
    ask(looks_up, GET("/", ""));
    assert_string_equal(seen, "http|true|false|false|");
}

static void headers_are_found_in_any_case(void **state)
{
    (void)state;
    LOOK_UP("HTTP_ACCEPT_LANGUAGE", "HTTP_X", "HTTP_HOST", "HTTP_", "HTTP_NONE", "HTTP_x");
    ask(looks_up, GET("/", "aCCept-LANGuage:  de, en \r\nx:\r\n"));
    assert_string_equal(seen, "de, en||www.example:8080|(none)|(none)|(none)|");
}

static void repeated_headers_are_joined(void **state)
{
    (void)state;
    LOOK_UP("HTTP_X_A", "HTTP_COOKIE", "HTTP_EMPTY");
    ask(looks_up, GET("/", "X-A: 1\r\nCookie: a=1\r\nx-a: 2\r\nEmpty:\r\nX-B: no\r\n"
                           "cookie: b=2\r\nX-A: 3, 4\r\nEmpty:\r\n"));
    assert_string_equal(seen, "1, 2, 3, 4|a=1; b=2|, |");
}

/* It would pass for the one with a dash, which a proxy may have checked. */
static void a_header_with_an_underscore_is_not_shown(void **state)
{
    (void)state;
    LOOK_UP("HTTP_X_USER", "HTTP_X_OTHER");
    ask(looks_up, GET("/", "X_User: forged\r\nX_Other: forged\r\nX-Other: right\r\n"));
    assert_string_equal(seen, "(none)|right|");
}

static void type_and_length_stand_without_http(void **state)
{
    (void)state;
    LOOK_UP("CONTENT_TYPE", "CONTENT_LENGTH", "HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH");
    ask(looks_up, "POST / HTTP/1.1\r\n" HOST "Content-Type: text/x\r\nContent-Length: 007\r\n\r\n"
                  "1234567");
    assert_string_equal(seen, "text/x|7|(none)|(none)|");
    ask(looks_up, GET("/", ""));
    assert_string_equal(seen, "(none)|(none)|(none)|(none)|");
    ask(looks_up, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_string_equal(seen, "(none)|(none)|(none)|(none)|");
}

/* ---- typed ---- */

static int asks_typed(reeve_environ *request, reeve_start_response *start_response)
{
    note(reeve_method(request));
    note(reeve_path(request));
    note(reeve_query(request));
    note(reeve_request_header(request, "x-One"));
    note(reeve_request_header(request, "X_One"));
    note(reeve_printf(request, "%lld", (long long)reeve_content_length(request)));
    return answer(request, start_response);
}

static void the_common_ones_have_functions(void **state)
{
    (void)state;
    ask(asks_typed, GET("/p?q=1", "X-One: 1\r\n"));
    assert_string_equal(seen, "GET|/p|q=1|1|(none)|0|");
    ask(asks_typed, "PUT / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc");
    assert_string_equal(seen, "PUT|/||(none)|(none)|3|");
    ask(asks_typed, "PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_string_equal(seen, "PUT|/||(none)|(none)|-1|");
}

static int asks_query(reeve_environ *request, reeve_start_response *start_response)
{
    for (const char *const *name = names; *name; name++)
        note(reeve_query_get(request, *name));
    return answer(request, start_response);
}

static void fields_of_the_query_are_decoded(void **state)
{
    (void)state;
    LOOK_UP("a", "b", "c d", "e", "f", "none");
    ask(asks_query, GET("/?a=1&b=x%20y+z&c%20d=%3D%26&e&f=&a=2", ""));
    assert_string_equal(seen, "1|x y z|=&|||(none)|");
    LOOK_UP("a", "b");
    ask(asks_query, GET("/?&&a&&b=%00&=", ""));
    assert_string_equal(seen, "|(none)|"); /* a NUL would end it early */
    ask(asks_query, GET("/?", ""));
    assert_string_equal(seen, "(none)|(none)|");
}

static int tells_its_id(reeve_environ *request, reeve_start_response *start_response)
{
    note(reeve_request_id(request));
    return answer(request, start_response);
}

static void each_request_has_an_id_of_its_own(void **state)
{
    (void)state;
    ask(tells_its_id, GET("/", "") GET("/", ""));
    assert_int_equal(strlen(seen), 34);
    assert_int_equal(strspn(seen, "0123456789abcdef"), 16);
    assert_memory_not_equal(seen, seen + 17, 16);
}

static int finds_its_module(reeve_environ *request, reeve_start_response *start_response)
{
    const reeve_module *module = reeve_environ_module(request);

    note(reeve_option(module, "colour"));
    note(reeve_option(module, "none"));
    note(reeve_module_data(module));
    return answer(request, start_response);
}

static void a_request_knows_its_module(void **state)
{
    static char key[] = "colour", value[] = "red", data[] = "data";
    struct config_option option = {.key = key, .value = value};

    (void)state;
    the.apps[0].options = &option;
    the.apps[0].option_count = 1;
    reeve_module_set_data((reeve_module *)the.generation, data);
    ask(finds_its_module, GET("/", ""));
    assert_string_equal(seen, "red|(none)|data|");
}

/* ---- changing ---- */

static int changes(reeve_environ *request, reeve_start_response *start_response)
{
    char name[] = "app.user", value[] = "ada";

    reeve_environ_set(request, name, value);
    memset(name, 'x', sizeof(name)); /* both were copied */
    memset(value, 'x', sizeof(value));
    reeve_environ_set(request, "PATH_INFO", "/changed");
    reeve_environ_set(request, "HTTP_X_OLD", NULL);
    reeve_environ_set(request, "QUERY_STRING", "q=set");
    reeve_environ_set(request, "again", "1");
    reeve_environ_set(request, "again", NULL);
    reeve_environ_set(request, "again", "3");

    note(reeve_environ_get(request, "app.user"));
    note(reeve_path(request));
    note(reeve_environ_get(request, "HTTP_X_OLD"));
    note(reeve_query_get(request, "q"));
    note(reeve_environ_get(request, "again"));
    reeve_environ_set(request, "REQUEST_METHOD", NULL);
    note(reeve_method(request)); /* never NULL */
    return answer(request, start_response);
}

static void what_is_set_hides_what_was_there(void **state)
{
    (void)state;
    ask(changes, GET("/p?q=sent", "X-Old: 1\r\n"));
    assert_string_equal(seen, "ada|/changed|(none)|set|3||");
    /* And is forgotten with the request. */
    LOOK_UP("app.user", "PATH_INFO", "HTTP_X_OLD", "again");
    ask(looks_up, GET("/p", "X-Old: 1\r\n"));
    assert_string_equal(seen, "(none)|/p|1|(none)|");
}

static int count_until; /* stop at this one; 0: never */
static int visited;

static int visit(const char *name, const char *value, void *arg)
{
    (void)arg;
    visited++;
    if (strncmp(name, "HTTP_", 5) == 0 || strncmp(name, "app.", 4) == 0 ||
        strcmp(name, "PATH_INFO") == 0 || strncmp(name, "CONTENT", 7) == 0) {
        strncat(seen, name, sizeof(seen) - strlen(seen) - 1);
        strncat(seen, "=", sizeof(seen) - strlen(seen) - 1);
        note(value);
    }
    return visited == count_until ? 42 : 0;
}

static int visits_all(reeve_environ *request, reeve_start_response *start_response)
{
    char text[16];

    reeve_environ_set(request, "app.a", "1");
    reeve_environ_set(request, "app.a", "2");
    reeve_environ_set(request, "app.gone", "1");
    reeve_environ_set(request, "app.gone", NULL);
    reeve_environ_set(request, "HTTP_X_OLD", "new");
    reeve_environ_set(request, "HTTP_X_GONE", NULL);
    visited = 0;
    snprintf(text, sizeof(text), "%d", reeve_environ_each(request, visit, NULL));
    note(text);
    return answer(request, start_response);
}

static void each_variable_is_visited_once(void **state)
{
    (void)state;
    count_until = 0;
    ask(visits_all, GET("/p", "X-Old: 1\r\nX-Gone: 1\r\nX-A: 1\r\nx_b: 1\r\nX-a: 2\r\n"));
    assert_string_equal(
        seen, "PATH_INFO=/p|HTTP_HOST=www.example:8080|HTTP_X_A=1, 2|HTTP_X_OLD=new|app.a=2|0|");
    ask(visits_all, "POST /p HTTP/1.1\r\nHost: a\r\nContent-Type: t\r\nContent-Length: 1\r\n\r\nx");
    assert_string_equal(
        seen, "PATH_INFO=/p|CONTENT_TYPE=t|CONTENT_LENGTH=1|HTTP_HOST=a|HTTP_X_OLD=new|app.a=2|0|");
}

static void a_visit_can_be_ended(void **state)
{
    (void)state;
    for (count_until = 1; count_until < 20; count_until++) {
        ask(visits_all, GET("/p", "X-A: 1\r\nX-B: 2\r\n"));
        assert_int_equal(visited, count_until);
        assert_non_null(strstr(seen, "42|"));
    }
}

/* ---- memory ---- */

static volatile size_t everything = SIZE_MAX;

static int takes_memory(reeve_environ *request, reeve_start_response *start_response)
{
    static const size_t sizes[] = {0, 1, 15, 16, 17, 1000, 2048, 5000, 100000, 3000000};
    unsigned char *pieces[200];
    bool is_right = true;

    for (unsigned i = 0; i < 200; i++) {
        size_t size = sizes[i % 10];

        pieces[i] = reeve_alloc(request, size);
        is_right &= pieces[i] && (uintptr_t)pieces[i] % _Alignof(max_align_t) == 0;
        if (pieces[i])
            memset(pieces[i], (int)i, size);
    }
    for (unsigned i = 0; i < 200; i++)
        for (size_t at = 0; at < sizes[i % 10]; at += 997)
            is_right &= pieces[i][at] == i;
    note(is_right ? "right" : "wrong");
    note(reeve_strdup(request, "text"));
    note(reeve_printf(request, "%s %d %s", "a", 7, "long enough for the second time round"));
    note(reeve_alloc(request, everything) ? "?" : "no memory");
    return answer(request, start_response);
}

static void memory_is_the_requests_own(void **state)
{
    (void)state;
    ask(takes_memory, GET("/", "") GET("/", ""));
    assert_string_equal(seen, "right|text|a 7 long enough for the second time round|no memory|"
                              "right|text|a 7 long enough for the second time round|no memory|");
}

/* The body overwrites the buffer that the head came in. */
static int looks_up_after_reading(reeve_environ *request, reeve_start_response *start_response)
{
    char buffer[1000];

    while (reeve_read(request, buffer, sizeof(buffer)) > 0)
        reeve_sleep(0);
    return looks_up(request, start_response);
}

static void the_head_outlives_the_body(void **state)
{
    static char request[40000];
    int head = snprintf(request, sizeof(request),
                        "POST /path?query HTTP/1.1\r\n" HOST "X-A: first\r\nX-A: second\r\n"
                        "Content-Length: 30000\r\n\r\n");

    (void)state;
    memset(request + head, '#', 30000);
    request[head + 30000] = '\0';
    LOOK_UP("PATH_INFO", "QUERY_STRING", "HTTP_X_A", "HTTP_HOST", "REQUEST_URI", "SERVER_NAME");
    ask(looks_up_after_reading, request);
    assert_string_equal(seen,
                        "/path|query|first, second|www.example:8080|/path?query|www.example|");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_request_line_is_taken_apart),    TEST(a_path_that_climbs_or_ends_early_is_refused),
        TEST(the_mount_goes_to_script_name),      TEST(server_and_client_are_named),
        TEST(the_wsgi_variables_are_there),       TEST(headers_are_found_in_any_case),
        TEST(repeated_headers_are_joined),        TEST(a_header_with_an_underscore_is_not_shown),
        TEST(type_and_length_stand_without_http), TEST(the_common_ones_have_functions),
        TEST(fields_of_the_query_are_decoded),    TEST(each_request_has_an_id_of_its_own),
        TEST(a_request_knows_its_module),         TEST(what_is_set_hides_what_was_there),
        TEST(each_variable_is_visited_once),      TEST(a_visit_can_be_ended),
        TEST(memory_is_the_requests_own),         TEST(the_head_outlives_the_body),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
