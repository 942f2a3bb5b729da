/* Reading from a chat in the style of coroutines: in serve, in callbacks, in tasks; and that whoever
 * waits can be cancelled there. */
#include "chat_case.h"
#include "live/session.h"

static int (*script)(reeve_chat *chat); /* of the test */

static int serve(reeve_chat *chat)
{
    int result;

    note("+");
    result = script(chat);
    note("-");
    return result;
}

static const reeve_chat_protocol served = {REEVE_CHAT_PROTOCOL, .name = "served", .serve = serve,
                                           .max_input = 1000};

static void begin(const reeve_chat_protocol *protocol, int (*fn)(reeve_chat *chat))
{
    script = fn;
    chat_case_open(protocol);
    chat_case_connect();
}

static void note_piece(ssize_t n, const char *data)
{
    if (n == -1)
        note("<%s>", strerrorname_np(errno));
    else
        note("%s%s", data, strlen(data) == (size_t)n ? "|" : "?");
}

static ssize_t line(reeve_chat *chat, double seconds)
{
    char *data;
    ssize_t n = reeve_chat_read_until(chat, "\r\n", 2, &data, seconds);

    note_piece(n, data);
    return n;
}

static ssize_t exactly(reeve_chat *chat, size_t size)
{
    char *data;
    ssize_t n = reeve_chat_read_exactly(chat, size, &data, REEVE_FOREVER);

    note_piece(n, data);
    return n;
}

static ssize_t some(reeve_chat *chat, size_t size)
{
    char data[100] = "";
    ssize_t n = reeve_chat_read_some(chat, data, size, REEVE_FOREVER);

    note_piece(n, data);
    return n;
}

/* ---- */

static int read_all_ways(reeve_chat *chat)
{
    line(chat, REEVE_FOREVER);
    exactly(chat, 3);
    exactly(chat, 0);
    some(chat, 2);
    line(chat, REEVE_FOREVER);
    line(chat, REEVE_FOREVER); /* there is none */
    some(chat, 99);
    some(chat, 99);
    return reeve_chat_push(chat, "done", 4);
}

static void test_all_ways_of_reading_wherever_the_input_is_cut(void **state)
{
    const char *text = "one\r\nabcdefour\r\nrest\r";

    (void)state;
    for (size_t cut = 0; cut <= strlen(text); cut++) {
        begin(&served, read_all_ways);
        if (cut > 0)
            app_case_send(&c, text, cut);
        app_case_turn(&c);
        event_base_loop(c.base, EVLOOP_NONBLOCK);
        if (cut < strlen(text))
            app_case_send(&c, text + cut, strlen(text) - cut);
        shutdown(c.client, SHUT_WR);
        expect_end();
        assert_string_equal(c.wire, "done");
        if (cut == 9) /* what there is is less */
            assert_string_equal(said, "+one|abc||d|efour|<EPIPE>rest\r||-");
        else
            assert_string_equal(said, "+one|abc||de|four|<EPIPE>rest\r||-");
        chat_case_close();
    }
}

static int read_too_much(reeve_chat *chat)
{
    line(chat, REEVE_FOREVER);
    exactly(chat, 1001);
    some(chat, 3);
    return 0;
}

static void test_reading_has_its_limit_and_takes_nothing_then(void **state)
{
    static char many[1500];

    (void)state;
    begin(&served, read_too_much);
    memset(many, 'x', sizeof many);
    app_case_send(&c, many, sizeof many);
    expect_end();
    assert_string_equal(said, "+<EMSGSIZE><EMSGSIZE>xxx|-");
    chat_case_close();
}

static int read_in_time(reeve_chat *chat)
{
    line(chat, 0);
    line(chat, 0.02);
    line(chat, REEVE_FOREVER);
    return 0;
}

static void test_what_comes_in_parts_is_not_lost_to_a_limit(void **state)
{
    (void)state;
    begin(&served, read_in_time);
    say("on");
    turn_until_said("<ETIMEDOUT><ETIMEDOUT>");
    say("e\r\n");
    expect_end();
    assert_string_equal(said, "+<ETIMEDOUT><ETIMEDOUT>one|-");
    chat_case_close();
}

