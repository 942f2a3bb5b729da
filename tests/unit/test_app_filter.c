/* test_app_filter.c: what filters see of a response, what of theirs leaves, and what is left of it
 * when something goes wrong. */
#include "app_case.h"

#include <reeve/filter.h>
#include <sys/mman.h>

#define GET  "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define HEAD "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"

#define OK(tail)  "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" CASE_STAMP tail "\r\n"
#define LENGTH(n) "Content-Length: " #n "\r\n"
#define CHUNKED   "Transfer-Encoding: chunked\r\n"

static struct app_case the;
static char trace[512]; /* what was called, a word each */
static int results[16], errors[16];
static unsigned calls;

static int setup(void **state)
{
    (void)state;
    memset(trace, 0, sizeof(trace));
    memset(results, 0, sizeof(results));
    memset(errors, 0, sizeof(errors));
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

static void note(const char *who, const char *what)
{
    size_t length = strlen(trace);

    snprintf(trace + length, sizeof(trace) - length, "%s%s ", who, what);
}

static void keep(int result)
{
    errors[calls] = result == 0 ? 0 : errno;
    results[calls++] = result;
}

static int start(reeve_environ *request, reeve_start_response *start_response)
{
    return start_response(request, "200 OK", REEVE_HEADERS({"Content-Type", "text/plain"}));
}

static int start_of_length(reeve_environ *request, reeve_start_response *start_response,
                           const char *length)
{
    return start_response(
        request, "200 OK",
        REEVE_HEADERS({"Content-Type", "text/plain"}, {"Content-Length", length}));
}

static int say(reeve_environ *request, const char *text)
{
    return reeve_write(request, text, strlen(text));
}

static int pass_text(reeve_beneath *beneath, const char *text)
{
    const struct iovec piece = {.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)};

    return reeve_filter_write(beneath, &piece, 1);
}

/* ---- a filter that brackets: its name, "(", a piece, ")", and "!" at the end ---- */

static int bracket_start(reeve_beneath *beneath, const char *status, const reeve_header *headers,
                         void *state)
{
    note(state, "start");
    return reeve_filter_start(beneath, status, headers);
}

static int bracket_write(reeve_beneath *beneath, const struct iovec *pieces, int count, void *state)
{
    note(state, "write");
    if (pass_text(beneath, state) == -1 || pass_text(beneath, "(") == -1 ||
        reeve_filter_write(beneath, pieces, count) == -1)
        return -1;
    return pass_text(beneath, ")");
}

static int bracket_flush(reeve_beneath *beneath, void *state)
{
    note(state, "flush");
    return reeve_filter_flush(beneath);
}

static int bracket_end(reeve_beneath *beneath, void *state)
{
    note(state, "end");
    return pass_text(beneath, "!");
}

static void bracket_close(void *state)
{
    note(state, "close");
}

static const reeve_filter bracket = {.on_start = bracket_start,
                                     .on_write = bracket_write,
                                     .on_flush = bracket_flush,
                                     .on_end = bracket_end,
                                     .on_close = bracket_close};
static const reeve_filter nothing;
static char a[] = "a", b[] = "b";

/* The inner one, pushed last, is b. */
static void push_both(reeve_environ *request)
{
    reeve_filter_push(request, &bracket, a);
    reeve_filter_push(request, &nothing, NULL);
    reeve_filter_push(request, &bracket, b);
}

/* ---- the way through ---- */

static int writes_through_both(reeve_environ *request, reeve_start_response *start_response)
{
    push_both(request);
    start(request, start_response);
    say(request, "x");
    return say(request, "");
}

static void the_last_one_pushed_is_the_first(void **state)
{
    (void)state;
    assert_string_equal(ask(writes_through_both, GET), OK(LENGTH(21)) "a(b)a(()a(x)a())a(!)!");
    assert_string_equal(trace, "bstart astart bwrite awrite awrite awrite awrite bend awrite aend "
                               "bclose aclose ");
    assert_int_equal(app_case_column(&the)->bytes_out, 21);
}

static int next_piece(void *state, const void **data, size_t *size)
{
    unsigned *left = state;

    *data = "i";
    *size = 1;
    return (*left)-- > 0;
}

