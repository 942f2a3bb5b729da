/* test_web_view.c: the exact bytes that leave for each view, and what is made of the JSON that
 * comes in. */
#include "app_case.h"

#include <cjson/cJSON.h>
#include <reeve/view.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

#define GET     "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define HEAD    "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
#define TYPE(t) "Content-Type: " t "\r\n"
#define LONG(n) "Content-Length: " #n "\r\n"
#define NOSNIFF "X-Content-Type-Options: nosniff\r\n"
#define CLOSE   "Connection: close\r\n"

static struct app_case the;
static int result, error; /* of the last view */
static reeve_templates *templates;

static void add(const char *name, const char *text)
{
    char why[REEVE_TEMPLATE_ERROR];

    assert_int_equal(reeve_templates_add(templates, name, text, strlen(text), why), 0);
}

static int setup(void **state)
{
    (void)state;
    result = error = -1;
    templates = reeve_templates_new();
    return app_case_open(&the, NULL);
}

static int teardown(void **state)
{
    (void)state;
    app_case_close(&the);
    reeve_templates_free(templates);
    return 0;
}

static const char *ask(reeve_application *application, const char *request)
{
    the.descriptor.application = application;
    return app_case_ask(&the, request);
}

/* Of a call: it is what the handler returns. */
static int note(int of_call)
{
    result = of_call;
    error = of_call == 0 ? 0 : errno;
    return of_call;
}

/* ---- simple answers ---- */

static int text_view(reeve_environ *environ, reeve_start_response *start_response)
{
    return note(reeve_view_text(environ, start_response, 201, "gr\xc3\xbc\xc3\x9f\n"));
}

static void text_has_its_type_and_length(void **state)
{
    (void)state;
#define TEXT_HEAD \
    "HTTP/1.1 201 Created\r\n" TYPE("text/plain; charset=utf-8") LONG(7) NOSNIFF CASE_STAMP "\r\n"
    assert_string_equal(ask(text_view, GET), TEXT_HEAD "gr\xc3\xbc\xc3\x9f\n");
    assert_string_equal(ask(text_view, HEAD), TEXT_HEAD);
    assert_int_equal(result, 0);
}

static int empty_view(reeve_environ *environ, reeve_start_response *start_response)
{
    return note(reeve_view_empty(environ, start_response, 204));
}

static int not_modified_view(reeve_environ *environ, reeve_start_response *start_response)
{
    return note(reeve_view_text(environ, start_response, 304, "not sent"));
}

static void no_body_where_there_is_none(void **state)
{
    (void)state;
    assert_string_equal(ask(empty_view, GET),
                        "HTTP/1.1 204 No Content\r\n" NOSNIFF CASE_STAMP "\r\n");
    assert_string_equal(ask(not_modified_view, GET),
                        "HTTP/1.1 304 Not Modified\r\n" NOSNIFF CASE_STAMP "\r\n");
    assert_int_equal(result, 0);
}

static int headers_view(reeve_environ *environ, reeve_start_response *start_response)
{
    static const char *const bad[][2] = {
        {"", "v"},
        {"a b", "v"},
        {"a", "b\r\nc: d"},
        {"a", "b\nc: d"},
        {"a", "\x7f"},
        {"content-type", "v"},
        {"Location", ""},
        {"location", "/a b"},
        {"Location", "/gr\xc3\xbc\xc3\x9f"},
        {"Content-Length", "1"},
        {"a:", "v"},
        {"a", NULL},
        {"X-Content-Type-Options", "v"},
    };

    error = 0;
    for (size_t i = 0; i < COUNT(bad); i++)
        if (reeve_view_header(environ, bad[i][0], bad[i][1]) != -1 || errno != EINVAL)
            error++;
    reeve_view_header(environ, "Set-Cookie", "a=1");
    reeve_view_header(environ, "Set-Cookie", "b: 2");
    reeve_view_header(environ, "Empty", "");
    for (unsigned i = 3; i < 16; i++)
        reeve_view_header(environ, "X", "y");
    if (reeve_view_header(environ, "One-More", "") != -1 || errno != E2BIG)
        error++;
    return reeve_view_text(environ, start_response, 200, "");
}

static void headers_of_the_handler_s_own(void **state)
{
    const char *answer = ask(headers_view, GET);

    (void)state;
    assert_int_equal(error, 0);
    assert_non_null(strstr(answer, "\r\nSet-Cookie: a=1\r\nSet-Cookie: b: 2\r\nEmpty:"));
    assert_non_null(strstr(answer, "\r\nX: y\r\nX: y\r\n"));
    assert_null(strstr(answer, "One-More"));
    assert_null(strstr(answer, "c: d"));
}

