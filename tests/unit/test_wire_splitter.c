/* test_wire_splitter.c: what a terminator leaves as data, however the bytes are cut, and that what
 * was looked at is not looked at again. Every buffer is exactly as long as its bytes, so that the
 * sanitizers see a look beyond them. */
#include "wire/splitter.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(literal) literal, sizeof(literal) - 1
#define COUNT(array)   (sizeof(array) / sizeof *(array))

/* A driver: keeps what is not taken, writes down what came out, "|" for a terminator. */
struct driver {
    struct splitter splitter;
    char had[512]; /* not taken */
    size_t length;
    char out[1024];
    size_t out_length;
    bool is_patient; /* takes data only with their terminator */
};

static void driver_init(struct driver *d)
{
    memset(d, 0, sizeof *d);
    splitter_init(&d->splitter);
}

static void put_out(struct driver *d, const char *bytes, size_t n)
{
    assert_true(d->out_length + n < sizeof d->out);
    memcpy(d->out + d->out_length, bytes, n);
    d->out_length += n;
}

/* One look, at a copy of just that size. */
static bool look(struct driver *d, size_t *data_out, size_t *mark_out)
{
    char *copy = malloc(d->length ? d->length : 1);
    bool is_found;

    assert_non_null(copy);
    memcpy(copy, d->had, d->length);
    is_found = splitter_look(&d->splitter, copy, d->length, data_out, mark_out);
    free(copy);
    assert_true(*data_out + *mark_out <= d->length);
    return is_found;
}

static void move_out(struct driver *d, size_t data, size_t mark)
{
    put_out(d, d->had, data);
    d->length -= data + mark;
    memmove(d->had, d->had + data + mark, d->length);
}

static void take(struct driver *d, size_t data)
{
    move_out(d, data, 0);
    splitter_took(&d->splitter, data);
}

static void pass(struct driver *d, size_t data, size_t mark)
{
    move_out(d, data, mark);
    splitter_passed(&d->splitter, data + mark);
}

/* Takes what there is, up to one terminator. Returns whether that was there. */
static bool step(struct driver *d)
{
    size_t data, mark;
    bool is_found = look(d, &data, &mark);

    if (is_found) {
        pass(d, data, mark);
        put_out(d, "|", 1);
    } else if (!d->is_patient) {
        take(d, data);
    }
    return is_found;
}

static void feed(struct driver *d, const char *bytes, size_t length)
{
    assert_true(d->length + length <= sizeof d->had);
    memcpy(d->had + d->length, bytes, length);
    d->length += length;
    while (step(d))
        ;
}

static void expect_out(struct driver *d, const char *out)
{
    d->out[d->out_length] = '\0';
    assert_string_equal(d->out, out);
}

/* ---- terminators of bytes ---- */

struct sample {
    const char *mark, *bytes, *out, *rest;
};

static const struct sample samples[] = {
    {"\r\n", "one\r\ntwo\r\n", "one|two|", ""},
    {"\r\n", "\r\n\r\n", "||", ""},
    {"\r\n", "a\rb\nc\r\r\n", "a\rb\nc\r|", ""},
    {"\r\n", "half\r", "half", "\r"},
    {"\r\n.\r\n", "From\r\n..\r\n\r\n.\r\nrest", "From\r\n..\r\n|rest", ""},
    {"\r\n.\r\n", "\r\n\r\n.\r\n.\r\n", "\r\n|.", "\r\n"},
    {"\n", "a\n\nb", "a||b", ""},
    {"aab", "aaab", "a|", ""},
    {"aab", "aabaaab", "|a|", ""},
    {"aab", "xaa", "x", "aa"},
    {"aa", "aaaaa", "||", "a"}, /* they do not overlap */
    {"aba", "ababa", "|b", "a"},
    {"abab", "aababab", "a|", "ab"},
    {"abcabcabd", "abcabcabcabd", "abc|", ""},
    {"0123456789abcdef", "0123456789abcde0123456789abcdef", "0123456789abcde|", ""},
    {"aaaaaaaaaaaaaaaab", "aaaaaaaaaaaaaaaaaaab-", "aaa|-", ""}, /* 17 bytes: the far kind */
    {"-----BEGIN CERTIFICATE-----\n", "--------BEGIN CERTIFICATE-----\n--", "---|", "--"},
};

