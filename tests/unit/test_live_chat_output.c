/* What a chat sends: pushed bytes and producers in their order, the water marks, what becomes of a
 * client that does not read. */
#include "chat_case.h"
#include "live/shared.h"

/* A producer of `left` pieces, each its letter so often. */
struct letters {
    char letter;
    int left;
    size_t each;
    double naps;
    int fails_with;
};

static char piece[1u << 20];

static int letters_next(void *state, const void **data, size_t *size)
{
    struct letters *letters = state;

    if (letters->naps > 0 && reeve_sleep(letters->naps) == -1) {
        note("<%s>", strerrorname_np(errno));
        return -1;
    }
    if (letters->left-- <= 0) {
        errno = letters->fails_with;
        return letters->fails_with ? -1 : 0;
    }
    memset(piece, letters->letter, letters->each);
    *data = piece;
    *size = letters->each;
    return 1;
}

static void letters_close(void *state)
{
    note("close %c,", ((struct letters *)state)->letter);
}

static int push_letters(reeve_chat *chat, struct letters *letters)
{
    return reeve_chat_push_with_producer(
        chat, (reeve_iterable){.next = letters_next, .close = letters_close, .state = letters});
}

/* ---- a protocol whose first line starts the test's script ---- */

static int (*script)(reeve_chat *chat);
static reeve_chat *latest;

static int on_connect(reeve_chat *chat)
{
    latest = chat;
    return reeve_chat_set_terminator(chat, "\n", 1);
}

static int found(reeve_chat *chat)
{
    return script(chat);
}

static void handle_close(reeve_chat *chat, int error)
{
    (void)chat;
    note("/%s", error ? strerrorname_np(error) : "0");
}

static void handle_error(reeve_chat *chat, int error)
{
    note("!%s", strerrorname_np(error));
    assert_true(reeve_chat_push(chat, "x", 1) == (error == ENOBUFS ? -1 : 0));
}

static const reeve_chat_protocol protocol = {
    REEVE_CHAT_PROTOCOL,          .name = "sends",
    .on_connect = on_connect,     .found_terminator = found,
    .handle_close = handle_close, .handle_error = handle_error};

static void begin(int (*fn)(reeve_chat *chat))
{
    script = fn;
    chat_case_open(&protocol);
    chat_case_connect();
    say("\n");
}

/* The client reads nothing. */
static void turn_blindly_until_said(const char *text)
{
    while (!strstr(said, text))
        event_base_loop(c.base, EVLOOP_ONCE);
}

/* ---- order ---- */

static struct letters a, b;

static int push_in_order(reeve_chat *chat)
{
    reeve_shared *shared = reeve_shared_new("shared,", 7);

    a = (struct letters){.letter = 'a', .left = 3, .each = 2, .naps = 0.005};
    b = (struct letters){.letter = 'b', .left = 2, .each = 1};
    reeve_chat_push(chat, "first,", 6);
    push_letters(chat, &a);
    reeve_chat_push(chat, ",", 1);
    reeve_chat_printf(chat, "%d,", 42);
    reeve_chat_push_shared(chat, shared);
    push_letters(chat, &b);
    reeve_chat_push(chat, ",last", 5);
    reeve_shared_release(shared);
    reeve_chat_close_when_done(chat);
    note("%d ", reeve_chat_push(chat, "more", 4));
    return 0;
}

static void test_everything_is_sent_in_its_order(void **state)
{
    (void)state;
    begin(push_in_order);
    expect_end();
    assert_string_equal(c.wire, "first,aaaaaa,42,shared,bb,last");
    chat_case_hang_up();
    assert_string_equal(said, "-1 close a,close b,/0");
    assert_int_equal(board_get(&app_case_column(&c)->messages_out), 7);
    chat_case_close();
}

static int push_long(reeve_chat *chat)
{
    reeve_chat_printf(chat, "%01000d", 7);
    reeve_chat_close_when_done(chat);
    return 0;
}

static void test_a_long_text_is_sent_whole(void **state)
{
    (void)state;
    begin(push_long);
    expect_end();
    assert_int_equal(c.length, 1000);
    assert_int_equal(c.wire[999], '7');
    chat_case_close();
}

/* ---- water marks ---- */

static int push_many(reeve_chat *chat)
{
    a = (struct letters){.letter = 'a', .left = 2000, .each = 1000};
    push_letters(chat, &a);
    reeve_chat_push(chat, "!", 1);
    note("pushed");
    return 0;
}

static void test_a_producer_pauses_where_nobody_reads(void **state)
{
    (void)state;
    begin(push_many);
    turn_blindly_until_said("pushed");
    for (int i = 0; i < 300; i++)
        event_base_loop(c.base, EVLOOP_NONBLOCK);
    assert_true(a.left > 1000); /* what a socketpair takes, and high_water */
    assert_true(reeve_chat_pending(latest) >= 65536);
    assert_true(reeve_chat_pending(latest) < 65536 + 1000);
    app_case_turn_until(&c, 2000001);
    assert_int_equal(c.wire[2000000], '!');
    chat_case_close();
}

static int write_much(reeve_chat *chat)
{
    memset(piece, 'w', sizeof piece);
    for (int i = 0; i < 20; i++)
        if (reeve_chat_write(chat, piece, 100000, REEVE_FOREVER) == -1)
            note("<%s>", strerrorname_np(errno));
    note("%s", reeve_chat_write(chat, piece, 1, 0) == 0 ? "written" : strerrorname_np(errno));
    return 0;
}

