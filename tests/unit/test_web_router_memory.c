/* test_web_router_memory.c: a router for which memory runs out, at each of the places where it can:
 * it says so, and can be freed. */
#include <errno.h>
#include <reeve/router.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "memory_case.h"

static int answer(reeve_environ *environ, reeve_start_response *start_response)
{
    return start_response(environ, "200 OK", REEVE_NO_HEADERS);
}

static int pass(reeve_environ *environ, reeve_start_response *start_response, reeve_next *next,
                void *state)
{
    (void)state;
    return reeve_next_call(next, environ, start_response);
}

static int add_many(reeve_router *router)
{
    const reeve_middleware *both = REEVE_MIDDLEWARE({pass, NULL}, {pass, NULL});
    char prefix[32];
    int status = reeve_router_use(router, both);

    for (int i = 0; i < 200; i++) {
        const reeve_controller c = {.prefix = prefix,
                                    .middleware = both,
                                    .routes = REEVE_ROUTES(REEVE_GET("/{id:int}", answer),
                                                           REEVE_POST("/{id:int}", answer),
                                                           REEVE_GET("/{p:path}", answer))};

        snprintf(prefix, sizeof prefix, "/thing%d/of/{user}", i);
        status |= reeve_router_add(router, &c);
    }
    return status;
}

static void a_router_without_memory_says_so(void **state)
{
    int failures = 0, allocations, status;
    const char *error;

    (void)state;
    if (!CAN_FAIL)
        skip();
    for (allocations = 0; allocations < 10000; allocations++) {
        reeve_router *router;
        int added, reason;

        left = allocations;
        router = reeve_router_new();
        added = add_many(router);
        status = reeve_router_ready(router);
        reason = errno;
        left = -1;
        error = reeve_router_error(router);
        if (status == -1) {
            assert_int_equal(reason, ENOMEM);
            assert_string_equal(error, "memory has run out");
            failures++;
        } else {
            assert_int_equal(added, 0);
            assert_string_equal(error, "");
        }
        reeve_router_free(router);
        if (status == 0)
            break;
    }
    assert_int_equal(status, 0);
    assert_true(failures > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_router_without_memory_says_so)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