static void closes(void *state)
{
    (void)state;
    note("iterable", "close");
}

static int hands_over(reeve_environ *request, reeve_start_response *start_response)
{
    static unsigned left;

    left = 2;
    reeve_filter_push(request, &bracket, a);
    start(request, start_response);
    return reeve_respond(request, (reeve_iterable){next_piece, closes, &left});
}

static void an_iterable_goes_through_and_ends_before_the_filter(void **state)
{
    (void)state;
    assert_string_equal(ask(hands_over, GET), OK(LENGTH(9)) "a(i)a(i)!");
    assert_string_equal(trace, "astart awrite awrite iterableclose aend aclose ");
}

static int flushes(reeve_environ *request, reeve_start_response *start_response)
{
    reeve_filter_push(request, &bracket, a);
    start(request, start_response);
    say(request, "x");
    keep(reeve_response_is_sent(request) ? 1 : 0);
    keep(reeve_flush(request));
    keep(reeve_response_is_sent(request) ? 1 : 0);
    return 0;
}

static void a_flush_goes_through(void **state)
{
    (void)state;
    assert_string_equal(ask(flushes, GET), OK(CHUNKED) "4\r\na(x)\r\n1\r\n!\r\n0\r\n\r\n");
    assert_int_equal(results[0], 0);
    assert_int_equal(results[1], 0);
    assert_int_equal(results[2], 1);
}

static int waits_in_end(reeve_beneath *beneath, void *state)
{
    (void)state;
    reeve_sleep(0.001);
    return pass_text(beneath, "waited");
}

static const reeve_filter waiting = {.on_end = waits_in_end};

static int ends_slowly(reeve_environ *request, reeve_start_response *start_response)
{
    reeve_filter_push(request, &waiting, NULL);
    return start(request, start_response);
}

static void a_filter_may_wait(void **state)
{
    (void)state;
    assert_string_equal(ask(ends_slowly, GET), OK(LENGTH(6)) "waited");
}

static void the_answer_to_head_has_no_body(void **state)
{
    (void)state;
    assert_string_equal(ask(hands_over, HEAD), OK(LENGTH(9)));
}

/* ---- pushing ---- */

static int pushes_late(reeve_environ *request, reeve_start_response *start_response)
{
    start(request, start_response);
    keep(reeve_filter_push(request, &bracket, a));
    return say(request, "x");
}

static int pushes_late_again(reeve_environ *request, reeve_start_response *start_response)
{
    reeve_filter_push(request, &nothing, NULL);
    return pushes_late(request, start_response);
}

static void a_filter_comes_before_the_response(void **state)
{
    (void)state;
    assert_string_equal(ask(pushes_late, GET), OK(LENGTH(1)) "x");
    assert_string_equal(ask(pushes_late_again, GET), OK(LENGTH(1)) "x");
    assert_int_equal(errors[0], EALREADY);
    assert_int_equal(errors[1], EALREADY);
    assert_string_equal(trace, "");
}

/* ---- the application's side of the contract ---- */

static int breaks_rules(reeve_environ *request, reeve_start_response *start_response)
{
    reeve_filter_push(request, &bracket, a);
    keep(say(request, "x"));
    keep(reeve_flush(request));
    keep(start_response(request, "200", REEVE_NO_HEADERS));
    keep(start_response(request, "200 OK", REEVE_HEADERS({"A", "b\r\nc"})));
    keep(start_response(request, "200 OK", REEVE_HEADERS({"Connection", "close"})));
    keep(start_of_length(request, start_response, "2x"));
    keep(say(request, "x"));
    return start(request, start_response);
}

static void the_rules_are_kept_before_a_filter_sees_it(void **state)
{
    const int want[] = {EPROTO, EPROTO, EINVAL, EINVAL, EPERM, EINVAL, EPROTO};

    (void)state;
    assert_string_equal(ask(breaks_rules, GET), OK(LENGTH(1)) "!");
    assert_memory_equal(errors, want, sizeof(want));
    assert_string_equal(trace, "astart aend aclose ");
}

/* ---- to begin anew, in vain ---- */

