/* test_web_memory.c: requests through router, middleware, filters and forms for which memory runs
 * out at each of the places where it can: the answer is the one there would be, or an error's, and
 * never a part of one that says that it is all. */
#include "app_case.h"
#include "memory_case.h"

#include <reeve/form.h>
#include <reeve/middleware.h>
#include <reeve/router.h>
#include <zlib.h>

static int start_at;    /* of `left`, when the application begins */
static int arena_steps; /* of the request's own memory, of STEP bytes; negative: all */

#define STEP   16
#define BLOCKS 2000 /* steps, that is some blocks of the arena */
#define ENOUGH 300  /* for what is asked here */

/* ---- the application ---- */

#define SIZE 100000

static struct app_case the;
static reeve_router *router;
static reeve_middleware around[6];
static char text[SIZE];

static int page(reeve_environ *environ, reeve_start_response *start_response)
{
    if (start_response(environ, "200 OK",
                       REEVE_HEADERS({"Content-Type", "text/plain"}, {"ETag", "\"a\""})) == -1)
        return -1;
    for (size_t at = 0; at < SIZE; at += 1000)
        if (reeve_write(environ, text + at, 1000) == -1)
            return -1;
    return 0;
}

static int error(reeve_environ *environ, reeve_start_response *start_response)
{
    return start_response(environ, "404 Not Found", REEVE_NO_HEADERS);
}

/* Takes no notice of what fails: the answer must not look whole all the same. */
static int careless(reeve_environ *environ, reeve_start_response *start_response)
{
    page(environ, start_response);
    return 0;
}

static int form(reeve_environ *environ, reeve_start_response *start_response)
{
    reeve_form *form;
    int status = reeve_form_read(environ, REEVE_FORM_LIMITS(.memory_each = 100), &form);
    char body[64];

    if (status != 0)
        return reeve_form_refuse(environ, start_response, status);
    if (start_response(environ, "200 OK", REEVE_NO_HEADERS) == -1)
        return -1;
    snprintf(body, sizeof body, "%s %s %zu", reeve_form_get(form, "a"),
             reeve_cookie_get(environ, "c") ? "cookie" : "", reeve_form_count(form));
    return reeve_write(environ, body, strlen(body));
}

/* Takes all of the request's memory but so many steps, behind which it needs malloc. */
static void drain(reeve_environ *environ, int but)
{
    static int all; /* the same for every request here */

    left = -1;
    for (int taken = 0; taken < (all > 0 ? all - but : BLOCKS); taken++)
        reeve_alloc(environ, STEP);
    left = 0;
    goes_on = true;
    if (all == 0)
        for (all = BLOCKS; reeve_alloc(environ, STEP);)
            all++;
    goes_on = false;
}

static int application(reeve_environ *environ, reeve_start_response *start_response)
{
    if (arena_steps >= 0)
        drain(environ, arena_steps);
    left = start_at;
    return reeve_router_call(router, environ, start_response);
}

static int setup(void **state)
{
    static const char *const origins[] = {"https://a.example", NULL};
    static const reeve_user users[] = {{"a", "b"}, {NULL, NULL}};
    const reeve_controller controller = {
        .routes = REEVE_ROUTES(REEVE_GET("/page/{id}", page), REEVE_GET("/error", error),
                               REEVE_GET("/careless", careless), REEVE_POST("/form", form))};

    (void)state;
    memset(text, 't', sizeof text);
    assert_int_equal(reeve_cors_new(NULL, &(reeve_cors){.origins = origins}, &around[0]), 0);
    assert_int_equal(reeve_error_pages_new(NULL, &(reeve_error_pages){.all = false}, &around[1]),
                     0);
    assert_int_equal(reeve_gzip_new(NULL, &(reeve_gzip){.level = 1}, &around[2]), 0);
    assert_int_equal(
        reeve_rate_limit_new(NULL, &(reeve_rate_limit){.rate = 1e6, .tell = true}, &around[3]), 0);
    assert_int_equal(
        reeve_basic_auth_new(NULL, &(reeve_basic_auth){.realm = "r", .users = users}, &around[4]),
        0);
    router = reeve_router_new();
    reeve_router_use(router, around);
    reeve_router_add(router, &controller);
    assert_int_equal(reeve_router_ready(router), 0);
    return app_case_open(&the, application);
}

static int teardown(void **state)
{
    (void)state;
    app_case_close(&the);
    reeve_router_free(router);
    for (size_t i = 0; i < sizeof around / sizeof *around; i++)
        reeve_middleware_free(&around[i]);
    return 0;
}

/* ---- what comes back ---- */

#define HEADERS                                              \
    " HTTP/1.1\r\nHost: a\r\nAuthorization: Basic YTpi\r\n"  \
    "Accept-Encoding: gzip\r\nOrigin: https://a.example\r\n" \
    "Cookie: c=d\r\nConnection: close\r\n"

/* Appends the chunks of `body` to `out`; false: the last one is not there. */
static bool unchunk(const char *body, const char *end, char *out, size_t *size_out)
{
    for (*size_out = 0;;) {
        char *data;
        size_t size = strtoul(body, &data, 16);

        data += 2;
        if (size == 0)
            return data <= end && body < end;
        if (data + size + 2 > end)
            return false;
        memcpy(out + *size_out, data, size);
        *size_out += size;
        body = data + size + 2;
    }
}

