/* Chats in the style of callbacks: what is called when, for which input, and how it ends. */
#include <assert.h>

#include "chat_case.h"
#include "live/chat_private.h"

/* Bits of what a test's protocol does otherwise. */
static int fail_with;      /* found_terminator returns -1 with this */
static bool closes, cuts;  /* it closes: when done, at once */
static double naps;        /* it sleeps */
static size_t then_length; /* the next terminator */
static reeve_chat *latest;
static uint64_t found_at, failed_at; /* clock_ns() */

static int on_connect(reeve_chat *chat)
{
    latest = chat;
    note("+");
    return reeve_chat_set_terminator(chat, "\r\n", 2);
}

static int collect(reeve_chat *chat, const void *data, size_t size)
{
    (void)chat;
    note("%.*s", (int)size, (const char *)data);
    return 0;
}

static int nap(void)
{
    int result = naps > 0 ? reeve_sleep(naps) : 0;

    if (result == -1)
        note("<%s>", strerrorname_np(errno));
    return result;
}

static int found(reeve_chat *chat)
{
    size_t size = 0;
    const char *line = reeve_chat_collected(chat, &size);

    if (line != NULL) {
        assert(strlen(line) == size);
        note("%s", line);
    }
    note("|");
    if (nap() == -1)
        return -1;
    found_at = clock_ns();
    if (then_length > 0)
        reeve_chat_set_length(chat, then_length);
    else
        reeve_chat_set_terminator(chat, "\r\n", 2);
    then_length = 0;
    if (closes)
        reeve_chat_close_when_done(chat);
    if (cuts)
        reeve_chat_close(chat);
    errno = fail_with;
    return fail_with > 0 ? -1 : reeve_chat_printf(chat, "ok\n");
}

static void handle_close(reeve_chat *chat, int error)
{
    (void)chat;
    note("/%s", error ? strerrorname_np(error) : "0");
}

static void handle_error(reeve_chat *chat, int error)
{
    failed_at = clock_ns();
    note("!%s", strerrorname_np(error));
    reeve_chat_printf(chat, "bad\n");
}

static reeve_chat_protocol lines = {REEVE_CHAT_PROTOCOL,          .name = "lines",
                                    .on_connect = on_connect,     .found_terminator = found,
                                    .handle_close = handle_close, .handle_error = handle_error};
static reeve_chat_protocol pieces = {REEVE_CHAT_PROTOCOL,         .name = "pieces",
                                     .on_connect = on_connect,    .collect_incoming_data = collect,
                                     .found_terminator = found,   .handle_close = handle_close,
                                     .handle_error = handle_error};

static void begin(const reeve_chat_protocol *protocol)
{
    fail_with = 0;
    closes = cuts = false;
    naps = 0;
    then_length = 0;
    chat_case_open(protocol);
}

static const struct board_column *column(void)
{
    return app_case_column(&c);
}

/* ---- input ---- */

static void cut_anywhere(const reeve_chat_protocol *protocol)
{
    const char *text = "one\r\n\rtwo\r\r\nthree\n\r\n";

    for (size_t cut = 0; cut <= strlen(text); cut++) {
        begin(protocol);
        chat_case_connect();
        if (cut > 0)
            app_case_send(&c, text, cut);
        app_case_turn(&c);
        event_base_loop(c.base, EVLOOP_NONBLOCK);
        if (cut < strlen(text))
            app_case_send(&c, text + cut, strlen(text) - cut);
        expect("ok\nok\nok\n");
        chat_case_hang_up();
        assert_string_equal(said, "+one|\rtwo\r|three\n|/0");
        assert_int_equal(board_get(&column()->messages_in), 3);
        assert_int_equal(board_get(&column()->messages_out), 3);
        chat_case_close();
    }
}

static void test_a_terminator_is_found_wherever_the_input_is_cut(void **state)
{
    (void)state;
    cut_anywhere(&lines);
    cut_anywhere(&pieces);
}

/* The NUL behind a counted piece stands where the next one begins. */
static void test_what_follows_a_counted_piece_is_as_it_came(void **state)
{
    (void)state;
    for (int collects = 0; collects <= 1; collects++) {
        begin(collects ? &pieces : &lines);
        then_length = 5;
        chat_case_connect();
        say("x\r\n12345one\r\n");
        expect("ok\nok\nok\n");
        assert_string_equal(said, "+x|12345|one|");
        chat_case_close();
    }
}

static void test_a_length_of_none_is_found_at_once(void **state)
{
    (void)state;
    begin(&lines);
    closes = true;
    chat_case_connect();
    app_case_turn(&c);
    reeve_chat_set_length(latest, 0);
    expect_end();
    assert_string_equal(said, "+|");
    chat_case_close();
}