static int fails_to_begin_anew(reeve_environ *request, reeve_start_response *start_response)
{
    start(request, start_response);
    say(request, "x");
    keep(start_response(request, "200", REEVE_NO_HEADERS));
    keep(say(request, "y"));
    return 0;
}

static int fails_to_begin_anew_through_a_filter(reeve_environ *request,
                                                reeve_start_response *start_response)
{
    reeve_filter_push(request, &bracket, a);
    return fails_to_begin_anew(request, start_response);
}

static void what_cannot_be_begun_anew_is_no_response(void **state)
{
    const int want[] = {EINVAL, EPROTO, EINVAL, EPROTO};

    (void)state;
    assert_non_null(strstr(ask(fails_to_begin_anew, GET), "HTTP/1.1 500"));
    assert_non_null(strstr(ask(fails_to_begin_anew_through_a_filter, GET), "HTTP/1.1 500"));
    assert_memory_equal(errors, want, sizeof(want));
    assert_string_equal(trace, "astart awrite aclose ");
}

static int fails_when_sent(reeve_environ *request, reeve_start_response *start_response)
{
    reeve_filter_push(request, &bracket, a);
    start(request, start_response);
    say(request, "x");
    reeve_flush(request);
    keep(start_response(request, "200", REEVE_NO_HEADERS));
    return say(request, "y");
}

static void what_was_sent_goes_on_when_it_cannot_be_begun_anew(void **state)
{
    const char *answer = ask(fails_when_sent, GET);

    (void)state;
    assert_memory_equal(answer, "HTTP/1.1 200", 12);
    assert_non_null(strstr(answer, "y"));
    assert_non_null(strstr(answer, "1\r\n!\r\n0\r\n\r\n"));
    assert_int_equal(errors[0], EALREADY);
}

/* Passes the start on, and fails all the same. */
static int fails_behind_start(reeve_beneath *beneath, const char *status,
                              const reeve_header *headers, void *state)
{
    (void)state;
    reeve_filter_start(beneath, status, headers);
    if (strcmp(status, "203 Sent") == 0)
        reeve_filter_flush(beneath);
    errno = EDOM;
    return -1;
}

static const reeve_filter failing_behind_start = {.on_start = fails_behind_start};

static int begins_in_vain(reeve_environ *request, reeve_start_response *start_response)
{
    reeve_filter_push(request, &failing_behind_start, NULL);
    keep(start(request, start_response));
    return 0;
}

static int begins_and_sends_in_vain(reeve_environ *request, reeve_start_response *start_response)
{
    reeve_filter_push(request, &failing_behind_start, NULL);
    keep(start_response(request, "203 Sent", REEVE_NO_HEADERS));
    return 0;
}

static void a_start_that_fails_is_taken_back(void **state)
{
    (void)state;
    assert_memory_equal(ask(begins_in_vain, GET), "HTTP/1.1 500", 12);
    assert_null(strstr(the.wire, "200 OK"));
    assert_int_equal(errors[0], EDOM);
    assert_null(strstr(ask(begins_and_sends_in_vain, GET), "0\r\n\r\n"));
    assert_int_equal(errors[1], EDOM);
}

/* A filter that changes the length, and says so. */
static int undeclares(reeve_beneath *beneath, const char *status, const reeve_header *headers,
                      void *state)
{
    (void)headers;
    note(state, "start");
    return reeve_filter_start(beneath, status, REEVE_HEADERS({"Content-Type", "text/plain"}));
}

static const reeve_filter changing = {.on_start = undeclares,
                                      .on_write = bracket_write,
                                      .on_end = bracket_end,
                                      .on_close = bracket_close};

static int declares_and_writes_more(reeve_environ *request, reeve_start_response *start_response)
{
    reeve_filter_push(request, &changing, a);
    start_of_length(request, start_response, "2");
    say(request, "xy");
    keep(say(request, "z"));
    return 0;
}

static int declares_and_writes_less(reeve_environ *request, reeve_start_response *start_response)
{
    reeve_filter_push(request, &changing, a);
    start_of_length(request, start_response, "2");
    return say(request, "x");
}