static void test_silence_has_its_limit(void **state)
{
    reeve_chat_protocol idle = served;

    (void)state;
    idle.idle_timeout = 0.03;
    begin(&idle, read_in_time);
    expect_end();
    assert_string_equal(said, "+<ETIMEDOUT><ETIMEDOUT><ETIMEDOUT>-");
    chat_case_close();
}

static int read_and_sleep(reeve_chat *chat)
{
    line(chat, REEVE_FOREVER);
    note("%s", reeve_sleep(0) == 0 ? "slept" : strerrorname_np(errno));
    return 0;
}

static void test_a_reset_is_told_to_who_reads_and_then_cancels(void **state)
{
    (void)state;
    begin(&served, read_and_sleep);
    app_case_turn(&c);
    stream_lose(&session_of_member(LIST_FIRST(&c.generation->members))->stream, ECONNRESET);
    turn_until_said("-");
    assert_string_equal(said, "+<ECONNRESET>ECANCELED-");
    chat_case_close();
}

static int close_and_read(reeve_chat *chat)
{
    char *data;

    reeve_chat_push(chat, "bye", 3);
    reeve_chat_read_until(chat, "\n", 1, &data, REEVE_FOREVER);
    reeve_chat_close_when_done(chat);
    reeve_sleep(0.01);
    note("%s", data); /* it is still there */
    line(chat, REEVE_FOREVER);
    some(chat, 10);
    note("%d", reeve_chat_push(chat, "x", 1));
    return 0;
}

static void test_who_closes_reads_no_more(void **state)
{
    (void)state;
    begin(&served, close_and_read);
    say("a\nb\r\n");
    expect_end();
    app_case_hang_up(&c);
    turn_until_said("-1");
    assert_string_equal(c.wire, "bye");
    assert_string_equal(said, "+a<EPIPE><EPIPE>-1-");
    chat_case_close();
}

/* ---- in tasks ---- */

static int read_in_task(void *arg, void **value_out)
{
    (void)value_out;
    note("task:");
    line(arg, REEVE_FOREVER);
    return 0;
}

static int two_read(reeve_chat *chat)
{
    reeve_future *task = reeve_spawn(read_in_task, chat);

    reeve_sleep(0);
    line(chat, 0);
    reeve_await(task, REEVE_FOREVER, NULL);
    line(chat, REEVE_FOREVER);
    return 0;
}

static void test_one_reads_at_a_time(void **state)
{
    (void)state;
    begin(&served, two_read);
    turn_until_said("EBUSY");
    say("one\r\ntwo\r\n");
    expect_end();
    assert_string_equal(said, "+task:<EBUSY>one|two|-");
    chat_case_close();
}

static reeve_chat *latest;

static int on_connect(reeve_chat *chat)
{
    latest = chat;
    return reeve_chat_set_terminator(chat, "\r\n", 2);
}

static int found(reeve_chat *chat)
{
    size_t size;

    note("found %s|", reeve_chat_collected(chat, &size));
    if (script)
        script(chat);
    return 0;
}

static void handle_close(reeve_chat *chat, int error)
{
    (void)chat;
    note("/%s", error ? strerrorname_np(error) : "0");
}

static const reeve_chat_protocol called = {REEVE_CHAT_PROTOCOL, .name = "called",
                                           .on_connect = on_connect, .found_terminator = found,
                                           .handle_close = handle_close};

static int read_two(reeve_chat *chat)
{
    exactly(chat, 5);
    line(chat, REEVE_FOREVER);
    return 0;
}

static void test_a_callback_reads_on(void **state)
{
    (void)state;
    begin(&called, read_two);
    say("5\r\n12");
    turn_until_said("found 5|");
    say("\r\n3one\r\n1\r\n12345two\r\n");
    turn_until_said("two|");
    assert_string_equal(said, "found 5|12\r\n3|one|found 1|12345|two|");
    chat_case_close();
}

static void spawn_reader(reeve_chat *chat)
{
    assert_int_equal(
        reeve_spawn_background(generation_module(c.generation), read_in_task, chat, NULL), 0);
}