static void test_a_line_may_have_max_input_and_no_more(void **state)
{
    static char line[65536 + 3];

    (void)state;
    begin(&lines);
    lines.max_input = 65536;
    memset(line, 'x', 65536);
    memcpy(line + 65536, "\r\n", 2);
    chat_case_connect();
    app_case_send(&c, line, 30000);
    app_case_turn(&c);
    app_case_send(&c, line + 30000, 65538 - 30000);
    expect("ok\n");
    memset(line, 'y', 65537);
    app_case_send(&c, line, 65537);
    app_case_turn_until(&c, 7);
    assert_string_equal(c.wire, "ok\nbad\n");
    chat_case_hang_up();
    assert_non_null(strstr(said, "x|!EMSGSIZE/0"));
    assert_int_equal(board_get(&column()->cut_off), 1);
    chat_case_close();
    lines.max_input = 0;
}

static void test_what_came_before_the_end_is_answered(void **state)
{
    (void)state;
    begin(&lines);
    naps = 0.01;
    chat_case_connect();
    say("one\r\ntwo\r\nthr");
    shutdown(c.client, SHUT_WR);
    expect_end();
    assert_string_equal(c.wire, "ok\nok\n");
    chat_case_hang_up();
    assert_string_equal(said, "+one|two|/0");
    chat_case_close();
}

static void test_what_came_counts_though_nobody_waits_for_answers(void **state)
{
    (void)state;
    begin(&lines);
    chat_case_connect();
    say("one\r\ntwo\r\nthree\r\n");
    chat_case_hang_up();
    assert_memory_equal(said, "+one|two|three|/", 16);
    forget();
    c.apps[0].client_gone = CLIENT_GONE_IGNORE;
    naps = 0.01; /* so the first answer finds out */
    chat_case_connect();
    say("one\r\ntwo\r\nthree\r\n");
    chat_case_hang_up();
    assert_memory_equal(said, "+one|two|three|/", 16);
    chat_case_close();
}

static void test_what_began_a_terminator_is_collected_at_the_end(void **state)
{
    (void)state;
    begin(&pieces);
    chat_case_connect();
    say("one\r");
    shutdown(c.client, SHUT_WR);
    expect_end();
    chat_case_hang_up();
    assert_string_equal(said, "+one\r/0");
    chat_case_close();
}

static int found_and_discards(reeve_chat *chat)
{
    note("%s|", reeve_chat_collected(chat, NULL));
    reeve_chat_push(chat, "never", 5);
    reeve_chat_discard_buffers(chat);
    return reeve_chat_push(chat, "ok\n", 3);
}

static void test_what_is_discarded_never_was(void **state)
{
    reeve_chat_protocol discards = lines;

    (void)state;
    discards.found_terminator = found_and_discards;
    begin(&discards);
    chat_case_connect();
    say("one\r\ntwo\r\nthree\r");
    expect("ok\n");
    say("\nfour\r\n");
    expect("ok\nok\n");
    assert_string_equal(said, "+one|\nfour|");
    chat_case_close();
}

/* ---- one at a time ---- */

static void test_callbacks_wait_for_one_another(void **state)
{
    (void)state;
    begin(&lines);
    naps = 0.02;
    chat_case_connect();
    say("one\r\ntwo\r\n");
    turn_until_said("one|");
    assert_null(strstr(said, "two"));
    say("three\r\n");
    expect("ok\nok\nok\n");
    assert_string_equal(said, "+one|two|three|");
    chat_case_close();
}

static void test_many_in_a_row_let_others_have_their_turn(void **state)
{
    static char many[200 * 3 + 1];
    int other;
    char answer[4] = "";

    (void)state;
    begin(&lines);
    for (size_t i = 0; i < 200; i++)
        memcpy(many + 3 * i, "a\r\n", 3);
    chat_case_connect();
    other = chat_case_accept();
    app_case_turn(&c);
    forget();
    say(many);
    assert_int_equal(send(other, "b\r\n", 3, MSG_NOSIGNAL), 3);
    app_case_turn_until(&c, 600);
    assert_int_equal(recv(other, answer, 3, 0), 3);
    assert_true(strchr(said, 'b') - said < 2 * 128);
    close(other);
    chat_case_close();
}

/* ---- ends ---- */

