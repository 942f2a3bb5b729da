/* test_app_respond.c: the exact bytes that leave for what an application does.
 *
 * Each test gives the application, asks once or more, and compares all that came back. */
#include "app_case.h"

#include <sys/mman.h>

#define GET     "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define HEAD    "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
#define GET_1_0 "GET / HTTP/1.0\r\n\r\n"

#define OK(tail)  "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" CASE_STAMP tail "\r\n"
#define LENGTH(n) "Content-Length: " #n "\r\n"
#define CHUNKED   "Transfer-Encoding: chunked\r\n"
#define CLOSE     "Connection: close\r\n"
#define KEEP      "Connection: keep-alive\r\n"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct app_case the;
static int results[16], errors[16]; /* what the application's calls returned */
static unsigned calls;
static char trace[64];

static int setup(void **state)
{
    (void)state;
    memset(results, 0, sizeof(results));
    memset(errors, 0, sizeof(errors));
    memset(trace, 0, sizeof(trace));
    calls = 0;
    return app_case_open(&the, NULL);
}

static int teardown(void **state)
{
    (void)state;
    app_case_close(&the);
    return 0;
}

static const char *ask(reeve_application *application, const char *request)
{
    the.descriptor.application = application;
    return app_case_ask(&the, request);
}

/* Of a call that is expected to fail, or not. */
static void note(int result)
{
    errors[calls] = result == 0 ? 0 : errno;
    results[calls++] = result;
}

static int start(reeve_environ *request, reeve_start_response *start_response)
{
    return start_response(request, "200 OK", REEVE_HEADERS({"Content-Type", "text/plain"}));
}

static int say(reeve_environ *request, const char *text)
{
    return reeve_write(request, text, strlen(text));
}

/* `size` bytes that tell one place from another. */
static const char *pattern(size_t size)
{
    static char bytes[2u << 20];

    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)('a' + (i * 7 + i / 1000) % 26);
    return bytes;
}

/* ---- the length is known ---- */

static int writes_once(reeve_environ *request, reeve_start_response *start_response)
{
    start(request, start_response);
    return say(request, "hello");
}

static void one_write_has_its_length(void **state)
{
    (void)state;
    assert_string_equal(ask(writes_once, GET), OK(LENGTH(5)) "hello");
    assert_int_equal(app_case_column(&the)->answers[2], 1);
    assert_int_equal(app_case_column(&the)->bytes_out, 5);
    assert_int_equal(app_case_column(&the)->active, 0);
}

static int writes_often(reeve_environ *request, reeve_start_response *start_response)
{
    start(request, start_response);
    say(request, "nine byte");
    say(request, "");
    say(request, "s"); /* the length grows by a digit here */
    return say(request, " and more");
}

static void several_writes_have_one_length(void **state)
{
    (void)state;
    assert_string_equal(ask(writes_often, GET), OK(LENGTH(19)) "nine bytes and more");
}

static int writes_vector(reeve_environ *request, reeve_start_response *start_response)
{
    char one[] = "one ", two[] = "two ", three[] = "three";
    const struct iovec pieces[] = {{one, 4}, {NULL, 0}, {two, 4}, {three, 5}};

    start(request, start_response);
    return reeve_writev(request, pieces, 4);
}

static void a_vector_is_one_write(void **state)
{
    (void)state;
    assert_string_equal(ask(writes_vector, GET), OK(LENGTH(13)) "one two three");
}

static int writes_nothing(reeve_environ *request, reeve_start_response *start_response)
{
    return start(request, start_response);
}

static void no_write_is_an_empty_body(void **state)
{
    (void)state;
    assert_string_equal(ask(writes_nothing, GET), OK(LENGTH(0)));
}

static int writes_32k(reeve_environ *request, reeve_start_response *start_response)
{
    start(request, start_response);
    if (reeve_write(request, pattern(32767), 32767) == -1)
        return -1;
    return say(request, "!");
}

static void up_to_32_kib_are_held_for_their_length(void **state)
{
    const char *head = OK(LENGTH(32768));

    (void)state;
    ask(writes_32k, GET);
    assert_int_equal(the.length, strlen(head) + 32768);
    assert_memory_equal(the.wire, head, strlen(head));
    assert_memory_equal(the.wire + strlen(head), pattern(32767), 32767);
}

static int sleeps_before_writing(reeve_environ *request, reeve_start_response *start_response)
{
    start(request, start_response);
    reeve_sleep(0);
    return say(request, "hello");
}

static void a_wait_before_the_first_byte_leaves_the_head_open(void **state)
{
    (void)state;
    assert_string_equal(ask(sleeps_before_writing, GET), OK(LENGTH(5)) "hello");
}

/* ---- the length is not known when bytes must leave ---- */