static void a_declared_length_holds_for_what_the_application_writes(void **state)
{
    (void)state;
    assert_string_equal(ask(declares_and_writes_more, GET), OK(LENGTH(6)) "a(xy)!");
    assert_int_equal(errors[0], EMSGSIZE);
    assert_non_null(strstr(ask(declares_and_writes_less, GET), "HTTP/1.1 500"));
    assert_null(strstr(the.wire, "a(x)"));
    assert_string_equal(trace, "astart awrite aend aclose astart awrite aclose ");
}

static int writes_longer_than_it_says(reeve_environ *request, reeve_start_response *start_response)
{
    reeve_filter_push(request, &bracket, a);
    start_of_length(request, start_response, "2");
    keep(say(request, "xy"));
    return 0;
}

static void a_length_that_a_filter_lets_pass_is_enforced_on_it(void **state)
{
    (void)state;
    assert_null(strstr(ask(writes_longer_than_it_says, GET), "(xy"));
    assert_int_equal(errors[0], EMSGSIZE);
    assert_int_equal(app_case_column(&the)->exceptions, 1);
}

/* ---- an iterable of a response that is replaced ---- */

static int hands_over_two(reeve_environ *request, reeve_start_response *start_response)
{
    static unsigned left;

    left = 2;
    start(request, start_response);
    reeve_respond(request, (reeve_iterable){next_piece, closes, &left});
    if (start(request, start_response) == -1 || say(request, "instead") == -1)
        return -1;
    left = 1;
    return reeve_respond(request, (reeve_iterable){next_piece, closes, &left});
}

static int hands_over_two_through_a_filter(reeve_environ *request,
                                           reeve_start_response *start_response)
{
    reeve_filter_push(request, &nothing, NULL);
    return hands_over_two(request, start_response);
}

static void an_iterable_goes_with_the_response_it_belongs_to(void **state)
{
    (void)state;
    assert_string_equal(ask(hands_over_two, GET), OK(LENGTH(8)) "insteadi");
    assert_string_equal(ask(hands_over_two_through_a_filter, GET), OK(LENGTH(8)) "insteadi");
    assert_string_equal(trace, "iterableclose iterableclose iterableclose iterableclose ");
}

/* ---- one that holds back ---- */

struct held {
    char body[64];
    char status[32];
};

static int hold_start(reeve_beneath *beneath, const char *status, const reeve_header *headers,
                      void *state)
{
    struct held *holder = state;

    (void)headers;
    (void)beneath;
    memset(holder->body, 0, sizeof(holder->body));
    snprintf(holder->status, sizeof(holder->status), "%s", status);
    return 0;
}

static int hold_write(reeve_beneath *beneath, const struct iovec *pieces, int count, void *state)
{
    struct held *holder = state;

    (void)beneath;
    for (int i = 0; i < count; i++)
        strncat(holder->body, pieces[i].iov_base, pieces[i].iov_len);
    return 0;
}

static int hold_end(reeve_beneath *beneath, void *state)
{
    struct held *holder = state;

    if (reeve_filter_start(beneath, holder->status,
                           REEVE_HEADERS({"Content-Type", "text/plain"})) == -1)
        return -1;
    return pass_text(beneath, holder->body);
}

static void hold_close(void *state)
{
    free(state);
    note("hold", "close");
}

static const reeve_filter holding = {
    .on_start = hold_start, .on_write = hold_write, .on_end = hold_end, .on_close = hold_close};

static void push_holder(reeve_environ *request)
{
    reeve_filter_push(request, &holding, calloc(1, sizeof(struct held)));
}

static int replaces(reeve_environ *request, reeve_start_response *start_response)
{
    reeve_filter_push(request, &bracket, a);
    push_holder(request);
    start_response(request, "404 Not Found", REEVE_NO_HEADERS);
    say(request, "first");
    start(request, start_response);
    return say(request, "second");
}

static void a_replaced_response_leaves_nothing_behind(void **state)
{
    (void)state;
    assert_string_equal(ask(replaces, GET), OK(LENGTH(10)) "a(second)!");
    assert_string_equal(trace, "astart awrite aend holdclose aclose ");
}