static void test_a_reset_cancels_the_callback(void **state)
{
    (void)state;
    begin(&lines);
    naps = 3600;
    chat_case_connect();
    say("one\r\ntwo\r\n");
    turn_until_said("one|");
    say("three\r\n"); /* unread as its peer closes: that is a reset */
    stream_lose(&((struct session *)latest)->stream, ECONNRESET);
    turn_until_said("/");
    assert_string_equal(said, "+one|<ECANCELED>/ECONNRESET");
    chat_case_close();
}

static void test_an_app_may_ignore_that_a_client_has_gone(void **state)
{
    (void)state;
    begin(&lines);
    c.apps[0].client_gone = CLIENT_GONE_IGNORE;
    naps = 0.02;
    chat_case_connect();
    say("one\r\n");
    turn_until_said("one|");
    stream_lose(&((struct session *)latest)->stream, ECONNRESET);
    turn_until_said("/");
    assert_string_equal(said, "+one|/ECONNRESET");
    chat_case_close();
}

static void test_a_callback_may_close(void **state)
{
    (void)state;
    begin(&lines);
    closes = true;
    chat_case_connect();
    say("one\r\ntwo\r\n");
    expect_end();
    assert_string_equal(c.wire, ""); /* too late */
    chat_case_hang_up();
    assert_string_equal(said, "+one|/0");
    chat_case_close();
    begin(&lines);
    cuts = true;
    chat_case_connect();
    say("one\r\ntwo\r\n");
    expect_end();
    turn_until_said("/");
    assert_string_equal(said, "+one|/0");
    chat_case_close();
}

static void close_after(reeve_chat *chat, double seconds)
{
    reeve_chat_close_when_done(chat);
    note(reeve_sleep(seconds) == 0 ? "slept" : "woken");
}

static int found_and_stays(reeve_chat *chat)
{
    size_t size;
    const char *line = reeve_chat_collected(chat, &size);

    close_after(chat, 0.02);
    note("(%s)", line); /* it is still there */
    return 0;
}

static void test_who_closes_goes_on_until_it_returns(void **state)
{
    reeve_chat_protocol stays = lines;

    (void)state;
    stays.found_terminator = found_and_stays;
    begin(&stays);
    chat_case_connect();
    say("one\r\ntwo\r\n");
    expect_end();
    app_case_hang_up(&c);
    turn_until_said("/0");
    assert_string_equal(said, "+slept(one)/0");
    chat_case_close();
}

static void test_another_may_close_it_meanwhile(void **state)
{
    (void)state;
    begin(&lines);
    naps = 3600;
    chat_case_connect();
    say("one\r\n");
    turn_until_said("one|");
    reeve_chat_close(latest);
    assert_null(strchr(said, '/')); /* not within the call */
    turn_until_said("/0");
    assert_string_equal(said, "+one|<ECANCELED>/0");
    chat_case_close();
}

static void test_a_peer_that_takes_nothing_is_cut_off(void **state)
{
    (void)state;
    begin(&lines);
    chat_case_connect();
    app_case_turn(&c);
    stream_lose(&((struct session *)latest)->stream, ETIMEDOUT); /* as at write_timeout */
    turn_until_said("/");
    assert_string_equal(said, "+/ETIMEDOUT");
    assert_int_equal(board_get(&column()->cut_off), 1);
    chat_case_close();
}

/* ---- errors ---- */

static void test_a_failure_goes_to_handle_error(void **state)
{
    (void)state;
    begin(&lines);
    fail_with = EDOM;
    chat_case_connect();
    say("one\r\ntwo\r\n");
    expect_end();
    assert_string_equal(c.wire, "bad\n");
    chat_case_hang_up();
    assert_string_equal(said, "+one|!EDOM/0");
    chat_case_close();
}

static void test_silence_has_its_limit(void **state)
{
    reeve_chat_protocol idle = lines;

    (void)state;
    idle.idle_timeout = 0.1;
    begin(&idle);
    naps = 0.25; /* does not count */
    chat_case_connect();
    say("one\r\n");
    expect_end();
    assert_string_equal(c.wire, "ok\nbad\n");
    chat_case_hang_up();
    assert_string_equal(said, "+one|!ETIMEDOUT/0");
    assert_true(failed_at - found_at >= NS_PER_SEC / 10);
    assert_int_equal(board_get(&column()->cut_off), 1);
    chat_case_close();
}

static void test_without_memory_for_a_stack_nothing_waits(void **state)
{
    (void)state;
    begin(&lines);
    c.descriptor.on_loop = true;
    naps = 0.01;
    chat_case_connect();
    say("one\r\n");
    expect_end();
    chat_case_hang_up();
    assert_string_equal(said, "+one|<EDEADLK>!EDEADLK/0");
    chat_case_close();
}