/* A 200 that says it is whole decompresses to all of the text. */
static void check_page(void)
{
    static char packed[2 * SIZE], plain[SIZE + 1];
    const char *body = strstr(the.wire, "\r\n\r\n"), *length;
    z_stream stream = {.next_out = (unsigned char *)plain, .avail_out = sizeof plain};
    size_t size;

    if (strncmp(the.wire, "HTTP/1.1 200", 12) != 0 || !body)
        return;
    body += 4;
    length = strstr(the.wire, "Content-Length: ");
    size = length && length < body ? strtoul(length + 16, NULL, 10) : 0;
    if (size > 0) {
        assert_true(size <= sizeof packed);
        if (body + size > the.wire + the.length)
            return; /* cut off, as anybody can see */
        memcpy(packed, body, size);
    } else if (!unchunk(body, the.wire + the.length, packed, &size)) {
        return;
    }
    stream.next_in = (unsigned char *)packed;
    stream.avail_in = (unsigned)size;
    if (strstr(the.wire, "Content-Encoding: gzip")) {
        assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
        assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
        size = stream.total_out;
        inflateEnd(&stream);
    } else {
        assert_true(size <= sizeof plain);
        memcpy(plain, packed, size);
    }
    assert_int_equal(size, SIZE);
    assert_memory_equal(plain, text, SIZE);
}

static void ask(const char *request)
{
    failed = 0;
    app_case_connect(&the);
    app_case_send(&the, request, strlen(request));
    app_case_turn_until_closed(&the);
    left = -1;
    app_case_hang_up(&the);
}

/* Each call of malloc fails once, alone or with all that come behind it, until none is left to
 * fail. */
static void run_out_of_heap(const char *request, void (*check)(void))
{
    arena_steps = -1;
    for (int way = 0; way < 2; way++) {
        start_at = 0;
        do {
            goes_on = way;
            ask(request);
            check();
        } while (failed > 0 && start_at++ < 1000);
        assert_int_equal(failed, 0);
    }
}

/* The request's memory ends a little later each time, and one of the calls of malloc thereafter
 * fails. */
static void run_out_of_arena(const char *request, void (*check)(void))
{
    for (start_at = 0; start_at < 4; start_at++)
        for (arena_steps = 0; arena_steps < ENOUGH; arena_steps++) {
            ask(request);
            check();
        }
}

static void run_out(const char *request, void (*check)(void))
{
    if (!CAN_FAIL)
        skip();
    run_out_of_arena(request, check);
    run_out_of_heap(request, check);
    assert_memory_equal(the.wire, "HTTP/1.1 ", 9);
}

static void a_page_is_whole_or_says_otherwise(void **state)
{
    (void)state;
    run_out("GET /page/1" HEADERS "\r\n", check_page);
    assert_non_null(strstr(the.wire, "Content-Encoding: gzip"));
    run_out("GET /careless" HEADERS "\r\n", check_page);
}

static void check_error(void)
{
    /* What cannot be held back until it is known to be small is compressed. */
    if (strncmp(the.wire, "HTTP/1.1 404", 12) == 0 && !strstr(the.wire, "Content-Encoding: gzip"))
        assert_non_null(strstr(the.wire, "request id"));
}

static void an_error_has_its_page_or_is_the_servers(void **state)
{
    (void)state;
    run_out("GET /error" HEADERS "\r\n", check_error);
    assert_memory_equal(the.wire, "HTTP/1.1 404", 12);
    run_out("GET /nowhere" HEADERS "\r\n", check_error);
}

static void check_form(void)
{
    if (strncmp(the.wire, "HTTP/1.1 200", 12) == 0)
        assert_non_null(strstr(the.wire, "\r\n\r\n1 "));
    else if (the.length > 0)
        assert_true(strncmp(the.wire, "HTTP/1.1 50", 11) == 0);
}

static void a_form_is_read_or_refused(void **state)
{
    static char request[4096], body[1024];

    (void)state;
    snprintf(body, sizeof body,
             "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n"
             "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"g\"\r\n\r\n%0300d\r\n"
             "--b\r\nContent-Disposition: form-data; name=\"l\"\r\n\r\n%0300d\r\n--b--\r\n",
             1, 2);
    snprintf(request, sizeof request,
             "POST /form" HEADERS "Content-Type: multipart/form-data; boundary=b\r\n"
             "Content-Length: %zu\r\n\r\n%s",
             strlen(body), body);
    run_out(request, check_form);
    assert_non_null(strstr(the.wire, "1 cookie 3"));
    run_out("POST /form" HEADERS "Content-Type: application/x-www-form-urlencoded\r\n"
            "Content-Length: 7\r\n\r\na=1&b=2",
            check_form);
    assert_non_null(strstr(the.wire, "1 cookie 2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_page_is_whole_or_says_otherwise),
        TEST(an_error_has_its_page_or_is_the_servers),
        TEST(a_form_is_read_or_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
