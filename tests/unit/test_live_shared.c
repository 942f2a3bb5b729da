/* test_live_shared.c: what many send is made once in each form, and goes with its last holder. */
#include <reeve/websocket.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "live/shared.h"
#include "live/websocket.h"
#include "live/websocket_private.h"
#include "memory_case.h"
#include "wire/ws_deflate.h"

static void test_bytes_are_a_copy_with_a_nul(void **state)
{
    char text[] = "hello";
    reeve_shared *shared = reeve_shared_new(text, 5), *none = reeve_shared_new(NULL, 0);
    size_t size = 1;

    (void)state;
    text[0] = 'j';
    assert_string_equal(reeve_shared_data(shared, &size), "hello");
    assert_int_equal(size, 5);
    assert_string_equal(reeve_shared_data(none, &size), "");
    assert_int_equal(size, 0);
    assert_ptr_equal(reeve_shared_hold(shared), shared);
    reeve_shared_release(shared);
    assert_string_equal(reeve_shared_data(shared, &size), "hello");
    reeve_shared_release(shared);
    reeve_shared_release(none);
    reeve_shared_release(NULL);
}

static void test_a_frame_is_made_once(void **state)
{
    reeve_shared *shared = reeve_shared_new("hello", 5);
    struct payload *text = codec_form(shared, REEVE_TEXT, false);

    (void)state;
    assert_int_equal(text->size, 7);
    assert_memory_equal(text->data, "\x81\x05hello", 7);
    assert_ptr_equal(codec_form(shared, REEVE_TEXT, false), text);
    assert_memory_equal(codec_form(shared, REEVE_BINARY, false)->data, "\x82\x05hello", 7);
    /* Too short to be worth it: the plain one serves. */
    assert_ptr_equal(codec_form(shared, REEVE_TEXT, true), text);
    payload_ref(text); /* is queued somewhere */
    reeve_shared_release(shared);
    assert_memory_equal(text->data, "\x81\x05hello", 7);
    payload_unref(text);
    websocket_close_codec();
}

static void test_a_compressed_frame_inflates_to_the_bytes(void **state)
{
    char bytes[5000], out[5001];
    struct ws_inflater *inflater = ws_inflater_new(15, false);
    struct payload *form;
    reeve_shared *shared;
    size_t head, size = 0;

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)('a' + i % 17);
    shared = reeve_shared_new(bytes, sizeof bytes);
    form = codec_form(shared, REEVE_BINARY, true);
    assert_ptr_equal(codec_form(shared, REEVE_BINARY, true), form);
    assert_in_range(form->size, 10, 1000);
    assert_int_equal((unsigned char)form->data[0], 0xc2);
    head = form->data[1] < 126 ? 2 : 4;
    ws_inflate_begin(inflater, form->data + head, form->size - head);
    assert_int_equal(ws_inflate_some(inflater, out, sizeof out, &size), WS_INFLATED);
    assert_int_equal(size, sizeof bytes);
    assert_memory_equal(out, bytes, size);
    reeve_shared_release(shared);
    ws_inflater_free(inflater);
    websocket_close_codec();
}

static void test_without_memory_there_is_none(void **state)
{
    char bytes[5000] = "";
    reeve_shared *shared;
    bool is_made = false;

    (void)state;
    if (!CAN_FAIL)
        skip();
    for (int allowed = 0; allowed < 2; allowed++) {
        left = allowed;
        assert_null(reeve_shared_new(bytes, sizeof bytes));
        left = -1;
    }
    shared = reeve_shared_new(bytes, sizeof bytes);
    left = 0;
    assert_null(codec_form(shared, REEVE_TEXT, false));
    assert_null(codec_form(shared, REEVE_TEXT, true));
    for (int allowed = 1; !is_made; allowed++) { /* what cannot be compressed goes as it is */
        left = allowed;
        is_made = codec_form(shared, REEVE_TEXT, true) != NULL;
        left = -1;
        assert_in_range(allowed, 1, 20);
    }
    reeve_shared_release(shared);
    websocket_close_codec();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_are_a_copy_with_a_nul),
        cmocka_unit_test(test_a_frame_is_made_once),
        cmocka_unit_test(test_a_compressed_frame_inflates_to_the_bytes),
        cmocka_unit_test(test_without_memory_there_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