/* Whoever is cancelled at a wait, without a reset, fails as any other. */
static void test_a_cancelled_callback_is_an_error_like_any_other(void **state)
{
    (void)state;
    begin(&lines);
    naps = 3600;
    coro_cancel_nth(1);
    chat_case_connect();
    say("one\r\n");
    expect_end();
    chat_case_hang_up();
    assert_string_equal(said, "+one|<ECANCELED>!ECANCELED/0");
    chat_case_close();
}

/* ---- all of them ---- */

static int shout(reeve_chat *chat, void *arg)
{
    ++*(int *)arg;
    return reeve_chat_push(chat, "hey\n", 4);
}

static int stop(reeve_chat *chat, void *arg)
{
    (void)chat;
    ++*(int *)arg;
    return 7;
}

static void test_each_is_everyone_of_the_build(void **state)
{
    int others[2], count = 0;

    (void)state;
    begin(&lines);
    chat_case_connect();
    others[0] = chat_case_accept();
    others[1] = chat_case_accept();
    assert_int_equal(reeve_chat_each(generation_module(c.generation), shout, &count), 0);
    assert_int_equal(count, 3);
    assert_int_equal(reeve_chat_each(generation_module(c.generation), stop, &count), 7);
    assert_int_equal(count, 4);
    expect("hey\n");
    assert_int_equal(board_get(&board_slot(c.board, 0)->chats), 3);
    close(others[0]);
    close(others[1]);
    chat_case_close();
}

/* ---- from build to build ---- */

static int takes = 0; /* what adopt returns */

static int adopt(reeve_chat *chat, uint32_t version)
{
    (void)chat;
    note("<adopt %u>", version);
    return takes;
}

static int found_new(reeve_chat *chat)
{
    size_t size;

    note("%s:new|", reeve_chat_collected(chat, &size));
    return reeve_chat_push(chat, "new\n", 4);
}

static const reeve_chat_protocol new_lines = {
    REEVE_CHAT_PROTOCOL,          .name = "lines", .version = 2, .found_terminator = found_new,
    .handle_close = handle_close, .adopt = adopt};
static const reeve_chat_protocol other_lines = {REEVE_CHAT_PROTOCOL, .name = "other",
                                                .found_terminator = found_new, .adopt = adopt};

static void deploy(reeve_app *descriptor)
{
    struct generation *generation = calloc(1, sizeof *generation);

    generation->app = &c.room.apps[0];
    generation->number = 2;
    generation->descriptor = descriptor;
    generation->is_prepared = true;
    LIST_INSERT_HEAD(&c.room.apps[0].generations, generation, entry);
    generation_commit(generation, false, NULL, 0);
    c.generation = generation;
}

static void test_a_new_build_takes_over_between_callbacks(void **state)
{
    const reeve_chat_protocol *const chats[] = {&new_lines, NULL};
    reeve_app next = {.name = "case", .version = "2", .chat = &other_lines, .chats = chats};

    (void)state;
    begin(&lines);
    lines.version = 1;
    takes = 0;
    naps = 0.05;
    chat_case_connect();
    say("one\r\n");
    turn_until_said("one|");
    say("tw");
    deploy(&next);
    assert_null(strstr(said, "adopt")); /* a callback runs */
    expect("ok\n");
    turn_until_said("adopt");
    say("o\r\n");
    expect("ok\nnew\n");
    assert_ptr_equal(reeve_chat_module(latest), generation_module(c.generation));
    chat_case_hang_up();
    assert_string_equal(said, "+one|<adopt 1>two:new|/0");
    assert_int_equal(board_get(&column()->moved), 1);
    chat_case_close();
}

/* Whatever the limit was before, and whether or not the client ever says something. */
static void test_a_new_build_has_limits_of_its_own(void **state)
{
    reeve_chat_protocol hasty = new_lines, patient = lines;
    reeve_app next = {.name = "case", .version = "2", .chat = &hasty};

    (void)state;
    hasty.handle_error = handle_error;
    hasty.idle_timeout = 0.01;
    patient.idle_timeout = -1;
    for (int i = 0; i < 2; i++, patient.idle_timeout = 3600) {
        begin(&patient);
        chat_case_connect();
        app_case_turn(&c);
        deploy(&next);
        expect_end();
        chat_case_hang_up();
        assert_string_equal(said, "+<adopt 1>!ETIMEDOUT/0");
        chat_case_close();
    }
}

