/* test_client_answer.c: heads of answers: what is accepted, what is refused and with what, however
 * the bytes are cut. */
#include "client/answer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_HEAD    200
#define SIZE(array) (sizeof(array) / sizeof(array)[0])
#define OK          "HTTP/1.1 200 OK\r\n"

/* Of bytes that come one at a time: 200, or the error in the negative; -EAGAIN: more is needed. */
static int scan(struct head_scan *scan, const char *bytes, size_t length, size_t step)
{
    int result = 0;

    *scan = (struct head_scan){0};
    for (size_t n = step < length ? step : length; result == 0;
         n = n + step < length ? n + step : length) {
        char *copy = malloc(n);

        memcpy(copy, bytes, n);
        result = answer_scan(scan, copy, n, MAX_HEAD);
        free(copy);
        if (n == length)
            break;
    }
    return result == 0 ? -EAGAIN : result == -1 ? -errno : result;
}

/* What becomes of a head: its status, or the error in the negative. The answer is the caller's. */
static int take(const char *bytes, struct reeve_client_response **answer_out)
{
    size_t length = strlen(bytes);
    struct head_scan whole, cut;
    int result = scan(&whole, bytes, length, length);

    *answer_out = NULL;
    for (size_t step = 1; step < 20; step++) {
        assert_int_equal(scan(&cut, bytes, length, step), result);
        if (result == 200)
            assert_int_equal(cut.length, whole.length);
    }
    if (result != 200)
        return result;
    *answer_out = answer_parse(&whole, bytes);
    return *answer_out ? (*answer_out)->status : -errno;
}

static int verdict(const char *bytes)
{
    struct reeve_client_response *answer;
    int result = take(bytes, &answer);

    answer_free(answer);
    return result;
}

/* As assert_int_equal, and tells in which row. */
static void assert_row(const char *row, int got, int want)
{
    if (got != want)
        print_error("%s\n", row);
    assert_int_equal(got, want);
}

static void heads_are_taken_apart(void **state)
{
    struct reeve_client_response *answer;
    const struct head_field *field;

    (void)state;
    assert_int_equal(take("HTTP/1.1 404 Not Found\r\nA:\r\nB: x \t \r\nSet-Cookie: a\r\n"
                          "set-cookie: b\r\nContent-Length: 12\r\n\r\nbody",
                          &answer),
                     404);
    assert_int_equal(answer->head.field_count, 5);
    assert_string_equal(answer->head.fields[0].value.data, "");
    assert_string_equal(answer->head.fields[1].name.data, "B");
    assert_string_equal(answer->head.fields[1].value.data, "x");
    field = head_find(&answer->head, "SET-COOKIE", 3);
    assert_string_equal(field->value.data, "b");
    assert_true(answer->head.has_length && answer->head.content_length == 12);
    assert_true(answer->head.is_keep_alive && !answer->head.is_chunked);
    answer_free(answer);
}

static void connections_are_kept_as_version_and_header_say(void **state)
{
    static const struct {
        const char *head;
        bool is_keep_alive;
        int seconds; /* -1: nothing is said */
    } table[] = {
        {OK "\r\n", true, -1},
        {OK "Connection: close\r\n\r\n", false, -1},
        {OK "Connection: x, CLOSE\r\n\r\n", false, -1},
        {OK "Connection: x\r\nConnection: close\r\n\r\n", false, -1},
        {OK "Connection: closed\r\n\r\n", true, -1},
        {"HTTP/1.0 200 OK\r\n\r\n", false, -1},
        {"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n\r\n", true, -1},
        {"HTTP/1.0 200 OK\r\nConnection: Keep-Alive, close\r\n\r\n", false, -1},
        {OK "Keep-Alive: timeout=5\r\n\r\n", true, 5},
        {OK "Keep-Alive: max=3, TimeOut=7\r\n\r\n", true, 7},
        {OK "Keep-Alive: timeout=99999999999\r\n\r\n", true, 3600},
        {OK "Keep-Alive: timeout=-1\r\n\r\n", true, -1},
        {OK "Keep-Alive: timeout=\r\n\r\n", true, -1},
        {OK "Keep-Alive: timeout=99999999999999999999999\r\n\r\n", true, -1},
    };
    struct reeve_client_response *answer;

    (void)state;
    for (size_t i = 0; i < SIZE(table); i++) {
        assert_row(table[i].head, take(table[i].head, &answer), 200);
        assert_int_equal(answer->head.is_keep_alive, table[i].is_keep_alive);
        assert_int_equal(answer->has_keep_alive ? (int)answer->keep_alive : -1, table[i].seconds);
        answer_free(answer);
    }
}

