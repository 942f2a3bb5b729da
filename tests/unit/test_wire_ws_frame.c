/* test_wire_ws_frame.c: what a client may send in a frame and what not (RFC 6455 section 5),
 * however the bytes are cut; and the heads of what is sent. */
#include "ws_case.h"

static const struct setting plain = {.max_message = 1 << 20, .wants_pieces = true};
static const struct setting deflate = {
    .max_message = 1 << 20, .wants_pieces = true, .has_deflate = true};
static const struct setting small = {.max_message = 10, .wants_pieces = true};

/* Raw bytes: a frame that is wrong, after one that is right. */
static void refused(const struct setting *s, const char *bytes, size_t n, unsigned code)
{
    struct wire w = {.length = 0};
    char want[64];

    FRAME(&w, FIN | WS_OPCODE_PING, "!");
    wire_put(&w, bytes, n);
    snprintf(want, sizeof want, "ping:!;error %u;", code);
    expect(s, &w, want, strlen(want));
    /* Nothing behind it counts. */
    FRAME(&w, FIN | WS_OPCODE_PING, "?");
    expect_of(s, &w, want);
}

/* ... and a frame with a head that is right but for its first byte. */
static void refused_first(const struct setting *s, unsigned first)
{
    const char bytes[] = {(char)first, (char)0x80, 1, 2, 3, 4};

    refused(s, bytes, sizeof bytes, 1002);
    refused(s, bytes, 1, 1002);
}

static void messages_come_as_they_are(void **state)
{
    struct wire w = {.length = 0};

    (void)state;
    FRAME(&w, FIN | WS_OPCODE_TEXT, "Hello");
    FRAME(&w, FIN | WS_OPCODE_BINARY, "");
    FRAME(&w, FIN | WS_OPCODE_TEXT, "");
    FRAME(&w, FIN | WS_OPCODE_BINARY, "\xff\xfe");
    expect_of(&plain, &w, "text:Hello;binary:;text:;binary:\xff\xfe;");
}

/* The examples of section 5.7. */
static void the_rfc_is_right(void **state)
{
    struct wire w = {.length = 0};
    char head[14];

    (void)state;
    wire_put(&w, BYTES("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"));
    wire_put(&w, BYTES("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"));
    expect_of(&plain, &w, "text:Hello;pong:Hello;");
    assert_int_equal(ws_frame_head(WS_OPCODE_TEXT, true, false, 5, head), 2);
    assert_memory_equal(head, "\x81\x05", 2);
    assert_int_equal(ws_frame_head(WS_OPCODE_CONTINUATION, true, false, 2, head), 2);
    assert_memory_equal(head, "\x80\x02", 2);
    assert_int_equal(ws_frame_head(WS_OPCODE_BINARY, true, false, 256, head), 4);
    assert_memory_equal(head, "\x82\x7e\x01\x00", 4);
    assert_int_equal(ws_frame_head(WS_OPCODE_BINARY, true, false, 65536, head), 10);
    assert_memory_equal(head, "\x82\x7f\0\0\0\0\0\x01\0\0", 10);
    assert_int_equal(ws_frame_head(WS_OPCODE_TEXT, false, true, 125, head), 2);
    assert_memory_equal(head, "\x41\x7d", 2);
    assert_int_equal(ws_frame_head(WS_OPCODE_TEXT, true, false, 126, head), 4);
    assert_memory_equal(head, "\x81\x7e\x00\x7e", 4);
    assert_int_equal(ws_frame_head(WS_OPCODE_TEXT, true, false, 65535, head), 4);
}

static void fragments_are_one_message_with_control_frames_between(void **state)
{
    struct wire w = {.length = 0};

    (void)state;
    FRAME(&w, WS_OPCODE_TEXT, "one ");
    FRAME(&w, WS_OPCODE_CONTINUATION, "");
    FRAME(&w, FIN | WS_OPCODE_PONG, "");
    FRAME(&w, WS_OPCODE_CONTINUATION, "two");
    FRAME(&w, FIN | WS_OPCODE_CONTINUATION, "");
    FRAME(&w, WS_OPCODE_BINARY, "");
    FRAME(&w, FIN | WS_OPCODE_CONTINUATION, "three");
    expect_of(&plain, &w, "text:one pong:;two;binary:three;");
}

