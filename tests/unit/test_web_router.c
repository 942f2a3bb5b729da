/* test_web_router.c: what is called for a request, in which order, what the router answers itself,
 * and which tables it refuses. */
#include <inttypes.h>
#include <reeve/router.h>

#include "app_case.h"

static struct app_case the;
static reeve_router *router;
static char seen[1024]; /* what was called, in its order */

static int call_router(reeve_environ *environ, reeve_start_response *start_response)
{
    return reeve_router_call(router, environ, start_response);
}

static int setup(void **state)
{
    (void)state;
    router = reeve_router_new();
    return router ? app_case_open(&the, call_router) : -1;
}

static int teardown(void **state)
{
    (void)state;
    app_case_close(&the);
    reeve_router_free(router);
    return 0;
}

static void note(const char *text)
{
    strncat(seen, text ? text : "(none)", sizeof seen - strlen(seen) - 1);
    strncat(seen, " ", sizeof seen - strlen(seen) - 1);
}

static void ready(const reeve_controller *controller)
{
    if (controller)
        assert_int_equal(reeve_router_add(router, controller), 0);
    assert_int_equal(reeve_router_ready(router), 0);
    assert_string_equal(reeve_router_error(router), "");
}

/* The status of "METHOD path"; its answer is in the.wire, what was called in seen. */
static int ask(const char *line)
{
    char request[512];

    seen[0] = '\0';
    snprintf(request, sizeof request, "%s HTTP/1.1\r\nHost: a\r\n\r\n", line);
    return atoi(app_case_ask(&the, request) + strlen("HTTP/1.1 "));
}

static void has_header(const char *line)
{
    char text[256];

    snprintf(text, sizeof text, "\r\n%s\r\n", line);
    if (!strstr(the.wire, text))
        fail_msg("no \"%s\" in %s", line, the.wire);
}

/* ---- handlers ---- */

static int answer(reeve_environ *environ, reeve_start_response *start_response)
{
    start_response(environ, "200 OK", REEVE_NO_HEADERS);
    return reeve_write(environ, "body", 4);
}