static void test_a_writer_waits_for_the_client(void **state)
{
    (void)state;
    begin(write_much);
    for (int i = 0; i < 100; i++)
        event_base_loop(c.base, EVLOOP_NONBLOCK);
    assert_string_equal(said, "");
    assert_true(reeve_chat_pending(latest) < 200000);
    app_case_turn_until(&c, 2000001);
    assert_string_equal(said, "written");
    chat_case_close();
}

static int write_behind_a_producer(reeve_chat *chat)
{
    a = (struct letters){.letter = 'a', .left = 3, .each = 10, .naps = 0.005};
    push_letters(chat, &a);
    memset(piece + 500000, 'w', 100000);
    note("%s,", reeve_chat_write(chat, piece + 500000, 100000, 0.001) == 0
                    ? "written"
                    : strerrorname_np(errno));
    note("%s,", reeve_chat_write(chat, piece + 500000, 1, REEVE_FOREVER) == 0
                    ? "written"
                    : strerrorname_np(errno));
    return 0;
}

static void test_a_writer_waits_for_the_producers_before_it(void **state)
{
    (void)state;
    begin(write_behind_a_producer);
    app_case_turn_until(&c, 100031);
    assert_string_equal(said, "ETIMEDOUT,close a,written,");
    assert_int_equal(c.wire[29], 'a');
    assert_int_equal(c.wire[30], 'w');
    chat_case_close();
}

/* ---- the end of producers ---- */

static int push_endless(reeve_chat *chat)
{
    a = (struct letters){.letter = 'a', .left = 1 << 30, .each = 1, .naps = 3600};
    b = (struct letters){.letter = 'b', .left = 1 << 30, .each = 1};
    push_letters(chat, &a);
    push_letters(chat, &b);
    reeve_chat_push(chat, "never", 5);
    note("pushed ");
    return 0;
}

static void test_producers_are_closed_with_the_connection(void **state)
{
    (void)state;
    begin(push_endless);
    turn_until_said("pushed");
    app_case_turn(&c);
    reeve_chat_close(latest);
    turn_until_said("/");
    assert_string_equal(said, "pushed <ECANCELED>close a,close b,/0");
    chat_case_close();
}

static void test_producers_are_closed_when_they_are_discarded(void **state)
{
    (void)state;
    begin(push_endless);
    turn_until_said("pushed");
    app_case_turn(&c);
    reeve_chat_discard_buffers(latest);
    reeve_chat_push(latest, "then", 4);
    assert_int_equal(reeve_chat_pending(latest), 4);
    turn_until_said("close b");
    expect("then");
    assert_string_equal(said, "pushed <ECANCELED>close a,close b,");
    chat_case_close();
}

static int push_failing(reeve_chat *chat)
{
    a = (struct letters){.letter = 'a', .left = 1, .each = 1, .fails_with = EDOM};
    b = (struct letters){.letter = 'b', .left = 1, .each = 1};
    push_letters(chat, &a);
    return push_letters(chat, &b);
}

static void test_a_producer_that_fails_ends_the_connection(void **state)
{
    (void)state;
    begin(push_failing);
    turn_until_said("/");
    assert_string_equal(said, "close a,close b,/EDOM");
    chat_case_close();
}

/* ---- limits ---- */

static int flood(reeve_chat *chat)
{
    int count = 0;

    while (reeve_chat_push(chat, piece, 10000) == 0)
        count++;
    note("%s after %d%s,", strerrorname_np(errno), count, count >= 100 ? "" : "?");
    note("%zu", reeve_chat_pending(chat));
    return 0;
}

static void test_a_client_that_never_reads_is_given_up(void **state)
{
    (void)state;
    begin(flood);
    turn_blindly_until_said("/");
    assert_non_null(strstr(said, "ENOBUFS after "));
    assert_non_null(strstr(said, "!ENOBUFS/ENOBUFS"));
    assert_null(strchr(said, '?'));
    assert_int_equal(board_get(&app_case_column(&c)->cut_off), 1);
    chat_case_close();
}

static int flood_with_producers(reeve_chat *chat)
{
    int count = 0;

    b = (struct letters){.letter = 'b', .naps = 3600};
    while (push_letters(chat, &b) == 0)
        count++;
    note("%s after %d", strerrorname_np(errno), count);
    return 0;
}

static void test_producers_have_their_limit_too(void **state)
{
    (void)state;
    begin(flood_with_producers);
    turn_blindly_until_said("/");
    assert_non_null(strstr(said, "ENOBUFS after 4096"));
    chat_case_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything_is_sent_in_its_order),
        cmocka_unit_test(test_a_long_text_is_sent_whole),
        cmocka_unit_test(test_a_producer_pauses_where_nobody_reads),
        cmocka_unit_test(test_a_writer_waits_for_the_client),
        cmocka_unit_test(test_a_writer_waits_for_the_producers_before_it),
        cmocka_unit_test(test_producers_are_closed_with_the_connection),
        cmocka_unit_test(test_producers_are_closed_when_they_are_discarded),
        cmocka_unit_test(test_a_producer_that_fails_ends_the_connection),
        cmocka_unit_test(test_a_client_that_never_reads_is_given_up),
        cmocka_unit_test(test_producers_have_their_limit_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
