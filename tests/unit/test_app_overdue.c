/* test_app_overdue.c: a request past its time is cancelled: what it gets to see, what its client
 * gets, what becomes of the connection, and what is counted and said. */
#include "app/overdue.h"

#include "app_case.h"
#include "base/log.h"

#define LIMIT (100 * NS_PER_MS)

#define GET  "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
#define HEAD "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n"
#define LAST "GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

#define CLIENTS 25

/* What an application notes: assertions belong on the loop's stack. */
static struct {
    int errors[8];
    unsigned count;
    unsigned closed, hooked, pieces;
    uint64_t ended;
} seen;

static struct app_case c;

static void note_error(int result)
{
    if (seen.count < sizeof seen.errors / sizeof seen.errors[0])
        seen.errors[seen.count++] = result == -1 ? errno : 0;
}

static int setup(void **state)
{
    (void)state;
    memset(&seen, 0, sizeof seen);
    return log_open("/dev/null", LOG_LEVEL_INFO);
}

static int teardown(void **state)
{
    (void)state;
    app_case_close(&c);
    return log_open(NULL, LOG_LEVEL_INFO);
}

static void open_case(reeve_application *application, uint64_t limit)
{
    assert_int_equal(app_case_open(&c, application), 0);
    c.apps[0].request_timeout = limit;
    assert_int_equal(overdue_open(&c.room), 0);
}

static void send_text(const char *text)
{
    app_case_send(&c, text, strlen(text));
}

static int say(reeve_environ *environ, const char *text)
{
    return reeve_write(environ, text, strlen(text));
}

static int start(reeve_environ *environ, reeve_start_response *start_response)
{
    return start_response(environ, "200 OK", REEVE_NO_HEADERS);
}

static bool has(const char *text)
{
    return strstr(c.wire, text) != NULL;
}

static void assert_counted(uint64_t overdue, uint64_t exceptions, uint64_t cut)
{
    const struct board_column *column = app_case_column(&c);

    assert_int_equal(column->overdue, overdue);
    assert_int_equal(column->exceptions, exceptions);
    assert_int_equal(column->cut, cut);
    assert_int_equal(column->active, 0);
    assert_int_equal(board_column_of(board_cell(c.board, 0, 0), 1)->overdue, overdue);
    assert_int_equal(c.room.slot->overdue, overdue);
    assert_int_equal(c.room.slot->exceptions, exceptions);
}

/* ---- waiting ---- */

static int sleeps(reeve_environ *environ, reeve_start_response *start_response)
{
    int result;

    if (strcmp(reeve_path(environ), "/last") == 0) {
        start(environ, start_response);
        return say(environ, "the next one\n");
    }
    result = reeve_sleep(3600);
    seen.ended = clock_ns();
    note_error(result);
    return result;
}

static void what_sleeps_past_its_time_is_504_and_the_next_is_served(void **state)
{
    uint64_t asked_at = clock_ns();

    (void)state;
    open_case(sleeps, LIMIT);
    app_case_ask(&c, GET LAST);
    assert_int_equal(strncmp(c.wire, "HTTP/1.1 504 Gateway Timeout\r\n", 30), 0);
    assert_true(has("504 Gateway Timeout\nrequest id "));
    assert_true(has("HTTP/1.1 200 OK\r\n"));
    assert_true(has("\r\n\r\nthe next one\n"));
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.errors[0], ECANCELED);
    assert_true(seen.ended >= asked_at + LIMIT);
    assert_counted(1, 0, 0);
    assert_int_equal(app_case_column(&c)->answers[5], 1);
}

static int naps(reeve_environ *environ, reeve_start_response *start_response)
{
    int result = reeve_sleep(0.3);

    note_error(result);
    start(environ, start_response);
    return result == 0 ? say(environ, "slept\n") : -1;
}

static void without_a_limit_nothing_is_cancelled(void **state)
{
    (void)state;
    open_case(naps, 0);
    assert_null(c.room.overdue);
    app_case_ask(&c, GET);
    assert_true(has("slept\n"));
    assert_counted(0, 0, 0);
}

static void what_ends_in_its_time_is_left_alone(void **state)
{
    (void)state;
    open_case(naps, 3600 * NS_PER_SEC);
    app_case_ask(&c, GET GET);
    assert_int_equal(seen.count, 2);
    assert_true(has("slept\n"));
    assert_counted(0, 0, 0);
}

/* Each wait is short, all together are not. */
static int naps_on(reeve_environ *environ, reeve_start_response *start_response)
{
    (void)environ, (void)start_response;
    while (reeve_sleep(0.01) == 0)
        seen.pieces++;
    note_error(-1);
    return -1;
}