static int created_view(reeve_environ *environ, reeve_start_response *start_response)
{
    error = reeve_view_header(environ, "Location", "/books/4");
    return reeve_view_text(environ, start_response, 201, "");
}

static int elsewhere_view(reeve_environ *environ, reeve_start_response *start_response)
{
    reeve_view_header(environ, "location", "/books/4");
    reeve_view_header(environ, "X", "y");
    return reeve_view_redirect(environ, start_response, 303, "/books");
}

static void a_location_is_of_what_was_made_or_a_redirections_own(void **state)
{
    (void)state;
    assert_string_equal(ask(created_view, GET),
                        "HTTP/1.1 201 Created\r\nContent-Type: text/plain; charset=utf-8\r\n" LONG(
                            0) NOSNIFF "Location: /books/4\r\n" CASE_STAMP "\r\n");
    assert_int_equal(error, 0);
    assert_string_equal(ask(elsewhere_view, GET),
                        "HTTP/1.1 303 See Other\r\nLocation: /books\r\n" LONG(0) NOSNIFF
                        "X: y\r\n" CASE_STAMP "\r\n");
}

static int statuses_view(reeve_environ *environ, reeve_start_response *start_response)
{
    static const int bad[] = {-1, 0, 100, 199, 600, 1 << 30};

    error = 0;
    for (size_t i = 0; i < COUNT(bad); i++)
        if (reeve_view_text(environ, start_response, bad[i], "") != -1 || errno != EINVAL)
            error++;
    if (reeve_view_problem(environ, start_response, 200, "") != -1 || errno != EINVAL)
        error++;
    return reeve_view_text(environ, start_response, 299, "");
}

static void statuses_are_checked(void **state)
{
    (void)state;
    assert_memory_equal(ask(statuses_view, GET), "HTTP/1.1 299 Unknown\r\n", 22);
    assert_int_equal(error, 0);
}

/* ---- redirections ---- */

static const char *location;
static int location_status;

static int redirect_view(reeve_environ *environ, reeve_start_response *start_response)
{
    return note(reeve_view_redirect(environ, start_response, location_status, location));
}

static void redirects_to_what_is_safe_in_a_header(void **state)
{
    static const char *const bad[] = {NULL,    "",      "/a\r\nSet-Cookie: b=1",
                                      "/a\nb", "/a b",  "/gr\xc3\xbc\xc3\x9f",
                                      "/a\tb", "/\x7f", "/\x01"};

    (void)state;
    location = "/users/1?a=%20b#c";
    location_status = 303;
    assert_string_equal(ask(redirect_view, GET),
                        "HTTP/1.1 303 See Other\r\nLocation: /users/1?a=%20b#c\r\n" LONG(0)
                            NOSNIFF CASE_STAMP "\r\n");
    for (size_t i = 0; i < COUNT(bad); i++) {
        location = bad[i];
        assert_memory_equal(ask(redirect_view, GET), "HTTP/1.1 500 ", 13);
        assert_int_equal(error, EINVAL);
    }
    location = "/";
    for (location_status = 200; location_status < 400; location_status++) {
        bool is_right = location_status == 301 || location_status == 302 ||
                        location_status == 303 || location_status == 307 || location_status == 308;

        if (location_status % 10 < 9 && (location_status < 299 || location_status > 309))
            continue;
        ask(redirect_view, GET);
        assert_int_equal(error, is_right ? 0 : EINVAL);
    }
}

/* ---- JSON out ---- */

static const char *json_text;

static int json_view(reeve_environ *environ, reeve_start_response *start_response)
{
    cJSON *json = reeve_json_own(environ, cJSON_Parse(json_text));

    return note(reeve_view_json(environ, start_response, 200, json));
}

static int bad_json_view(reeve_environ *environ, reeve_start_response *start_response)
{
    cJSON *json = reeve_json_own(environ, cJSON_CreateString("\xff"));

    note(reeve_view_json(environ, start_response, 200, json));
    return reeve_view_text(environ, start_response, 503, "sorry");
}