/* Each length of the three forms, at every alignment of the buffer. */
static void each_length_is_unmasked(void **state)
{
    static const size_t lengths[] = {0,  1,  3,   4,   7,   8,   9,     15,    31,   32,
                                     33, 63, 125, 126, 127, 255, 65535, 65536, 70001};
    const struct setting s = {.wants_pieces = true};

    (void)state;
    for (size_t i = 0; i < COUNT(lengths); i++) {
        size_t n = lengths[i];
        struct wire w = {.length = 0}, want = {.length = 0};
        char *payload = malloc(n + 1);

        assert_non_null(payload);
        for (size_t at = 0; at < n; at++)
            payload[at] = (char)(at * 7 + at / 251);
        wire_put(&want, BYTES("binary:"));
        wire_put(&want, payload, n);
        wire_put(&want, ";", 1);
        wire_frame(&w, FIN | WS_OPCODE_BINARY, payload, n);
        if (n < 1000)
            expect(&s, &w, want.data, want.length);
        for (size_t offset = 0; offset < 9; offset++) {
            char *buffer = malloc(offset + w.length);
            struct ws_decoder d;
            struct ws_item item;

            assert_non_null(buffer);
            memcpy(buffer + offset, w.data, w.length);
            ws_decoder_init(&d, 0, false);
            assert_int_equal(ws_decode(&d, buffer + offset, w.length, &item), w.length);
            assert_int_equal(item.kind, WS_PIECE);
            assert_true(item.is_first && item.is_last);
            assert_int_equal(item.size, n);
            assert_memory_equal(item.data, payload, n);
            free(buffer);
        }
        free(payload);
        wire_clear(&w);
        wire_clear(&want);
    }
}

/* In three pieces, of all lengths: the mask goes on where it was. */
static void a_mask_goes_on_across_pieces(void **state)
{
    char payload[40];
    struct wire w = {.length = 0}, want = {.length = 0};

    (void)state;
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (char)('A' + i);
    wire_frame(&w, FIN | WS_OPCODE_BINARY, payload, sizeof payload);
    wire_put(&want, BYTES("binary:"));
    wire_put(&want, payload, sizeof payload);
    wire_put(&want, ";", 1);
    for (size_t one = 0; one <= w.length; one++)
        for (size_t two = one; two <= w.length; two++) {
            struct driver d;

            driver_init(&d, 0, true, false, NULL);
            driver_feed(&d, w.data, one);
            driver_feed(&d, w.data + one, two - one);
            driver_feed(&d, w.data + two, w.length - two);
            expect_log(&d, want.data, want.length);
        }
    wire_clear(&w);
    wire_clear(&want);
}

static void reserved_bits_and_opcodes_are_refused(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 256; first++) {
        unsigned opcode = first & 0xf, rsv = first & 0x70;
        bool is_data = opcode == 1 || opcode == 2, is_control = opcode >= 8 && opcode <= 10;
        bool is_known = (is_data || is_control) && !(is_control && !(first & FIN));

        if (!is_known || rsv != 0)
            refused_first(&plain, first);
        if (!is_known || (rsv != 0 && (rsv != RSV1 || !is_data)))
            refused_first(&deflate, first);
    }
}

static void compression_begins_with_its_message(void **state)
{
    struct wire w = {.length = 0};

    (void)state;
    FRAME(&w, RSV1 | WS_OPCODE_TEXT, "ab");
    FRAME(&w, FIN | WS_OPCODE_PING, "");
    FRAME(&w, FIN | WS_OPCODE_CONTINUATION, "c");
    FRAME(&w, FIN | WS_OPCODE_BINARY, "d");
    FRAME(&w, FIN | RSV1 | WS_OPCODE_BINARY, "e");
    expect_of(&deflate, &w, "ztext:abping:;c;binary:d;zbinary:e;");
    FRAME(&w, RSV1 | WS_OPCODE_TEXT, "ab");
    FRAME(&w, FIN | RSV1 | WS_OPCODE_CONTINUATION, "c");
    expect_of(&deflate, &w, "ztext:aberror 1002;");
    FRAME(&w, WS_OPCODE_TEXT, "ab");
    FRAME(&w, FIN | RSV1 | WS_OPCODE_CONTINUATION, "c");
    expect_of(&deflate, &w, "text:aberror 1002;");
}

