/* test_live_events.c: what a stream of Server-Sent Events looks like on the wire, what is refused,
 * and how it ends. */
#include <reeve/async.h>
#include <reeve/events.h>

#include "app/generation.h"
#include "app_case.h"
#include "live/pubsub.h"

#define GET       "GET / HTTP/1.0\r\nHost: h\r\nLast-Event-ID: 41\r\n\r\n"
#define TWO_HEADS "HEAD / HTTP/1.1\r\nHost: h\r\n\r\nHEAD / HTTP/1.0\r\nHost: h\r\n\r\n"

static struct app_case c;
static int (*script)(reeve_environ *environ);
static int results[16], result_count;
static char last_id[8];
static reeve_subscription *queue;

static void note(int result)
{
    if (result_count < (int)(sizeof results / sizeof results[0]))
        results[result_count++] = result == -1 ? -errno : result;
}

static int answer(reeve_environ *environ, reeve_start_response *start_response)
{
    if (reeve_events_begin(environ, start_response) == -1) {
        note(-1);
        return -1;
    }
    return script(environ);
}

static int setup(void **state)
{
    (void)state;
    result_count = 0;
    queue = NULL;
    return app_case_open(&c, answer) == -1 ? -1 : pubsub_open(&c.room);
}

static int teardown(void **state)
{
    (void)state;
    pubsub_close();
    app_case_close(&c);
    return 0;
}

static void spin(void)
{
    for (int i = 0; i < 20; i++)
        event_base_loop(c.base, EVLOOP_NONBLOCK);
    app_case_receive(&c);
}

/* It has begun, and waits, or has ended. */
static void begin(int (*what)(reeve_environ *environ))
{
    script = what;
    app_case_connect(&c);
    app_case_send(&c, GET, strlen(GET));
    spin();
}

static const char *body(void)
{
    const char *end = strstr(c.wire, "\r\n\r\n");

    return end ? end + 4 : "";
}

/* ---- the format ---- */

static int send_events(reeve_environ *environ)
{
    const char *id = reeve_events_last_id(environ);

    snprintf(last_id, sizeof last_id, "%s", id ? id : "none");
    note(reeve_events_send(environ, NULL, NULL, "plain", 5));
    note(reeve_events_send(environ, "kind", "7", "a\nb\rc\r\nd\r\r\n\n", 12));
    note(reeve_events_send(environ, "", "", NULL, 0));
    note(reeve_events_send(environ, NULL, NULL, "\xc3\xa4: x", 5));
    note(reeve_events_comment(environ, NULL));
    note(reeve_events_comment(environ, "words"));
    note(reeve_events_send(environ, "a\rb", NULL, "x", 1));
    note(reeve_events_send(environ, NULL, "a\nb", "x", 1));
    note(reeve_events_comment(environ, "a\nb"));
    return 0;
}

static void events_have_the_form_that_browsers_read(void **state)
{
    (void)state;
    begin(send_events);
    assert_non_null(strstr(c.wire, "200 OK\r\nContent-Type: text/event-stream\r\n"
                                   "Cache-Control: no-cache\r\nX-Accel-Buffering: no\r\n"));
    assert_string_equal(body(), "data: plain\n\n"
                                "id: 7\nevent: kind\ndata: a\ndata: b\ndata: c\ndata: d\ndata: \n"
                                "data: \ndata: \n\n"
                                "id: \nevent: \ndata: \n\n"
                                "data: \xc3\xa4: x\n\n"
                                ": \n\n"
                                ": words\n\n");
    assert_string_equal(last_id, "41");
    for (int i = 0; i < 6; i++)
        assert_int_equal(results[i], 0);
    for (int i = 6; i < 9; i++)
        assert_int_equal(results[i], -EINVAL);
}

/* ---- its end ---- */

static int sleeps(reeve_environ *environ)
{
    (void)environ;
    note(reeve_sleep(3600));
    return 0;
}

static void the_head_leaves_at_once_and_the_clients_end_is_ours(void **state)
{
    (void)state;
    begin(sleeps);
    assert_non_null(strstr(c.wire, "\r\n\r\n"));
    assert_int_equal(result_count, 0);
    shutdown(c.client, SHUT_WR); /* it might be reading on */
    spin();
    assert_int_equal(results[0], -ECANCELED);
    assert_int_equal(c.room.net.conn_count, 0);
}

