/* test_wire_ws_message.c: messages out of frames, however the bytes are cut: joined, inflated,
 * checked to be UTF-8 as early as can be, and never more memory than they may have. */
#include "memory_case.h"
#include "ws_case.h"

#include <sys/resource.h>

#define ZLIB_CONST
#include <zlib.h>

#include "wire/ws_deflate.h"

#define MOST 1000

static const struct setting plain = {.max_message = MOST};

/* A compressed message, in frames of at most `each` bytes, with pings between them. */
static void put_packed(struct wire *w, unsigned opcode, const char *data, size_t size, size_t each)
{
    size_t n = each < size ? each : size;

    wire_frame(w, (n == size ? FIN : 0) | RSV1 | opcode, data, n);
    for (size_t at = n; at < size; at += n) {
        FRAME(w, FIN | WS_OPCODE_PING, "");
        n = each < size - at ? each : size - at;
        wire_frame(w, (at + n == size ? FIN : 0) | WS_OPCODE_CONTINUATION, data + at, n);
    }
}

/* ---- as they came ---- */

static void messages_are_whole(void **state)
{
    struct wire w = {.length = 0};

    (void)state;
    FRAME(&w, FIN | WS_OPCODE_TEXT, "Hello");
    FRAME(&w, FIN | WS_OPCODE_BINARY, "");
    FRAME(&w, WS_OPCODE_TEXT, "one ");
    FRAME(&w, FIN | WS_OPCODE_PING, "?");
    FRAME(&w, WS_OPCODE_CONTINUATION, "two ");
    FRAME(&w, FIN | WS_OPCODE_CONTINUATION, "three");
    FRAME(&w, WS_OPCODE_BINARY, "");
    FRAME(&w, FIN | WS_OPCODE_CONTINUATION, "");
    FRAME(&w, FIN | WS_OPCODE_TEXT, "bye");
    FRAME(&w, FIN | WS_OPCODE_CLOSE, "\x03\xe8");
    FRAME(&w, FIN | WS_OPCODE_TEXT, "who is there?");
    expect_of(&plain, &w,
              "text:Hello;binary:;ping:?;text:one two three;binary:;text:bye;close 1000:;");
}

static void whole_frames_stay_where_they_are(void **state)
{
    struct wire w = {.length = 0};
    struct driver d;

    (void)state;
    FRAME(&w, FIN | WS_OPCODE_TEXT, "one");
    FRAME(&w, FIN | WS_OPCODE_TEXT, "");
    FRAME(&w, FIN | WS_OPCODE_BINARY, "two");
    driver_init(&d, MOST, false, false, NULL);
    driver_feed(&d, w.data, w.length - 3);
    assert_int_equal(d.in_place, 2);
    /* A head alone, without a byte of its payload, has not begun. */
    assert_int_equal(ws_messages_held(&d.messages), 0);
    driver_feed(&d, w.data + w.length - 3, 3);
    assert_int_equal(d.in_place, 3);
    expect_log(&d, BYTES("text:one;text:;binary:two;"));
    wire_clear(&w);
}

/* A message may still be in use while the next ones come. */
static void messages_are_their_receivers(void **state)
{
    struct ws_messages m;
    struct wire w = {.length = 0};
    struct ws_item first, second;
    size_t at;

    (void)state;
    ws_messages_init(&m, MOST, NULL);
    FRAME(&w, WS_OPCODE_TEXT, "one ");
    FRAME(&w, FIN | WS_OPCODE_CONTINUATION, "two");
    FRAME(&w, WS_OPCODE_TEXT, "three ");
    FRAME(&w, FIN | WS_OPCODE_CONTINUATION, "four");
    at = ws_messages_next(&m, w.data, w.length, &first);
    at += ws_messages_next(&m, w.data + at, w.length - at, &second);
    assert_int_equal(at, w.length);
    ws_messages_fini(&m);
    wire_clear(&w);
    assert_string_equal(first.data, "one two");
    assert_string_equal(second.data, "three four");
    free(first.memory);
    free(second.memory);
}

