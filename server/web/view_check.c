/* view_check.c: see view_check.h. */
#include "web/view_check.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "http/chars.h"

/* ---- the text ---- */

static size_t digits(const char *text, size_t at)
{
    while (char_is_digit(text[at]))
        at++;
    return at;
}

/* RFC 8259 section 6. cJSON takes whatever strtod does. Returns the end, or 0. */
static size_t number_end(const char *text, size_t at)
{
    size_t begin = text[at] == '-' ? at + 1 : at, end = digits(text, begin);

    if (end == begin || (text[begin] == '0' && end > begin + 1))
        return 0;
    if (text[end] == '.') {
        begin = end + 1;
        end = digits(text, begin);
        if (end == begin)
            return 0;
    }
    if (text[end] == 'e' || text[end] == 'E') {
        begin = end + (text[end + 1] == '+' || text[end + 1] == '-' ? 2 : 1);
        end = digits(text, begin);
        if (end == begin)
            return 0;
    }
    return end;
}

/* From behind the opening quote up to the closing one, or to what is wrong. */
static const char *check_string(const char *text, size_t length, size_t *at)
{
    while (*at < length && text[*at] != '"') {
        if ((unsigned char)text[*at] < 0x20)
            return "a control byte within a text";
        if (text[*at] == '\\' && strncmp(text + *at + 1, "u0000", 5) == 0)
            return "a text with U+0000";
        *at += text[*at] == '\\' && *at + 1 < length ? 2 : 1;
    }
    return *at < length ? NULL : "a text without an end";
}

const char *view_check_text(const char *text, size_t length, size_t *at_out)
{
    size_t at = utf8_span(text, length);
    const char *flaw = NULL, *zero = memchr(text, '\0', length);

    *at_out = at;
    if (at < length)
        return "bytes that are not UTF-8";
    *at_out = zero ? (size_t)(zero - text) : 0;
    if (zero) /* wherever it is: from here on it is a text for C */
        return "a byte that JSON does not know";
    for (at = 0; at < length && !flaw; *at_out = at) {
        char c = text[at];

        if (c == '"') {
            at++;
            flaw = check_string(text, length, &at);
            at += !flaw;
        } else if (c == '-' || char_is_digit(c)) {
            size_t end = number_end(text, at);

            flaw = end ? NULL : "a number that is none";
            at = end ? end : at;
        } else if (((unsigned char)c < 0x20 && !strchr("\t\n\r", c)) || (unsigned char)c >= 0x7f) {
            flaw = "a byte that JSON does not know";
        } else {
            at++;
        }
    }
    return flaw;
}

size_t view_check_count(const char *text, size_t length)
{
    size_t count = 1;
    bool is_quoted = false;

    for (size_t i = 0; i < length; i++) {
        if (is_quoted && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            is_quoted = !is_quoted;
        else if (!is_quoted && (text[i] == ',' || text[i] == '[' || text[i] == '{'))
            count++;
    }
    return count;
}

/* ---- what was parsed ---- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Whoever reads on would see one of the two, and another program the other one (RFC 8259 section
 * 4). */
static int check_names(const cJSON *object, const char **flaw_out)
{
    size_t count = 0, at = 0;
    const cJSON *item;
    const char **names;
    int status = 0;

    cJSON_ArrayForEach (item, object)
        count++;
    if (count < 2)
        return 0;
    names = reallocarray(NULL, count, sizeof *names);
    if (!names) {
        *flaw_out = "memory has run out";
        return 500;
    }
    cJSON_ArrayForEach (item, object)
        names[at++] = item->string;
    qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 1; i < count && !status; i++)
        if (strcmp(names[i - 1], names[i]) == 0) {
            *flaw_out = "an object has a name twice";
            status = 400;
        }
    free(names);
    return status;
}

static int check_item(const cJSON *item, const char **flaw_out)
{
    if (cJSON_IsObject(item))
        return check_names(item, flaw_out);
    if (!cJSON_IsNumber(item) || isfinite(item->valuedouble))
        return 0;
    *flaw_out = "a number is too large";
    return 400;
}

int view_check_tree(const cJSON *json, const char **flaw_out)
{
    const cJSON *open[VIEW_DEPTH_MOST];
    int status = check_item(json, flaw_out);
    unsigned depth = 0;

    while (!status) {
        if (json->child && depth < VIEW_DEPTH_MOST) {
            open[depth++] = json;
            json = json->child;
        } else {
            while (depth > 0 && !json->next)
                json = open[--depth];
            if (depth == 0)
                break;
            json = json->next;
        }
        status = check_item(json, flaw_out);
    }
    return status;
}
