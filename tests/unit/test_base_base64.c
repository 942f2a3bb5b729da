/* test_base_base64.c: what is base64 and what is not, and that bytes come back as they were. */
#include "base/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void decodes_to(const char *text, const char *want)
{
    unsigned char out[64];
    ssize_t length = base64_decode(text, out);

    assert_int_equal(length, want ? (ssize_t)strlen(want) : -1);
    if (want)
        assert_memory_equal(out, want, length);
}

static void base64_is_decoded_or_refused(void **state)
{
    (void)state;
    decodes_to("", "");
    decodes_to("Zg==", "f");
    decodes_to("Zm8=", "fo");
    decodes_to("Zm9v", "foo");
    decodes_to("Zm9vYmFy", "foobar");
    decodes_to("Zg", "f");
    decodes_to("Zm8", "fo");
    decodes_to("/+//", "\xff\xef\xff");
    decodes_to("Z", NULL);
    decodes_to("Zg=", NULL);
    decodes_to("Zg===", NULL);
    decodes_to("Zm9v====", NULL);
    decodes_to("Zm9v=", NULL);
    decodes_to("Zm 9v", NULL);
    decodes_to("Zm-_", NULL);
    decodes_to("Zh==", NULL); /* bits behind the end */
    decodes_to("Zg==Zg==", NULL);
    decodes_to("=", NULL);
}

static void encodes_to(const char *data, const char *want)
{
    unsigned char back[64];
    char out[64];

    memset(out, 'x', sizeof out);
    base64_encode((const unsigned char *)data, strlen(data), out);
    assert_string_equal(out, want);
    assert_int_equal(base64_length(strlen(data)), strlen(want));
    assert_int_equal(out[strlen(want) + 1], 'x');
    assert_int_equal(base64_decode(out, back), strlen(data));
    assert_memory_equal(back, data, strlen(data));
}

static void base64_is_encoded_with_its_padding(void **state)
{
    (void)state;
    encodes_to("", "");
    encodes_to("f", "Zg==");
    encodes_to("fo", "Zm8=");
    encodes_to("foo", "Zm9v");
    encodes_to("foob", "Zm9vYg==");
    encodes_to("fooba", "Zm9vYmE=");
    encodes_to("foobar", "Zm9vYmFy");
    encodes_to("\xff\xef\xff", "/+//");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_is_decoded_or_refused),
        cmocka_unit_test(base64_is_encoded_with_its_padding),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