static void expect_sample(struct driver *d, const struct sample *sample)
{
    expect_out(d, sample->out);
    assert_int_equal(d->length, strlen(sample->rest));
    assert_memory_equal(d->had, sample->rest, d->length);
    splitter_fini(&d->splitter);
}

static void begin_sample(struct driver *d, const struct sample *sample)
{
    driver_init(d);
    assert_int_equal(splitter_set_bytes(&d->splitter, sample->mark, strlen(sample->mark)), 0);
}

static void test_any_two_cuts_give_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(samples); i++) {
        const char *bytes = samples[i].bytes;
        size_t length = strlen(bytes);

        for (size_t one = 0; one <= length; one++) {
            for (size_t two = one; two <= length; two++) {
                struct driver d;

                begin_sample(&d, &samples[i]);
                feed(&d, bytes, one);
                feed(&d, bytes + one, two - one);
                feed(&d, bytes + two, length - two);
                expect_sample(&d, &samples[i]);
            }
        }
    }
}

static void test_bytes_one_by_one_give_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(samples); i++) {
        struct driver d;

        begin_sample(&d, &samples[i]);
        for (const char *byte = samples[i].bytes; *byte != '\0'; byte++)
            feed(&d, byte, 1);
        expect_sample(&d, &samples[i]);
    }
}

static void test_data_need_not_be_taken_before_the_terminator(void **state)
{
    struct driver d;
    size_t data, mark;

    (void)state;
    driver_init(&d);
    d.is_patient = true;
    assert_int_equal(splitter_set_bytes(&d.splitter, BYTES("\r\n")), 0);
    feed(&d, BYTES("a li"));
    feed(&d, BYTES("ne\r"));
    assert_int_equal(d.length, 7);
    assert_false(look(&d, &data, &mark));
    assert_int_equal(data, 6);
    feed(&d, BYTES("\nanother\r\nand"));
    expect_out(&d, "a line|another|");
    assert_int_equal(d.length, 3);
}

/* A part of the data, even after the terminator was seen: it is still there. */
static void test_data_may_be_taken_in_parts(void **state)
{
    struct driver d;
    size_t data, mark;

    (void)state;
    driver_init(&d);
    assert_int_equal(splitter_set_bytes(&d.splitter, BYTES("--")), 0);
    memcpy(d.had, "abcdef--gh", d.length = 10);
    for (size_t left = 6; left > 0; left -= 2) {
        assert_true(look(&d, &data, &mark));
        assert_int_equal(data, left);
        assert_int_equal(mark, 2);
        take(&d, 2);
    }
    assert_true(look(&d, &data, &mark));
    pass(&d, data, mark);
    assert_false(look(&d, &data, &mark));
    assert_int_equal(data, 2);
    expect_out(&d, "abcdef");
}

/* 64 KiB of a terminator's beginnings, a byte a look, the unread bytes growing: were they looked at
 * again each time, this would be 2^31 steps. */
static void test_what_was_seen_is_not_looked_at_again(void **state)
{
    enum { LENGTH = 1 << 16 };
    char *bytes = malloc(LENGTH), *mark = malloc(SPLITTER_MAX);
    struct splitter s;
    size_t data, found;

    (void)state;
    assert_true(bytes != NULL && mark != NULL);
    memset(bytes, 'a', LENGTH);
    memset(mark, 'a', SPLITTER_MAX);
    mark[SPLITTER_MAX - 1] = 'b';
    splitter_init(&s);
    assert_int_equal(splitter_set_bytes(&s, mark, SPLITTER_MAX), 0);
    for (size_t i = 1; i < LENGTH; i++) {
        assert_false(splitter_look(&s, bytes, i, &data, &found));
        assert_int_equal(data, i < SPLITTER_MAX ? 0 : i - (SPLITTER_MAX - 1));
        assert_int_equal(s.seen, i);
    }
    bytes[LENGTH - 1] = 'b';
    assert_true(splitter_look(&s, bytes, LENGTH, &data, &found));
    assert_int_equal(data, LENGTH - SPLITTER_MAX);
    assert_int_equal(found, SPLITTER_MAX);
    splitter_fini(&s);
    free(bytes);
    free(mark);
}