static void frames_have_their_order(void **state)
{
    struct wire w = {.length = 0};

    (void)state;
    FRAME(&w, FIN | WS_OPCODE_CONTINUATION, "a");
    expect_of(&plain, &w, "error 1002;");
    FRAME(&w, FIN | WS_OPCODE_TEXT, "a");
    FRAME(&w, WS_OPCODE_CONTINUATION, "b");
    expect_of(&plain, &w, "text:a;error 1002;");
    FRAME(&w, WS_OPCODE_TEXT, "a");
    FRAME(&w, FIN | WS_OPCODE_TEXT, "b");
    expect_of(&plain, &w, "text:aerror 1002;");
    FRAME(&w, WS_OPCODE_BINARY, "a");
    FRAME(&w, WS_OPCODE_TEXT, "b");
    expect_of(&plain, &w, "binary:aerror 1002;");
}

static void what_is_not_masked_is_refused(void **state)
{
    (void)state;
    refused(&plain, BYTES("\x81\x00"), 1002);
    refused(&plain, BYTES("\x81\x05Hello"), 1002);
    refused(&plain, BYTES("\x89\x00"), 1002);
    refused(&plain, BYTES("\x81\x7e"), 1002);
    refused(&plain, BYTES("\x88\x02\x03\xe8"), 1002);
}

static void lengths_have_one_form(void **state)
{
    (void)state;
    refused(&plain, BYTES("\x82\xfe\x00\x7d"), 1002);
    refused(&plain, BYTES("\x82\xfe\x00\x00"), 1002);
    refused(&plain, BYTES("\x82\xff\0\0\0\0\0\0\xff\xff"), 1002);
    refused(&plain, BYTES("\x82\xff\0\0\0\0\0\0\0\x01"), 1002);
    refused(&plain, BYTES("\x82\xff\x80\0\0\0\0\0\0\0"), 1002);
    refused(&plain, BYTES("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff"), 1002);
    refused(&plain, BYTES("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff"), 1009);
}

static void control_frames_are_short(void **state)
{
    struct wire w = {.length = 0};
    char payload[125], want[2 * sizeof payload + 64];

    (void)state;
    memset(payload, 'p', sizeof payload);
    wire_frame(&w, FIN | WS_OPCODE_PING, payload, sizeof payload);
    wire_frame(&w, FIN | WS_OPCODE_PONG, payload, sizeof payload);
    snprintf(want, sizeof want, "ping:%.125s;pong:%.125s;", payload, payload);
    expect_of(&plain, &w, want);
    refused(&plain, BYTES("\x89\xfe\x00\x7e"), 1002);
    refused(&plain, BYTES("\x89\xfe"), 1002);
    refused(&plain, BYTES("\x8a\xff"), 1002);
    refused(&plain, BYTES("\x88\xfe"), 1002);
}

/* ---- close ---- */

static void close_says_why(void **state)
{
    struct wire w = {.length = 0};
    char payload[126] = "\x03\xe8", want[160];

    (void)state;
    FRAME(&w, FIN | WS_OPCODE_CLOSE, "");
    expect_of(&plain, &w, "close 1005:;");
    FRAME(&w, FIN | WS_OPCODE_CLOSE, "\x03\xe8");
    expect_of(&plain, &w, "close 1000:;");
    FRAME(&w, FIN | WS_OPCODE_CLOSE, "\x0f\xa0gr\xc3\xbc\xc3\x9f");
    expect_of(&plain, &w, "close 4000:gr\xc3\xbc\xc3\x9f;");
    memset(payload + 2, 'r', 123);
    wire_frame(&w, FIN | WS_OPCODE_CLOSE, payload, 125);
    snprintf(want, sizeof want, "close 1000:%s;", payload + 2);
    expect_of(&plain, &w, want);
    /* In the midst of a message, too; and nothing behind it counts. */
    FRAME(&w, WS_OPCODE_TEXT, "a");
    FRAME(&w, FIN | WS_OPCODE_CLOSE, "\x03\xe9");
    FRAME(&w, FIN | WS_OPCODE_CONTINUATION, "b");
    FRAME(&w, FIN | WS_OPCODE_PING, "");
    FRAME(&w, FIN | WS_OPCODE_CLOSE, "");
    wire_put(&w, BYTES("\xff\xff\xff"));
    expect_of(&plain, &w, "text:aclose 1001:;");
}

