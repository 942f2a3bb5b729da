/* test_live_pubsub_memory.c: memory runs out at each place where publish/subscribe takes some: each
 * call says so, whoever could not be given something is told that it missed it, and nothing is left
 * behind. */
#include <reeve/async.h>
#include <reeve/pubsub.h>

#include "app_case.h"
#include "base/ring.h"
#include "live/pubsub.h"
#include "live/session.h"
#include "memory_case.h"

#define GET "GET / HTTP/1.1\r\nHost: h\r\n\r\n"

static struct app_case c;
static int allowed; /* allocations; negative: all */
static unsigned calls, forwarded;
static uint64_t taken, missed, unfit;

static void on_publication(reeve_subscription *subscription, const reeve_publication *publication,
                           void *arg)
{
    (void)subscription, (void)publication, (void)arg;
    calls++;
}

static void forward(struct session *session, struct forward *to, struct publication *publication)
{
    (void)session, (void)to, (void)publication;
    forwarded++;
}

static void look_at_nothing(struct session *session)
{
    (void)session;
}

static const struct session_kind session_kind = {.look = look_at_nothing, .forward = forward};
static struct session session;

static void note(bool is_made)
{
    unfit += !is_made && errno != ENOMEM;
}

/* Subscribes in each way, publishes twice, and takes what there is to take. */
static int application(reeve_environ *environ, reeve_start_response *start_response)
{
    reeve_subscription *called, *asked;
    reeve_publication next;

    left = allowed;
    called = reeve_subscribe(reeve_environ_module(environ), "called", on_publication, NULL);
    note(called);
    asked = reeve_subscription_new("a", 0, REEVE_SLOW_CUT_OFF);
    note(asked);
    note(pubsub_forward(&session, "a", 0, REEVE_SLOW_CUT_OFF) == 0);
    note(reeve_publish("a", "1", 1) == 0);
    note(reeve_publish("called", "1", 1) == 0);
    note(reeve_publish("a", "2", 1) == 0);
    reeve_sleep(0.001);
    while (asked && reeve_subscription_next(asked, &next, 0) == 0) {
        taken += next.data != NULL;
        missed += next.missed;
    }
    unfit += asked && taken + missed != 2;
    unfit += called && calls != 1;
    left = -1;
    reeve_unsubscribe(called);
    pubsub_drop_session(&session);
    return start_response(environ, "204 No Content", REEVE_NO_HEADERS);
}

static int setup(void **state)
{
    (void)state;
    return app_case_open(&c, application) == -1 ? -1 : pubsub_open(&c.room);
}

static int teardown(void **state)
{
    (void)state;
    pubsub_close();
    app_case_close(&c);
    return 0;
}

static void run(int allocations)
{
    allowed = allocations;
    calls = forwarded = 0;
    taken = missed = 0;
    session = (struct session){.kind = &session_kind};
    app_case_ask(&c, GET);
    left = -1;
    assert_int_equal(unfit, 0);
    assert_int_equal(c.generation->holds, 0);
    assert_true(ring_filter_is_empty(&board_ring(c.board, 0).head->wanted));
}

static void each_allocation_may_be_the_one_that_fails(void **state)
{
    (void)state;
    if (!CAN_FAIL)
        skip();
    for (int gos = 0; gos < 2; gos++) {
        goes_on = gos == 0; /* all behind it fail, too */
        for (int n = 0; n < 40; n++)
            run(n);
    }
    run(-1);
    assert_int_equal(taken, 2);
    assert_int_equal(forwarded, 2);
    assert_int_equal(calls, 1);
    assert_true(failed >= 2 * 12);
}

static int nothing(void **state)
{
    (void)state;
    return 0;
}

static void it_does_not_open_without_memory(void **state)
{
    (void)state;
    if (!CAN_FAIL)
        skip();
    assert_int_equal(app_case_open(&c, application), 0);
    goes_on = false;
    for (int n = 0; n < 5; n++) {
        left = n;
        assert_int_equal(pubsub_open(&c.room), -1);
        left = -1;
        pubsub_close(); /* does no harm */
    }
    assert_int_equal(reeve_publish("a", "1", 1), -1);
    app_case_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_allocation_may_be_the_one_that_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(it_does_not_open_without_memory, nothing, nothing),
    };

    return cmocka_run_group_tests_name("publish/subscribe without memory", tests, NULL, NULL);
}
