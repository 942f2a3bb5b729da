/* test_live_websocket_memory.c: memory runs out at each of the places where a WebSocket takes some, from
 * the handshake to the close: the client gets a refusal, or its end, and nothing is left. */
#include "memory_case.h"
#include "websocket_case.h"

static int opened, closed;

static int on_open(reeve_websocket *ws)
{
    opened++;
    return reeve_websocket_send(ws, "welcome", 7, REEVE_TEXT);
}

static int on_message(reeve_websocket *ws, const reeve_websocket_message *message)
{
    reeve_shared *shared = reeve_shared_new(message->data, message->size);

    if (message->size > 100)
        reeve_sleep(0.001);
    if (shared)
        reeve_websocket_send_shared(ws, shared, message->kind);
    reeve_shared_release(shared);
    return reeve_websocket_send(ws, message->data, message->size, message->kind);
}

static void on_close(reeve_websocket *ws, int code, const char *reason)
{
    (void)ws, (void)code, (void)reason;
    closed++;
}

static const char *const subprotocols[] = {"some", NULL};
static const reeve_websocket_protocol echo = {
    REEVE_WEBSOCKET_PROTOCOL, .name = "echo",       .on_open = on_open,
    .on_message = on_message, .on_close = on_close, .subprotocols = subprotocols,
    .close_timeout = 0.05,    .keeps_context = true};
static int allowed;
static int accepted;

static int accepts(reeve_environ *environ, reeve_start_response *start_response)
{
    left = allowed;
    accepted += reeve_websocket_accept(environ, start_response, protocol) != NULL;
    return 0;
}

/* Everything that takes memory: fragments, what is long, a suspended callback, pings, a reason. */
static void talk(void)
{
    static char bytes[9000], text[4000];
    size_t size = 0;

    memset(text, 't', sizeof text);
    size += put_frame(bytes, 0x01, "frag", 4);
    size += put_frame(bytes + size, 0x80, "ment", 4);
    size += put_frame(bytes + size, 0x82, text, sizeof text);
    size += put_frame(bytes + size, 0x89, "ping", 4);
    size += put_frame(bytes + size, 0x81, "last", 4);
    size += put_frame(bytes + size, 0x88, "\x03\xe8 reason", 9);
    send(c.client, bytes, size, MSG_NOSIGNAL);
}

static bool fails_somewhere(void)
{
    bool has_failed;

    failed = 0;
    opened = closed = accepted = 0;
    websocket_case_open(&echo, accepts);
    app_case_connect(&c);
    send_text(HANDSHAKE "Sec-WebSocket-Protocol: some\r\n"
                        "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n");
    talk();
    shutdown(c.client, SHUT_WR);
    app_case_turn_until_closed(&c);
    left = -1;
    has_failed = failed > 0;
    assert_int_equal(closed, accepted);
    assert_true(opened <= accepted);
    assert_int_equal(board_get(&c.room.slot->websockets), 0);
    assert_int_equal(c.generation->holds, 0);
    if (c.length > 0) /* else there was no memory for that either */
        assert_memory_equal(c.wire, accepted ? "HTTP/1.1 101" : "HTTP/1.1 50", 11);
    websocket_case_close();
    return has_failed;
}

static void run_out(bool for_good)
{
    if (!CAN_FAIL)
        skip();
    goes_on = for_good;
    allowed = 0;
    while (fails_somewhere())
        assert_in_range(++allowed, 1, 500);
    assert_in_range(allowed, 10, 500);
    assert_int_equal(accepted, 1);
    assert_int_equal(opened, 1);
}

static void test_memory_runs_out_for_a_moment(void **state)
{
    (void)state;
    run_out(false);
}

static void test_memory_runs_out_for_good(void **state)
{
    (void)state;
    run_out(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_runs_out_for_a_moment),
        cmocka_unit_test(test_memory_runs_out_for_good),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