/* The same the other way round: the start and a piece have been passed on already. */
static int replaces_what_was_passed_on(reeve_environ *request, reeve_start_response *start_response)
{
    push_holder(request);
    reeve_filter_push(request, &bracket, a);
    start_response(request, "404 Not Found", REEVE_NO_HEADERS);
    say(request, "first");
    start(request, start_response);
    return say(request, "second");
}

static int replaces_beneath_nothing(reeve_environ *request, reeve_start_response *start_response)
{
    reeve_filter_push(request, &bracket, a);
    start_response(request, "404 Not Found", REEVE_NO_HEADERS);
    say(request, "first");
    start(request, start_response);
    return say(request, "second");
}

static void what_was_passed_on_is_taken_back(void **state)
{
    (void)state;
    assert_string_equal(ask(replaces_what_was_passed_on, GET), OK(LENGTH(10)) "a(second)!");
    assert_string_equal(ask(replaces_beneath_nothing, GET), OK(LENGTH(10)) "a(second)!");
}

static int replaces_too_late(reeve_environ *request, reeve_start_response *start_response)
{
    reeve_filter_push(request, &bracket, a);
    start(request, start_response);
    say(request, "x");
    reeve_flush(request);
    keep(start(request, start_response));
    return say(request, "y");
}

static void what_was_sent_is_not_replaced(void **state)
{
    (void)state;
    assert_string_equal(ask(replaces_too_late, GET),
                        OK(CHUNKED) "4\r\na(x)\r\n1\r\na\r\n1\r\n(\r\n1\r\ny\r\n1\r\n)\r\n"
                                    "1\r\n!\r\n0\r\n\r\n");
    assert_int_equal(errors[0], EALREADY);
    assert_string_equal(trace, "astart awrite aflush awrite aend aclose ");
}

static int fails_after_writing(reeve_environ *request, reeve_start_response *start_response)
{
    push_holder(request);
    reeve_filter_push(request, &bracket, a);
    start(request, start_response);
    say(request, "a secret");
    return -1;
}

static void the_servers_own_answer_replaces_what_is_held_back(void **state)
{
    (void)state;
    assert_non_null(strstr(ask(fails_after_writing, GET), "HTTP/1.1 500"));
    assert_null(strstr(the.wire, "secret"));
    assert_null(strstr(the.wire, "(")); /* and passes no filter */
    assert_string_equal(trace, "astart awrite aclose holdclose ");
}

static int fails_after_the_first_byte(reeve_environ *request, reeve_start_response *start_response)
{
    flushes(request, start_response);
    return -1;
}

static void after_the_first_byte_the_client_is_cut_off(void **state)
{
    (void)state;
    assert_string_equal(ask(fails_after_the_first_byte, GET), OK(CHUNKED) "4\r\na(x)\r\n");
    assert_string_equal(trace, "astart awrite aflush aclose ");
}

/* ---- filters that do wrong ---- */

static int refuses(reeve_beneath *beneath, const struct iovec *pieces, int count, void *state)
{
    (void)beneath;
    (void)pieces;
    (void)count;
    (void)state;
    errno = EUCLEAN;
    return -1;
}

static const reeve_filter refusing = {.on_write = refuses};

static int takes_no_notice(reeve_environ *request, reeve_start_response *start_response)
{
    reeve_filter_push(request, &refusing, NULL);
    start(request, start_response);
    keep(say(request, "x"));
    keep(say(request, "y"));
    return 0;
}

static int answers_anew(reeve_environ *request, reeve_start_response *start_response)
{
    takes_no_notice(request, start_response);
    return start(request, start_response);
}

static void a_filter_that_fails_makes_the_response_fail(void **state)
{
    (void)state;
    assert_non_null(strstr(ask(takes_no_notice, GET), "HTTP/1.1 500"));
    assert_int_equal(errors[0], EUCLEAN);
    assert_int_equal(errors[1], EPIPE);
    assert_string_equal(ask(answers_anew, GET), OK(LENGTH(0)));
}

static int swallows(reeve_beneath *beneath, const char *status, const reeve_header *headers,
                    void *state)
{
    (void)status;
    (void)headers;
    (void)state;
    keep(pass_text(beneath, "too early"));
    keep(reeve_filter_flush(beneath));
    return 0;
}

