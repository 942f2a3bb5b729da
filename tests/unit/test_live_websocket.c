/* test_live_websocket.c: what a WebSocket keeps while its callbacks wait, what it costs at rest, and how
 * its times and limits work; what is said on the wire in general is tests/e2e's business. */
#include "websocket_case.h"

static double naps;     /* the callback sleeps before it looks at its message */
static unsigned runs;   /* of coroutines, as far as stacks tell */
static const void *run; /* the stack of the last callback */

static int on_message(reeve_websocket *ws, const reeve_websocket_message *message)
{
    const char *data = message->data;
    const void *frame = __builtin_frame_address(0);

    runs += frame != run;
    run = frame;
    if (strcmp(data, "nap") == 0)
        reeve_sleep(0.3);
    if (naps > 0 && reeve_sleep(naps) == -1) {
        note("<%s>", strerrorname_np(errno));
        return -1;
    }
    note("%s%c", data, data[message->size] == '\0' ? '.' : '!');
    return reeve_websocket_send(ws, message->data, message->size, message->kind);
}

static void on_close(reeve_websocket *ws, int code, const char *reason)
{
    (void)ws;
    note("/%d %s", code, reason);
}

static const reeve_websocket_protocol echo = {REEVE_WEBSOCKET_PROTOCOL, .name = "echo",
                                              .on_message = on_message, .on_close = on_close};

static void begin(const reeve_websocket_protocol *as)
{
    naps = 0;
    websocket_case_open(as, NULL);
    shake_hands("");
    assert_non_null(latest);
}

/* ---- at rest ---- */

static void test_one_at_rest_is_small_and_holds_no_buffer(void **state)
{
    (void)state;
    assert_true(sizeof(struct reeve_websocket) <= 960);
    begin(&echo);
    assert_memory_equal(c.wire, ANSWER, strlen(ANSWER));
    send_frame(0x81, "hello");
    expect(0x81, "hello");
    assert_null(latest->session.stream.in);
    assert_true(TAILQ_EMPTY(&latest->session.stream.out));
    assert_null(latest->messages.gathered);
    assert_null(latest->deflater);
    assert_null(latest->pong);
    send_frame(0x88, "");
    expect_close(1005);
    expect_end();
    assert_string_equal(said, "hello./1005 ");
    websocket_case_close();
}

/* ---- while a callback waits ---- */

static void test_what_a_callback_has_stays_while_more_comes(void **state)
{
    char more[3000], ping[126] = "";

    (void)state;
    begin(&echo);
    memset(more, 'm', sizeof more);
    more[sizeof more - 1] = '\0';
    send_frame(0x81, "nap");
    app_case_turn(&c);              /* it sleeps */
    for (int i = 0; i < 100; i++) { /* more than the buffer has room for */
        memset(ping, 'a' + i % 26, 125);
        send_frame(0x89, ping);
        expect(0x8a, ping);
    }
    send_frame(0x01, "tw"); /* in two fragments, with a ping between them */
    send_frame(0x89, "between");
    send_frame(0x80, "o");
    send_frame(0x81, more);
    expect(0x8a, "between");
    expect(0x81, "nap");
    expect(0x81, "two");
    expect(0x81, more);
    send_frame(0x88, "");
    expect_close(1005);
    expect_end();
    assert_memory_equal(said, "nap.two.mmm", 11);
    websocket_case_close();
}

static void test_many_in_one_read_are_one_run(void **state)
{
    char frames[100 * 10], text[12];
    size_t size = 0;

    (void)state;
    begin(&echo);
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof text, "%d", i);
        size += put_frame(frames + size, 0x81, text, strlen(text));
    }
    runs = 0;
    run = NULL;
    app_case_send(&c, frames, size);
    app_case_turn(&c);
    assert_int_equal(runs, 1);
    assert_int_equal(coro_alive(), 0);
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof text, "%d", i);
        expect(0x81, text);
    }
    assert_int_equal(board_get(&app_case_column(&c)->messages_in), 100);
    assert_int_equal(board_get(&app_case_column(&c)->messages_out), 100);
    app_case_hang_up(&c);
    websocket_case_close();
}

static struct soon soon;

static void count(void *arg)
{
    ++*(unsigned *)arg;
    if (board_get(&app_case_column(&c)->messages_in) < 2000)
        soon_call(&soon, count, arg);
}