static void to_head_it_is_only_a_head(void **state)
{
    const char *second;

    (void)state;
    script = sleeps;
    app_case_connect(&c);
    app_case_send(&c, TWO_HEADS, strlen(TWO_HEADS));
    spin();
    second = strstr(body(), "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n");
    assert_ptr_equal(second, body());
    assert_string_equal(strstr(second, "\r\n\r\n"), "\r\n\r\n");
    assert_int_equal(results[0], -ECANCELED);
    assert_int_equal(results[1], -ECANCELED);
    assert_int_equal(board_get(&c.room.slot->exceptions), 0);
    assert_int_equal(c.room.net.conn_count, 0);
}

static int follows(reeve_environ *environ)
{
    queue = reeve_subscription_new("a", 2, REEVE_SLOW_CUT_OFF);
    note(reeve_events_follow(environ, queue, REEVE_FOREVER));
    note(reeve_events_follow(environ, queue, 0));
    return 0;
}

static void a_channel_becomes_a_stream_until_it_is_stopped(void **state)
{
    (void)state;
    begin(follows);
    reeve_publish("a", "one", 3);
    reeve_publish("a", "", 0);
    spin();
    assert_string_equal(body(), "data: one\n\ndata: \n\n");
    assert_int_equal(result_count, 0);
    reeve_unsubscribe(queue);
    spin();
    assert_int_equal(results[0], 0);
    assert_int_equal(results[1], -EINVAL);
    assert_int_equal(c.room.net.conn_count, 0);
}

static void a_build_that_is_to_go_ends_it_after_what_was_queued(void **state)
{
    (void)state;
    begin(follows);
    c.generation->background.is_draining = true;
    reeve_publish("a", "one", 3);
    reeve_publish("a", "two", 3);
    spin();
    assert_string_equal(body(), "data: one\n\ndata: two\n\n");
    assert_int_equal(results[0], 0);
    assert_int_equal(c.room.net.conn_count, 0);
}

static void who_is_cut_off_gets_what_was_queued(void **state)
{
    (void)state;
    begin(follows);
    for (const char *text = "123"; *text; text++)
        reeve_publish("a", text, 1);
    spin();
    assert_string_equal(body(), "data: 1\n\ndata: 2\n\n");
    assert_int_equal(results[0], 0);
    assert_int_equal(c.room.net.conn_count, 0);
}

static int follows_slowly(reeve_environ *environ)
{
    queue = reeve_subscription_new("a", 1, REEVE_SLOW_DROP_OLDEST);
    note(reeve_events_follow(environ, queue, 0.001));
    return 0;
}

static void silence_and_losses_are_comments(void **state)
{
    (void)state;
    begin(follows_slowly);
    while (!strstr(body(), ": \n\n: \n\n"))
        app_case_turn(&c);
    for (const char *text = "123"; *text; text++)
        reeve_publish("a", text, 1);
    while (!strstr(body(), "\n\n: 2 missed\n\ndata: 3\n\n"))
        app_case_turn(&c);
    app_case_hang_up(&c);
    spin();
    assert_int_equal(results[0], 0);
    assert_int_equal(c.room.net.conn_count, 0);
}

static int follows_for_a_while(reeve_environ *environ)
{
    reeve_scope scope;

    queue = reeve_subscription_new("a", 1, REEVE_SLOW_DROP_OLDEST);
    reeve_scope_begin(&scope, 0.01);
    note(reeve_events_follow(environ, queue, 3600));
    note(reeve_scope_end(&scope));
    return 0;
}

static void a_limit_around_it_is_no_silence(void **state)
{
    (void)state;
    begin(follows_for_a_while);
    while (result_count < 2)
        app_case_turn(&c);
    assert_int_equal(results[0], -ETIMEDOUT);
    assert_int_equal(results[1], -ETIMEDOUT);
    spin();
    assert_string_equal(body(), "");
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(events_have_the_form_that_browsers_read),
        TEST(the_head_leaves_at_once_and_the_clients_end_is_ours),
        TEST(to_head_it_is_only_a_head),
        TEST(a_channel_becomes_a_stream_until_it_is_stopped),
        TEST(a_build_that_is_to_go_ends_it_after_what_was_queued),
        TEST(who_is_cut_off_gets_what_was_queued),
        TEST(silence_and_losses_are_comments),
        TEST(a_limit_around_it_is_no_silence),
    };

    return cmocka_run_group_tests_name("Server-Sent Events", tests, NULL, NULL);
}