static void limits_are_of_messages(void **state)
{
    struct setting ten = {.max_message = 10};
    struct wire w = {.length = 0};

    (void)state;
    FRAME(&w, WS_OPCODE_TEXT, "01234");
    FRAME(&w, FIN | WS_OPCODE_CONTINUATION, "56789");
    FRAME(&w, FIN | WS_OPCODE_TEXT, "0123456789");
    FRAME(&w, WS_OPCODE_BINARY, "01234");
    FRAME(&w, FIN | WS_OPCODE_CONTINUATION, "567890");
    expect_of(&ten, &w, "text:0123456789;text:0123456789;error 1009;");
}

/* While a message is half there, of which more was declared by then. */
static void a_limit_may_become_smaller(void **state)
{
    struct wire w = {.length = 0};
    struct ws_messages m;
    struct ws_item item;
    size_t taken;

    (void)state;
    ws_messages_init(&m, 10, NULL);
    FRAME(&w, WS_OPCODE_TEXT, "01234567");
    FRAME(&w, WS_OPCODE_CONTINUATION, "");
    taken = ws_messages_next(&m, w.data, w.length, &item);
    assert_int_equal(item.kind, WS_MORE);
    ws_messages_limit(&m, 5);
    FRAME(&w, FIN | WS_OPCODE_CONTINUATION, "8");
    ws_messages_next(&m, w.data + taken, w.length - taken, &item);
    assert_int_equal(item.kind, WS_ERROR);
    assert_int_equal(item.code, 1009);
    ws_messages_fini(&m);
    wire_clear(&w);
}

/* What is declared takes no memory; what has come does, and no more than the message may have. */
static void memory_grows_with_what_has_come(void **state)
{
    struct wire w = {.length = 0};
    char payload[MOST];

    (void)state;
    memset(payload, 'm', sizeof payload);
    for (unsigned way = 0; way < 2; way++) {
        struct driver d;

        driver_init(&d, MOST, false, false, NULL);
        wire_frame(&w, way == 0 ? FIN | WS_OPCODE_BINARY : WS_OPCODE_BINARY, payload, MOST);
        driver_feed(&d, w.data, 20);
        assert_true(ws_messages_held(&d.messages) <= 128);
        for (size_t at = 20; at < w.length - 1; at++) {
            driver_feed(&d, w.data + at, 1);
            assert_true(ws_messages_held(&d.messages) <= 128 ||
                        ws_messages_held(&d.messages) <= 2 * at);
            assert_true(ws_messages_held(&d.messages) <= MOST + 1);
        }
        driver_feed(&d, w.data + w.length - 1, 1);
        assert_int_equal(ws_messages_held(&d.messages), way == 0 ? 0 : MOST + 1);
        /* Closed in the midst of it: nothing is held. */
        wire_clear(&w);
        FRAME(&w, FIN | WS_OPCODE_CLOSE, "");
        driver_feed(&d, w.data, w.length);
        assert_int_equal(ws_messages_held(&d.messages), 0);
        driver_fini(&d);
        wire_clear(&w);
    }
}

/* ---- compressed ---- */

#define HELLO "\xf2\x48\xcd\xc9\xc9\x07\x00"

static struct ws_inflater *shared;
static struct ws_deflater *deflater;
static char packed[70000];

static int setup(void **state)
{
    (void)state;
    shared = ws_inflater_new(15, false);
    deflater = ws_deflater_new(6, 0, false);
    return shared && deflater ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    ws_inflater_free(shared);
    ws_deflater_free(deflater);
    return 0;
}

static void compressed_messages_are_inflated(void **state)
{
    const struct setting s = {.max_message = MOST, .inflater = shared};
    struct wire w = {.length = 0};

    (void)state;
    put_packed(&w, WS_OPCODE_TEXT, BYTES(HELLO), 100);
    FRAME(&w, FIN | WS_OPCODE_TEXT, "as it is");
    put_packed(&w, WS_OPCODE_BINARY, BYTES(HELLO), 5);
    FRAME(&w, FIN | RSV1 | WS_OPCODE_TEXT, "");
    FRAME(&w, FIN | RSV1 | WS_OPCODE_TEXT, "\0");
    FRAME(&w, RSV1 | WS_OPCODE_TEXT, "");
    FRAME(&w, FIN | WS_OPCODE_CONTINUATION, HELLO);
    expect_of(&s, &w, "text:Hello;text:as it is;ping:;binary:Hello;text:;text:;text:Hello;");
    put_packed(&w, WS_OPCODE_TEXT, BYTES(HELLO), 1);
    expect_of(&s, &w, "ping:;ping:;ping:;ping:;ping:;ping:;text:Hello;");
    put_packed(&w, WS_OPCODE_TEXT, BYTES(HELLO), 100);
    expect_of(&plain, &w, "error 1002;");
}