static void test_a_terminator_has_its_bounds(void **state)
{
    static char long_one[SPLITTER_MAX + 1];
    struct driver d;

    (void)state;
    driver_init(&d);
    assert_int_equal(splitter_set_bytes(&d.splitter, BYTES("\n")), 0);
    errno = 0;
    assert_int_equal(splitter_set_bytes(&d.splitter, long_one, sizeof long_one), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(splitter_set_bytes(&d.splitter, "", 0), -1);
    feed(&d, BYTES("still\nlines\n"));
    expect_out(&d, "still|lines|");
}

/* ---- lengths, and none ---- */

static void test_lengths_count_down_to_none(void **state)
{
    struct driver d;

    (void)state;
    driver_init(&d);
    splitter_set_length(&d.splitter, 1);
    feed(&d, BYTES("a"));
    splitter_set_length(&d.splitter, 5);
    feed(&d, BYTES("bcd"));
    feed(&d, BYTES("efg"));
    feed(&d, BYTES("hi"));
    expect_out(&d, "a|bcdef|ghi");
}

static void test_no_bytes_are_a_length_once(void **state)
{
    struct driver d;

    (void)state;
    driver_init(&d);
    splitter_set_length(&d.splitter, 0);
    assert_true(step(&d));
    assert_false(step(&d));
    feed(&d, BYTES("on"));
    expect_out(&d, "|on");
}

/* Who takes the data first, and looks again, finds the end all the same. */
static void test_a_length_ends_once_its_data_are_taken(void **state)
{
    struct driver d;
    size_t data, mark;

    (void)state;
    driver_init(&d);
    splitter_set_length(&d.splitter, 3);
    memcpy(d.had, "abcd", d.length = 4);
    assert_true(look(&d, &data, &mark));
    take(&d, data);
    assert_true(step(&d));
    assert_false(step(&d));
    expect_out(&d, "abc|d");
}

static void test_a_length_can_be_beyond_memory(void **state)
{
    struct driver d;
    size_t data, mark;

    (void)state;
    driver_init(&d);
    splitter_set_length(&d.splitter, UINT64_C(1) << 40);
    feed(&d, BYTES("some"));
    expect_out(&d, "some");
    assert_int_equal(d.splitter.left, (UINT64_C(1) << 40) - 4);
    /* The rest in pieces of a GiB that are not there: only their number counts. */
    for (unsigned i = 0; i < 1023; i++)
        splitter_took(&d.splitter, 1 << 30);
    splitter_took(&d.splitter, (1 << 30) - 6);
    memcpy(d.had, "12345", d.length = 5);
    assert_true(look(&d, &data, &mark));
    assert_int_equal(data, 2);
    assert_int_equal(mark, 0);
}

static void test_without_a_terminator_everything_is_data(void **state)
{
    struct driver d;

    (void)state;
    driver_init(&d);
    feed(&d, BYTES("a\r\n"));
    splitter_set_length(&d.splitter, 7);
    splitter_set_none(&d.splitter);
    feed(&d, BYTES("b\r\n."));
    expect_out(&d, "a\r\nb\r\n.");
}

/* ---- changes ---- */

/* As memcached has it: a line that says how long the body is, the body, its line end. */
static void test_lines_and_lengths_take_turns(void **state)
{
    static const char bytes[] = "set 5\r\na\r\nbc\r\nset 0\r\n\r\nget\r\n";

    (void)state;
    for (size_t cut = 0; cut < sizeof bytes; cut++) {
        struct driver d;
        unsigned turn = 0;

        driver_init(&d);
        assert_int_equal(splitter_set_bytes(&d.splitter, BYTES("\r\n")), 0);
        for (size_t from = 0; from < sizeof bytes - 1;) {
            size_t to = from < cut ? cut : sizeof bytes - 1;

            memcpy(d.had + d.length, bytes + from, to - from);
            d.length += to - from;
            from = to;
            while (step(&d)) {
                turn++;
                if (turn == 1 || turn == 4)
                    splitter_set_length(&d.splitter, turn == 1 ? 5 : 0);
                else
                    assert_int_equal(splitter_set_bytes(&d.splitter, BYTES("\r\n")), 0);
            }
        }
        assert_int_equal(turn, 7);
        expect_out(&d, "set 5|a\r\nbc||set 0|||get|");
    }
}

/* What was held back for the former one is looked at with the eyes of the new one. */
static void test_a_new_terminator_sees_what_was_held_back(void **state)
{
    struct driver d;

    (void)state;
    driver_init(&d);
    assert_int_equal(splitter_set_bytes(&d.splitter, BYTES("\r\n.\r\n")), 0);
    feed(&d, BYTES("a\r\n."));
    expect_out(&d, "a");
    assert_int_equal(splitter_set_bytes(&d.splitter, BYTES("\n.")), 0);
    feed(&d, "", 0);
    expect_out(&d, "a\r|");
    assert_int_equal(splitter_set_bytes(&d.splitter, BYTES("a terminator of 26 letters")), 0);
    feed(&d, BYTES("a term"));
    assert_int_equal(splitter_set_bytes(&d.splitter, BYTES("a terminator of 34 and more letters")),
                     0);
    feed(&d, BYTES("inator of 34 and more letters"));
    expect_out(&d, "a\r||");
    splitter_fini(&d.splitter);
}

static void test_the_same_one_set_again_keeps_what_was_seen(void **state)
{
    struct driver d;

    (void)state;
    driver_init(&d);
    for (const char *byte = "one\r\ntwo\r\n"; *byte != '\0'; byte++) {
        assert_int_equal(splitter_set_bytes(&d.splitter, BYTES("\r\n")), 0);
        feed(&d, byte, 1);
    }
    expect_out(&d, "one|two|");
}

static void test_what_was_thrown_away_begins_no_terminator(void **state)
{
    struct driver d;

    (void)state;
    driver_init(&d);
    assert_int_equal(splitter_set_bytes(&d.splitter, BYTES("\r\n")), 0);
    feed(&d, BYTES("a\r"));
    d.length = 0;
    splitter_forget(&d.splitter);
    feed(&d, BYTES("\nb\r\n"));
    expect_out(&d, "a\nb|");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_two_cuts_give_the_same),
        cmocka_unit_test(test_bytes_one_by_one_give_the_same),
        cmocka_unit_test(test_data_need_not_be_taken_before_the_terminator),
        cmocka_unit_test(test_data_may_be_taken_in_parts),
        cmocka_unit_test(test_what_was_seen_is_not_looked_at_again),
        cmocka_unit_test(test_a_terminator_has_its_bounds),
        cmocka_unit_test(test_lengths_count_down_to_none),
        cmocka_unit_test(test_no_bytes_are_a_length_once),
        cmocka_unit_test(test_a_length_ends_once_its_data_are_taken),
        cmocka_unit_test(test_a_length_can_be_beyond_memory),
        cmocka_unit_test(test_without_a_terminator_everything_is_data),
        cmocka_unit_test(test_lines_and_lengths_take_turns),
        cmocka_unit_test(test_a_new_terminator_sees_what_was_held_back),
        cmocka_unit_test(test_the_same_one_set_again_keeps_what_was_seen),
        cmocka_unit_test(test_what_was_thrown_away_begins_no_terminator),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
