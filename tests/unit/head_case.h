/* head_case.h: for the tests of heads: a head is scanned and parsed whole, and cut at every place,
 * and the verdicts must agree. Every buffer is exactly as long as its bytes, so that the sanitizers
 * see a look beyond them. */
#ifndef TESTS_UNIT_HEAD_CASE_H
#define TESTS_UNIT_HEAD_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/head.h"

#define MAX_LINES      64
#define BYTES(literal) literal, sizeof(literal) - 1
#define COUNT(array)   (sizeof(array) / sizeof *(array))

static const struct head_limits limits = {8192, 1024, MAX_LINES};

/* One head, scanned and parsed. */
struct result {
    int status; /* 0: head_scan wants more; 200: accepted; else refused */
    struct head_scan scan;
    struct head head;
    struct head_field fields[MAX_LINES];
    char *data; /* what the spans point into */
};

static inline char *copy_of(const char *bytes, size_t length)
{
    char *copy = malloc(length ? length : 1);

    assert_non_null(copy);
    memcpy(copy, bytes, length);
    return copy;
}

static inline int scan_copy(struct head_scan *scan, const char *bytes, size_t length)
{
    char *copy = copy_of(bytes, length);
    int status = head_scan(scan, copy, length, &limits);

    free(copy);
    return status;
}

static inline void parse_scanned(struct result *result, const char *bytes)
{
    result->data = copy_of(bytes, result->scan.length);
    assert_true(result->scan.lines <= MAX_LINES);
    int status = head_parse(&result->head, &result->scan, result->data, result->fields, &limits);
    result->status = status ? status : 200;
}

/* As if the first `split` bytes had come in a read of their own. */
static inline void take_split(struct result *result, const char *bytes, size_t length, size_t split)
{
    *result = (struct result){0};
    if (split)
        result->status = scan_copy(&result->scan, bytes, split);
    if (!result->status)
        result->status = scan_copy(&result->scan, bytes, length);
    if (result->status == 200)
        parse_scanned(result, bytes);
}

static inline int status_of_split(const char *bytes, size_t length, size_t split)
{
    struct result result;
    take_split(&result, bytes, length, split);

    free(result.data);
    return result.status;
}

static inline int status_of_single_bytes(const char *bytes, size_t length)
{
    struct result result = {0};

    for (size_t n = 1; n <= length && !result.status; n++)
        result.status = scan_copy(&result.scan, bytes, n);
    if (result.status == 200)
        parse_scanned(&result, bytes);
    free(result.data);
    return result.status;
}

/* The verdict on these bytes, which must be the same however they are cut. */
static inline int status_of(const char *bytes, size_t length)
{
    int whole = status_of_split(bytes, length, 0);

    for (size_t split = 1; split < length; split++)
        if (status_of_split(bytes, length, split) != whole)
            fail_msg("split at %zu is not %d: %.*s", split, whole, (int)length, bytes);
    if (status_of_single_bytes(bytes, length) != whole)
        fail_msg("byte by byte is not %d: %.*s", whole, (int)length, bytes);
    return whole;
}

static inline void expect_status(const char *bytes, size_t length, int status)
{
    int actual = status_of(bytes, length);

    if (actual != status)
        fail_msg("%d and not %d for: %.*s", actual, status, (int)length, bytes);
}

struct verdict {
    const char *bytes;
    size_t length;
    int status;
};

static inline void expect_verdicts(const struct verdict *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        expect_status(cases[i].bytes, cases[i].length, cases[i].status);
}

#define LINE_1_1 "GET / HTTP/1.1\r\n"
#define HOST     "Host: a\r\n"

/* A request line and Host around it, so that a case is what matters in it. */
#define REQUEST_LINE(line) BYTES(line "\r\n" HOST "\r\n")
#define HEADERS(lines)     BYTES("POST / HTTP/1.1\r\n" HOST lines "\r\n")
#define HEADERS_1_0(lines) BYTES("POST / HTTP/1.0\r\n" lines "\r\n")

#endif