static void test_what_is_not_taken_over_stays_and_holds(void **state)
{
    reeve_app next = {.name = "case", .version = "2", .chat = &new_lines};
    struct generation *old;

    (void)state;
    begin(&lines);
    takes = -1;
    chat_case_connect();
    app_case_turn(&c);
    old = c.generation;
    deploy(&next);
    assert_int_equal(old->held_for[HOLD_CONNECTION], 1);
    say("one\r\n");
    expect("ok\n");
    chat_case_hang_up();
    assert_string_equal(said, "+<adopt 1>one|/0"); /* asked once */
    chat_case_close();
    takes = 0;
}

static int nap_next(void *state, const void **data, size_t *size)
{
    (void)data, (void)size;
    return reeve_sleep(*(double *)state);
}

static int read_line(void *arg, void **value_out)
{
    char *data;

    (void)value_out;
    return reeve_chat_read_until(arg, "\n", 1, &data, REEVE_FOREVER) == -1 ? -1 : 0;
}

static void test_who_has_a_producer_stays_until_then(void **state)
{
    reeve_app next = {.name = "case", .version = "2", .chat = &new_lines};
    double naps_for = 0.03;

    (void)state;
    begin(&lines);
    chat_case_connect();
    app_case_turn(&c);
    reeve_chat_push_with_producer(latest, (reeve_iterable){.next = nap_next, .state = &naps_for});
    deploy(&next);
    assert_null(strstr(said, "adopt"));
    turn_until_said("adopt");
    assert_null(latest->output);
    chat_case_close();
}

static void test_who_is_read_from_stays_until_then(void **state)
{
    reeve_app next = {.name = "case", .version = "2", .chat = &new_lines};
    struct generation *old;

    (void)state;
    begin(&lines);
    chat_case_connect();
    app_case_turn(&c);
    old = c.generation;
    reeve_spawn_background(generation_module(old), read_line, latest, NULL);
    app_case_turn(&c);
    old->background.is_draining = true; /* so that the task goes on */
    old->background.is_hook_running = true;
    deploy(&next);
    app_case_turn(&c);
    assert_null(strstr(said, "adopt"));
    old->background.is_hook_running = false;
    say("line\r\n");
    turn_until_said("adopt");
    chat_case_close();
}

static void say_farewell(reeve_chat *chat)
{
    reeve_chat_push(chat, "bye\n", 4);
}

static void test_a_farewell_is_still_sent(void **state)
{
    reeve_chat_protocol polite = lines;

    (void)state;
    polite.farewell = say_farewell;
    begin(&polite);
    chat_case_connect();
    app_case_turn(&c);
    members_farewell(&c.room);
    members_farewell(&c.room);
    expect_end();
    assert_string_equal(c.wire, "bye\n");
    chat_case_hang_up();
    assert_string_equal(said, "+/0");
    chat_case_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_terminator_is_found_wherever_the_input_is_cut),
        cmocka_unit_test(test_what_follows_a_counted_piece_is_as_it_came),
        cmocka_unit_test(test_a_length_of_none_is_found_at_once),
        cmocka_unit_test(test_a_line_may_have_max_input_and_no_more),
        cmocka_unit_test(test_what_came_before_the_end_is_answered),
        cmocka_unit_test(test_what_came_counts_though_nobody_waits_for_answers),
        cmocka_unit_test(test_what_began_a_terminator_is_collected_at_the_end),
        cmocka_unit_test(test_what_is_discarded_never_was),
        cmocka_unit_test(test_callbacks_wait_for_one_another),
        cmocka_unit_test(test_many_in_a_row_let_others_have_their_turn),
        cmocka_unit_test(test_a_reset_cancels_the_callback),
        cmocka_unit_test(test_an_app_may_ignore_that_a_client_has_gone),
        cmocka_unit_test(test_a_callback_may_close),
        cmocka_unit_test(test_who_closes_goes_on_until_it_returns),
        cmocka_unit_test(test_another_may_close_it_meanwhile),
        cmocka_unit_test(test_a_peer_that_takes_nothing_is_cut_off),
        cmocka_unit_test(test_a_failure_goes_to_handle_error),
        cmocka_unit_test(test_silence_has_its_limit),
        cmocka_unit_test(test_without_memory_for_a_stack_nothing_waits),
        cmocka_unit_test(test_a_cancelled_callback_is_an_error_like_any_other),
        cmocka_unit_test(test_each_is_everyone_of_the_build),
        cmocka_unit_test(test_a_new_build_takes_over_between_callbacks),
        cmocka_unit_test(test_a_new_build_has_limits_of_its_own),
        cmocka_unit_test(test_what_is_not_taken_over_stays_and_holds),
        cmocka_unit_test(test_who_has_a_producer_stays_until_then),
        cmocka_unit_test(test_who_is_read_from_stays_until_then),
        cmocka_unit_test(test_a_farewell_is_still_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