static int flushes(reeve_environ *request, reeve_start_response *start_response)
{
    start(request, start_response);
    say(request, "hello,");
    note(reeve_flush(request));
    say(request, " ");
    return say(request, "world");
}

static void after_a_flush_the_body_is_chunked(void **state)
{
    (void)state;
    assert_string_equal(ask(flushes, GET),
                        OK(CHUNKED) "6\r\nhello,\r\n1\r\n \r\n5\r\nworld\r\n0\r\n\r\n");
    assert_int_equal(results[0], 0);
}

static int flushes_the_head(reeve_environ *request, reeve_start_response *start_response)
{
    start(request, start_response);
    reeve_flush(request);
    reeve_flush(request);
    return say(request, "hello");
}

static void a_flush_without_a_byte_sends_the_head(void **state)
{
    (void)state;
    assert_string_equal(ask(flushes_the_head, GET), OK(CHUNKED) "5\r\nhello\r\n0\r\n\r\n");
}

static int waits_in_between(reeve_environ *request, reeve_start_response *start_response)
{
    start(request, start_response);
    say(request, "hello");
    reeve_sleep(0);
    return say(request, "again");
}

static void what_was_written_leaves_when_the_app_waits(void **state)
{
    const char *begun = OK(CHUNKED) "5\r\nhello\r\n";

    (void)state;
    the.descriptor.application = waits_in_between;
    app_case_connect(&the);
    app_case_send(&the, GET, strlen(GET));
    app_case_turn_until(&the, strlen(begun));
    assert_memory_equal(the.wire, begun, strlen(begun));
    shutdown(the.client, SHUT_WR);
    app_case_turn_until_closed(&the);
    assert_string_equal(the.wire + strlen(begun), "5\r\nagain\r\n0\r\n\r\n");
}

static size_t sizes[8]; /* of the writes that writes_sizes makes */

static int writes_sizes(reeve_environ *request, reeve_start_response *start_response)
{
    start(request, start_response);
    for (size_t i = 0; i < COUNT(sizes) && sizes[i] > 0; i++)
        if (reeve_write(request, pattern(sizes[i]), sizes[i]) == -1)
            return -1;
    return 0;
}

/* What writes_sizes looks like in chunks. */
static void assert_chunks(void)
{
    const char *head = OK(CHUNKED), *at = the.wire + strlen(head);

    assert_memory_equal(the.wire, head, strlen(head));
    for (size_t i = 0; i < COUNT(sizes) && sizes[i] > 0; i++) {
        char line[32];

        snprintf(line, sizeof(line), "%zx\r\n", sizes[i]);
        assert_memory_equal(at, line, strlen(line));
        at += strlen(line);
        assert_memory_equal(at, pattern(sizes[i]), sizes[i]);
        at += sizes[i];
        assert_memory_equal(at, "\r\n", 2);
        at += 2;
    }
    assert_string_equal(at, "0\r\n\r\n");
}

static void more_than_is_held_is_chunked(void **state)
{
    static const size_t many[][COUNT(sizes)] = {
        {32769},                         /* at once */
        {32768, 1},                      /* the held ones become the first chunk */
        {20000, 20000, 5},               /* ... */
        {1, 32768, 16383, 16384, 16385}, /* gathered and direct by turns */
        {2u << 20, 3, 1u << 20},         /* more than a socket takes */
        {60000, 60000, 60000},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(many); i++) {
        memcpy(sizes, many[i], sizeof(sizes));
        ask(writes_sizes, GET);
        assert_chunks();
    }
}

/* ---- HTTP/1.0 ---- */

