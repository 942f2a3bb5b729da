/* test_http_framing.c: where a request's body ends by its head, and what the head says about the
 * connection. The vectors are those of request smuggling. */
#include "head_case.h"

/* ---- where the body ends ---- */

#define CL "Content-Length: "
#define TE "Transfer-Encoding: "

static void content_length_is_one_line_of_digits(void **state)
{
    static const struct verdict cases[] = {
        {HEADERS(CL "0\r\n"), 200},
        {HEADERS(CL "10\r\n"), 200},
        {HEADERS(CL " 007 \r\n"), 200},
        {HEADERS(CL "9223372036854775807\r\n"), 200},
        {HEADERS(CL "18446744073709551616\r\n"), 400},
        {HEADERS(CL "18446744073709551626\r\n"), 400},
        {HEADERS(CL "99999999999999999999999999\r\n"), 400},
        {HEADERS(CL "\r\n"), 400},
        {HEADERS(CL "+1\r\n"), 400},
        {HEADERS(CL "-1\r\n"), 400},
        {HEADERS(CL "0x10\r\n"), 400},
        {HEADERS(CL "1e3\r\n"), 400},
        {HEADERS(CL "1.0\r\n"), 400},
        {HEADERS(CL "1 2\r\n"), 400},
        {HEADERS(CL "1,1\r\n"), 400},
        {HEADERS(CL "1, 1\r\n"), 400},
        {HEADERS(CL "1;\r\n"), 400},
        {HEADERS(CL "\"1\"\r\n"), 400},
        {HEADERS(CL "\xd9\xa1\r\n"), 400},
        {HEADERS(CL "\x0b"
                    "1\r\n"),
         400},
        {HEADERS(CL "1\r\n" CL "1\r\n"), 400},
        {HEADERS(CL "1\r\n" CL "2\r\n"), 400},
        {HEADERS(CL "0\r\n" CL "0\r\n"), 400},
        {HEADERS(CL "1\r\ncontent-length: 1\r\n"), 400},
        {HEADERS(CL "1\r\n" CL "\r\n"), 400},
        {HEADERS(CL "\r\n" CL "1\r\n"), 400},
        {HEADERS("Content-Length : 1\r\n"), 400},
        {HEADERS("Content-Length\r\n: 1\r\n"), 400},
        {HEADERS("Content-Length:\r\n 1\r\n"), 400},
        {HEADERS("Content_Length: x\r\n"), 200},
        {HEADERS_1_0(CL "5\r\n"), 200},
        {HEADERS_1_0(CL "5\r\n" CL "5\r\n"), 400},
    };

    (void)state;
    expect_verdicts(cases, COUNT(cases));
}

static void transfer_encoding_is_one_line_that_says_chunked(void **state)
{
    static const struct verdict cases[] = {
        {HEADERS(TE "chunked\r\n"), 200},
        {HEADERS("tRANSFER-eNCODING:cHUNKED\t \r\n"), 200},
        {HEADERS(TE "xchunked\r\n"), 501},
        {HEADERS(TE "chunkedx\r\n"), 501},
        {HEADERS(TE "gzip\r\n"), 501},
        {HEADERS(TE "identity\r\n"), 501},
        {HEADERS(TE "gzip, chunked\r\n"), 501},
        {HEADERS(TE "chunked, gzip\r\n"), 400},
        {HEADERS(TE "chunked, chunked\r\n"), 400},
        {HEADERS(TE "chunked, identity\r\n"), 400},
        {HEADERS(TE "chunked,\r\n"), 400},
        {HEADERS(TE ",chunked\r\n"), 400},
        {HEADERS(TE "\r\n"), 400},
        {HEADERS(TE ",\r\n"), 400},
        {HEADERS(TE "\"chunked\"\r\n"), 400},
        {HEADERS(TE "'chunked'\r\n"), 501},
        {HEADERS(TE "chunked;q=1\r\n"), 400},
        {HEADERS(TE "chunked foo\r\n"), 400},
        {HEADERS(TE "chun ked\r\n"), 400},
        {HEADERS(TE "\x0b"
                    "chunked\r\n"),
         400},
        {HEADERS(TE "chunked\x0c\r\n"), 400},
        {HEADERS(TE "\0chunked\r\n"), 400},
        {HEADERS(TE "chunked\xff\r\n"), 400},
        {HEADERS(TE "\xa0"
                    "chunked\r\n"),
         400},
        {HEADERS("Transfer-Encoding : chunked\r\n"), 400},
        {HEADERS(" Transfer-Encoding: chunked\r\n"), 400},
        {HEADERS("Transfer-Encoding:\r\n chunked\r\n"), 400},
        {HEADERS("Transfer-Encoding\r\n : chunked\r\n"), 400},
        {HEADERS("X: y\rTransfer-Encoding: chunked\r\n"), 400},
        {HEADERS("X: y\nTransfer-Encoding: chunked\r\n"), 400},
        {HEADERS(TE "chunked\r\n" TE "chunked\r\n"), 400},
        {HEADERS(TE "chunked\r\n" TE "identity\r\n"), 400},
        {HEADERS(TE "identity\r\n" TE "chunked\r\n"), 400},
        {HEADERS(TE "gzip\r\n" TE "chunked\r\n"), 400},
        {HEADERS(TE "chunked\r\n" TE "\r\n"), 400},
        {HEADERS(TE "chunked\r\ntransfer-encoding: x\r\n"), 400},
        {HEADERS_1_0(TE "chunked\r\n"), 400},
        {HEADERS_1_0(TE "gzip\r\n"), 400},
        {HEADERS_1_0(TE "chunked\r\n" CL "5\r\n"), 400},
    };

    (void)state;
    expect_verdicts(cases, COUNT(cases));
}