static const reeve_filter swallowing = {.on_start = swallows};

static int is_swallowed(reeve_environ *request, reeve_start_response *start_response)
{
    reeve_filter_push(request, &swallowing, NULL);
    start(request, start_response);
    keep(say(request, "x"));
    return 0;
}

static void a_response_that_a_filter_swallows_is_a_failure(void **state)
{
    const int want[] = {EPROTO, EPROTO, EPROTO};

    (void)state;
    assert_non_null(strstr(ask(is_swallowed, GET), "HTTP/1.1 500"));
    assert_memory_equal(errors, want, sizeof(want));
}

/* ---- taking itself out ---- */

static int steps_aside(reeve_beneath *beneath, const char *status, const reeve_header *headers,
                       void *state)
{
    note(state, "start");
    if (strncmp(status, "200", 3) == 0)
        reeve_filter_remove(beneath);
    return reeve_filter_start(beneath, status, headers);
}

static const reeve_filter modest = {.on_start = steps_aside,
                                    .on_write = bracket_write,
                                    .on_flush = bracket_flush,
                                    .on_end = bracket_end,
                                    .on_close = bracket_close};

static int passes_a_modest_one(reeve_environ *request, reeve_start_response *start_response)
{
    reeve_filter_push(request, &modest, a);
    start(request, start_response);
    return say(request, "x");
}

static int brings_it_back(reeve_environ *request, reeve_start_response *start_response)
{
    passes_a_modest_one(request, start_response);
    start_response(request, "404 Not Found", REEVE_NO_HEADERS);
    return say(request, "x");
}

static void one_that_has_taken_itself_out_sees_only_the_end(void **state)
{
    (void)state;
    assert_string_equal(ask(passes_a_modest_one, GET), OK(LENGTH(1)) "x");
    assert_string_equal(trace, "astart aclose ");
    assert_non_null(strstr(ask(brings_it_back, GET), "a(x)!"));
}

/* ---- files ---- */

static int a_file(size_t size)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    char line[1000];

    memset(line, 'f', sizeof(line));
    for (size_t i = 0; i < size; i += sizeof(line))
        if (write(fd, line, sizeof(line)) != sizeof(line))
            abort();
    return fd;
}

static size_t seen, largest;

static int counts(reeve_beneath *beneath, const struct iovec *pieces, int count, void *state)
{
    (void)state;
    for (int i = 0; i < count; i++) {
        seen += pieces[i].iov_len;
        if (pieces[i].iov_len > largest)
            largest = pieces[i].iov_len;
    }
    return reeve_filter_write(beneath, pieces, count);
}

static const reeve_filter counting = {.on_write = counts};

static int sends_a_file(reeve_environ *request, reeve_start_response *start_response)
{
    int fd = a_file(300000);

    seen = largest = 0;
    reeve_filter_push(request, &nothing, NULL);
    reeve_filter_push(request, &counting, NULL);
    start_of_length(request, start_response, "299000");
    keep(reeve_send_file(request, fd, 1000, 299000));
    close(fd);
    return results[0];
}

static int sends_too_much_of_a_file(reeve_environ *request, reeve_start_response *start_response)
{
    int fd = a_file(1000);

    reeve_filter_push(request, &counting, NULL);
    start(request, start_response);
    keep(reeve_send_file(request, fd, 0, 2000));
    close(fd);
    return 0;
}

static int sends_a_file_past(reeve_environ *request, reeve_start_response *start_response)
{
    int fd = a_file(1000);

    reeve_filter_push(request, &nothing, NULL);
    reeve_filter_push(request, &modest, a);
    start(request, start_response);
    keep(reeve_send_file(request, fd, 0, 1000));
    close(fd);
    return 0;
}

static void a_file_comes_in_bounded_pieces(void **state)
{
    (void)state;
    ask(sends_a_file, GET);
    assert_int_equal(results[0], 0);
    assert_int_equal(the.length, strlen(OK(LENGTH(299000))) + 299000);
    assert_int_equal(seen, 299000);
    assert_int_equal(largest, 65536);
    ask(sends_a_file_past, GET);
    assert_int_equal(results[1], 0);
    assert_int_equal(seen, 299000);
    assert_string_equal(trace, "astart aclose ");
}