static void http_1_0_is_told_the_length_or_the_end(void **state)
{
    (void)state;
    assert_string_equal(ask(writes_once, GET_1_0), OK(LENGTH(5) CLOSE) "hello");
    assert_string_equal(ask(flushes, GET_1_0), OK(CLOSE) "hello, world");
    assert_string_equal(ask(writes_once, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
                        OK(LENGTH(5) KEEP) "hello");
    assert_string_equal(ask(flushes, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
                        OK(CLOSE) "hello, world");
}

/* ---- a length of the application's own ---- */

static const char *declared;

static int declares(reeve_environ *request, reeve_start_response *start_response)
{
    note(start_response(request, "200 OK", REEVE_HEADERS({"Content-Length", declared})));
    note(say(request, "hello"));
    note(say(request, " world"));
    return 0;
}

static void a_declared_length_is_kept(void **state)
{
    (void)state;
    declared = "11";
    assert_string_equal(ask(declares, GET GET),
                        "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n" CASE_STAMP "\r\nhello world"
                        "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n" CASE_STAMP "\r\nhello world");
    assert_int_equal(results[2], 0);
}

static void more_than_was_declared_is_refused_whole(void **state)
{
    (void)state;
    declared = "5";
    assert_string_equal(ask(declares, GET),
                        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n" CASE_STAMP "\r\nhello");
    assert_int_equal(results[1], 0);
    assert_int_equal(results[2], -1);
    assert_int_equal(errors[2], EMSGSIZE);
}

static void less_than_was_declared_cuts_the_connection(void **state)
{
    const char *begun = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n" CASE_STAMP "\r\nhello world";

    (void)state;
    declared = "20";
    assert_string_equal(ask(declares, GET GET), begun); /* the second one is not answered */
    assert_int_equal(app_case_column(&the)->exceptions, 1);
    assert_int_equal(app_case_column(&the)->requests, 1);
}

static int declares_and_writes_nothing(reeve_environ *request, reeve_start_response *start_response)
{
    return start_response(request, "200 OK", REEVE_HEADERS({"Content-Length", "5"}));
}

static void a_declared_body_that_never_comes_is_500(void **state)
{
    (void)state;
    assert_non_null(strstr(ask(declares_and_writes_nothing, GET), "HTTP/1.1 500 "));
    /* To HEAD it is the right answer. */
    assert_string_equal(ask(declares_and_writes_nothing, HEAD),
                        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n" CASE_STAMP "\r\n");
}

static int declares_badly(reeve_environ *request, reeve_start_response *start_response)
{
    static const char *const bad[] = {"",   "-1", "+1",  "1 ",
                                      " 1", "1x", "0x1", "99999999999999999999"};

    for (size_t i = 0; i < COUNT(bad); i++)
        note(start_response(request, "200 OK", REEVE_HEADERS({"Content-Length", bad[i]})));
    note(start_response(request, "200 OK",
                        REEVE_HEADERS({"Content-Length", "5"}, {"content-length", "5"})));
    return writes_once(request, start_response);
}

static void a_length_that_is_none_is_refused(void **state)
{
    (void)state;
    assert_string_equal(ask(declares_badly, GET), OK(LENGTH(5)) "hello");
    assert_int_equal(calls, 9);
    for (unsigned i = 0; i < calls; i++)
        assert_int_equal(errors[i], EINVAL);
}

/* ---- no body ---- */

static void head_is_the_head_of_get(void **state)
{
    (void)state;
    assert_string_equal(ask(writes_once, HEAD), OK(LENGTH(5)));
    assert_string_equal(ask(writes_often, HEAD), OK(LENGTH(19)));
    assert_string_equal(ask(writes_nothing, HEAD), OK(LENGTH(0)));
    assert_string_equal(ask(flushes, HEAD), OK(CHUNKED));
    declared = "11";
    assert_string_equal(ask(declares, HEAD),
                        "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n" CASE_STAMP "\r\n");
    /* Nothing has to be held, so all of it is counted. */
    memcpy(sizes, (size_t[COUNT(sizes)]){20000, 20000}, sizeof(sizes));
    assert_string_equal(ask(writes_sizes, HEAD), OK(LENGTH(40000)));
    assert_string_equal(ask(writes_once, HEAD GET), OK(LENGTH(5)) OK(LENGTH(5)) "hello");
}

static const char *status;

static int answers_with_status(reeve_environ *request, reeve_start_response *start_response)
{
    note(
        start_response(request, status, REEVE_HEADERS({"ETag", "\"1\""}, {"Content-Length", "5"})));
    note(say(request, "hello"));
    note(reeve_flush(request));
    return 0;
}

static void status_204_has_neither_body_nor_length(void **state)
{
    (void)state;
    status = "204 No Content";
    assert_string_equal(ask(answers_with_status, GET GET),
                        "HTTP/1.1 204 No Content\r\nETag: \"1\"\r\n" CASE_STAMP "\r\n"
                        "HTTP/1.1 204 No Content\r\nETag: \"1\"\r\n" CASE_STAMP "\r\n");
    assert_int_equal(results[1], 0);
}

static void status_304_has_no_body(void **state)
{
    (void)state;
    status = "304 Not Modified";
    assert_string_equal(
        ask(answers_with_status, GET GET),
        "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\nContent-Length: 5\r\n" CASE_STAMP "\r\n"
        "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\nContent-Length: 5\r\n" CASE_STAMP "\r\n");
}

static int says_not_modified(reeve_environ *request, reeve_start_response *start_response)
{
    start_response(request, "304 Not Modified", REEVE_NO_HEADERS);
    return say(request, "hello");
}

static void status_304_without_a_length_gets_none(void **state)
{
    (void)state;
    assert_string_equal(ask(says_not_modified, GET),
                        "HTTP/1.1 304 Not Modified\r\n" CASE_STAMP "\r\n");
}

/* ---- start_response ---- */

static int replaces(reeve_environ *request, reeve_start_response *start_response)
{
    start_response(request, "200 OK",
                   REEVE_HEADERS({"X-First", "1"}, {"Content-Length", "99"}, {"Date", "then"}));
    note(start_response(request, "404 Not Found", REEVE_HEADERS({"X-Second", "2"})));
    say(request, "second");
    note(start_response(request, "410 Gone", REEVE_HEADERS({"X-Third", "3"})));
    return say(request, "third");
}

static void an_unsent_response_can_be_replaced_with_all_it_had(void **state)
{
    const char *answer = "HTTP/1.1 410 Gone\r\nX-Third: 3\r\n" CASE_STAMP LENGTH(5) "\r\nthird";

    (void)state;
    assert_string_equal(ask(replaces, GET), answer);
    assert_int_equal(results[0], 0);
    assert_int_equal(results[1], 0);
    assert_int_equal(app_case_column(&the)->answers[4], 1);
}

static void what_was_answered_before_is_not_replaced(void **state)
{
    char both[512];

    (void)state;
    snprintf(both, sizeof(both), "%s%s", "", ask(replaces, GET));
    ask(replaces, GET GET);
    assert_int_equal(the.length, 2 * strlen(both));
    assert_memory_equal(the.wire, both, strlen(both));
    assert_string_equal(the.wire + strlen(both), both);
}

static int replaces_too_late(reeve_environ *request, reeve_start_response *start_response)
{
    start(request, start_response);
    reeve_flush(request);
    note(start_response(request, "404 Not Found", REEVE_NO_HEADERS));
    return say(request, "hello");
}

static void a_sent_response_cannot_be_replaced(void **state)
{
    (void)state;
    assert_string_equal(ask(replaces_too_late, GET), OK(CHUNKED) "5\r\nhello\r\n0\r\n\r\n");
    assert_int_equal(errors[0], EALREADY);
}

static int writes_first(reeve_environ *request, reeve_start_response *start_response)
{
    note(say(request, "x"));
    note(reeve_flush(request));
    note(reeve_send_file(request, 0, 0, 1));
    return writes_once(request, start_response);
}

static void nothing_is_written_before_start_response(void **state)
{
    (void)state;
    assert_string_equal(ask(writes_first, GET), OK(LENGTH(5)) "hello");
    for (int i = 0; i < 3; i++)
        assert_int_equal(errors[i], EPROTO);
}

static int sends_hop_by_hop(reeve_environ *request, reeve_start_response *start_response)
{
    static const char *const names[] = {"Connection",      "keep-alive", "TE",
                                        "Trailer",         "Upgrade",    "Transfer-Encoding",
                                        "Proxy-Connection"};

    for (size_t i = 0; i < COUNT(names); i++)
        note(start_response(request, "200 OK", REEVE_HEADERS({"X", "1"}, {names[i], "close"})));
    return writes_once(request, start_response);
}

static void hop_by_hop_headers_are_refused(void **state)
{
    (void)state;
    assert_string_equal(ask(sends_hop_by_hop, GET), OK(LENGTH(5)) "hello");
    assert_int_equal(calls, 7);
    for (unsigned i = 0; i < calls; i++)
        assert_int_equal(errors[i], EPERM);
}

static int sends_bad_bytes(reeve_environ *request, reeve_start_response *start_response)
{
    static const reeve_header bad[] = {{"X", "a\r\nY: b"}, {"X", "a\nb"},   {"X", "a\rb"},
                                       {"X", "a\x01"},     {"X\r\nY", "a"}, {"X Y", "a"},
                                       {"", "a"},          {"X:", "a"},     {"X", NULL}};

    for (size_t i = 0; i < COUNT(bad); i++)
        note(start_response(request, "200 OK", REEVE_HEADERS({"X-Before", "1"}, bad[i])));
    return writes_once(request, start_response);
}

static void no_header_carries_a_line_end(void **state)
{
    (void)state;
    assert_string_equal(ask(sends_bad_bytes, GET), OK(LENGTH(5)) "hello");
    assert_int_equal(calls, 9);
    for (unsigned i = 0; i < calls; i++)
        assert_int_equal(errors[i], EINVAL);
}

static int sends_bad_status(reeve_environ *request, reeve_start_response *start_response)
{
    static const char *const bad[] = {"",       "2",        "200",    "200OK",         "99 X",
                                      "100 Go", "600 What", "20x OK", "200 a\r\nX: b", "2000 X",
                                      " 200 OK"};

    for (size_t i = 0; i < COUNT(bad); i++)
        note(start_response(request, bad[i], REEVE_NO_HEADERS));
    note(start_response(request, NULL, REEVE_NO_HEADERS));
    note(start_response(request, "200 ", NULL)); /* an empty reason is one */
    return start_response(request, "599 \xc3\xa4", NULL);
}

static void a_status_is_three_digits_and_a_reason(void **state)
{
    (void)state;
    assert_string_equal(ask(sends_bad_status, GET),
                        "HTTP/1.1 599 \xc3\xa4\r\n" CASE_STAMP LENGTH(0) "\r\n");
    for (unsigned i = 0; i < calls - 1; i++)
        assert_int_equal(errors[i], EINVAL);
    assert_int_equal(results[calls - 1], 0);
}

static int has_its_own_stamp(reeve_environ *request, reeve_start_response *start_response)
{
    return start_response(request, "200 OK", REEVE_HEADERS({"date", "then"}, {"SERVER", "mine"}));
}

static int has_its_own_date(reeve_environ *request, reeve_start_response *start_response)
{
    return start_response(request, "200 OK", REEVE_HEADERS({"Date", "then"}));
}

static void date_and_server_of_the_apps_own_replace_ours(void **state)
{
    (void)state;
    assert_string_equal(ask(has_its_own_stamp, GET),
                        "HTTP/1.1 200 OK\r\ndate: then\r\nSERVER: mine\r\n" LENGTH(0) "\r\n");
    assert_string_equal(ask(has_its_own_date, GET),
                        "HTTP/1.1 200 OK\r\nDate: then\r\nServer: S\r\n" LENGTH(0) "\r\n");
}

/* ---- failing ---- */

static int fails_after_writing(reeve_environ *request, reeve_start_response *start_response)
{
    start(request, start_response);
    say(request, "a secret");
    return -1;
}

static int returns_nothing(reeve_environ *request, reeve_start_response *start_response)
{
    (void)request;
    (void)start_response;
    return 0;
}

static void assert_is_500(const char *answer)
{
    assert_memory_equal(answer, "HTTP/1.1 500 Internal Server Error\r\n", 36);
    assert_non_null(strstr(answer, "\r\n\r\n500 Internal Server Error\nrequest id "));
    assert_null(strstr(answer, "secret"));
}

static void a_failure_before_the_first_byte_is_500_and_the_connection_goes_on(void **state)
{
    size_t length;

    (void)state;
    assert_is_500(ask(fails_after_writing, GET));
    length = the.length;
    assert_is_500(ask(returns_nothing, GET));
    assert_is_500(ask(returns_nothing, GET GET));
    assert_int_equal(the.length, 2 * length);
    assert_is_500(the.wire + length);
    assert_int_equal(app_case_column(&the)->exceptions, 4);
    assert_int_equal(app_case_column(&the)->answers[5], 4);
    assert_int_equal(app_case_column(&the)->cut, 0); /* each failed request in one of the two */
}

static int fails_after_sending(reeve_environ *request, reeve_start_response *start_response)
{
    start(request, start_response);
    say(request, "begun");
    reeve_flush(request);
    return -1;
}

static void a_failure_after_it_cuts_the_connection(void **state)
{
    (void)state;
    assert_string_equal(ask(fails_after_sending, GET GET), OK(CHUNKED) "5\r\nbegun\r\n");
    assert_int_equal(app_case_column(&the)->exceptions, 1);
    assert_int_equal(app_case_column(&the)->answers[5], 0);
    assert_int_equal(app_case_column(&the)->cut, 1);
}

/* ---- files ---- */

static int file_fd = -1;
static size_t file_asked;

static int sends_file(reeve_environ *request, reeve_start_response *start_response)
{
    start(request, start_response);
    say(request, "before\n");
    note(reeve_send_file(request, file_fd, 3, file_asked));
    note(say(request, "after\n"));
    return 0;
}

static void open_file(size_t size)
{
    file_fd = memfd_create("file", MFD_CLOEXEC);
    assert_int_not_equal(file_fd, -1);
    assert_int_equal(write(file_fd, pattern(size), size), size);
}

static void a_file_is_a_part_of_the_body(void **state)
{
    (void)state;
    open_file(13);
    file_asked = 10;
    /* The guess that "before" is all was not sent. */
    assert_string_equal(ask(sends_file, HEAD), OK(CHUNKED));
    ask(sends_file, GET);
    assert_memory_equal(the.wire, OK(CHUNKED) "7\r\nbefore\n\r\na\r\n",
                        strlen(OK(CHUNKED) "7\r\nbefore\n\r\na\r\n"));
    assert_memory_equal(the.wire + strlen(OK(CHUNKED) "7\r\nbefore\n\r\na\r\n"), pattern(13) + 3,
                        10);
    assert_string_equal(the.wire + strlen(OK(CHUNKED) "7\r\nbefore\n\r\na\r\n") + 10,
                        "\r\n6\r\nafter\n\r\n0\r\n\r\n");
    close(file_fd);
}

static void a_large_file_arrives_whole(void **state)
{
    const char *head = OK(CHUNKED) "7\r\nbefore\n\r\n1ffffd\r\n";
    size_t size = 2u << 20;

    (void)state;
    open_file(size);
    file_asked = size - 3;
    ask(sends_file, GET);
    assert_memory_equal(the.wire, head, strlen(head));
    assert_memory_equal(the.wire + strlen(head), pattern(size) + 3, file_asked);
    assert_string_equal(the.wire + strlen(head) + file_asked, "\r\n6\r\nafter\n\r\n0\r\n\r\n");
    close(file_fd);
}

/* What comes after it would be taken for its bytes. */
static void a_file_that_is_too_short_ends_the_response_and_the_connection(void **state)
{
    const char *begun = OK(CHUNKED) "7\r\nbefore\n\r\na\r\n";

    (void)state;
    open_file(8);
    file_asked = 10;
    ask(sends_file, GET GET);
    assert_int_equal(errors[0], EIO);
    assert_int_equal(errors[1], EPIPE);
    assert_int_equal(the.length, strlen(begun) + 5);
    assert_memory_equal(the.wire + strlen(begun), pattern(8) + 3, 5);
    assert_int_equal(app_case_column(&the)->requests, 1);
    assert_int_equal(app_case_column(&the)->exceptions, 1);
    close(file_fd);
}

static void what_is_no_file_fails_alike(void **state)
{
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    file_fd = fds[0];
    file_asked = 10;
    ask(sends_file, GET);
    assert_int_equal(results[0], -1);
    assert_int_not_equal(errors[0], EPIPE);
    assert_null(strstr(the.wire, "after"));
    close(fds[0]);
    close(fds[1]);
}

/* ---- iterables and hooks ---- */

static int pieces, fails_at;

static int next_piece(void *state, const void **data, size_t *size)
{
    static char text[8];

    (void)state;
    if (--pieces < 0)
        return 0;
    if (pieces == fails_at)
        return -1;
    *data = text;
    *size = (size_t)snprintf(text, sizeof(text), "p%d ", pieces);
    return 1;
}

static void append(void *letter)
{
    strncat(trace, letter, sizeof(trace) - strlen(trace) - 1);
}

static char letter_c[] = "c", letter_1[] = "1", letter_2[] = "2";

static int iterates(reeve_environ *request, reeve_start_response *start_response)
{
    reeve_on_close(request, append, letter_1);
    reeve_on_close(request, append, letter_2);
    start(request, start_response);
    return reeve_respond(request, (reeve_iterable){next_piece, append, letter_c});
}

static int iterates_and_fails(reeve_environ *request, reeve_start_response *start_response)
{
    iterates(request, start_response);
    note(reeve_respond(request, (reeve_iterable){next_piece, append, letter_c}));
    return -1;
}

static void an_iterable_is_the_body_and_is_closed_before_the_hooks_run(void **state)
{
    (void)state;
    fails_at = -1;
    pieces = 3;
    assert_string_equal(ask(iterates, GET), OK(LENGTH(9)) "p2 p1 p0 ");
    assert_string_equal(trace, "c21");
}

static void an_iterable_is_closed_once_whatever_happens(void **state)
{
    (void)state;
    pieces = 3;
    fails_at = 1; /* after a piece that was not sent yet */
    assert_is_500(ask(iterates, GET));
    assert_string_equal(trace, "c21");

    pieces = 3;
    fails_at = -1;
    trace[0] = '\0';
    assert_is_500(ask(iterates_and_fails, GET));
    assert_string_equal(trace, "c21");
    assert_int_equal(errors[0], EALREADY); /* the second one is not the server's to close */
}

static int next_without_end(void *state, const void **data, size_t *size)
{
    (void)state;
    *data = pattern(50000);
    *size = 50000;
    return 1;
}

static int iterates_without_end(reeve_environ *request, reeve_start_response *start_response)
{
    reeve_on_close(request, append, letter_1);
    start(request, start_response);
    return reeve_respond(request, (reeve_iterable){next_without_end, append, letter_c});
}

static void an_iterable_is_closed_when_the_client_goes_away(void **state)
{
    (void)state;
    the.descriptor.application = iterates_without_end;
    app_case_connect(&the);
    app_case_send(&the, GET, strlen(GET));
    app_case_turn_until(&the, 200000);
    app_case_hang_up(&the);
    while (the.room.net.conn_count > 0)
        event_base_loop(the.base, EVLOOP_ONCE);
    assert_string_equal(trace, "c1");
    assert_int_equal(app_case_column(&the)->active, 0);
    assert_int_equal(app_case_column(&the)->exceptions, 0);
}

static void an_iterable_is_closed_when_the_worker_ends(void **state)
{
    (void)state;
    the.descriptor.application = iterates_without_end;
    app_case_connect(&the);
    app_case_send(&the, GET, strlen(GET));
    while (the.room.slot->active == 0)
        event_base_loop(the.base, EVLOOP_ONCE);
    net_cut_all(&the.room.net);
    while (the.room.net.conn_count > 0)
        event_base_loop(the.base, EVLOOP_ONCE);
    assert_string_equal(trace, "c1");
}

static void writes_late(void *request)
{
    note(say(request, "HTTP/1.1 200 OK\r\n\r\n"));
    note(reeve_flush(request));
}

static int hooks_a_late_write(reeve_environ *request, reeve_start_response *start_response)
{
    reeve_on_close(request, writes_late, request);
    return writes_once(request, start_response);
}

static void after_its_end_nothing_is_added_to_a_response(void **state)
{
    (void)state;
    assert_string_equal(ask(hooks_a_late_write, GET GET),
                        OK(LENGTH(5)) "hello" OK(LENGTH(5)) "hello");
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(errors[i], EPROTO);
}

/* ---- the connection ---- */

static void the_answer_says_when_the_connection_ends(void **state)
{
    (void)state;
    assert_string_equal(
        ask(writes_once, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" GET),
        OK(LENGTH(5) CLOSE) "hello");
    net_drain(&the.room.net, false);
    assert_string_equal(ask(writes_once, GET GET), OK(LENGTH(5) CLOSE) "hello");
}

/* ?: waits the first time it is called, so that what is behind it in the pipeline has to wait too
 */
static int waits_once(reeve_environ *request, reeve_start_response *start_response)
{
    static char text[2];

    if (calls == 0)
        reeve_sleep(0.01);
    start(request, start_response);
    text[0] = (char)('a' + calls++);
    return reeve_write(request, text, 1);
}

static void pipelined_answers_keep_their_order(void **state)
{
    (void)state;
    assert_string_equal(ask(waits_once, GET GET GET),
                        OK(LENGTH(1)) "a" OK(LENGTH(1)) "b" OK(LENGTH(1)) "c");
}

static int reads_all(reeve_environ *request, reeve_start_response *start_response)
{
    static char buffer[65536];
    size_t total = 0;
    ssize_t n;

    start(request, start_response);
    while ((n = reeve_read(request, buffer, sizeof(buffer))) > 0)
        total += (size_t)n;
    return n == 0 ? say(request, reeve_printf(request, "%zu", total)) : -1;
}

static void the_head_is_held_behind_the_interim_answer(void **state)
{
    const char *interim = "HTTP/1.1 100 Continue\r\n\r\n";
    const char *head = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                       "Content-Length: 5\r\n\r\n";

    (void)state;
    the.descriptor.application = reads_all;
    app_case_connect(&the);
    app_case_send(&the, head, strlen(head));
    app_case_turn_until(&the, strlen(interim));
    assert_string_equal(the.wire, interim);
    app_case_send(&the, "12345", 5);
    shutdown(the.client, SHUT_WR);
    app_case_turn_until_closed(&the);
    assert_string_equal(the.wire + strlen(interim), OK(LENGTH(1)) "5");
}

static void an_interim_answer_nobody_waits_for_is_not_sent(void **state)
{
    (void)state;
    assert_string_equal(ask(reads_all, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                                       "Content-Length: 5\r\n\r\n12345"),
                        OK(LENGTH(1)) "5");
    /* The app does not read, so the body never comes: this was the connection's last answer. */
    assert_string_equal(ask(writes_once, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                                         "Content-Length: 5\r\n\r\n"),
                        OK(LENGTH(5) CLOSE) "hello");
}

static void a_body_that_breaks_off_is_400_for_who_still_listens(void **state)
{
    const char *answer;

    (void)state;
    answer = ask(reads_all, GET "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n123");
    assert_memory_equal(answer, OK(LENGTH(1)) "0HTTP/1.1 400 Bad Request\r\n",
                        strlen(OK(LENGTH(1)) "0HTTP/1.1 400 Bad Request\r\n"));
    assert_int_equal(app_case_column(&the)->exceptions, 0);
}

static int echoes(reeve_environ *request, reeve_start_response *start_response)
{
    char buffer[8192];
    ssize_t n;

    start(request, start_response);
    while ((n = reeve_read(request, buffer, sizeof(buffer))) > 0)
        if (reeve_write(request, buffer, (size_t)n) == -1)
            return -1;
    return (int)n;
}

static int leaves_half(reeve_environ *request, reeve_start_response *start_response)
{
    char byte;

    start(request, start_response);
    reeve_read(request, &byte, 1);
    return say(request, "half");
}

/* The client sends while it reads. */
static void post(reeve_application *application, size_t size)
{
    char head[128];
    const char *body = pattern(size);
    size_t sent = 0;
    ssize_t n;

    the.descriptor.application = application;
    app_case_connect(&the);
    snprintf(head, sizeof(head), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", size);
    app_case_send(&the, head, strlen(head));
    while (sent < size && !the.is_closed) {
        n = send(the.client, body + sent, size - sent, MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 0;
        app_case_turn(&the);
    }
    shutdown(the.client, SHUT_WR);
    app_case_turn_until_closed(&the);
    app_case_hang_up(&the);
}

static void who_reads_a_large_body_keeps_the_connection_who_leaves_it_does_not(void **state)
{
    (void)state;
    post(echoes, 2u << 20);
    assert_memory_equal(the.wire, OK(CHUNKED), strlen(OK(CHUNKED)));
    post(reads_all, 2u << 20);
    assert_string_equal(the.wire, OK(LENGTH(7)) "2097152");
    post(writes_once, 2u << 20);
    assert_string_equal(the.wire, OK(LENGTH(5) CLOSE) "hello");
    post(leaves_half, 2u << 20);
    assert_string_equal(the.wire, OK(LENGTH(4) CLOSE) "half");
    post(writes_once, 100000); /* short enough to be read past */
    assert_string_equal(the.wire, OK(LENGTH(5)) "hello");
}

/* ---- on the loop's own stack ---- */

static int tries_to_wait(reeve_environ *request, reeve_start_response *start_response)
{
    char byte;

    note(reeve_sleep(0));
    note((int)reeve_read(request, &byte, 1));
    start(request, start_response);
    note(reeve_send_file(request, 0, 0, 1));
    note(reeve_write(request, pattern(1u << 20), 1u << 20)); /* gathered */
    return 0;
}

static void on_the_loop_nothing_waits(void **state)
{
    const char *request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";
    const char *head = OK(CHUNKED CLOSE) "100000\r\n";

    (void)state;
    the.descriptor.on_loop = true;
    the.descriptor.application = tries_to_wait;
    app_case_connect(&the);
    app_case_send(&the, request, strlen(request));
    app_case_turn_until(&the, strlen(head) + (1u << 20) + 7);
    assert_int_equal(errors[0], EDEADLK);
    assert_int_equal(errors[1], EWOULDBLOCK);
    assert_int_equal(errors[2], EDEADLK);
    assert_int_equal(results[3], 0);
    assert_memory_equal(the.wire, head, strlen(head));
    assert_memory_equal(the.wire + strlen(head), pattern(1u << 20), 1u << 20);
    assert_string_equal(the.wire + strlen(head) + (1u << 20), "\r\n0\r\n\r\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_write_has_its_length),
        TEST(several_writes_have_one_length),
        TEST(a_vector_is_one_write),
        TEST(no_write_is_an_empty_body),
        TEST(up_to_32_kib_are_held_for_their_length),
        TEST(a_wait_before_the_first_byte_leaves_the_head_open),
        TEST(after_a_flush_the_body_is_chunked),
        TEST(a_flush_without_a_byte_sends_the_head),
        TEST(what_was_written_leaves_when_the_app_waits),
        TEST(more_than_is_held_is_chunked),
        TEST(http_1_0_is_told_the_length_or_the_end),
        TEST(a_declared_length_is_kept),
        TEST(more_than_was_declared_is_refused_whole),
        TEST(less_than_was_declared_cuts_the_connection),
        TEST(a_declared_body_that_never_comes_is_500),
        TEST(a_length_that_is_none_is_refused),
        TEST(head_is_the_head_of_get),
        TEST(status_204_has_neither_body_nor_length),
        TEST(status_304_has_no_body),
        TEST(status_304_without_a_length_gets_none),
        TEST(an_unsent_response_can_be_replaced_with_all_it_had),
        TEST(what_was_answered_before_is_not_replaced),
        TEST(a_sent_response_cannot_be_replaced),
        TEST(nothing_is_written_before_start_response),
        TEST(hop_by_hop_headers_are_refused),
        TEST(no_header_carries_a_line_end),
        TEST(a_status_is_three_digits_and_a_reason),
        TEST(date_and_server_of_the_apps_own_replace_ours),
        TEST(a_failure_before_the_first_byte_is_500_and_the_connection_goes_on),
        TEST(a_failure_after_it_cuts_the_connection),
        TEST(a_file_is_a_part_of_the_body),
        TEST(a_large_file_arrives_whole),
        TEST(a_file_that_is_too_short_ends_the_response_and_the_connection),
        TEST(what_is_no_file_fails_alike),
        TEST(an_iterable_is_the_body_and_is_closed_before_the_hooks_run),
        TEST(an_iterable_is_closed_once_whatever_happens),
        TEST(an_iterable_is_closed_when_the_client_goes_away),
        TEST(an_iterable_is_closed_when_the_worker_ends),
        TEST(after_its_end_nothing_is_added_to_a_response),
        TEST(the_answer_says_when_the_connection_ends),
        TEST(pipelined_answers_keep_their_order),
        TEST(the_head_is_held_behind_the_interim_answer),
        TEST(an_interim_answer_nobody_waits_for_is_not_sent),
        TEST(a_body_that_breaks_off_is_400_for_who_still_listens),
        TEST(who_reads_a_large_body_keeps_the_connection_who_leaves_it_does_not),
        TEST(on_the_loop_nothing_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