static void json_is_printed_whole_or_not_at_all(void **state)
{
    (void)state;
    json_text = "{\"a\":[1,\"\xc3\xbc\"]}";
    assert_string_equal(ask(json_view, GET), "HTTP/1.1 200 OK\r\n" TYPE("application/json") LONG(14)
                                                 NOSNIFF CASE_STAMP "\r\n{\"a\":[1,\"\xc3\xbc\"]}");
    assert_memory_equal(ask(bad_json_view, GET), "HTTP/1.1 503 ", 13);
    assert_int_equal(error, EILSEQ);
    assert_non_null(strstr(the.wire, "sorry"));
}

/* ---- problems ---- */

static int problem_view(reeve_environ *environ, reeve_start_response *start_response)
{
    return note(reeve_view_problem(environ, start_response, 404, "There is no user \xff."));
}

static int short_problem_view(reeve_environ *environ, reeve_start_response *start_response)
{
    return note(reeve_view_problem(environ, start_response, 500, NULL));
}

static int full_problem_view(reeve_environ *environ, reeve_start_response *start_response)
{
    cJSON *members =
        reeve_json_own(environ, cJSON_Parse("{\"balance\":30,\"status\":1,\"to\":[\"/a\"]}"));
    int answered = reeve_view_problem_with(
        environ, start_response, 403,
        REEVE_PROBLEM(.type = "https://example.com/no-credit", .title = "No credit",
                      .detail = "It costs 50.", .instance = "/orders/1", .members = members));

    error = cJSON_GetArraySize(members) == 3 ? 0 : -1; /* they are as they were */
    return answered;
}

static void problems_are_those_of_rfc_9457(void **state)
{
    (void)state;
#define PROBLEM TYPE("application/problem+json")
    assert_string_equal(ask(problem_view, GET),
                        "HTTP/1.1 404 Not Found\r\n" PROBLEM LONG(67) NOSNIFF CASE_STAMP
                        "\r\n{\"title\":\"Not Found\",\"status\":404,\"detail\":\"There is no user "
                        "\xef\xbf\xbd.\"}");
    assert_string_equal(ask(short_problem_view, GET),
                        "HTTP/1.1 500 Internal Server Error\r\n" PROBLEM LONG(46) NOSNIFF CASE_STAMP
                        "\r\n{\"title\":\"Internal Server Error\",\"status\":500}");
    ask(full_problem_view, GET);
    assert_int_equal(error, 0);
    assert_string_equal(strstr(the.wire, "\r\n\r\n") + 4,
                        "{\"type\":\"https://example.com/no-credit\",\"title\":\"No credit\","
                        "\"status\":403,\"detail\":\"It costs 50.\",\"instance\":\"/orders/1\","
                        "\"balance\":30,\"to\":[\"/a\"]}");
}

/* ---- HTML ---- */

static const char *page_name;

static int html_view(reeve_environ *environ, reeve_start_response *start_response)
{
    cJSON *model = reeve_json_own(environ, cJSON_Parse("{\"v\":\"<b>\",\"l\":[1,2,3]}"));

    return note(reeve_view_html(environ, start_response, 200,
                                reeve_templates_find(templates, page_name), model));
}

/* A page of 1 MiB. */
static int large_view(reeve_environ *environ, reeve_start_response *start_response)
{
    cJSON *model = reeve_json_own(environ, cJSON_CreateArray());

    for (unsigned i = 0; i < 1024; i++)
        cJSON_AddItemToArray(model, cJSON_CreateTrue());
    return note(reeve_view_html(environ, start_response, 200,
                                reeve_templates_find(templates, "large"), model));
}

static void pages_are_html(void **state)
{
    (void)state;
    add("page", "<p title=\"{{v}}\">{{#l}}{{.}}{{/l}}");
    add("loop", "{{>loop}}");
    page_name = "page";
    assert_string_equal(ask(html_view, GET),
                        "HTTP/1.1 200 OK\r\n" TYPE("text/html; charset=utf-8")
                            NOSNIFF CASE_STAMP LONG(24) "\r\n<p title=\"&lt;b&gt;\">123");
    page_name = "none";
    assert_memory_equal(ask(html_view, GET), "HTTP/1.1 500 ", 13);
    assert_int_equal(error, ENOENT);
    page_name = "loop";
    assert_memory_equal(ask(html_view, GET), "HTTP/1.1 500 ", 13);
    assert_int_equal(error, ELOOP);
    assert_null(strstr(the.wire, "<p"));
}