static void what_two_could_understand_differently_is_refused(void **state)
{
    static const struct {
        const char *head;
        int verdict;
    } table[] = {
        {"HTTP/1.1 200\r\n\r\n", 200},
        {"HTTP/1.1 200 \r\n\r\n", 200},
        {"HTTP/1.9 200 OK\r\n\r\n", 200},
        {"HTTP/1.1 100 Continue\r\n\r\n", 100},
        {"HTTP/1.1 599 X\r\n\r\n", 599},
        {"HTTP/1.1 600 X\r\n\r\n", -EBADMSG},
        {"HTTP/1.1 099 X\r\n\r\n", -EBADMSG},
        {"HTTP/1.1 20 OK\r\n\r\n", -EBADMSG},
        {"HTTP/1.1 2000 OK\r\n\r\n", -EBADMSG},
        {"HTTP/1.1  200 OK\r\n\r\n", -EBADMSG},
        {"HTTP/1.10 200 OK\r\n\r\n", -EBADMSG},
        {"HTTP/1. 200 OK\r\n\r\n", -EBADMSG},
        {"HTTP/2 200 OK\r\n\r\n", -EBADMSG},
        {"http/1.1 200 OK\r\n\r\n", -EBADMSG},
        {"\r\nHTTP/1.1 200 OK\r\n\r\n", -EBADMSG},
        {" HTTP/1.1 200 OK\r\n\r\n", -EBADMSG},
        {"HTTP/1.1 200 O\001K\r\n\r\n", -EBADMSG},
        {"HTTP/1.1 200 OK\n\n", -EBADMSG},
        {"HTTP/1.1 200 OK\r\r\n", -EBADMSG},
        {"GET / HTTP/1.1\r\n\r\n", -EBADMSG},
        {OK "A: b\n\r\n", -EBADMSG},
        {OK "A: b\r\n c\r\n\r\n", -EBADMSG},
        {OK " A: b\r\n\r\n", -EBADMSG},
        {OK "A : b\r\n\r\n", -EBADMSG},
        {OK "A\r\n\r\n", -EBADMSG},
        {OK ": b\r\n\r\n", -EBADMSG},
        {OK "A: \001\r\n\r\n", -EBADMSG},
        {OK "A\xe4: b\r\n\r\n", -EBADMSG},
        {OK "Content-Length: 1\r\n\r\n", 200},
        {OK "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", -EBADMSG},
        {OK "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", -EBADMSG},
        {OK "Content-Length: 1, 1\r\n\r\n", -EBADMSG},
        {OK "Content-Length: +1\r\n\r\n", -EBADMSG},
        {OK "Content-Length: 0x1\r\n\r\n", -EBADMSG},
        {OK "Content-Length: \r\n\r\n", -EBADMSG},
        {OK "Content-Length: 9223372036854775807\r\n\r\n", 200},
        {OK "Content-Length: 9223372036854775808\r\n\r\n", -EBADMSG},
        {OK "Content-Length: 18446744073709551617\r\n\r\n", -EBADMSG},
        {OK "Transfer-Encoding: chunked\r\n\r\n", 200},
        {OK "Transfer-Encoding: Chunked\r\n\r\n", 200},
        {OK "Transfer-Encoding: gzip, chunked\r\n\r\n", -EBADMSG},
        {OK "Transfer-Encoding: chunked, chunked\r\n\r\n", -EBADMSG},
        {OK "Transfer-Encoding: xchunked\r\n\r\n", -EBADMSG},
        {OK "Transfer-Encoding: identity\r\n\r\n", -EBADMSG},
        {OK "Transfer-Encoding: \r\n\r\n", -EBADMSG},
        {OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", -EBADMSG},
        {OK "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", -EBADMSG},
        {OK "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", -EBADMSG},
        {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", -EBADMSG},
        {"HTTP/1.1 304 X\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", -EBADMSG},
        {"HTT", -EAGAIN},
        {"HTTP/1.1 200 OK\r\nA: b\r\n\r", -EAGAIN},
    };

    (void)state;
    for (size_t i = 0; i < SIZE(table); i++) {
        assert_row(table[i].head, verdict(table[i].head), table[i].verdict);
    }
}

static void a_head_without_end_is_too_large(void **state)
{
    char head[MAX_HEAD + 100] = OK "A: ";

    (void)state;
    memset(head + strlen(head), 'x', MAX_HEAD);
    assert_int_equal(verdict(head), -EMSGSIZE);
    memset(head + 12, ' ', MAX_HEAD);
    assert_int_equal(verdict(head), -EMSGSIZE);
    memcpy(head + MAX_HEAD - 4, "\r\n\r\n", 4);
    assert_int_equal(verdict(head), 200);
    memcpy(head + MAX_HEAD - 4, "  \r\n\r\n", 6);
    assert_int_equal(verdict(head), -EMSGSIZE);
}

static void too_many_lines_are_too_large(void **state)
{
    static char head[8192] = OK;
    struct head_scan begun = {0};

    (void)state;
    for (int i = 0; i < ANSWER_LINES; i++)
        strcat(head, "A: b\r\n");
    strcat(head, "\r\n");
    assert_int_equal(answer_scan(&begun, head, strlen(head), sizeof head), 200);
    strcpy(head + strlen(head) - 2, "A: b\r\n\r\n");
    begun = (struct head_scan){0};
    assert_int_equal(answer_scan(&begun, head, strlen(head), sizeof head), -1);
    assert_int_equal(errno, EMSGSIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_are_taken_apart),
        cmocka_unit_test(connections_are_kept_as_version_and_header_say),
        cmocka_unit_test(what_two_could_understand_differently_is_refused),
        cmocka_unit_test(a_head_without_end_is_too_large),
        cmocka_unit_test(too_many_lines_are_too_large),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
