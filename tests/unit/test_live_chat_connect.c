/* Chats that an application makes: what it hears of them, however they end. */
#include <sys/un.h>

#include "app/member.h"
#include "chat_case.h"
#include "live/chat_private.h"

static char path[64];
static int listener;
static int (*script)(reeve_chat *chat); /* what the task does with what it has made */
static const reeve_chat_protocol *speaks;

static int on_connect(reeve_chat *chat)
{
    note("+%s", (const char *)reeve_chat_data(chat));
    return reeve_chat_set_terminator(chat, "\n", 1);
}

static int found(reeve_chat *chat)
{
    note("%s|", reeve_chat_collected(chat, NULL));
    return 0;
}

static void handle_close(reeve_chat *chat, int error)
{
    (void)chat;
    note("/%s", error ? strerrorname_np(error) : "0");
}

static int serve(reeve_chat *chat)
{
    char *data;

    note("+");
    if (reeve_chat_read_until(chat, "\n", 1, &data, REEVE_FOREVER) == -1)
        note("<%s>", strerrorname_np(errno));
    else
        note("%s|", data);
    return 0;
}

static const reeve_chat_protocol lines = {REEVE_CHAT_PROTOCOL, .name = "lines",
                                          .on_connect = on_connect, .found_terminator = found,
                                          .handle_close = handle_close};
static const reeve_chat_protocol served = {REEVE_CHAT_PROTOCOL, .name = "served", .serve = serve};

static void begin(const reeve_chat_protocol *protocol, int (*then)(reeve_chat *chat))
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    chat_case_open(&lines);
    snprintf(path, sizeof path, "unix:/tmp/reeve-test-%d", (int)getpid());
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path + 5);
    unlink(address.sun_path);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 5), 0);
    speaks = protocol;
    script = then;
}

static void end(void)
{
    close(listener);
    unlink(path + 5);
    while (c.room.net.conn_count > 0)
        event_base_loop(c.base, EVLOOP_ONCE);
    chat_case_close();
}

static int in_task(void *arg, void **value_out)
{
    reeve_chat *chat = reeve_chat_connect(path, NULL, speaks, arg, 5);

    (void)value_out;
    if (!chat)
        note("<%s>", strerrorname_np(errno));
    return chat && script ? script(chat) : 0;
}

static void spawn(void)
{
    static char me[] = "me";

    assert_int_equal(reeve_spawn_background(generation_module(c.generation), in_task, me, NULL), 0);
}

/* The server's end of what was made. */
static int accepted(void)
{
    return accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

static void test_what_it_sends_is_heard(void **state)
{
    int fd;

    (void)state;
    begin(&lines, NULL);
    spawn();
    turn_until_said("+me");
    fd = accepted();
    assert_int_equal(write(fd, "one\ntwo\nthr", 11), 11);
    close(fd); /* in the middle of a line */
    turn_until_said("/");
    assert_string_equal(said, "+meone|two|/0");
    end();
}

static int close_at_once(reeve_chat *chat)
{
    note("made,");
    reeve_chat_close(chat);
    return 0;
}

static int lose_at_once(reeve_chat *chat)
{
    note("made,");
    stream_lose(&((struct session *)chat)->stream, ECONNRESET); /* as if the peer had */
    return 0;
}

/* Whoever has got one hears of its end, and can free what belongs to it. */
static void test_what_ends_before_it_has_begun_is_told_all_the_same(void **state)
{
    (void)state;
    begin(&lines, close_at_once);
    spawn();
    turn_until_said("/");
    assert_string_equal(said, "made,+me/0");
    end();
    begin(&lines, lose_at_once);
    spawn();
    turn_until_said("/");
    assert_string_equal(said, "made,+me/ECONNRESET");
    end();
    begin(&served, lose_at_once);
    spawn();
    turn_until_said(">");
    assert_string_equal(said, "made,+<ECONNRESET>");
    end();
}

static void test_they_end_with_the_background_work(void **state)
{
    (void)state;
    begin(&served, NULL);
    spawn();
    turn_until_said("+");
    app_case_turn(&c);
    members_end_made(c.generation);
    turn_until_said(">");
    assert_string_equal(said, "+<EPIPE>");
    end();
}

static int read_in_scope(reeve_chat *chat)
{
    char *data;
    ssize_t n;

    do {
        n = reeve_chat_read_until(chat, "\n", 1, &data, 0.05);
        note(n == -1 ? "<%s>" : "%s|", n == -1 ? strerrorname_np(errno) : data);
    } while (n != -1);
    return reeve_chat_push(chat, "last", 4);
}

/* The task's end is that of its scope: what was sent still leaves. */
static void test_a_plain_one_ends_with_its_scope(void **state)
{
    char got[16] = "";
    int fd;

    (void)state;
    begin(NULL, read_in_scope);
    spawn();
    while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) == -1)
        app_case_turn(&c);
    assert_int_equal(write(fd, "one\ntw", 6), 6);
    turn_until_said(">");
    assert_string_equal(said, "one|<ETIMEDOUT>");
    while (c.room.net.conn_count > 0 && recv(fd, got, sizeof got, MSG_DONTWAIT | MSG_PEEK) < 4)
        event_base_loop(c.base, EVLOOP_ONCE);
    assert_int_equal(read(fd, got, sizeof got - 1), 4);
    assert_string_equal(got, "last");
    close(fd);
    end();
}

static void test_nobody_there_is_an_error(void **state)
{
    (void)state;
    begin(&lines, NULL);
    unlink(path + 5);
    spawn();
    turn_until_said(">");
    assert_string_equal(said, "<ENOENT>");
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_it_sends_is_heard),
        cmocka_unit_test(test_what_ends_before_it_has_begun_is_told_all_the_same),
        cmocka_unit_test(test_they_end_with_the_background_work),
        cmocka_unit_test(test_a_plain_one_ends_with_its_scope),
        cmocka_unit_test(test_nobody_there_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
