/* test_app_gone.c: a request whose client has gone is cancelled, if the configuration says so, and
 * not before its client has gone. */
#include "app_case.h"
#include "net/conn_private.h"

#define GET "GET / HTTP/1.1\r\nHost: h\r\n\r\n"

static struct {
    int error;
    unsigned ended;
} seen;

static struct app_case c;

static int setup(void **state)
{
    (void)state;
    memset(&seen, 0, sizeof seen);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    app_case_close(&c);
    return 0;
}

static int naps(reeve_environ *environ, reeve_start_response *start_response)
{
    int result = reeve_sleep(0.1);

    seen.error = result == -1 ? errno : 0;
    seen.ended++;
    if (result == -1)
        return -1;
    start_response(environ, "200 OK", REEVE_NO_HEADERS);
    return reeve_write(environ, "slept\n", 6);
}

static void begin(enum client_gone when)
{
    assert_int_equal(app_case_open(&c, naps), 0);
    c.apps[0].client_gone = when;
    app_case_connect(&c);
    app_case_send(&c, GET, strlen(GET));
    while (coro_alive() == 0)
        app_case_turn(&c);
}

static void end(void)
{
    while (coro_alive() > 0)
        app_case_turn(&c);
    app_case_turn_until_closed(&c);
    assert_int_equal(seen.ended, 1);
    assert_int_equal(c.generation->holds, 0);
}

static void a_client_that_only_ended_its_side_gets_its_answer(void **state)
{
    (void)state;
    begin(CLIENT_GONE_RESET);
    shutdown(c.client, SHUT_WR);
    end();
    assert_int_equal(seen.error, 0);
    assert_non_null(strstr(c.wire, "slept\n"));
}

static void or_is_taken_for_gone_where_that_is_wanted(void **state)
{
    (void)state;
    begin(CLIENT_GONE_CLOSE);
    shutdown(c.client, SHUT_WR);
    end();
    assert_int_equal(seen.error, ECANCELED);
    assert_int_equal(c.length, 0);
    assert_int_equal(app_case_column(&c)->exceptions, 0);
    assert_int_equal(app_case_column(&c)->answers[0], 1);
}

static void one_that_had_gone_before_the_first_wait_too(void **state)
{
    (void)state;
    assert_int_equal(app_case_open(&c, naps), 0);
    c.apps[0].client_gone = CLIENT_GONE_CLOSE;
    app_case_connect(&c);
    app_case_send(&c, GET, strlen(GET));
    shutdown(c.client, SHUT_WR);
    while (seen.ended == 0)
        app_case_turn(&c);
    end();
    assert_int_equal(seen.error, ECANCELED);
}

