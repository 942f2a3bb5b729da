/* view_json.c: JSON as text. What cJSON would do without a limit is measured before it begins, by a
 * walk that needs no stack of its own: the depth, the number of values, the length, and whether all
 * of it may stand in JSON. */
#include "web/view_json.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "web/view_check.h"

#define BYTES_MOST  (1u << 30) /* cJSON counts with an int */
#define SLACK       64u        /* cJSON wants to see more room than it takes */
#define NUMBER_MOST 26u        /* what cJSON wants for one */

struct measure {
    const reeve_json_limits *limits;
    size_t bytes, values;
    unsigned depth;
};

static int fail(int error)
{
    errno = error;
    return -1;
}

reeve_json_limits view_json_limits(const reeve_json_limits *given, size_t max_bytes,
                                   size_t max_values)
{
    reeve_json_limits limits = {
        .size = sizeof limits, .max_bytes = max_bytes, .max_values = max_values, .max_depth = 32};

    if (!given)
        return limits;
    limits.any_type = given->any_type;
    limits.is_pretty = given->is_pretty;
    if (given->max_bytes)
        limits.max_bytes = given->max_bytes < BYTES_MOST ? given->max_bytes : BYTES_MOST;
    if (given->max_values)
        limits.max_values = given->max_values;
    if (given->max_depth)
        limits.max_depth = given->max_depth < VIEW_DEPTH_MOST ? given->max_depth : VIEW_DEPTH_MOST;
    return limits;
}

/* ---- measuring ---- */

static bool is_plain(char c)
{
    return (signed char)c >= 0x20 && c != '"' && c != '\\';
}

/* How many bytes from the beginning on are ASCII that is printed as it is. Eight of them are looked
 * at in one go: by the subtractions a byte that is too small, a quote or a backslash has its highest
 * bit set, which any other byte of ASCII has not. */
static size_t plain_span(const char *text, size_t length)
{
    const uint64_t ones = 0x0101010101010101u;
    uint64_t eight, odd = 0;
    size_t at = 0;

    for (; !odd && length - at >= sizeof eight; at += odd ? 0 : sizeof eight) {
        memcpy(&eight, text + at, sizeof eight);
        odd = (eight | (eight - ones * 0x20) | ((eight ^ ones * '"') - ones) |
               ((eight ^ ones * '\\') - ones)) &
              ones * 0x80;
    }
    while (at < length && is_plain(text[at]))
        at++;
    return at;
}

static int measure_string(struct measure *m, const char *text)
{
    size_t length = text ? strlen(text) : 0, more = 2, at = 0, step;

    while (text && (at += plain_span(text + at, length - at)) < length) {
        step = utf8_sequence(text + at, length - at);
        if (step == 0)
            return fail(EILSEQ);
        if (step == 1)
            more += text[at] == '"' || text[at] == '\\' ? 1 : 5;
        at += step;
    }
    m->bytes += length + more;
    return 0;
}

static size_t number_length(const cJSON *number)
{
    int rest = number->valueint;
    size_t length = 1;

    if (number->valuedouble != (double)rest)
        return NUMBER_MOST;
    for (length += rest < 0; rest / 10; rest /= 10)
        length++;
    return length;
}

static int measure_item(struct measure *m, const cJSON *item)
{
    bool is_pretty = m->limits->is_pretty;

    if (++m->values > m->limits->max_values)
        return fail(EFBIG);
    /* The comma or colon, and when pretty a tab for each level, the line's end, a space. */
    m->bytes += 1 + (is_pretty ? m->depth + 2u : 0u);
    switch (item->type & 0xff) {
    case cJSON_String:
        return measure_string(m, item->valuestring);
    case cJSON_Raw:
        m->bytes += item->valuestring ? strlen(item->valuestring) : 0;
        return item->valuestring ? 0 : fail(EINVAL);
    case cJSON_Number:
        m->bytes += number_length(item);
        return 0;
    case cJSON_True:
    case cJSON_False:
    case cJSON_NULL:
        m->bytes += 5;
        return 0;
    case cJSON_Array:
    case cJSON_Object:
        m->bytes += 2 + (is_pretty ? m->depth + 2u : 0u);
        return m->depth == m->limits->max_depth ? fail(ELOOP) : 0;
    default:
        return fail(EINVAL);
    }
}

static bool has_items(const cJSON *item)
{
    int type = item->type & 0xff;

    return item->child && (type == cJSON_Array || type == cJSON_Object);
}

static int measure(struct measure *m, const cJSON *item)
{
    const cJSON *open[VIEW_DEPTH_MOST];

    for (;;) {
        if (measure_item(m, item) == -1)
            return -1;
        if (m->depth > 0 && cJSON_IsObject(open[m->depth - 1]) &&
            measure_string(m, item->string) == -1)
            return -1;
        if (m->bytes > m->limits->max_bytes)
            return fail(EFBIG);
        if (has_items(item)) {
            open[m->depth++] = item;
            item = item->child;
            continue;
        }
        while (m->depth > 0 && !item->next)
            item = open[--m->depth];
        if (m->depth == 0)
            return 0;
        item = item->next;
    }
}

/* ---- printing ---- */

char *view_json_text(const cJSON *json, const reeve_json_limits *given, size_t *length_out)
{
    reeve_json_limits limits = view_json_limits(given, 16u << 20, 1u << 20);
    struct measure m = {.limits = &limits};
    char *text;

    if (!json)
        errno = EINVAL;
    if (!json || measure(&m, json) == -1)
        return NULL;
    text = malloc(m.bytes + SLACK);
    if (!text)
        return NULL;
    if (!cJSON_PrintPreallocated((cJSON *)(uintptr_t)json, text, (int)(m.bytes + SLACK),
                                 limits.is_pretty)) {
        free(text);
        errno = EFBIG;
        return NULL;
    }
    *length_out = strlen(text);
    return text;
}
