/* range.c: reads the Range header (RFC 9110 section 14.1.2). Refuses to serve as an amplifier:
 * overlapping ranges, or more of them than RANGE_LIMIT, are ignored, as section 14.2 allows. */
#include "range.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

enum spec { SPEC_INVALID, SPEC_OUTSIDE, SPEC_INSIDE };

int64_t range_size(const struct range *range)
{
    return range->last - range->first + 1;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* 1*DIGIT; a number too large for any file becomes INT64_MAX. */
static bool read_number(const char **text, int64_t *number_out)
{
    int64_t number = 0;

    if (!is_digit(**text))
        return false;
    for (; is_digit(**text); ++*text)
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, **text - '0', &number))
            number = INT64_MAX; /* and the next digit overflows again */
    *number_out = number;
    return true;
}

/* "-500": the last 500 bytes. All of an empty file is no range that Content-Range could tell, so it
 * is left to the answer with the whole. */
static enum spec read_suffix(const char **text, int64_t size, struct range *range_out)
{
    int64_t length;

    if (!read_number(text, &length))
        return SPEC_INVALID;
    if (length == 0)
        return SPEC_OUTSIDE;
    if (size == 0)
        return SPEC_INVALID;
    range_out->first = length < size ? size - length : 0;
    range_out->last = size - 1;
    return SPEC_INSIDE;
}

/* "0-499" or "500-" */
static enum spec read_span(const char **text, int64_t size, struct range *range_out)
{
    int64_t first, last = INT64_MAX;

    if (!read_number(text, &first) || **text != '-')
        return SPEC_INVALID;
    ++*text;
    if (is_digit(**text))
        read_number(text, &last);
    if (last < first)
        return SPEC_INVALID;
    if (first >= size)
        return SPEC_OUTSIDE;
    range_out->first = first;
    range_out->last = last < size ? last : size - 1;
    return SPEC_INSIDE;
}

static enum spec read_spec(const char **text, int64_t size, struct range *range_out)
{
    if (**text != '-')
        return read_span(text, size, range_out);
    ++*text;
    return read_suffix(text, size, range_out);
}

static bool overlaps(const struct range_set *set, const struct range *range)
{
    for (size_t i = 0; i < set->count; i++)
        if (range->first <= set->items[i].last && range->last >= set->items[i].first)
            return true;
    return false;
}

/* False when the set is full or the range overlaps another: the whole file costs less than such an
 * answer. */
static bool add(struct range_set *set, const struct range *range)
{
    if (set->count == RANGE_LIMIT || overlaps(set, range))
        return false;
    set->items[set->count++] = *range;
    return true;
}

enum range_verdict range_parse(const char *header, int64_t size, struct range_set *set_out)
{
    const char *text = header + strlen("bytes=");
    bool has_any = false;

    set_out->count = 0;
    if (strncasecmp(header, "bytes=", strlen("bytes=")) != 0)
        return RANGE_WHOLE;

    /* A list may have empty elements and white space around its commas: section 5.6.1.2. */
    while (text += strspn(text, " \t,"), *text != '\0') {
        struct range range;
        enum spec spec = read_spec(&text, size, &range);

        text += strspn(text, " \t");
        if (spec == SPEC_INVALID || (*text != ',' && *text != '\0'))
            return RANGE_WHOLE;
        if (spec == SPEC_INSIDE && !add(set_out, &range))
            return RANGE_WHOLE;
        has_any = true;
    }
    if (set_out->count > 0)
        return RANGE_PARTS;
    return has_any ? RANGE_UNSATISFIABLE : RANGE_WHOLE;
}