static void each_close_code_is_one_or_is_not(void **state)
{
    (void)state;
    for (unsigned code = 0; code < 65536; code += code < 5100 ? 1 : 97) {
        bool is_good = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
                       (code >= 3000 && code <= 4999);
        char payload[] = {(char)(code >> 8), (char)code}, want[32];
        struct wire w = {.length = 0};
        struct driver d;

        assert_int_equal(ws_frame_is_code(code), is_good);
        wire_frame(&w, FIN | WS_OPCODE_CLOSE, payload, 2);
        driver_init(&d, 0, true, false, NULL);
        driver_feed(&d, w.data, w.length);
        if (is_good)
            snprintf(want, sizeof want, "close %u:;", code);
        assert_string_equal(d.log.data, is_good ? want : "error 1002;");
        driver_fini(&d);
        wire_clear(&w);
    }
}

static void a_bad_close_is_refused(void **state)
{
    struct wire w = {.length = 0};

    (void)state;
    refused(&plain, BYTES("\x88\x81"), 1002);
    FRAME(&w, FIN | WS_OPCODE_CLOSE, "\x03\xe8\xff");
    expect_of(&plain, &w, "error 1007;");
    FRAME(&w, FIN | WS_OPCODE_CLOSE, "\x03\xe8\xc3");
    expect_of(&plain, &w, "error 1007;");
    FRAME(&w, FIN | WS_OPCODE_CLOSE, "\x03\xe8\xed\xa0\x80");
    expect_of(&plain, &w, "error 1007;");
}

static void close_payloads_are_made(void **state)
{
    char out[WS_CONTROL_MAX], reason[200];

    (void)state;
    assert_int_equal(ws_frame_close(WS_CODE_NONE, "never said", out), 0);
    assert_int_equal(ws_frame_close(1000, NULL, out), 2);
    assert_memory_equal(out, "\x03\xe8", 2);
    assert_int_equal(ws_frame_close(4999, "bye", out), 5);
    assert_memory_equal(out,
                        "\x13\x87"
                        "bye",
                        5);
    memset(reason, 'r', sizeof reason);
    reason[123] = '\0';
    assert_int_equal(ws_frame_close(1000, reason, out), 125);
    reason[123] = 'r';
    reason[150] = '\0';
    assert_int_equal(ws_frame_close(1000, reason, out), 125);
    memcpy(reason + 121, "\xe2\x82\xac", 3); /* would be cut in two */
    assert_int_equal(ws_frame_close(1000, reason, out), 123);
    memcpy(reason + 120, "\xe2\x82\xac", 3); /* just fits */
    reason[123] = 'r';
    assert_int_equal(ws_frame_close(1000, reason, out), 125);
    assert_memory_equal(out + 122, "\xe2\x82\xac", 3);
}

/* ---- limits ---- */

static void too_much_is_refused_when_it_is_declared(void **state)
{
    struct wire w = {.length = 0};

    (void)state;
    FRAME(&w, FIN | WS_OPCODE_TEXT, "0123456789");
    FRAME(&w, WS_OPCODE_TEXT, "01234");
    FRAME(&w, FIN | WS_OPCODE_PING, "does not count");
    FRAME(&w, FIN | WS_OPCODE_CONTINUATION, "56789");
    expect_of(&small, &w, "text:0123456789;text:01234ping:does not count;56789;");
    refused(&small, BYTES("\x82\x8b"), 1009);
    refused(&small, BYTES("\x82\xfe\x01\x00"), 1009);
    FRAME(&w, WS_OPCODE_TEXT, "01234");
    FRAME(&w, WS_OPCODE_CONTINUATION, "5");
    wire_put(&w, BYTES("\x80\x85"));
    expect_of(&small, &w, "text:012345error 1009;");
    FRAME(&w, WS_OPCODE_TEXT, "0123456789");
    wire_put(&w, BYTES("\x00\x81"));
    expect_of(&small, &w, "text:0123456789error 1009;");
    FRAME(&w, WS_OPCODE_TEXT, "0123456789");
    FRAME(&w, WS_OPCODE_CONTINUATION, "");
    FRAME(&w, FIN | WS_OPCODE_CONTINUATION, "");
    expect_of(&small, &w, "text:0123456789;");
}