static void large_pages_are_streamed(void **state)
{
    char line[1100] = "{{#.}}";

    (void)state;
    memset(line + 6, 'x', 1023);
    strcpy(line + 6 + 1023, "\n{{/.}}");
    add("large", line);
    ask(large_view, GET);
    assert_non_null(strstr(the.wire, "\r\nTransfer-Encoding: chunked\r\n"));
    assert_string_equal(the.wire + the.length - 5, "0\r\n\r\n");
    assert_true(the.length > (1u << 20) && the.length < (1u << 20) + 2000);
    assert_int_equal(result, 0);
}

/* The view waits in the middle of the page, and is told when nobody reads on. */
static void a_client_that_leaves_ends_the_page(void **state)
{
    char line[1100] = "{{#.}}";

    (void)state;
    memset(line + 6, 'x', 1023);
    strcpy(line + 6 + 1023, "\n{{/.}}");
    add("large", line);
    the.descriptor.application = large_view;
    app_case_connect(&the);
    app_case_send(&the, GET, strlen(GET));
    event_base_loop(the.base, EVLOOP_ONCE);
    while (app_case_column(&the)->requests == 0)
        event_base_loop(the.base, EVLOOP_ONCE);
    assert_int_equal(result, -1); /* not yet */
    assert_int_equal(error, -1);
    app_case_hang_up(&the);
    while (the.room.net.conn_count > 0)
        event_base_loop(the.base, EVLOOP_ONCE);
    assert_int_equal(result, -1);
    assert_int_equal(error, EPIPE);
}

/* ---- JSON in ---- */

static const reeve_json_limits *limits;
static char got[1024];

static int read_view(reeve_environ *environ, reeve_start_response *start_response)
{
    const char *reason;
    cJSON *json;
    int status = reeve_json_read(environ, limits, &json, &reason);

    if (status)
        return reeve_view_problem(environ, start_response, status, reason);
    return reeve_view_json(environ, start_response, 200, json);
}

/* "STATUS BODY", where of a problem the body is its detail. */
static const char *post(const char *type, const char *body)
{
    static char request[1u << 18];
    const char *answer, *detail;
    int length;

    snprintf(request, sizeof request,
             "POST / HTTP/1.1\r\nHost: a\r\n%s%s%sContent-Length: %zu\r\n\r\n%s",
             type ? "Content-Type: " : "", type ? type : "", type ? "\r\n" : "", strlen(body),
             body);
    answer = ask(read_view, request);
    detail = strstr(answer, "\"detail\":\"");
    length = snprintf(got, sizeof got, "%.3s %.900s", answer + 9,
                      detail ? detail + 10 : strstr(answer, "\r\n\r\n") + 4);
    if (detail)
        got[length - 2] = '\0';
    return got;
}

#define JSON "application/json"

static void reads_json(void **state)
{
    (void)state;
    assert_string_equal(post(JSON, " {\"a\": [1, 2.5, null]}\n"), "200 {\"a\":[1,2.5,null]}");
    assert_string_equal(post("APPLICATION/JSON ; charset=\"UTF-8\"", "1"), "200 1");
    assert_string_equal(post("application/merge-patch+json;x=y; charset=utf8", "1"), "200 1");
}

static void reads_no_other_type(void **state)
{
    static const char *const types[] = {
        NULL,
        "text/plain",
        "application/jsonp",
        "application/json, text/plain",
        "application/json; charset=latin1",
        "application/json x",
        "json",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(types); i++)
        assert_string_equal(post(types[i], "1"),
                            "415 The Content-Type has to be application/json, in UTF-8.");
    limits = REEVE_JSON_LIMITS(.any_type = true);
    for (size_t i = 0; i < COUNT(types); i++)
        assert_string_equal(post(types[i], "1"), "200 1");
    limits = NULL;
}

static void says_what_is_wrong_with_it(void **state)
{
    (void)state;
    assert_string_equal(post(JSON, ""), "400 The body is empty, where JSON has to be.");
    assert_string_equal(post(JSON, "\r\n"), "400 The body is empty, where JSON has to be.");
    assert_string_equal(post(JSON, "[1,\n 2 3]"),
                        "400 The JSON has, in line 2 at column 4, something that is not JSON.");
    assert_string_equal(post(JSON, "[1]]"),
                        "400 The JSON has, in line 1 at column 4, something that is not JSON.");
    assert_string_equal(post(JSON, "{\"a\":\n\"\xff\"}"),
                        "400 The JSON has, in line 2 at column 2, bytes that are not UTF-8.");
    assert_string_equal(post(JSON, "{\"a\":1,\"a\":2}"),
                        "400 Of the JSON, an object has a name twice.");
    assert_string_equal(post(JSON, "1e400"), "400 Of the JSON, a number is too large.");
}