static void a_file_that_is_shorter_fails(void **state)
{
    (void)state;
    ask(sends_too_much_of_a_file, GET);
    assert_int_equal(errors[0], EIO);
    assert_true(strstr(the.wire, "HTTP/1.1 500") || !strstr(the.wire, "0\r\n\r\n"));
}

/* ---- the client goes ---- */

static const reeve_filter owning = {.on_write = counts, .on_close = hold_close};

static int streams(reeve_environ *request, reeve_start_response *start_response)
{
    static char piece[65536];
    int result = 0;

    memset(piece, 'p', sizeof(piece));
    reeve_filter_push(request, &bracket, a);
    reeve_filter_push(request, &owning, malloc(100));
    start(request, start_response);
    while (result == 0)
        result = reeve_write(request, piece, sizeof(piece));
    keep(result);
    trace[0] = '\0';
    return 0;
}

/* It waits inside of the filters, for a client that takes nothing, and then goes. */
static void a_client_that_has_gone_frees_what_is_held(void **state)
{
    (void)state;
    the.descriptor.application = streams;
    app_case_connect(&the);
    app_case_send(&the, GET, strlen(GET));
    for (unsigned i = 0; i < 20; i++)
        event_base_loop(the.base, EVLOOP_NONBLOCK);
    assert_int_equal(calls, 0);
    app_case_hang_up(&the);
    while (the.room.net.conn_count > 0)
        event_base_loop(the.base, EVLOOP_ONCE);
    assert_string_equal(trace, "holdclose aclose ");
    assert_int_equal(errors[0], EPIPE);
}

/* ---- hooks ---- */

static void writes_late(void *arg)
{
    keep(say(arg, "too late"));
    keep(reeve_filter_push(arg, &bracket, a));
}

static int hooks(reeve_environ *request, reeve_start_response *start_response)
{
    reeve_on_close(request, writes_late, request);
    reeve_filter_push(request, &bracket, a);
    reeve_on_close(request, writes_late, request);
    start(request, start_response);
    return say(request, "x");
}

static void at_its_end_nothing_is_added(void **state)
{
    const int want[] = {EPROTO, EALREADY, EPROTO, EALREADY};

    (void)state;
    assert_string_equal(ask(hooks, GET), OK(LENGTH(5)) "a(x)!");
    assert_memory_equal(errors, want, sizeof(want));
    assert_string_equal(trace, "astart awrite aend aclose ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(the_last_one_pushed_is_the_first),
        TEST(an_iterable_goes_through_and_ends_before_the_filter),
        TEST(a_flush_goes_through),
        TEST(a_filter_may_wait),
        TEST(the_answer_to_head_has_no_body),
        TEST(a_filter_comes_before_the_response),
        TEST(the_rules_are_kept_before_a_filter_sees_it),
        TEST(what_cannot_be_begun_anew_is_no_response),
        TEST(what_was_sent_goes_on_when_it_cannot_be_begun_anew),
        TEST(a_start_that_fails_is_taken_back),
        TEST(a_declared_length_holds_for_what_the_application_writes),
        TEST(a_length_that_a_filter_lets_pass_is_enforced_on_it),
        TEST(an_iterable_goes_with_the_response_it_belongs_to),
        TEST(a_replaced_response_leaves_nothing_behind),
        TEST(what_was_passed_on_is_taken_back),
        TEST(what_was_sent_is_not_replaced),
        TEST(the_servers_own_answer_replaces_what_is_held_back),
        TEST(after_the_first_byte_the_client_is_cut_off),
        TEST(a_filter_that_fails_makes_the_response_fail),
        TEST(a_response_that_a_filter_swallows_is_a_failure),
        TEST(one_that_has_taken_itself_out_sees_only_the_end),
        TEST(a_file_comes_in_bounded_pieces),
        TEST(a_file_that_is_shorter_fails),
        TEST(a_client_that_has_gone_frees_what_is_held),
        TEST(at_its_end_nothing_is_added),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
