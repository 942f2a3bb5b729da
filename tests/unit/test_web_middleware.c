/* test_web_middleware.c: the parts of the bundled middleware that need no request: options,
 * secrets, lists of headers, gzip streams. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <reeve/filter.h>
#include <reeve/middleware.h>

#include "app/request.h"
#include "web/encoder.h"

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

/* ---- options ---- */

#define REFUSED(name, type, ...)                                 \
    do {                                                         \
        const type options = {__VA_ARGS__};                      \
        reeve_middleware made = {.state = NULL};                 \
        errno = 0;                                               \
        assert_int_equal(name##_new(NULL, &options, &made), -1); \
        assert_int_equal(errno, EINVAL);                         \
        assert_null(made.call);                                  \
    } while (0)

#define TAKEN(name, type, ...)                                  \
    do {                                                        \
        const type options = {__VA_ARGS__};                     \
        reeve_middleware made = {.state = NULL};                \
        assert_int_equal(name##_new(NULL, &options, &made), 0); \
        assert_non_null(made.call);                             \
        reeve_middleware_free(&made);                           \
        assert_null(made.call);                                 \
        reeve_middleware_free(&made);                           \
    } while (0)

static int verify_user(reeve_environ *environ, const char *name, const char *password, void *arg)
{
    (void)environ;
    (void)arg;
    return strcmp(name, password) == 0;
}

static void access_control_checks_its_options(void **state)
{
    static const reeve_user users[] = {{"a", "b"}, {NULL, NULL}};
    static const reeve_user colon[] = {{"a:", "b"}, {NULL, NULL}};
    static const reeve_user nameless[] = {{"", "b"}, {NULL, NULL}};
    static const reeve_user open[] = {{"a", ""}, {NULL, NULL}};
    static const reeve_token tokens[] = {{"a", "b"}, {NULL, NULL}};
    static const reeve_token blank[] = {{"a b", "b"}, {NULL, NULL}};
    static const reeve_token userless[] = {{"a", NULL}, {NULL, NULL}};

    (void)state;
    TAKEN(reeve_basic_auth, reeve_basic_auth, .realm = "r", .users = users);
    TAKEN(reeve_basic_auth, reeve_basic_auth, .realm = "", .verify = verify_user);
    REFUSED(reeve_basic_auth, reeve_basic_auth, .users = users);
    REFUSED(reeve_basic_auth, reeve_basic_auth, .realm = "a\"b", .users = users);
    REFUSED(reeve_basic_auth, reeve_basic_auth, .realm = "a\nb", .users = users);
    REFUSED(reeve_basic_auth, reeve_basic_auth, .realm = "r");
    REFUSED(reeve_basic_auth, reeve_basic_auth, .realm = "r", .users = users,
            .verify = verify_user);
    REFUSED(reeve_basic_auth, reeve_basic_auth, .realm = "r", .users = colon);
    REFUSED(reeve_basic_auth, reeve_basic_auth, .realm = "r", .users = nameless);
    REFUSED(reeve_basic_auth, reeve_basic_auth, .realm = "r", .users = open);
    TAKEN(reeve_bearer_auth, reeve_bearer_auth, .realm = "r", .tokens = tokens);
    REFUSED(reeve_bearer_auth, reeve_bearer_auth, .realm = "r");
    REFUSED(reeve_bearer_auth, reeve_bearer_auth, .tokens = tokens);
    REFUSED(reeve_bearer_auth, reeve_bearer_auth, .realm = "r", .tokens = blank);
    REFUSED(reeve_bearer_auth, reeve_bearer_auth, .realm = "r", .tokens = userless);
}

static void cors_checks_its_options(void **state)
{
    const char *const *any = LIST("*"), *const *one = LIST("https://a.example:8443");

    (void)state;
    TAKEN(reeve_cors, reeve_cors, .origins = any);
    TAKEN(reeve_cors, reeve_cors, .origins = one, .credentials = true, .methods = LIST("GET"));
    TAKEN(reeve_cors, reeve_cors, .origins = any, .methods = any, .headers = any, .exposed = any);
    REFUSED(reeve_cors, reeve_cors, .max_age = 1);
    REFUSED(reeve_cors, reeve_cors, .origins = (const char *const[]){NULL});
    REFUSED(reeve_cors, reeve_cors, .origins = LIST("*", "https://a.example"));
    REFUSED(reeve_cors, reeve_cors, .origins = LIST("https://a.example", "*"));
    REFUSED(reeve_cors, reeve_cors, .origins = LIST("a.example"));
    REFUSED(reeve_cors, reeve_cors, .origins = LIST("https://a.example/"));
    REFUSED(reeve_cors, reeve_cors, .origins = LIST("https://A.example"));
    REFUSED(reeve_cors, reeve_cors, .origins = LIST("https://"));
    REFUSED(reeve_cors, reeve_cors, .origins = any, .credentials = true);
    TAKEN(reeve_cors, reeve_cors, .origins = LIST("https://a.example", "null"));
    REFUSED(reeve_cors, reeve_cors, .origins = LIST("https://a.example", "null"),
            .credentials = true);
    REFUSED(reeve_cors, reeve_cors, .origins = one, .credentials = true, .headers = any);
    REFUSED(reeve_cors, reeve_cors, .origins = one, .credentials = true, .methods = any);
    REFUSED(reeve_cors, reeve_cors, .origins = one, .credentials = true, .exposed = any);
    REFUSED(reeve_cors, reeve_cors, .origins = one, .methods = LIST("GET, PUT"));
}

static void the_others_check_their_options(void **state)
{
    (void)state;
    TAKEN(reeve_gzip, reeve_gzip, .level = 9, .min_size = 65536, .types = LIST("text/", "a/b"));
    REFUSED(reeve_gzip, reeve_gzip, .level = 10);
    REFUSED(reeve_gzip, reeve_gzip, .min_size = 65537);
    REFUSED(reeve_gzip, reeve_gzip, .types = LIST("text/*"));
    REFUSED(reeve_gzip, reeve_gzip, .types = LIST("text"));
    REFUSED(reeve_gzip, reeve_gzip, .types = LIST("text/html; charset=x"));
    TAKEN(reeve_rate_limit, reeve_rate_limit, .rate = 0.5, .keys = 1);
    REFUSED(reeve_rate_limit, reeve_rate_limit, .rate = 0);
    REFUSED(reeve_rate_limit, reeve_rate_limit, .rate = NAN);
    REFUSED(reeve_rate_limit, reeve_rate_limit, .rate = INFINITY);
    REFUSED(reeve_rate_limit, reeve_rate_limit, .rate = 1, .keys = 10000001);
    TAKEN(reeve_time_limit, reeve_time_limit, .seconds = 0.1);
    REFUSED(reeve_time_limit, reeve_time_limit, .seconds = 0);
    REFUSED(reeve_time_limit, reeve_time_limit, .seconds = -1);
    REFUSED(reeve_time_limit, reeve_time_limit, .seconds = NAN);
    TAKEN(reeve_error_pages, reeve_error_pages, .all = true);
}

/* ---- secrets ---- */

static void a_secret_is_the_same_or_is_not(void **state)
{
    (void)state;
    assert_true(reeve_is_same_secret("", ""));
    assert_true(reeve_is_same_secret("secret", "secret"));
    assert_false(reeve_is_same_secret("secre", "secret"));
    assert_false(reeve_is_same_secret("secrets", "secret"));
    assert_false(reeve_is_same_secret("Secret", "secret"));
    assert_false(reeve_is_same_secret("", "secret"));
    assert_false(reeve_is_same_secret("secret", ""));
    assert_false(reeve_is_same_secret("\xff", "\x7f"));
    assert_false(reeve_is_same_secret("aa", "a"));
}

/* ---- lists of headers ---- */

static void headers_are_changed(void **state)
{
    struct reeve_environ environ;
    char first[256];
    reeve_header *headers;

    (void)state;
    arena_init(&environ.arena, first, sizeof first);
    headers = reeve_headers_copy(
        &environ, REEVE_HEADERS({"A", "1"}, {"B", "2"}, {"a", "3"}, {"Vary", "Cookie"}), 3);
    assert_string_equal(reeve_headers_find(headers, "b"), "2");
    assert_null(reeve_headers_find(headers, "C"));
    reeve_headers_set(headers, "a", "4");
    assert_string_equal(reeve_headers_find(headers, "A"), "4");
    reeve_headers_remove(headers, "A");
    assert_null(reeve_headers_find(headers, "A"));
    assert_string_equal(headers[0].name, "B");
    assert_string_equal(headers[1].name, "Vary");
    assert_null(headers[2].name);
    assert_int_equal(reeve_headers_vary(&environ, headers, "cookie"), 0);
    assert_string_equal(reeve_headers_find(headers, "Vary"), "Cookie");
    reeve_headers_vary(&environ, headers, "Cook");
    reeve_headers_vary(&environ, headers, "Origin");
    reeve_headers_vary(&environ, headers, "Origin");
    assert_string_equal(reeve_headers_find(headers, "Vary"), "Cookie, Cook, Origin");
    reeve_headers_set(headers, "Vary", " x , *");
    reeve_headers_vary(&environ, headers, "Origin");
    assert_string_equal(reeve_headers_find(headers, "Vary"), " x , *");
    headers = reeve_headers_copy(&environ, NULL, 1);
    reeve_headers_vary(&environ, headers, "Origin");
    assert_string_equal(reeve_headers_find(headers, "vary"), "Origin");
    arena_fini(&environ.arena);
}

/* ---- gzip streams ---- */

struct collected {
    unsigned char bytes[1u << 20];
    size_t size;
    bool fails;
};

static int collect(struct encoder *encoder, void *arg)
{
    struct collected *to = arg;

    if (to->fails)
        return -1;
    memcpy(to->bytes + to->size, encoder->out, encoder->out_size);
    to->size += encoder->out_size;
    return 0;
}

/* How many bytes what was collected becomes, as far as it can be read. */
static size_t decode(const struct collected *from, unsigned char *to, size_t size, bool *is_end_out)
{
    z_stream stream = {.next_in = from->bytes, .avail_in = (unsigned)from->size};

    assert_int_equal(inflateInit2(&stream, 16 + 15), Z_OK);
    stream.next_out = to;
    stream.avail_out = (unsigned)size;
    *is_end_out = inflate(&stream, Z_SYNC_FLUSH) == Z_STREAM_END;
    inflateEnd(&stream);
    return size - stream.avail_out;
}

static void a_stream_can_be_read_up_to_each_flush_and_to_its_end(void **state)
{
    static struct collected out;
    static unsigned char text[300000], back[300001];
    struct encoder_pool *pool = encoder_pool_new(5, 2);
    bool is_end;

    (void)state;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (unsigned char)(rand() >> 8);
    for (unsigned round = 0; round < 3; round++) { /* with one that was used before */
        struct encoder *encoder = encoder_take(pool);

        out.size = 0;
        assert_int_equal(encoder_put(encoder, text, 10, collect, &out), 0);
        assert_int_equal(encoder_flush(encoder, collect, &out), 0);
        assert_int_equal(encoder_flush(encoder, collect, &out), 0);
        assert_int_equal(decode(&out, back, sizeof back, &is_end), 10);
        assert_false(is_end);
        assert_int_equal(encoder_put(encoder, text + 10, sizeof text - 10, collect, &out), 0);
        assert_int_equal(encoder_end(encoder, collect, &out), 0);
        assert_int_equal(decode(&out, back, sizeof back, &is_end), sizeof text);
        assert_true(is_end);
        assert_memory_equal(text, back, sizeof text);
        encoder_give(pool, encoder);
    }
    encoder_pool_free(pool);
}

static void there_are_no_more_than_allowed(void **state)
{
    static struct collected out;
    struct encoder_pool *pool = encoder_pool_new(1, 2);
    struct encoder *one = encoder_take(pool), *two = encoder_take(pool);

    (void)state;
    assert_non_null(one);
    assert_non_null(two);
    assert_null(encoder_take(pool));
    out.fails = true; /* and one is given back in the middle of its stream */
    assert_int_equal(encoder_put(one, "x", 1, collect, &out), 0);
    assert_int_equal(encoder_flush(one, collect, &out), -1);
    encoder_give(pool, one);
    assert_ptr_equal(encoder_take(pool), one);
    assert_null(encoder_take(pool));
    encoder_give(pool, one);
    encoder_give(pool, two);
    encoder_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(access_control_checks_its_options),
        cmocka_unit_test(cors_checks_its_options),
        cmocka_unit_test(the_others_check_their_options),
        cmocka_unit_test(a_secret_is_the_same_or_is_not),
        cmocka_unit_test(headers_are_changed),
        cmocka_unit_test(a_stream_can_be_read_up_to_each_flush_and_to_its_end),
        cmocka_unit_test(there_are_no_more_than_allowed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