/* No sum of lengths goes beyond what 64 bits can hold. */
static void without_a_limit_lengths_add_up(void **state)
{
    static const char most[] = "\x7f\xff\xff\xff\xff\xff\xff\xff";
    struct ws_decoder d;
    struct ws_item item;
    char bytes[16];

    (void)state;
    ws_decoder_init(&d, 0, true);
    memcpy(bytes, "\x42\xff", 2);
    memcpy(bytes + 2, most, 8);
    memset(bytes + 10, 0, 5);
    assert_int_equal(ws_decode(&d, bytes, 15, &item), 15);
    assert_int_equal(item.kind, WS_PIECE);
    assert_true(item.missing == INT64_MAX - 1);
    d.left = 0; /* as if all had come */
    memcpy(bytes, "\x00\xff", 2);
    memcpy(bytes + 2, most, 8);
    assert_int_equal(ws_decode(&d, bytes, 15, &item), 15);
    assert_int_equal(item.kind, WS_PIECE);
    d.left = 0;
    memcpy(bytes, "\x00\xff", 2);
    memcpy(bytes + 2, most, 8);
    ws_decode(&d, bytes, 15, &item);
    assert_int_equal(item.kind, WS_ERROR);
    assert_int_equal(item.code, 1009);
}

static void compressed_ones_may_be_a_little_longer(void **state)
{
    struct ws_decoder d;
    struct ws_item item;
    char fits[] = "\xc2\xfe\x04\x0b\0\0\0\0", beyond[] = "\xc2\xfe\x04\x0c\0\0\0\0";

    (void)state;
    ws_decoder_init(&d, 10, true);
    ws_decode(&d, fits, 8, &item);
    assert_int_equal(item.kind, WS_MORE);
    ws_decode(&d, beyond, 8, &item);
    assert_int_equal(item.kind, WS_ERROR);
    assert_int_equal(item.code, 1009);
    ws_decoder_init(&d, SIZE_MAX, true);
    assert_true(ws_decoder_limit(&d, true) == UINT64_MAX);
}

static void what_is_missing_is_said(void **state)
{
    struct wire w = {.length = 0};
    struct ws_decoder d;
    struct ws_item item;

    (void)state;
    ws_decoder_init(&d, 0, false);
    FRAME(&w, FIN | WS_OPCODE_TEXT, "0123456789");
    assert_int_equal(ws_decode(&d, w.data, 0, &item), 0);
    assert_int_equal(item.missing, 6);
    assert_int_equal(ws_decode(&d, w.data, 2, &item), 0);
    assert_int_equal(item.missing, 14);
    assert_int_equal(ws_decode(&d, w.data, 6, &item), 0);
    assert_int_equal(item.kind, WS_MORE);
    assert_int_equal(item.missing, 10);
    assert_false(ws_decoder_is_busy(&d));
    assert_int_equal(ws_decode(&d, w.data, 9, &item), 9);
    assert_int_equal(item.kind, WS_PIECE);
    assert_int_equal(item.missing, 7);
    assert_true(ws_decoder_is_busy(&d));
    assert_int_equal(ws_decode(&d, w.data + 9, 0, &item), 0);
    assert_int_equal(item.kind, WS_MORE);
    assert_int_equal(item.missing, 7);
    assert_int_equal(ws_decode(&d, w.data + 9, 7, &item), 7);
    assert_true(item.is_last && !item.is_first);
    assert_memory_equal(item.data, "3456789", 7);
    assert_false(ws_decoder_is_busy(&d));
    wire_clear(&w);
    FRAME(&w, FIN | WS_OPCODE_PING, "12345");
    assert_int_equal(ws_decode(&d, w.data, w.length - 2, &item), 0);
    assert_int_equal(item.missing, 2);
    wire_clear(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_come_as_they_are),
        cmocka_unit_test(the_rfc_is_right),
        cmocka_unit_test(fragments_are_one_message_with_control_frames_between),
        cmocka_unit_test(each_length_is_unmasked),
        cmocka_unit_test(a_mask_goes_on_across_pieces),
        cmocka_unit_test(reserved_bits_and_opcodes_are_refused),
        cmocka_unit_test(compression_begins_with_its_message),
        cmocka_unit_test(frames_have_their_order),
        cmocka_unit_test(what_is_not_masked_is_refused),
        cmocka_unit_test(lengths_have_one_form),
        cmocka_unit_test(control_frames_are_short),
        cmocka_unit_test(close_says_why),
        cmocka_unit_test(each_close_code_is_one_or_is_not),
        cmocka_unit_test(a_bad_close_is_refused),
        cmocka_unit_test(close_payloads_are_made),
        cmocka_unit_test(too_much_is_refused_when_it_is_declared),
        cmocka_unit_test(without_a_limit_lengths_add_up),
        cmocka_unit_test(compressed_ones_may_be_a_little_longer),
        cmocka_unit_test(what_is_missing_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