static void a_later_wait_does_not_start_the_time_anew(void **state)
{
    (void)state;
    open_case(naps_on, LIMIT);
    app_case_ask(&c, GET);
    assert_int_equal(strncmp(c.wire, "HTTP/1.1 504 ", 13), 0);
    assert_true(seen.pieces > 0);
    assert_int_equal(seen.errors[0], ECANCELED);
}

/* A limit that was started again with each wait would have come to the end of the list. */
static void others_that_wait_do_not_give_it_time(void **state)
{
    int first;

    (void)state;
    open_case(naps_on, 10 * LIMIT);
    app_case_connect(&c);
    send_text(GET);
    while (seen.pieces < 50)
        event_base_loop(c.base, EVLOOP_ONCE);
    first = c.client;
    app_case_connect(&c);
    send_text(GET);
    while (app_case_column(&c)->answers[5] == 0)
        event_base_loop(c.base, EVLOOP_ONCE);
    assert_int_equal(app_case_column(&c)->overdue, 1);
    assert_int_equal(app_case_column(&c)->active, 1);
    close(first);
    app_case_hang_up(&c);
    while (c.room.net.conn_count > 0)
        event_base_loop(c.base, EVLOOP_ONCE);
}

static int insists(reeve_environ *environ, reeve_start_response *start_response)
{
    char byte;

    (void)start_response;
    for (int i = 0; i < 3; i++)
        note_error(reeve_sleep(3600));
    note_error((int)reeve_read(environ, &byte, 1));
    return -1;
}