static void a_length_beside_a_coding_is_refused(void **state)
{
    static const struct verdict cases[] = {
        {HEADERS(CL "5\r\n" TE "chunked\r\n"), 400},
        {HEADERS(TE "chunked\r\n" CL "5\r\n"), 400},
        {HEADERS(CL "0\r\n" TE "chunked\r\n"), 400},
        {HEADERS(TE "chunked\r\n" CL "0\r\n"), 400},
        {HEADERS(CL "5\r\n" TE "gzip\r\n"), 400},
        {HEADERS(TE "identity\r\n" CL "5\r\n"), 400},
        {HEADERS(TE "xchunked\r\n" CL "5\r\n"), 400},
        {HEADERS(CL "5\r\nX: y\r\n" TE "chunked\r\nConnection: upgrade\r\nUpgrade: x\r\n"), 400},
    };

    (void)state;
    expect_verdicts(cases, COUNT(cases));
}

/* ---- what the head says about connection and body ---- */

struct meaning {
    const char *text;
    bool is_keep_alive, is_upgrade, expects_continue, is_chunked;
    long long content_length; /* -1: has none */
};

static void expect_meaning(const struct meaning *meaning)
{
    struct result result;
    take_split(&result, meaning->text, strlen(meaning->text), 0);
    const struct head *head = &result.head;

    if (result.status != 200 || head->is_keep_alive != meaning->is_keep_alive ||
        head->is_upgrade != meaning->is_upgrade ||
        head->expects_continue != meaning->expects_continue ||
        head->is_chunked != meaning->is_chunked ||
        head->has_length != (meaning->content_length >= 0) ||
        head->content_length != (head->has_length ? (uint64_t)meaning->content_length : 0))
        fail_msg("status %d, keep-alive %d, upgrade %d, continue %d, chunked %d, length %llu: %s",
                 result.status, head->is_keep_alive, head->is_upgrade, head->expects_continue,
                 head->is_chunked, (unsigned long long)head->content_length, meaning->text);
    free(result.data);
}

static void expect_meanings(const struct meaning *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        expect_meaning(&cases[i]);
}

#define V1_1(lines) LINE_1_1 HOST lines "\r\n"
#define V1_0(lines) "GET / HTTP/1.0\r\n" lines "\r\n"

static void keep_alive_follows_version_and_connection_options(void **state)
{
    static const struct meaning cases[] = {
        {V1_1(""), 1, 0, 0, 0, -1},
        {"GET / HTTP/1.7\r\n" HOST "\r\n", 1, 0, 0, 0, -1},
        {V1_1("Connection: close\r\n"), 0, 0, 0, 0, -1},
        {V1_1("connection: CLOSE\r\n"), 0, 0, 0, 0, -1},
        {V1_1("Connection: x,close\r\n"), 0, 0, 0, 0, -1},
        {V1_1("Connection: x , \tclose\t, y\r\n"), 0, 0, 0, 0, -1},
        {V1_1("Connection: ,,close\r\n"), 0, 0, 0, 0, -1},
        {V1_1("Connection: x\r\nConnection: close\r\n"), 0, 0, 0, 0, -1},
        {V1_1("Connection: close\r\nConnection: keep-alive\r\n"), 0, 0, 0, 0, -1},
        {V1_1("Connection: keep-alive, close\r\n"), 0, 0, 0, 0, -1},
        {V1_1("Connection: keep-alive\r\n"), 1, 0, 0, 0, -1},
        {V1_1("Connection: closed\r\n"), 1, 0, 0, 0, -1},
        {V1_1("Connection: xclose\r\n"), 1, 0, 0, 0, -1},
        {V1_1("Connection: close x\r\n"), 1, 0, 0, 0, -1},
        {V1_1("Connection: x;close\r\n"), 1, 0, 0, 0, -1},
        {V1_1("Connection: \"close\"\r\n"), 1, 0, 0, 0, -1},
        {V1_1("Connection:\r\n"), 1, 0, 0, 0, -1},
        {V1_1("X-Connection: close\r\n"), 1, 0, 0, 0, -1},
        {V1_1("Proxy-Connection: close\r\n"), 1, 0, 0, 0, -1},
        {V1_0(""), 0, 0, 0, 0, -1},
        {V1_0("Connection: keep-alive\r\n"), 1, 0, 0, 0, -1},
        {V1_0("Connection: x, Keep-Alive\r\n"), 1, 0, 0, 0, -1},
        {V1_0("Connection: keep-alive, close\r\n"), 0, 0, 0, 0, -1},
        {V1_0("Connection: keep-alives\r\n"), 0, 0, 0, 0, -1},
        {V1_0("Connection: keep\r\n"), 0, 0, 0, 0, -1},
        {V1_0("Proxy-Connection: keep-alive\r\n"), 0, 0, 0, 0, -1},
    };

    (void)state;
    expect_meanings(cases, COUNT(cases));
}