/* Two connections whose messages come in turns use one inflater. */
static void one_inflater_serves_all(void **state)
{
    struct wire w = {.length = 0};
    struct driver one, two;

    (void)state;
    put_packed(&w, WS_OPCODE_TEXT, BYTES(HELLO), 3);
    driver_init(&one, MOST, false, true, shared);
    driver_init(&two, MOST, false, true, shared);
    for (size_t at = 0; at < w.length; at++) {
        driver_feed(&one, w.data + at, 1);
        driver_feed(&two, w.data + at, 1);
    }
    expect_log(&one, BYTES("ping:;ping:;text:Hello;"));
    expect_log(&two, BYTES("ping:;ping:;text:Hello;"));
    wire_clear(&w);
}

static void the_limit_is_of_what_is_inflated(void **state)
{
    const struct setting s = {.max_message = MOST, .inflater = shared};
    struct wire w = {.length = 0};
    static char text[3000], want[3000];

    (void)state;
    memset(text, 'x', sizeof text);
    for (size_t length = MOST - 2; length <= MOST + 2; length++) {
        size_t size = ws_deflate(deflater, 15, text, length, packed);

        assert_true(size > 0);
        put_packed(&w, WS_OPCODE_TEXT, packed, size, 100);
        snprintf(want, sizeof want, "text:%.*s;", (int)length, text);
        expect_of(&s, &w, length > MOST ? "error 1009;" : want);
    }
}

static void what_does_not_inflate_is_refused(void **state)
{
    const struct setting s = {.max_message = MOST, .inflater = shared};
    struct wire w = {.length = 0};

    (void)state;
    put_packed(&w, WS_OPCODE_BINARY, BYTES("no deflate at all"), 100);
    FRAME(&w, FIN | WS_OPCODE_PING, "");
    expect_of(&s, &w, "error 1007;");
    put_packed(&w, WS_OPCODE_BINARY, BYTES(HELLO) - 1, 100);
    expect_of(&s, &w, "error 1007;");
}

static void inflated_text_is_utf8(void **state)
{
    const struct setting s = {.max_message = 4 * MOST, .inflater = shared};
    struct wire w = {.length = 0};
    static char text[3 * MOST + 1];
    size_t size;

    (void)state;
    for (size_t bad = 0; bad < 4; bad++) {
        for (size_t at = 0; at < MOST; at++)
            memcpy(text + 3 * at, "\xe2\x82\xac", 3);
        if (bad == 1)
            text[1] = 'x';
        else if (bad == 2)
            memcpy(text + 3 * (MOST / 2), "\xed\xa0\x80", 3);
        size = ws_deflate(deflater, 15, text, 3 * MOST - (bad == 3), packed);
        assert_true(size > 0);
        put_packed(&w, WS_OPCODE_TEXT, packed, size, 100);
        if (bad == 0) {
            struct wire want = {.length = 0};

            wire_put(&want, BYTES("text:"));
            wire_put(&want, text, 3 * MOST);
            wire_put(&want, ";", 1);
            expect(&s, &w, want.data, want.length);
            wire_clear(&want);
            wire_clear(&w);
        } else {
            expect_of(&s, &w, "error 1007;");
        }
    }
}

/* 64 MB of zeros in 64 KB. */
static size_t make_bomb(void)
{
    static char zeros[1 << 16];
    z_stream z = {.next_out = (Bytef *)packed, .avail_out = sizeof packed};

    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    for (unsigned i = 0; i < 1024; i++) {
        z.next_in = (Bytef *)zeros;
        z.avail_in = sizeof zeros;
        assert_int_equal(deflate(&z, i == 1023 ? Z_SYNC_FLUSH : Z_NO_FLUSH), Z_OK);
    }
    assert_true(z.avail_out > 0);
    deflateEnd(&z);
    return sizeof packed - z.avail_out - 4;
}

