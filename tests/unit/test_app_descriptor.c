/* test_app_descriptor.c: a descriptor that fits is copied, also an older and shorter one; of
 * another each field is named that does not, with what it says and what is expected. */
#include "app/descriptor.h"

#include <reeve/chat.h>
#include <reeve/websocket.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static reeve_app copy;
static char text[512];

static int application(reeve_environ *environ, reeve_start_response *start_response)
{
    (void)environ;
    (void)start_response;
    return 0;
}

static reeve_app good(void)
{
    return (reeve_app){.magic = REEVE_MAGIC,
                       .abi_major = REEVE_ABI_MAJOR,
                       .abi_minor = REEVE_ABI_MINOR,
                       .size = sizeof(reeve_app),
                       .name = "app-1_x",
                       .version = "1",
                       .application = application};
}

static void assert_refused(reeve_app app, const char *sentence)
{
    assert_ptr_equal(descriptor_check(&app, text, sizeof(text), &copy), text);
    if (strstr(text, sentence) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", text, sentence);
}

static void one_that_fits_is_copied(void **state)
{
    static const char *const paths[] = {"/", "/a?b", NULL};
    reeve_app app = good();

    (void)state;
    app.selftest_paths = paths;
    app.stack_size = 32 << 10;
    assert_null(descriptor_check(&app, text, sizeof(text), &copy));
    assert_memory_equal(&copy, &app, sizeof(app));
}

static void what_an_older_one_did_not_have_is_zero(void **state)
{
    static const char *const junk[] = {"junk", NULL};
    reeve_app app = good();

    (void)state;
    app.abi_minor = 0;
    app.size = offsetof(reeve_app, selftest_paths);
    app.on_loop = true;
    app.selftest_paths = junk; /* lies behind its end */
    memset(&copy, 0xff, sizeof(copy));
    assert_null(descriptor_check(&app, text, sizeof(text), &copy));
    assert_true(copy.on_loop);
    assert_null(copy.selftest_paths);
    assert_null(copy.handover);
}

static void another_interface_is_refused(void **state)
{
    reeve_app app = good();

    (void)state;
    app.magic = 0x7f454c46;
    assert_refused(app, ".magic is 0x7f454c46 and must be 0x52454556");
    app = good();
    app.abi_major = 2;
    app.abi_minor = 99; /* says nothing with another major */
    assert_refused(app, ".abi_major is 2 and must be 1");
    assert_null(strstr(text, "abi_minor"));
    app = good();
    app.abi_minor = REEVE_ABI_MINOR + 1;
    assert_refused(app, "it was built for a newer reeve");
    app = good();
    app.size = sizeof(app) + 1;
    assert_refused(app, ".size is");
    app.size = offsetof(reeve_app, name) - 1;
    assert_refused(app, ".size is");
    app.abi_major = 7;
    assert_refused(app, "; .size is"); /* both are named */
}

static void every_field_that_does_not_fit_is_named(void **state)
{
    static const char *const paths[] = {"/fine", "none", "/a b", "", NULL};
    reeve_app app = good();

    (void)state;
    app.name = "a/b";
    app.version = NULL;
    app.application = NULL;
    app.stack_size = 1;
    app.selftest_paths = paths;
    assert_refused(app, "its descriptor does not fit: .name is \"a/b\" and must be");
    assert_refused(app, "; .version is missing; .application is missing; .stack_size is 1 bytes");
    assert_refused(app, ".selftest_paths has \"none\"");
    app = good();
    app.name = "";
    assert_refused(app, ".name is \"\"");
    app.name = NULL;
    assert_refused(app, ".name is missing");
    app = good();
    app.stack_size = (size_t)2 << 30;
    assert_refused(app, ".stack_size is 2147483648 bytes");
    for (size_t i = 1; i < 4; i++) {
        app = good();
        app.selftest_paths = paths + i;
        assert_refused(app, ".selftest_paths has \"");
    }
}

/* Whatever the room for the sentence. */
static void a_long_sentence_is_cut(void **state)
{
    reeve_app app = good();
    char small[64];

    (void)state;
    app.name = "?????????????????????????????????????????????????????????????????????????????????";
    app.version = NULL;
    app.application = NULL;
    for (size_t size = 1; size < sizeof(small); size++) {
        memset(small, 'x', sizeof(small));
        assert_ptr_equal(descriptor_check(&app, small, size, &copy), small);
        assert_true(strlen(small) < size);
        assert_int_equal(small[size], 'x');
    }
}

static int line(reeve_chat *chat)
{
    (void)chat;
    return 0;
}

static void protocols_have_to_be_whole(void **state)
{
    reeve_chat_protocol chat = {REEVE_CHAT_PROTOCOL, .name = "lines", .found_terminator = line};
    reeve_websocket_protocol websocket = {REEVE_WEBSOCKET_PROTOCOL, .name = "room"};
    const reeve_chat_protocol *const chats[] = {&chat, NULL};
    const reeve_websocket_protocol *const websockets[] = {&websocket, NULL};
    reeve_app app = good();

    (void)state;
    app.chat = &chat;
    app.chats = chats;
    app.websockets = websockets;
    assert_null(descriptor_check(&app, text, sizeof(text), &copy));
    chat.found_terminator = NULL;
    assert_refused(app, "the chat protocol \"lines\" has neither .found_terminator nor .serve");
    chat.serve = line;
    assert_null(descriptor_check(&app, text, sizeof(text), &copy));
    app.chat = NULL;
    chat.name = NULL;
    assert_refused(app, "a chat protocol's .name is missing");
    chat.size = 0;
    assert_refused(app, "does it begin with REEVE_CHAT_PROTOCOL?");
    app.chats = NULL;
    websocket.name = "";
    assert_refused(app, "a WebSocket protocol's .name is missing");
    websocket.size = sizeof websocket + 8;
    assert_refused(app, "does it begin with REEVE_WEBSOCKET_PROTOCOL?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_fits_is_copied),
        cmocka_unit_test(what_an_older_one_did_not_have_is_zero),
        cmocka_unit_test(another_interface_is_refused),
        cmocka_unit_test(every_field_that_does_not_fit_is_named),
        cmocka_unit_test(a_long_sentence_is_cut),
        cmocka_unit_test(protocols_have_to_be_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