#define HANDLER(name)                                                             \
    static int name(reeve_environ *environ, reeve_start_response *start_response) \
    {                                                                             \
        note(#name);                                                              \
        return answer(environ, start_response);                                   \
    }

HANDLER(get)
HANDLER(post)
HANDLER(head)
HANDLER(options)
HANDLER(any)

static int tells_route(reeve_environ *environ, reeve_start_response *start_response)
{
    note(reeve_method(environ));
    note(reeve_route_pattern(environ));
    note(reeve_route_allow(environ));
    note(reeve_controller_state(environ));
    return answer(environ, start_response);
}

static int fails(reeve_environ *environ, reeve_start_response *start_response)
{
    (void)environ;
    (void)start_response;
    note("fails");
    errno = EDOM;
    return -1;
}

/* ---- methods ---- */

static void a_pattern_has_a_handler_for_each_method(void **state)
{
    const reeve_controller c = {.routes = REEVE_ROUTES(REEVE_GET("/x", get), REEVE_POST("/x", post),
                                                       REEVE_DELETE("/y", any))};

    (void)state;
    ready(&c);
    assert_int_equal(ask("GET /x"), 200);
    assert_string_equal(seen, "get ");
    assert_int_equal(ask("POST /x"), 200);
    assert_string_equal(seen, "post ");
    assert_int_equal(ask("DELETE /y"), 200);
    assert_string_equal(seen, "any ");
}

static void head_is_get_without_its_body(void **state)
{
    const reeve_controller c = {.routes = REEVE_ROUTES(REEVE_GET("/x", get), REEVE_GET("/own", get),
                                                       REEVE_HEAD("/own", head),
                                                       REEVE_POST("/post", post))};

    (void)state;
    ready(&c);
    assert_int_equal(ask("HEAD /x"), 200);
    assert_string_equal(seen, "get ");
    has_header("Content-Length: 4");
    assert_null(strstr(the.wire, "body"));
    assert_int_equal(ask("HEAD /own"), 200);
    assert_string_equal(seen, "head ");
    assert_int_equal(ask("HEAD /post"), 405);
}

static void options_and_405_tell_the_methods(void **state)
{
    const reeve_controller c = {.routes = REEVE_ROUTES(REEVE_POST("/x", post), REEVE_GET("/x", get),
                                                       REEVE_OPTIONS("/own", options))};

    (void)state;
    ready(&c);
    assert_int_equal(ask("OPTIONS /x"), 204);
    has_header("Allow: POST, GET, HEAD, OPTIONS");
    assert_int_equal(ask("PUT /x"), 405);
    has_header("Allow: POST, GET, HEAD, OPTIONS");
    assert_non_null(strstr(the.wire, "405 Method Not Allowed\nrequest id "));
    assert_string_equal(seen, "");
    assert_int_equal(ask("OPTIONS /own"), 200);
    assert_string_equal(seen, "options ");
    assert_int_equal(ask("GET /own"), 405);
    has_header("Allow: OPTIONS");
    assert_int_equal(ask("OPTIONS /none"), 404);
}

static void a_star_takes_every_other_method(void **state)
{
    const reeve_controller c = {.routes = REEVE_ROUTES(REEVE_ANY("/x", any), REEVE_GET("/x", get))};

    (void)state;
    ready(&c);
    ask("GET /x");
    assert_string_equal(seen, "get ");
    ask("HEAD /x");
    assert_string_equal(seen, "get ");
    ask("PROPFIND /x");
    assert_string_equal(seen, "any ");
    ask("OPTIONS /x");
    assert_string_equal(seen, "any ");
}

/* The better pattern decides, also when the other one would have the method. */
static void methods_are_those_of_the_best_pattern(void **state)
{
    const reeve_controller c = {
        .routes = REEVE_ROUTES(REEVE_GET("/users/me", get), REEVE_DELETE("/users/{id}", any))};

    (void)state;
    ready(&c);
    assert_int_equal(ask("DELETE /users/me"), 405);
    has_header("Allow: GET, HEAD, OPTIONS");
    assert_int_equal(ask("DELETE /users/you"), 200);
}

/* ---- what there is not ---- */

static int fallback(reeve_environ *environ, reeve_start_response *start_response)
{
    int status = reeve_route_status(environ);

    note(reeve_printf(environ, "%d", status));
    note(reeve_route_allow(environ));
    note(reeve_route_pattern(environ));
    return start_response(environ, status == 405 ? "405 No" : "404 No", REEVE_NO_HEADERS);
}

static void what_has_no_route_is_404(void **state)
{
    const reeve_controller c = {.prefix = "/in", .routes = REEVE_ROUTES(REEVE_GET("", get))};

    (void)state;
    ready(&c);
    assert_int_equal(ask("GET /"), 404);
    assert_non_null(strstr(the.wire, "404 Not Found\nrequest id "));
    assert_int_equal(ask("GET /in/"), 404);
    assert_int_equal(ask("GET /in"), 200);
}

static void a_fallback_answers_in_its_place(void **state)
{
    const reeve_controller c = {.routes = REEVE_ROUTES(REEVE_GET("/x", get))};

    (void)state;
    reeve_router_set_fallback(router, fallback);
    ready(&c);
    assert_int_equal(ask("GET /y"), 404);
    assert_string_equal(seen, "404 (none) (none) ");
    assert_int_equal(ask("POST /x"), 405);
    assert_string_equal(seen, "405 GET, HEAD, OPTIONS /x ");
    assert_int_equal(ask("OPTIONS /x"), 204);
    assert_string_equal(seen, "");
}

static void a_slash_too_many_or_too_few_is_redirected_if_wanted(void **state)
{
    const reeve_controller c = {
        .routes = REEVE_ROUTES(REEVE_GET("/users", get), REEVE_GET("/a/{b}/", get))};

    (void)state;
    reeve_router_set_redirect(router, true);
    ready(&c);
    assert_int_equal(ask("GET /users/?a=%20&b"), 308);
    has_header("Location: /users?a=%20&b");
    assert_int_equal(ask("POST /a/x%20%25%3f%c3%a9:;"), 308);
    has_header("Location: /a/x%20%25%3F%C3%A9:;/");
    assert_int_equal(ask("GET //users/"), 404);
    assert_int_equal(ask("GET /users//"), 404);
    assert_int_equal(ask("GET /"), 404);
    assert_int_equal(ask("GET /users"), 200);
}

static void a_redirection_keeps_the_mount(void **state)
{
    static char mount[] = "/the app";
    const reeve_controller c = {.routes = REEVE_ROUTES(REEVE_GET("/", get), REEVE_GET("/x", get))};

    (void)state;
    the.apps[0].mount = mount;
    route_tables_free(the.room.routes, &the.config);
    the.room.routes = route_tables_new(&the.config);
    reeve_router_set_redirect(router, true);
    ready(&c);
    assert_int_equal(ask("GET /the%20app/x/"), 308);
    has_header("Location: /the%20app/x");
    assert_int_equal(ask("GET /the%20app"), 200); /* PATH_INFO "" */
}

/* ---- parameters ---- */

static int tells_params(reeve_environ *environ, reeve_start_response *start_response)
{
    uint64_t unsigned_number;
    int64_t number;

    note(reeve_param(environ, "name"));
    note(reeve_param(environ, "id"));
    note(reeve_param(environ, "rest"));
    note(reeve_param_int(environ, "id", &number) == 0 ? "int" : strerrorname_np(errno));
    note(reeve_printf(environ, "%" PRId64, number));
    note(reeve_param_uint(environ, "id", &unsigned_number) == 0 ? "uint" : strerrorname_np(errno));
    note(reeve_printf(environ, "%" PRIu64, unsigned_number));
    return answer(environ, start_response);
}

static void parameters_are_decoded_text_and_numbers(void **state)
{
    const reeve_controller c = {
        .prefix = "/{name}",
        .routes = REEVE_ROUTES(REEVE_GET("", tells_params), REEVE_GET("/{id:int}", tells_params),
                               REEVE_GET("/{id}/{rest:path}", tells_params))};

    (void)state;
    ready(&c);
    ask("GET /a%20b/-7");
    assert_string_equal(seen, "a b -7 (none) int -7 EINVAL 0 ");
    ask("GET /n/18446744073709551615/r/s/");
    assert_string_equal(seen, "n 18446744073709551615 r/s/ EINVAL 0 uint 18446744073709551615 ");
    ask("GET /n/x/");
    assert_string_equal(seen, "n x  EINVAL 0 EINVAL 0 ");
    ask("GET /n");
    assert_string_equal(seen, "n (none) (none) ENOENT 0 ENOENT 0 ");
}

static void a_request_without_router_has_nothing_of_one(void **state)
{
    (void)state;
    the.descriptor.application = tells_params;
    ask("GET /x");
    assert_string_equal(seen, "(none) (none) (none) ENOENT 0 ENOENT 0 ");
    the.descriptor.application = tells_route;
    ask("GET /x");
    assert_string_equal(seen, "GET (none) (none) (none) ");
    the.descriptor.application = call_router;
    assert_int_equal(ask("GET /x"), 500); /* it is not ready */
}

/* ---- middleware and controllers ---- */

static int tell(reeve_environ *environ, reeve_start_response *start_response, reeve_next *next,
                void *state)
{
    int result;

    note(reeve_printf(environ, "<%s", (const char *)state));
    result = reeve_next_call(next, environ, start_response);
    note(reeve_printf(environ, "%s:%d>", (const char *)state, result));
    return result;
}

static int stop(reeve_environ *environ, reeve_start_response *start_response, reeve_next *next,
                void *state)
{
    (void)next;
    (void)state;
    note("stop");
    return start_response(environ, "403 Forbidden", REEVE_NO_HEADERS);
}

static int twice(reeve_environ *environ, reeve_start_response *start_response, reeve_next *next,
                 void *state)
{
    int result = reeve_next_call(next, environ, start_response);

    (void)state;
    note(reeve_next_call(next, environ, start_response) == -1 ? strerrorname_np(errno) : "again");
    return result;
}

static int goes_on(reeve_environ *environ, reeve_start_response *start_response)
{
    (void)environ;
    (void)start_response;
    note("before");
    return 0;
}

static int answers_first(reeve_environ *environ, reeve_start_response *start_response)
{
    note("answers");
    return answer(environ, start_response) == 0 ? 1 : -1;
}

static int sees(reeve_environ *environ, reeve_start_response *start_response, int result)
{
    (void)start_response;
    note(reeve_printf(environ, "after:%d%s", result, result == -1 ? strerrorname_np(errno) : ""));
    return result;
}

static int rescues(reeve_environ *environ, reeve_start_response *start_response, int result)
{
    return result == 0 ? 0 : start_response(environ, "503 Busy", REEVE_NO_HEADERS);
}

static char outer[] = "outer", second[] = "second", controllers[] = "controller", own[] = "own";

static void everything_wraps_in_its_order(void **state)
{
    static char shared[] = "shared";
    const reeve_controller c = {
        .prefix = "/c",
        .state = shared,
        .middleware = REEVE_MIDDLEWARE({tell, controllers}),
        .before = REEVE_BEFORE(goes_on, goes_on),
        .after = REEVE_AFTER(sees, sees),
        .routes = REEVE_ROUTES(
            REEVE_GET("/full", tells_route, .middleware = REEVE_MIDDLEWARE({tell, own})),
            REEVE_GET("/plain", get)),
    };

    (void)state;
    reeve_router_use(router, REEVE_MIDDLEWARE({tell, outer}));
    reeve_router_use(router, REEVE_MIDDLEWARE({tell, second}));
    ready(&c);
    ask("GET /c/full");
    assert_string_equal(seen, "<outer <second <controller <own before before "
                              "GET /c/full GET, HEAD, OPTIONS shared after:0 after:0 "
                              "own:0> controller:0> second:0> outer:0> ");
    ask("GET /c/plain");
    assert_string_equal(seen, "<outer <second <controller before before get after:0 after:0 "
                              "controller:0> second:0> outer:0> ");
    ask("POST /c/full"); /* automatic, so neither the route's own middleware nor hooks */
    assert_string_equal(seen, "<outer <second <controller controller:0> second:0> outer:0> ");
    ask("GET /none");
    assert_string_equal(seen, "<outer <second second:0> outer:0> ");
}

static void middleware_may_answer_itself_and_goes_on_once(void **state)
{
    const reeve_controller c = {
        .routes = REEVE_ROUTES(
            REEVE_GET("/stop", get, .middleware = REEVE_MIDDLEWARE({stop, NULL}, {tell, own})),
            REEVE_GET("/twice", get, .middleware = REEVE_MIDDLEWARE({twice, NULL})))};

    (void)state;
    ready(&c);
    assert_int_equal(ask("GET /stop"), 403);
    assert_string_equal(seen, "stop ");
    assert_int_equal(ask("GET /twice"), 200);
    assert_string_equal(seen, "get EALREADY ");
}

static void a_hook_may_answer_or_fail_and_after_always_runs(void **state)
{
    const reeve_controller answered = {.prefix = "/answered",
                                       .before = REEVE_BEFORE(answers_first, goes_on),
                                       .after = REEVE_AFTER(sees),
                                       .routes = REEVE_ROUTES(REEVE_GET("", get))};
    const reeve_controller failed = {.prefix = "/failed",
                                     .before = REEVE_BEFORE(fails, goes_on),
                                     .after = REEVE_AFTER(sees),
                                     .routes = REEVE_ROUTES(REEVE_GET("", get))};
    const reeve_controller rescued = {.prefix = "/rescued",
                                      .after = REEVE_AFTER(sees, rescues, sees),
                                      .routes = REEVE_ROUTES(REEVE_GET("", fails))};

    (void)state;
    reeve_router_add(router, &answered);
    reeve_router_add(router, &failed);
    ready(&rescued);
    assert_int_equal(ask("GET /answered"), 200);
    assert_string_equal(seen, "answers after:0 ");
    assert_int_equal(ask("GET /failed"), 500);
    assert_string_equal(seen, "fails after:-1EDOM ");
    assert_int_equal(ask("GET /rescued"), 503);
    assert_string_equal(seen, "fails after:-1EDOM after:0 ");
}

static void controllers_may_share_a_pattern(void **state)
{
    static char one[] = "one", two[] = "two";
    const reeve_controller reads = {
        .prefix = "/x", .state = one, .routes = REEVE_ROUTES(REEVE_GET("/{id}", tells_route))};
    const reeve_controller writes = {
        .prefix = "/x", .state = two, .routes = REEVE_ROUTES(REEVE_PUT("/{id}", tells_route))};

    (void)state;
    reeve_router_add(router, &reads);
    ready(&writes);
    ask("GET /x/1");
    assert_string_equal(seen, "GET /x/{id} GET, HEAD, PUT, OPTIONS one ");
    ask("PUT /x/1");
    assert_string_equal(seen, "PUT /x/{id} GET, HEAD, PUT, OPTIONS two ");
}

/* ---- a router within another ---- */

static reeve_router *inner;

static int calls_inner(reeve_environ *environ, reeve_start_response *start_response)
{
    reeve_environ_set(environ, "PATH_INFO", reeve_param(environ, "rest"));
    reeve_router_call(inner, environ, start_response);
    note(reeve_route_pattern(environ));
    return 0;
}

static void what_an_inner_router_found_is_forgotten_behind_it(void **state)
{
    const reeve_controller c = {.routes = REEVE_ROUTES(REEVE_GET("/{rest:path}", calls_inner))};
    const reeve_controller within = {.routes = REEVE_ROUTES(REEVE_GET("/", tells_route))};

    (void)state;
    inner = reeve_router_new();
    assert_int_equal(reeve_router_add(inner, &within), 0);
    assert_int_equal(reeve_router_ready(inner), 0);
    ready(&c);
    ask("GET /");
    assert_string_equal(seen, "GET / GET, HEAD, OPTIONS (none) /{rest:path} ");
    reeve_router_free(inner);
}

/* ---- attachments ---- */

static int attaches(reeve_environ *environ, reeve_start_response *start_response)
{
    static const char first_key, second_key;
    static char a[] = "a", b[] = "b", c[] = "c";

    note(reeve_environ_data(environ, &first_key));
    reeve_environ_set_data(environ, &first_key, a);
    reeve_environ_set_data(environ, &second_key, b);
    note(reeve_environ_data(environ, &first_key));
    note(reeve_environ_data(environ, &second_key));
    reeve_environ_set_data(environ, &first_key, c);
    reeve_environ_set_data(environ, &second_key, NULL);
    note(reeve_environ_data(environ, &first_key));
    note(reeve_environ_data(environ, &second_key));
    return answer(environ, start_response);
}

static void data_hangs_at_a_request_by_its_key(void **state)
{
    (void)state;
    the.descriptor.application = attaches;
    for (int i = 0; i < 2; i++) { /* a request's own: the next one has none */
        ask("GET /");
        assert_string_equal(seen, "(none) a b c (none) ");
    }
}

/* ---- refusals ---- */

#define REFUSES(sentence, ...) refuses(&(const reeve_controller){__VA_ARGS__}, sentence)

static void refuses(const reeve_controller *controller, const char *sentence)
{
    const reeve_controller good = {.routes = REEVE_ROUTES(REEVE_GET("/good", get))};
    reeve_router *bad = reeve_router_new();

    assert_int_equal(reeve_router_add(bad, &good), 0);
    assert_int_equal(reeve_router_add(bad, controller), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(reeve_router_add(bad, &good), -1); /* the first reason stays */
    assert_int_equal(reeve_router_use(bad, NULL), -1);
    assert_int_equal(reeve_router_ready(bad), -1);
    assert_int_equal(errno, EINVAL);
    assert_string_equal(reeve_router_error(bad), sentence);
    reeve_router_free(bad);
}

static void wrong_tables_are_refused_with_a_sentence(void **state)
{
    static char longer[3000];

    (void)state;
    REFUSES("route GET \"/users/{id\": a parameter is a whole segment, as {name} or {name:type}",
            .prefix = "/users", .routes = REEVE_ROUTES(REEVE_GET("/{id", get)));
    REFUSES("route GET \"\": a pattern begins with \"/\"",
            .routes = REEVE_ROUTES(REEVE_GET("", get)));
    REFUSES("route GET \"/good\": it is there already",
            .routes = REEVE_ROUTES(REEVE_GET("/good", get)));
    REFUSES("route GET \"/a/{y}\": it matches the same paths as \"/a/{x}\"",
            .routes = REEVE_ROUTES(REEVE_GET("/a/{x}", get), REEVE_GET("/a/{y}", get)));
    REFUSES("route GET \"/a/{y:uint}\": int and uint are at one place, see \"/a/{x:int}\"",
            .routes = REEVE_ROUTES(REEVE_GET("/a/{x:int}", get), REEVE_GET("/a/{y:uint}", get)));
    REFUSES("route GETS \"/x\": the server knows no such method, in capitals",
            .routes = REEVE_ROUTES(REEVE_ROUTE("GETS", "/x", get)));
    REFUSES("route CONNECT \"/x\": the server knows no such method, in capitals",
            .routes = REEVE_ROUTES(REEVE_ROUTE("CONNECT", "/x", get)));
    REFUSES("route PUT \"/x\": it has no handler", .routes = REEVE_ROUTES(REEVE_PUT("/x", NULL)));
    REFUSES("controller \"/x/\": a prefix does not end with \"/\"", .prefix = "/x/",
            .routes = REEVE_ROUTES(REEVE_GET("/y", get)));
    REFUSES("controller \"/x\" has no routes", .prefix = "/x");
    memset(longer, 'a', sizeof longer - 1);
    longer[0] = '/';
    assert_int_equal(reeve_router_add(router, &(const reeve_controller){.prefix = longer,
                                                                        .routes = REEVE_ROUTES(
                                                                            REEVE_GET("/", get))}),
                     -1);
    assert_non_null(strstr(reeve_router_error(router), "512 bytes at most"));
}

static void a_router_that_is_ready_takes_no_more(void **state)
{
    const reeve_controller c = {.routes = REEVE_ROUTES(REEVE_GET("/x", get))};

    (void)state;
    ready(&c);
    assert_int_equal(reeve_router_add(router, &c), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(ask("GET /x"), 200);
}

static void without_memory_for_a_router_init_can_tell(void **state)
{
    const reeve_controller c = {.routes = REEVE_ROUTES(REEVE_GET("/x", get))};

    (void)state;
    assert_int_equal(reeve_router_add(NULL, &c), -1);
    assert_int_equal(reeve_router_use(NULL, NULL), -1);
    assert_int_equal(reeve_router_ready(NULL), -1);
    assert_int_equal(errno, ENOMEM);
    assert_string_equal(reeve_router_error(NULL), "memory has run out");
    reeve_router_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_pattern_has_a_handler_for_each_method),
        TEST(head_is_get_without_its_body),
        TEST(options_and_405_tell_the_methods),
        TEST(a_star_takes_every_other_method),
        TEST(methods_are_those_of_the_best_pattern),
        TEST(what_has_no_route_is_404),
        TEST(a_fallback_answers_in_its_place),
        TEST(a_slash_too_many_or_too_few_is_redirected_if_wanted),
        TEST(a_redirection_keeps_the_mount),
        TEST(parameters_are_decoded_text_and_numbers),
        TEST(a_request_without_router_has_nothing_of_one),
        TEST(everything_wraps_in_its_order),
        TEST(middleware_may_answer_itself_and_goes_on_once),
        TEST(a_hook_may_answer_or_fail_and_after_always_runs),
        TEST(controllers_may_share_a_pattern),
        TEST(what_an_inner_router_found_is_forgotten_behind_it),
        TEST(data_hangs_at_a_request_by_its_key),
        TEST(wrong_tables_are_refused_with_a_sentence),
        TEST(a_router_that_is_ready_takes_no_more),
        TEST(without_memory_for_a_router_init_can_tell),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