static void test_a_task_reads_in_place_of_callbacks(void **state)
{
    (void)state;
    begin(&called, NULL);
    app_case_turn(&c);
    spawn_reader(latest);
    turn_until_said("task:");
    say("one\r\ntwo\r\n");
    turn_until_said("two");
    assert_string_equal(said, "task:one|found two|");
    chat_case_close();
}

static void test_callbacks_find_what_a_task_has_left(void **state)
{
    (void)state;
    begin(&called, NULL);
    say("ab"); /* looked at, and found to be no line */
    app_case_turn(&c);
    app_case_turn(&c);
    spawn_reader(latest);
    turn_until_said("task:");
    say("c\r\n\r\nx\r\n");
    turn_until_said("found x");
    assert_string_equal(said, "task:abc|found |found x|");
    chat_case_close();
}

static void test_a_task_that_reads_may_outlive_the_chat(void **state)
{
    (void)state;
    begin(&called, NULL);
    app_case_turn(&c);
    spawn_reader(latest);
    turn_until_said("task:");
    chat_case_hang_up();
    turn_until_said("<");
    assert_non_null(strstr(said, "<EPIPE>"));
    chat_case_close();
}

static int discard_meanwhile(void *arg, void **value_out)
{
    (void)value_out;
    reeve_chat_discard_buffers(arg);
    note("discarded,");
    return 0;
}

static int read_while_discarded(reeve_chat *chat)
{
    reeve_future *task = reeve_after(0.02);

    reeve_await(task, REEVE_FOREVER, NULL);
    reeve_spawn(discard_meanwhile, chat);
    return line(chat, REEVE_FOREVER) == -1 ? -1 : 0;
}

static void test_what_is_discarded_is_not_looked_for(void **state)
{
    (void)state;
    begin(&served, read_while_discarded);
    say("half or so\r");
    turn_until_said("discarded,");
    say("\none\r\n");
    expect_end();
    assert_string_equal(said, "+discarded,\none|-");
    chat_case_close();
}

/* ---- cancelling ---- */

static int wait_everywhere(reeve_chat *chat)
{
    static char much[300000];

    line(chat, REEVE_FOREVER);
    exactly(chat, 4);
    some(chat, 9);
    reeve_chat_write(chat, much, sizeof much, REEVE_FOREVER);
    reeve_chat_write(chat, much, sizeof much, REEVE_FOREVER);
    return 0;
}

static void test_every_wait_can_be_cancelled(void **state)
{
    unsigned nth = 0, left;

    (void)state;
    do {
        chat_case_open(&served);
        script = wait_everywhere;
        coro_cancel_nth(++nth);
        chat_case_connect();
        app_case_turn(&c);
        for (int i = 0; i < 3 && !strchr(said, '-'); i++) {
            say("1\r\n" + (i > 0)); /* the last byte makes it one */
            say("234");
            app_case_turn(&c);
        }
        shutdown(c.client, SHUT_WR);
        expect_end();
        left = coro_cancel_nth(0);
        assert_non_null(strchr(said, '-'));
        chat_case_close();
        assert_true(nth < 30);
    } while (left == 0);
    assert_true(nth > 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_ways_of_reading_wherever_the_input_is_cut),
        cmocka_unit_test(test_reading_has_its_limit_and_takes_nothing_then),
        cmocka_unit_test(test_what_comes_in_parts_is_not_lost_to_a_limit),
        cmocka_unit_test(test_silence_has_its_limit),
        cmocka_unit_test(test_a_reset_is_told_to_who_reads_and_then_cancels),
        cmocka_unit_test(test_who_closes_reads_no_more),
        cmocka_unit_test(test_one_reads_at_a_time),
        cmocka_unit_test(test_a_callback_reads_on),
        cmocka_unit_test(test_a_task_reads_in_place_of_callbacks),
        cmocka_unit_test(test_callbacks_find_what_a_task_has_left),
        cmocka_unit_test(test_a_task_that_reads_may_outlive_the_chat),
        cmocka_unit_test(test_what_is_discarded_is_not_looked_for),
        cmocka_unit_test(test_every_wait_can_be_cancelled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