/* Whoever sends without end does not keep the loop. */
static void test_others_have_their_turn(void **state)
{
    static char frames[20000];
    unsigned turns = 0;
    size_t size = 0;

    (void)state;
    begin(&echo);
    for (int i = 0; i < 2000; i++)
        size += put_frame(frames + size, 0x81, "x", 1);
    app_case_send(&c, frames, size);
    soon_call(&soon, count, &turns);
    while (board_get(&app_case_column(&c)->messages_in) < 2000)
        event_base_loop(c.base, EVLOOP_ONCE);
    assert_in_range(turns, 6, 20);
    soon_cancel(&soon);
    app_case_hang_up(&c);
    websocket_case_close();
}

/* ---- limits ---- */

/* The client sends pings and reads nothing: what waits for it stays small, and the last one is
 * answered in the end. */
static void test_a_flood_of_pings_takes_no_memory(void **state)
{
    static char frames[100 * 131];
    char text[126];
    size_t size = 0, most = 0;
    int frame = 0;
    char *client;

    (void)state;
    begin(&echo);
    memset(text, 'p', 125);
    for (int i = 0; i < 100; i++)
        size += put_frame(frames + size, 0x89, text, 125);
    for (int i = 0; i < 300; i++) {
        ssize_t sent = 0;

        for (size_t at = 0; at < size; at += (size_t)sent) {
            sent = send(c.client, frames + at, size - at, MSG_NOSIGNAL);
            if (sent == -1)
                sent = 0;
            event_base_loop(c.base, EVLOOP_NONBLOCK);
        }
        if (latest->session.stream.unsent > most)
            most = latest->session.stream.unsent;
    }
    assert_in_range(most, 60000, 70000);
    memset(text, 'l', 125);
    app_case_send(&c, frames, put_frame(frames, 0x89, text, 125));
    do
        frame = next_frame(payload, NULL);
    while (frame == 0x8a && payload[0] == 'p');
    client = payload;
    assert_int_equal(frame, 0x8a);
    assert_int_equal(client[0], 'l');
    app_case_hang_up(&c);
    websocket_case_close();
}

static const reeve_websocket_protocol hasty = {REEVE_WEBSOCKET_PROTOCOL, .name = "hasty",
                                               .on_message = on_message, .on_close = on_close,
                                               .ping_interval = 0.05,    .close_timeout = 0.05};

static void test_a_silent_peer_is_pinged_and_given_up(void **state)
{
    (void)state;
    begin(&hasty);
    expect(0x89, "reeve");
    send_frame(0x8a, "reeve");
    expect(0x89, "reeve");
    send_frame(0x81, "any byte will do");
    expect(0x81, "any byte will do");
    expect(0x89, "reeve");
    app_case_turn_until_closed(&c);
    assert_string_equal(said, "any byte will do./1006 ");
    websocket_case_close();
}

/* What the callback holds up is not missed: there may be a pong in what was not read. */
static void test_who_is_not_read_is_not_given_up(void **state)
{
    (void)state;
    begin(&hasty);
    send_frame(0x81, "nap");
    send_frame(0x81, "two"); /* waits, and so nothing is read any more */
    send_frame(0x8a, "reeve");
    expect(0x81, "nap");
    expect(0x81, "two");
    assert_string_equal(said, "nap.two.");
    app_case_hang_up(&c);
    websocket_case_close();
}

static void test_a_close_that_is_not_answered_has_its_time(void **state)
{
    (void)state;
    begin(&hasty);
    assert_int_equal(reeve_websocket_close(latest, 4000, "go"), 0);
    assert_int_equal(reeve_websocket_close(latest, 4001, "again"), -1);
    assert_int_equal(errno, EPIPE);
    expect_close(4000);
    send_frame(0x81, "is dropped");
    while (!c.is_closed)
        app_case_turn(&c);
    assert_string_equal(said, "/4000 go");
    expect_end();
    websocket_case_close();
}

/* ---- cancelled ---- */

static void test_who_has_gone_is_waited_for_no_more(void **state)
{
    (void)state;
    begin(&echo);
    naps = 3600;
    send_frame(0x81, "one");
    app_case_turn(&c);
    assert_int_equal(coro_alive(), 1);
    app_case_hang_up(&c);
    app_case_turn_until_closed(&c);
    assert_string_equal(said, "<ECANCELED>/1006 ");
    assert_int_equal(coro_alive(), 0);
    websocket_case_close();
}

static int receives(reeve_environ *environ, reeve_start_response *start_response)
{
    reeve_websocket *ws = reeve_websocket_accept(environ, start_response, protocol);
    reeve_websocket_message message;
    int result;

    latest = ws;
    while ((result = reeve_websocket_receive(ws, &message, REEVE_FOREVER)) == 1)
        note("%s.", (const char *)message.data);
    note("<%s>", result == 0 ? "end" : strerrorname_np(errno));
    reeve_sleep(0.01); /* it was told, and may go on */
    note("%s", reeve_is_cancelled() ? "cancelled" : "tidy");
    return 0;
}