static void zero_bytes_are_no_json(void **state)
{
    static const char request[] = "POST / HTTP/1.1\r\nHost: a\r\n" TYPE(JSON) LONG(4) "\r\n1\0 2";

    (void)state;
    the.descriptor.application = read_view;
    app_case_connect(&the);
    app_case_send(&the, request, sizeof request - 1);
    shutdown(the.client, SHUT_WR);
    app_case_turn_until_closed(&the);
    app_case_hang_up(&the);
    assert_non_null(strstr(the.wire, "in line 1 at column 2, a byte that JSON does not know."));
}

static void reads_only_so_deep(void **state)
{
    char body[2001];

    (void)state;
    memset(body, '[', 2000);
    body[2000] = '\0';
    assert_string_equal(post(JSON, body), "400 The JSON may be at most 32 deep.");
    memset(body + 32, ']', 32);
    body[64] = '\0';
    assert_memory_equal(post(JSON, body), "200 ", 4);
    limits = REEVE_JSON_LIMITS(.max_depth = 31);
    assert_string_equal(post(JSON, body), "400 The JSON may be at most 31 deep.");
    limits = NULL;
}

static void reads_only_so_much(void **state)
{
    static char body[200000] = "[0";

    (void)state;
    for (unsigned i = 0; i < 65535; i++)
        strcpy(body + 2 + 2 * (size_t)i, ",0");
    strcat(body, "]");
    assert_string_equal(post(JSON, body), "413 The JSON may have at most 65536 values.");
    strcpy(body + strlen(body) - 3, "]");
    assert_memory_equal(post(JSON, body), "200 ", 4);
    limits = REEVE_JSON_LIMITS(.max_bytes = 10);
    assert_string_equal(post(JSON, "\"12345678\""), "200 \"12345678\"");
    assert_string_equal(post(JSON, "\"123456789\""), "413 The JSON may have at most 10 bytes.");
    limits = NULL;
}

/* Its length is not known beforehand. */
static void reads_what_comes_in_chunks(void **state)
{
    static char request[20000];
    char *p = request;

    (void)state;
    p += sprintf(p, "POST / HTTP/1.1\r\nHost: a\r\n" TYPE(JSON) "Transfer-Encoding: chunked\r\n\r\n"
                                                                "1\r\n\"\r\n");
    for (unsigned i = 0; i < 1000; i++)
        p += sprintf(p, "9\r\nchunk %03u\r\n", i);
    sprintf(p, "1\r\n\"\r\n0\r\n\r\n");
    assert_non_null(strstr(ask(read_view, request), "\r\n\r\n\"chunk 000chunk 001"));
    limits = REEVE_JSON_LIMITS(.max_bytes = 9001);
    assert_memory_equal(ask(read_view, request), "HTTP/1.1 413 ", 13);
    limits = REEVE_JSON_LIMITS(.max_bytes = 9002);
    assert_memory_equal(ask(read_view, request), "HTTP/1.1 200 ", 13);
    limits = NULL;
}

static void half_a_body_is_no_json(void **state)
{
    const char *answer =
        ask(read_view, "POST / HTTP/1.1\r\nHost: a\r\n" TYPE(JSON) LONG(9) "\r\n[1");

    (void)state;
    assert_memory_equal(answer, "HTTP/1.1 400 ", 13);
    assert_non_null(strstr(answer, "The body is not whole."));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(text_has_its_type_and_length),
        TEST(no_body_where_there_is_none),
        TEST(headers_of_the_handler_s_own),
        TEST(a_location_is_of_what_was_made_or_a_redirections_own),
        TEST(statuses_are_checked),
        TEST(redirects_to_what_is_safe_in_a_header),
        TEST(json_is_printed_whole_or_not_at_all),
        TEST(problems_are_those_of_rfc_9457),
        TEST(pages_are_html),
        TEST(large_pages_are_streamed),
        TEST(a_client_that_leaves_ends_the_page),
        TEST(reads_json),
        TEST(reads_no_other_type),
        TEST(says_what_is_wrong_with_it),
        TEST(zero_bytes_are_no_json),
        TEST(reads_only_so_deep),
        TEST(reads_only_so_much),
        TEST(reads_what_comes_in_chunks),
        TEST(half_a_body_is_no_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