static void whoever_waits_again_gets_the_error_again(void **state)
{
    (void)state;
    open_case(insists, LIMIT);
    app_case_connect(&c);
    send_text("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n");
    app_case_turn_until(&c, 100);
    assert_int_equal(seen.count, 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(seen.errors[i], ECANCELED);
    assert_int_equal(strncmp(c.wire, "HTTP/1.1 504 ", 13), 0);
}

/* ---- answers of its own ---- */

static int answers_all_the_same(reeve_environ *environ, reeve_start_response *start_response)
{
    static char body[32 << 10];

    note_error(reeve_sleep(3600));
    memset(body, 'b', sizeof body);
    if (start_response(environ, "202 Accepted", REEVE_NO_HEADERS) != 0 ||
        reeve_write(environ, body, sizeof body) != 0)
        return -1;
    return 0;
}

static void an_answer_of_its_own_is_the_answer(void **state)
{
    (void)state;
    open_case(answers_all_the_same, LIMIT);
    app_case_connect(&c);
    send_text(GET);
    app_case_turn_until(&c, 32 << 10);
    assert_int_equal(strncmp(c.wire, "HTTP/1.1 202 Accepted\r\n", 23), 0);
    assert_true(has("Content-Length: 32768\r\n"));
    assert_false(c.is_closed);
    assert_counted(1, 0, 0);
    assert_int_equal(app_case_column(&c)->answers[2], 1);
}

static int starts_and_sleeps(reeve_environ *environ, reeve_start_response *start_response)
{
    start_response(environ, "200 OK", REEVE_HEADERS({"X-Unsent", "1"}));
    note_error(reeve_sleep(3600));
    return 0; /* it takes no notice, but did not answer either */
}

static void a_head_without_a_body_is_an_answer(void **state)
{
    (void)state;
    open_case(starts_and_sleeps, LIMIT);
    app_case_ask(&c, GET);
    assert_int_equal(strncmp(c.wire, "HTTP/1.1 200 ", 13), 0);
    assert_counted(1, 0, 0);
}

static int starts_and_fails(reeve_environ *environ, reeve_start_response *start_response)
{
    starts_and_sleeps(environ, start_response);
    return -1;
}

static void what_was_not_sent_is_replaced(void **state)
{
    (void)state;
    open_case(starts_and_fails, LIMIT);
    app_case_ask(&c, GET);
    assert_int_equal(strncmp(c.wire, "HTTP/1.1 504 ", 13), 0);
    assert_false(has("X-Unsent"));
}

static int sends_half(reeve_environ *environ, reeve_start_response *start_response)
{
    start(environ, start_response);
    say(environ, "half");
    note_error(reeve_sleep(3600));
    return -1;
}

static void what_was_sent_in_part_is_cut(void **state)
{
    (void)state;
    open_case(sends_half, LIMIT);
    app_case_ask(&c, GET LAST);
    assert_true(has("4\r\nhalf\r\n"));
    assert_false(has("504"));
    assert_false(has("0\r\n\r\n"));
    assert_counted(1, 0, 1);
}

/* ---- the client's side ---- */

static int reads(reeve_environ *environ, reeve_start_response *start_response)
{
    char buffer[4096];
    ssize_t n;

    if (strcmp(reeve_path(environ), "/last") == 0)
        return sleeps(environ, start_response);
    while ((n = reeve_read(environ, buffer, sizeof buffer)) > 0)
        seen.pieces++;
    note_error((int)n);
    return -1;
}

static void a_body_that_does_not_come_is_504_and_ends_the_connection(void **state)
{
    (void)state;
    open_case(reads, LIMIT);
    app_case_connect(&c);
    send_text("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n1234");
    while (!c.is_closed)
        app_case_turn(&c);
    assert_int_equal(seen.errors[0], ECANCELED);
    assert_int_equal(seen.pieces, 1);
    assert_int_equal(strncmp(c.wire, "HTTP/1.1 504 ", 13), 0);
    assert_true(has("Connection: close\r\n"));
    assert_counted(1, 0, 0);
}

static void the_rest_of_a_body_is_not_taken_for_a_request(void **state)
{
    (void)state;
    open_case(reads, LIMIT);
    app_case_connect(&c);
    send_text("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    app_case_turn_until(&c, 60);
    send_text(LAST);
    while (!c.is_closed)
        app_case_turn(&c);
    assert_int_equal(strncmp(c.wire, "HTTP/1.1 504 ", 13), 0);
    assert_false(has("the next one"));
    app_case_hang_up(&c);
    while (c.room.net.conn_count > 0)
        event_base_loop(c.base, EVLOOP_ONCE);
    assert_int_equal(app_case_column(&c)->requests, 1);
}

static int writes_on(reeve_environ *environ, reeve_start_response *start_response)
{
    static char piece[64 << 10];
    int result = 0;

    start(environ, start_response);
    while ((result = reeve_write(environ, piece, sizeof piece)) == 0)
        seen.pieces++;
    note_error(result);
    note_error(reeve_write(environ, piece, 1));
    return 0; /* what was cut short is no answer all the same */
}

static void a_reader_that_stops_does_not_hold_it(void **state)
{
    (void)state;
    open_case(writes_on, LIMIT);
    app_case_connect(&c);
    send_text(GET);
    while (c.room.net.conn_count > 0) /* nobody reads */
        event_base_loop(c.base, EVLOOP_ONCE);
    assert_int_equal(seen.errors[0], ECANCELED);
    assert_int_equal(seen.errors[1], EPIPE);
    assert_counted(1, 0, 1);
}

/* Its last words follow what the client has not taken yet. */
static int flushes_then_ends(reeve_environ *environ, reeve_start_response *start_response)
{
    static char piece[15 << 10];
    int result = 0;

    start(environ, start_response);
    while (result == 0 && seen.pieces < 1000) {
        result = reeve_write(environ, piece, sizeof piece);
        if (result == 0)
            result = reeve_flush(environ);
        seen.pieces++;
    }
    note_error(result);
    note_error(say(environ, "the end"));
    return 0;
}

static void output_that_waits_is_kept_for_a_slow_reader(void **state)
{
    (void)state;
    open_case(flushes_then_ends, LIMIT);
    app_case_connect(&c);
    send_text(GET);
    while (seen.count < 2)
        event_base_loop(c.base, EVLOOP_ONCE);
    assert_int_equal(seen.errors[0], ECANCELED);
    assert_int_equal(seen.errors[1], 0);
    while (!has("the end")) {
        app_case_receive(&c);
        event_base_loop(c.base, EVLOOP_NONBLOCK);
        for (size_t i = 0; i + 1 < c.length; i++) /* has() stops at a NUL */
            if (c.wire[i] == '\0')
                c.wire[i] = '.';
    }
    assert_true(c.length > seen.pieces * (15u << 10));
    assert_string_equal(c.wire + c.length - strlen("7\r\nthe end\r\n0\r\n\r\n"),
                        "7\r\nthe end\r\n0\r\n\r\n");
    assert_false(c.is_closed);
    assert_counted(1, 0, 0);
}

/* ---- iterables and hooks ---- */

static void on_close(void *arg)
{
    (void)arg;
    seen.hooked++;
}

static void close_body(void *arg)
{
    (void)arg;
    note_error(reeve_sleep(1)); /* no wait is left for tidying up either */
    seen.closed++;
}

static int give(const void **data, size_t *size)
{
    *data = "piece\n";
    *size = 6;
    seen.pieces++;
    return 1;
}

static int next_fails(void *arg, const void **data, size_t *size)
{
    (void)arg;
    return reeve_sleep(seen.pieces == 0 ? 0 : 3600) == 0 ? give(data, size) : -1;
}

static int next_says_good_bye(void *arg, const void **data, size_t *size)
{
    static bool is_over;

    (void)arg;
    if (is_over)
        return is_over = false;
    if (reeve_sleep(seen.pieces == 0 ? 0 : 3600) == 0)
        return give(data, size);
    is_over = true;
    *data = "good bye\n";
    *size = 9;
    return 1;
}

static int next_takes_no_notice(void *arg, const void **data, size_t *size)
{
    (void)arg;
    reeve_sleep(0.01);
    return give(data, size);
}

static int (*next)(void *arg, const void **data, size_t *size);

static int iterates(reeve_environ *environ, reeve_start_response *start_response)
{
    reeve_on_close(environ, on_close, NULL);
    start(environ, start_response);
    return reeve_respond(environ, (reeve_iterable){.next = next, .close = close_body});
}

static void a_body_is_closed_and_hooks_run(void **state)
{
    (void)state;
    next = next_fails;
    open_case(iterates, LIMIT);
    app_case_ask(&c, GET LAST);
    assert_true(has("6\r\npiece\n\r\n"));
    assert_false(has("0\r\n\r\n"));
    assert_int_equal(seen.pieces, 1);
    assert_int_equal(seen.closed, 1);
    assert_int_equal(seen.errors[0], ECANCELED);
    assert_int_equal(seen.hooked, 1);
    assert_counted(1, 0, 1);
}

static void a_body_may_end_with_a_last_piece(void **state)
{
    (void)state;
    next = next_says_good_bye;
    open_case(iterates, LIMIT);
    app_case_ask(&c, GET);
    assert_true(has("9\r\ngood bye\n\r\n0\r\n\r\n"));
    assert_int_equal(seen.closed, 1);
    assert_counted(1, 0, 0);
}

static void a_body_that_takes_no_notice_is_ended(void **state)
{
    (void)state;
    next = next_takes_no_notice;
    open_case(iterates, LIMIT);
    app_case_ask(&c, HEAD); /* nothing of it is sent, so nothing else would end it */
    assert_int_equal(seen.closed, 1);
    assert_int_equal(seen.hooked, 1);
    assert_int_equal(app_case_column(&c)->overdue, 1);
}

/* ---- many ---- */

static unsigned count_lines(FILE *log, const char *text)
{
    char line[1024];
    unsigned count = 0;

    rewind(log);
    while (fgets(line, sizeof line, log) != NULL)
        count += strstr(line, text) != NULL;
    return count;
}

static void many_are_said_in_few_lines(void **state)
{
    char path[] = "/tmp/reeve-overdue-XXXXXX";
    int clients[CLIENTS], fd = mkstemp(path);
    FILE *log = fdopen(fd, "r");

    (void)state;
    assert_non_null(log);
    assert_int_equal(log_open(path, LOG_LEVEL_INFO), 0);
    open_case(sleeps, LIMIT);
    for (unsigned i = 0; i < CLIENTS; i++) {
        app_case_connect(&c);
        send_text(GET);
        clients[i] = c.client;
        c.client = -1;
    }
    while (app_case_column(&c)->answers[5] < CLIENTS)
        event_base_loop(c.base, EVLOOP_ONCE);
    assert_int_equal(count_lines(log, "case 1: request "), 10);
    assert_int_equal(count_lines(log, ": GET /: cancelled after 0."), 10);
    assert_int_equal(count_lines(log, ", while it waited in reeve_sleep"), 10);
    while (count_lines(log, "and 15 more requests were cancelled") == 0)
        event_base_loop(c.base, EVLOOP_ONCE);
    assert_counted(CLIENTS, 0, 0);
    for (unsigned i = 0; i < CLIENTS; i++)
        close(clients[i]);
    while (c.room.net.conn_count > 0)
        event_base_loop(c.base, EVLOOP_ONCE);
    assert_int_equal(count_lines(log, "request"), 11); /* no second line of any */
    fclose(log);
    unlink(path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_sleeps_past_its_time_is_504_and_the_next_is_served),
        TEST(without_a_limit_nothing_is_cancelled),
        TEST(what_ends_in_its_time_is_left_alone),
        TEST(a_later_wait_does_not_start_the_time_anew),
        TEST(others_that_wait_do_not_give_it_time),
        TEST(whoever_waits_again_gets_the_error_again),
        TEST(an_answer_of_its_own_is_the_answer),
        TEST(a_head_without_a_body_is_an_answer),
        TEST(what_was_not_sent_is_replaced),
        TEST(what_was_sent_in_part_is_cut),
        TEST(a_body_that_does_not_come_is_504_and_ends_the_connection),
        TEST(the_rest_of_a_body_is_not_taken_for_a_request),
        TEST(a_reader_that_stops_does_not_hold_it),
        TEST(output_that_waits_is_kept_for_a_slow_reader),
        TEST(a_body_is_closed_and_hooks_run),
        TEST(a_body_may_end_with_a_last_piece),
        TEST(a_body_that_takes_no_notice_is_ended),
        TEST(many_are_said_in_few_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