static void bombs_are_not_inflated(void **state)
{
    struct wire w = {.length = 0};
    struct rusage before, after;
    size_t size = make_bomb();
    struct driver d;

    (void)state;
    put_packed(&w, WS_OPCODE_BINARY, packed, size, 10000);
    getrusage(RUSAGE_SELF, &before);
    driver_init(&d, 1 << 20, false, true, shared);
    driver_feed(&d, w.data, w.length);
    getrusage(RUSAGE_SELF, &after);
    expect_log(&d, BYTES("ping:;ping:;ping:;ping:;ping:;ping:;error 1009;"));
    assert_true(after.ru_maxrss - before.ru_maxrss < 16 << 10); /* KiB */
    wire_clear(&w);
}

static void context_goes_on_across_messages(void **state)
{
    struct ws_inflater *own = ws_inflater_new(15, true);
    struct ws_deflater *client = ws_deflater_new(6, 0, true);
    struct wire w = {.length = 0};
    char text[200];
    struct driver d;

    (void)state;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)(' ' + i * i % 90);
    driver_init(&d, MOST, false, true, own);
    for (unsigned i = 0; i < 10; i++) {
        size_t size = ws_deflate(client, 15, text, sizeof text, packed);

        assert_true(size > 0 && (i == 0 || size < 20));
        put_packed(&w, WS_OPCODE_TEXT, packed, size, 7);
        FRAME(&w, FIN | WS_OPCODE_TEXT, "not in the window");
        driver_feed(&d, w.data, w.length);
        wire_clear(&w);
        assert_non_null(strstr(d.log.data, "not in the window"));
        assert_memory_equal(strstr(d.log.data, "text:") + 5, text, sizeof text);
        wire_clear(&d.log);
        wire_put(&d.log, "", 0);
    }
    driver_fini(&d);
    ws_inflater_free(own);
    ws_deflater_free(client);
}

/* ---- memory ---- */

/* Each allocation fails once: 1011, and nothing is left over. */
static void memory_may_run_out(void **state)
{
    struct wire w = {.length = 0};
    static char text[MOST];
    unsigned whole = 0;
    size_t size;

    (void)state;
    if (!CAN_FAIL)
        skip();
    memset(text, 't', sizeof text);
    size = ws_deflate(deflater, 15, text, sizeof text, packed);
    wire_frame(&w, WS_OPCODE_TEXT, text, 600);
    FRAME(&w, WS_OPCODE_CONTINUATION, "and more");
    FRAME(&w, FIN | WS_OPCODE_CONTINUATION, "and more");
    put_packed(&w, WS_OPCODE_TEXT, packed, size, 4);
    for (int at = 0; at < 20; at++) {
        struct ws_inflater *own = ws_inflater_new(15, false);
        struct ws_messages m;
        struct ws_item item;
        struct wire copy = {.length = 0};
        unsigned messages = 0;
        size_t taken = 0;

        wire_put(&copy, w.data, w.length);
        ws_messages_init(&m, MOST, own);
        left = at;
        do {
            taken += ws_messages_next(&m, copy.data + taken, copy.length - taken, &item);
            messages += item.kind == WS_MESSAGE;
            if (item.kind == WS_MESSAGE)
                free(item.memory);
        } while (item.kind != WS_MORE && item.kind != WS_ERROR);
        left = -1;
        assert_int_equal(item.kind == WS_MORE, messages == 2);
        assert_true(messages == 2 || item.code == 1011);
        assert_int_equal(ws_messages_held(&m), 0);
        whole += messages == 2;
        ws_messages_fini(&m);
        ws_inflater_free(own);
        wire_clear(&copy);
    }
    assert_in_range(whole, 5, 17);
    wire_clear(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_whole),
        cmocka_unit_test(whole_frames_stay_where_they_are),
        cmocka_unit_test(messages_are_their_receivers),
        cmocka_unit_test(limits_are_of_messages),
        cmocka_unit_test(a_limit_may_become_smaller),
        cmocka_unit_test(memory_grows_with_what_has_come),
        cmocka_unit_test(compressed_messages_are_inflated),
        cmocka_unit_test(one_inflater_serves_all),
        cmocka_unit_test(the_limit_is_of_what_is_inflated),
        cmocka_unit_test(what_does_not_inflate_is_refused),
        cmocka_unit_test(inflated_text_is_utf8),
        cmocka_unit_test(bombs_are_not_inflated),
        cmocka_unit_test(context_goes_on_across_messages),
        cmocka_unit_test(memory_may_run_out),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