static void an_upgrade_takes_both_lines_and_http_1_1(void **state)
{
    static const struct meaning cases[] = {
        {V1_1("Upgrade: websocket\r\nConnection: Upgrade\r\n"), 1, 1, 0, 0, -1},
        {V1_1("Connection: keep-alive, UPGRADE\r\nUpgrade: x/1, y\r\n"), 1, 1, 0, 0, -1},
        {V1_1("Upgrade: x\r\nConnection: upgrade, close\r\n"), 0, 1, 0, 0, -1},
        {V1_1("Upgrade: x\r\nConnection: upgrade\r\nContent-Length: 4\r\n"), 1, 1, 0, 0, 4},
        {V1_1("Upgrade: x\r\n"), 1, 0, 0, 0, -1},
        {V1_1("Connection: upgrade\r\n"), 1, 0, 0, 0, -1},
        {V1_1("Upgrade:\r\nConnection: upgrade\r\n"), 1, 0, 0, 0, -1},
        {V1_1("Upgrade: x\r\nConnection: upgraded\r\n"), 1, 0, 0, 0, -1},
        {V1_0("Upgrade: x\r\nConnection: upgrade\r\n"), 0, 0, 0, 0, -1},
    };

    (void)state;
    expect_meanings(cases, COUNT(cases));
}

static void a_continue_is_expected_only_before_a_body_of_http_1_1(void **state)
{
    static const struct meaning cases[] = {
        {V1_1("Expect: 100-continue\r\nContent-Length: 1\r\n"), 1, 0, 1, 0, 1},
        {V1_1("Content-Length: 1\r\nEXPECT: 100-CONTINUE\r\n"), 1, 0, 1, 0, 1},
        {V1_1("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n"), 1, 0, 1, 1, -1},
        {V1_1("Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 1\r\n"), 1, 0, 1, 0,
         1},
        {V1_1("Expect: 100-continue\r\nContent-Length: 0\r\n"), 1, 0, 0, 0, 0},
        {V1_1("Expect: 100-continue\r\n"), 1, 0, 0, 0, -1},
        {V1_0("Expect: 100-continue\r\nContent-Length: 1\r\n"), 0, 0, 0, 0, 1},
        {V1_0("Expect: the unexpected\r\nContent-Length: 1\r\n"), 0, 0, 0, 0, 1},
        {V1_1("Transfer-Encoding: Chunked\r\n"), 1, 0, 0, 1, -1},
        {V1_1("Content-Length: 9223372036854775807\r\n"), 1, 0, 0, 0, INT64_MAX},
        {V1_0("Content-Length: 12\r\n"), 0, 0, 0, 0, 12},
    };

    (void)state;
    expect_meanings(cases, COUNT(cases));
}

static void other_expectations_are_417(void **state)
{
    static const struct verdict cases[] = {
        {HEADERS("Expect: 200-ok\r\n"), 417},
        {HEADERS("Expect:\r\n"), 417},
        {HEADERS("Expect: 100-continue, x\r\n"), 417},
        {HEADERS("Expect: 100-continues\r\n"), 417},
        {HEADERS("Expect: 100-continue\r\nExpect: x\r\n"), 417},
    };

    (void)state;
    expect_verdicts(cases, COUNT(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_length_is_one_line_of_digits),
        cmocka_unit_test(transfer_encoding_is_one_line_that_says_chunked),
        cmocka_unit_test(a_length_beside_a_coding_is_refused),
        cmocka_unit_test(keep_alive_follows_version_and_connection_options),
        cmocka_unit_test(an_upgrade_takes_both_lines_and_http_1_1),
        cmocka_unit_test(a_continue_is_expected_only_before_a_body_of_http_1_1),
        cmocka_unit_test(other_expectations_are_417),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