/* Over TCP, since only there is a reset one. */
static void connect_by_tcp(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int door = socket(AF_INET, SOCK_STREAM, 0), server;

    assert_int_equal(bind(door, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(door, 1), 0);
    assert_int_equal(getsockname(door, (struct sockaddr *)&address, &length), 0);
    c.client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(c.client, (struct sockaddr *)&address, length), 0);
    fcntl(c.client, F_SETFL, O_NONBLOCK);
    server = accept4(door, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    close(door);
    assert_int_equal(conn_open(&c.room.net, server, c.listener, (struct sockaddr *)&address), 0);
}

static void reset(void)
{
    const struct linger none = {.l_onoff = 1};

    setsockopt(c.client, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    app_case_hang_up(&c);
}

static void ask_and_reset(enum client_gone when)
{
    assert_int_equal(app_case_open(&c, naps), 0);
    c.apps[0].client_gone = when;
    connect_by_tcp();
    app_case_send(&c, GET, strlen(GET));
    while (coro_alive() == 0)
        app_case_turn(&c);
    reset();
    end();
}

static void one_that_has_reset_is_gone(void **state)
{
    (void)state;
    ask_and_reset(CLIENT_GONE_RESET);
    assert_int_equal(seen.error, ECANCELED);
    assert_int_equal(app_case_column(&c)->exceptions, 0);
}

/* What nobody has read stands before the news. */
static void with_a_body_unread_and_more_requests_behind_it_too(void **state)
{
    static char body[200000];
    static const char post[] = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n";

    (void)state;
    assert_int_equal(app_case_open(&c, naps), 0);
    connect_by_tcp();
    app_case_send(&c, post, strlen(post));
    send(c.client, body, sizeof body, 0); /* as much as it takes */
    while (coro_alive() == 0)
        app_case_turn(&c);
    send(c.client, GET, strlen(GET), 0);
    reset();
    end();
    assert_int_equal(seen.error, ECANCELED);
}

static void one_of_http_1_0_that_ended_its_side_gets_its_answer(void **state)
{
    static const char get[] = "GET / HTTP/1.0\r\n\r\n";

    (void)state;
    assert_int_equal(app_case_open(&c, naps), 0);
    app_case_ask(&c, get);
    assert_int_equal(seen.error, 0);
    assert_non_null(strstr(c.wire, "slept\n"));
}

/* It takes nothing of what has been sent, until write_timeout. */
static int tells_and_naps(reeve_environ *environ, reeve_start_response *start_response)
{
    start_response(environ, "200 OK", REEVE_NO_HEADERS);
    reeve_write(environ, "some", 4);
    reeve_flush(environ);
    seen.error = reeve_sleep(3600) == -1 ? errno : 0;
    seen.ended++;
    return 0;
}

static void so_is_one_that_was_given_up(void **state)
{
    struct conn *conn;

    (void)state;
    assert_int_equal(app_case_open(&c, tells_and_naps), 0);
    app_case_connect(&c);
    app_case_send(&c, GET, strlen(GET));
    while (coro_alive() == 0)
        app_case_turn(&c);
    conn = TAILQ_FIRST(&c.room.net.conns);
    conn->queued = 0; /* and it has not been taking any */
    conn_on_limit(&conn->limit, LIMIT_WRITE, &c.room.net);
    end();
    assert_int_equal(seen.error, ECANCELED);
}

static void a_connection_without_a_request_has_none_to_cancel(void **state)
{
    (void)state;
    assert_int_equal(app_case_open(&c, naps), 0);
    app_case_connect(&c);
    call_on_gone(TAILQ_FIRST(&c.room.net.conns));
    assert_int_equal(coro_alive(), 0);
}

static void which_may_be_ignored(void **state)
{
    (void)state;
    ask_and_reset(CLIENT_GONE_IGNORE);
    assert_int_equal(seen.error, 0);
}

static int pours(reeve_environ *environ, reeve_start_response *start_response)
{
    static char piece[65536];

    start_response(environ, "200 OK", REEVE_NO_HEADERS);
    while (reeve_write(environ, piece, sizeof piece) == 0)
        continue;
    seen.error = errno;
    seen.ended++;
    return -1;
}

/* ... by the call that finds out, also when that had only given others their turn. */
static void a_writer_is_told_that_its_client_has_gone(void **state)
{
    (void)state;
    assert_int_equal(app_case_open(&c, pours), 0);
    connect_by_tcp();
    app_case_send(&c, GET, strlen(GET));
    for (int i = 0; i < 20; i++) {
        app_case_turn(&c);
        c.length = 0;
    }
    reset();
    end();
    assert_int_equal(seen.error, EPIPE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_client_that_only_ended_its_side_gets_its_answer, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(or_is_taken_for_gone_where_that_is_wanted, setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_had_gone_before_the_first_wait_too, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(one_that_has_reset_is_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(with_a_body_unread_and_more_requests_behind_it_too, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(one_of_http_1_0_that_ended_its_side_gets_its_answer, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(so_is_one_that_was_given_up, setup, teardown),
        cmocka_unit_test_setup_teardown(a_connection_without_a_request_has_none_to_cancel, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_writer_is_told_that_its_client_has_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(which_may_be_ignored, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
