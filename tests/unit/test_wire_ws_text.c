/* test_wire_ws_text.c: texts in frames of every cut are taken when they are UTF-8, and refused as
 * soon as they cannot be any more. */
#include "ws_case.h"

#define MOST 1000

static const struct setting plain = {.max_message = MOST};

/* Texts as test suites for WebSockets and for UTF-8 know them. */
static const char *const good_texts[] = {
    "Hello-\xc2\xb5@\xc3\x9f\xc3\xb6\xc3\xa4\xc3\xbc\xc3\xa0\xc3\xa1-UTF-8!!",
    "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5",
    "\xe1\xbd\xb9",
    "\xf4\x8f\xbf\xbf",
    "\xf0\x90\x80\x80",
    "\xf0\x90\x8d\x88",
    "\xc2\x80",
    "\xdf\xbf",
    "\xe0\xa0\x80",
    "\xef\xbf\xbf",
    "\xef\xbf\xbd",
    "\xed\x9f\xbf",
    "\xee\x80\x80",
    "\xef\xbf\xbe",
    "\xf0\x9f\xbf\xbe",
    "\xf3\xbf\xbf\xbf",
    "\x7f",
    "\x01",
    "\xef\xb7\x90",
    "\xef\xbb\xbf",
};

/* The number of bytes, the last of which is the first that is wrong; 0: it is not complete. */
static const struct bad_text {
    const char *text;
    size_t seen_at;
} bad_texts[] = {
    {"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80"
     "edited",
     13},
    {"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80"
     "edited",
     13},
    {"\xce", 0},
    {"\xce\xba\xe1", 0},
    {"\xce\xba\xe1\xbd", 0},
    {"\xf0\x9f\x98", 0},
    {"\xf8\x88\x80\x80\x80", 1},
    {"\xfc\x84\x80\x80\x80\x80", 1},
    {"\xf7\xbf\xbf\xbf", 1},
    {"\xfb\xbf\xbf\xbf\xbf", 1},
    {"\xfd\xbf\xbf\xbf\xbf\xbf", 1},
    {"\xf4\x90\x80\x80", 2},
    {"\x80", 1},
    {"\xbf", 1},
    {"\x80\xbf\x80\xbf", 1},
    {"\xc0 \xc1 \xc2 ", 1},
    {"\xc2 \xc3 ", 2},
    {"\xe0 ", 2},
    {"\xf0 \xf1 ", 2},
    {"\xf5 ", 1},
    {"\xfe", 1},
    {"\xff", 1},
    {"\xfe\xfe\xff\xff", 1},
    {"\xe0\x80", 2},
    {"\xf0\x80\x80", 2},
    {"\xf0\x80\x80\x80", 2},
    {"\xf8\x80\x80\x80", 1},
    {"\xdf", 0},
    {"\xef\xbf", 0},
    {"\xf7\xbf\xbf", 1},
    {"\xc0\xaf", 1},
    {"\xe0\x80\xaf", 2},
    {"\xf0\x80\x80\xaf", 2},
    {"\xc1\xbf", 1},
    {"\xe0\x9f\xbf", 2},
    {"\xf0\x8f\xbf\xbf", 2},
    {"\xc0\x80", 1},
    {"\xed\xa0\x80", 2},
    {"\xed\xad\xbf", 2},
    {"\xed\xae\x80", 2},
    {"\xed\xbf\xbf", 2},
    {"\xed\xa0\x80\xed\xb0\x80", 2},
    {"12345678\xc3\xa4"
     "12345\xc3(",
     17},
    {"\xe1\xbd\x2d", 3},
    {"\xf0\x9f\x98\x2d", 4},
    {"\xf0\x9f\xc0", 3},
};

static void put_text(struct wire *w, const char *text, size_t each, bool has_pings)
{
    size_t length = strlen(text), n = each < length ? each : length;

    wire_frame(w, (n == length ? FIN : 0) | WS_OPCODE_TEXT, text, n);
    for (size_t at = n; at < length; at += n) {
        if (has_pings)
            FRAME(w, FIN | WS_OPCODE_PONG, "");
        n = each < length - at ? each : length - at;
        wire_frame(w, (at + n == length ? FIN : 0) | WS_OPCODE_CONTINUATION, text + at, n);
    }
}

static void texts_are_utf8_however_they_are_cut(void **state)
{
    struct wire w = {.length = 0};
    char want[64];

    (void)state;
    for (size_t i = 0; i < COUNT(good_texts); i++)
        for (size_t each = 1; each < 6; each++) {
            put_text(&w, good_texts[i], each, false);
            snprintf(want, sizeof want, "text:%s;", good_texts[i]);
            expect_of(&plain, &w, want);
        }
    for (size_t i = 0; i < COUNT(bad_texts); i++)
        for (size_t each = 1; each < 6; each++) {
            put_text(&w, bad_texts[i].text, each, false);
            FRAME(&w, FIN | WS_OPCODE_PING, "behind");
            expect_of(&plain, &w, "error 1007;");
        }
    /* As bytes they are as good as any. */
    wire_frame(&w, FIN | WS_OPCODE_BINARY, "\xed\xa0\x80", 3);
    expect_of(&plain, &w, "binary:\xed\xa0\x80;");
}

/* Byte by byte within a frame, and frame by frame: no sooner and no later. */
static void bad_text_is_refused_as_early_as_can_be(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad_texts); i++)
        for (unsigned way = 0; way < 2; way++) {
            const char *text = bad_texts[i].text;
            size_t length = strlen(text);
            struct wire w = {.length = 0};
            struct driver d;

            put_text(&w, text, way == 0 ? length : 1, false);
            driver_init(&d, MOST, false, false, NULL);
            for (size_t at = 1; at <= length; at++) {
                size_t from = way == 0 ? (at == 1 ? 0 : 5 + at) : 7 * (at - 1);
                size_t to = way == 0 ? 6 + at : 7 * at;
                bool is_seen =
                    bad_texts[i].seen_at != 0 ? at >= bad_texts[i].seen_at : at == length;

                driver_feed(&d, w.data + from, to - from);
                assert_string_equal(d.log.data, is_seen ? "error 1007;" : "");
            }
            driver_fini(&d);
            wire_clear(&w);
        }
}

static void each_text_begins_anew(void **state)
{
    struct wire w = {.length = 0};

    (void)state;
    FRAME(&w, WS_OPCODE_BINARY, "\xe1\xbd");
    FRAME(&w, FIN | WS_OPCODE_CONTINUATION, "\xc3");
    FRAME(&w, FIN | WS_OPCODE_TEXT, "a");
    put_text(&w, "\xe1\xbd\xb9", 2, true);
    FRAME(&w, FIN | WS_OPCODE_TEXT, "\xbd");
    expect_of(&plain, &w, "binary:\xe1\xbd\xc3;text:a;pong:;text:\xe1\xbd\xb9;error 1007;");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_utf8_however_they_are_cut),
        cmocka_unit_test(bad_text_is_refused_as_early_as_can_be),
        cmocka_unit_test(each_text_begins_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
