/* route_pattern.c: the grammar of patterns, and what their parameters stand for.
 *
 * Refuses what could never match or is hardly meant; it does not know which patterns there are. */
#include "web/route_pattern.h"

#include <stdint.h>
#include <string.h>

#include "http/chars.h"

/* ---- values ---- */

/* A decimal number up to `most`. */
static bool is_number(const char *text, size_t length, uint64_t most)
{
    uint64_t value = 0;

    for (size_t i = 0; i < length; i++) {
        unsigned digit = (unsigned)(text[i] - '0');

        if (digit > 9 || value > (most - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    return length > 0;
}

static bool is_int(const char *text, size_t length)
{
    if (length > 0 && *text == '-')
        return is_number(text + 1, length - 1, (uint64_t)INT64_MAX + 1);
    return is_number(text, length, INT64_MAX);
}

static bool is_uuid(const char *text, size_t length)
{
    if (length != 36)
        return false;
    for (size_t i = 0; i < length; i++) {
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (is_dash ? text[i] != '-' : !char_is(text[i], CHAR_HEX))
            return false;
    }
    return true;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_slug(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!is_letter(text[i]) && !char_is_digit(text[i]) && text[i] != '-' && text[i] != '_')
            return false;
    return length > 0;
}

bool route_kind_takes(enum route_kind kind, const char *text, size_t length)
{
    switch (kind) {
    case ROUTE_INT:
        return is_int(text, length);
    case ROUTE_UINT:
        return is_number(text, length, UINT64_MAX);
    case ROUTE_UUID:
        return is_uuid(text, length);
    case ROUTE_SLUG:
        return is_slug(text, length);
    default:
        return kind == ROUTE_TEXT && length > 0;
    }
}

/* ---- patterns ---- */

static bool is_text(const char *at, size_t length, const char *text)
{
    return length == strlen(text) && memcmp(at, text, length) == 0;
}

static bool find_kind(const char *at, size_t length, enum route_kind *kind_out)
{
    static const char *const names[] = {
        [ROUTE_INT] = "int",   [ROUTE_UINT] = "uint", [ROUTE_UUID] = "uuid",
        [ROUTE_SLUG] = "slug", [ROUTE_TEXT] = NULL, /* which has no name */
        [ROUTE_REST] = "path",
    };

    for (int kind = 0; kind <= ROUTE_REST; kind++)
        if (names[kind] && is_text(at, length, names[kind])) {
            *kind_out = (enum route_kind)kind;
            return true;
        }
    return false;
}

static bool is_name(const char *at, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!is_letter(at[i]) && at[i] != '_' && !(i > 0 && char_is_digit(at[i])))
            return false;
    return length > 0;
}

static const char *parse_param(struct route_segment *segment)
{
    const char *name = segment->text + 1, *end = segment->text + segment->length - 1;
    const char *colon = memchr(name, ':', (size_t)(end - name));

    segment->kind = ROUTE_TEXT;
    if (colon && !find_kind(colon + 1, (size_t)(end - colon - 1), &segment->kind))
        return "the type of a parameter is int, uint, uuid, slug or path";
    segment->text = name;
    segment->length = (size_t)((colon ? colon : end) - name);
    if (!is_name(name, segment->length))
        return "a parameter's name is a letter or \"_\", then letters, digits and \"_\"";
    return NULL;
}

/* What can stand in a decoded path. "?" and "#" can, but are hardly meant. */
static const char *check_static(const struct route_segment *segment)
{
    for (size_t i = 0; i < segment->length; i++) {
        char c = segment->text[i];

        if (c == '{' || c == '}')
            return "a parameter is a whole segment, as {name} or {name:type}";
        if (c == '?' || c == '#')
            return "a pattern is a path, without \"?\" and \"#\"";
        if (c == '\t' || !char_is(c, CHAR_TEXT))
            return "a path has no control characters";
    }
    if (is_text(segment->text, segment->length, ".") ||
        is_text(segment->text, segment->length, ".."))
        return "no path has a \".\" or \"..\" segment";
    return NULL;
}

static const char *parse_segment(struct route_segment *segment)
{
    size_t length = segment->length;

    if (length >= 2 && segment->text[0] == '{' && segment->text[length - 1] == '}')
        return parse_param(segment);
    segment->kind = ROUTE_STATIC;
    return check_static(segment);
}

static bool has_name(const struct route_pattern *pattern, const struct route_segment *name)
{
    for (unsigned i = 0; i < pattern->count; i++) {
        const struct route_segment *other = &pattern->segments[i];

        if (other->kind != ROUTE_STATIC && other->length == name->length &&
            memcmp(other->text, name->text, name->length) == 0)
            return true;
    }
    return false;
}

static const char *add(struct route_pattern *pattern, const char *at, size_t length)
{
    struct route_segment segment = {.text = at, .length = length};
    bool is_last = !at[length];
    const char *why;

    if (length == 0 && !is_last)
        return "a segment within is empty";
    if (pattern->count == ROUTE_SEGMENTS_MAX)
        return "a pattern has 32 segments at most";
    if ((why = parse_segment(&segment)))
        return why;
    if (segment.kind == ROUTE_REST && !is_last)
        return "a parameter of type path stands at the end";
    if (segment.kind != ROUTE_STATIC) {
        if (has_name(pattern, &segment))
            return "two parameters have the same name";
        if (pattern->param_count++ == ROUTE_PARAMS_MAX)
            return "a pattern has 16 parameters at most";
    }
    pattern->segments[pattern->count++] = segment;
    return NULL;
}

const char *route_pattern_parse(struct route_pattern *pattern, const char *text)
{
    pattern->count = pattern->param_count = 0;
    if (*text != '/')
        return "a pattern begins with \"/\"";
    if (strlen(text) > ROUTE_PATTERN_MAX)
        return "a pattern has 512 bytes at most";
    for (const char *at = text, *end; at; at = *end ? end : NULL) {
        const char *why;

        end = strchrnul(at + 1, '/');
        if ((why = add(pattern, at + 1, (size_t)(end - at - 1))))
            return why;
    }
    return NULL;
}