static void test_receive_tells_every_end(void **state)
{
    (void)state;
    websocket_case_open(NULL, receives);
    shake_hands("");
    send_frame(0x81, "one");
    send_frame(0x81, "two");
    send_frame(0x88, "");
    expect_close(1005);
    expect_end();
    assert_string_equal(said, "one.two.<end>tidy");
    said_length = 0;
    shake_hands("");
    app_case_hang_up(&c);
    app_case_turn_until_closed(&c);
    assert_string_equal(said, "<ECONNRESET>tidy");
    said_length = 0;
    shake_hands("");
    coro_cancel_all();
    while (said_length == 0)
        app_case_turn(&c);
    expect_close(1000);
    assert_string_equal(said, "<ECANCELED>tidy");
    expect_end();
    websocket_case_close();
}

static int receives_two(reeve_environ *environ, reeve_start_response *start_response)
{
    reeve_websocket *ws = reeve_websocket_accept(environ, start_response, protocol);
    reeve_websocket_message message;

    for (int i = 0; i < 2; i++) {
        reeve_websocket_receive(ws, &message, REEVE_FOREVER);
        reeve_sleep(0.2);
        note("%s.", (const char *)message.data);
    }
    return 0;
}

/* They came in one packet with what the view has taken, and it looks for no more. */
static void test_pings_behind_a_message_are_answered(void **state)
{
    char frames[100];
    size_t size = 0;

    (void)state;
    websocket_case_open(NULL, receives_two);
    shake_hands("");
    size += put_frame(frames + size, 0x81, "one", 3);
    size += put_frame(frames + size, 0x89, "a", 1);
    size += put_frame(frames + size, 0x81, "two", 3);
    size += put_frame(frames + size, 0x89, "b", 1);
    app_case_send(&c, frames, size);
    expect(0x8a, "a");
    assert_string_equal(said, "");
    expect(0x8a, "b");
    assert_string_equal(said, "one.");
    expect_close(1000);
    assert_string_equal(said, "one.two.");
    expect_end();
    websocket_case_close();
}

/* ---- terms ---- */

static void test_protocols_are_completed(void **state)
{
    struct older {
        char bytes[offsetof(reeve_websocket_protocol, max_message)];
    } shorter;
    reeve_websocket_protocol full = {.size = sizeof shorter, .name = "older"};
    struct websocket_terms *terms, *same;

    (void)state;
    memcpy(&shorter, &full, sizeof shorter);
    terms = terms_of((const reeve_websocket_protocol *)(const void *)&shorter);
    assert_non_null(terms);
    assert_int_equal(terms->protocol.max_message, 1 << 20);
    assert_int_equal(terms->protocol.low_water, 16384);
    assert_int_equal(terms->ping_ns, 30 * NS_PER_SEC);
    same = terms_of((const reeve_websocket_protocol *)(const void *)&shorter);
    assert_ptr_equal(same, terms);
    terms_unref(same);
    terms_unref(terms);
    full.size = sizeof full + 1;
    assert_null(terms_of(&full));
    assert_int_equal(errno, EINVAL);
    full = (reeve_websocket_protocol){
        .size = sizeof full, .name = "x", .ping_interval = -1, .low_water = 100, .high_water = 50};
    terms = terms_of(&full);
    assert_int_equal(terms->ping_ns, 0);
    assert_int_equal(terms->protocol.low_water, 50);
    terms_unref(terms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_at_rest_is_small_and_holds_no_buffer),
        cmocka_unit_test(test_what_a_callback_has_stays_while_more_comes),
        cmocka_unit_test(test_many_in_one_read_are_one_run),
        cmocka_unit_test(test_others_have_their_turn),
        cmocka_unit_test(test_a_flood_of_pings_takes_no_memory),
        cmocka_unit_test(test_a_silent_peer_is_pinged_and_given_up),
        cmocka_unit_test(test_who_is_not_read_is_not_given_up),
        cmocka_unit_test(test_a_close_that_is_not_answered_has_its_time),
        cmocka_unit_test(test_who_has_gone_is_waited_for_no_more),
        cmocka_unit_test(test_receive_tells_every_end),
        cmocka_unit_test(test_pings_behind_a_message_are_answered),
        cmocka_unit_test(test_protocols_are_completed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
