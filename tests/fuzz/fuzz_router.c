/* fuzz_router.c: any lines as patterns, and the last one as the path.
 *
 * Aborts when the tree finds something else than a look at each pattern in turn does, or gives a
 * parameter that is not what its type says. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "web/route_tree.h"

#define REQUIRE(condition)                                                  \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                        \
        }                                                                   \
    } while (0)

#define PATTERNS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- the same rules, written down a second time ---- */

static bool is_made_of(const char *text, const char *bytes)
{
    return *text && strspn(text, bytes) == strlen(text);
}

static bool is_uuid(const char *text)
{
    static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

    if (strlen(text) != sizeof form - 1)
        return false;
    for (size_t i = 0; i < sizeof form - 1; i++)
        if (form[i] == 'x' ? !strchr("0123456789abcdefABCDEF", text[i]) : text[i] != form[i])
            return false;
    return true;
}

static bool takes(enum route_kind kind, const char *text)
{
    char *end;

    errno = 0;
    switch (kind) {
    case ROUTE_INT:
        strtoll(text, &end, 10);
        return is_made_of(text + (*text == '-'), "0123456789") && !*end && !errno;
    case ROUTE_UINT:
        strtoull(text, &end, 10);
        return is_made_of(text, "0123456789") && !*end && !errno;
    case ROUTE_UUID:
        return is_uuid(text);
    case ROUTE_SLUG:
        return is_made_of(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
    default:
        return *text != '\0';
    }
}

static bool segment_matches(const struct route_segment *segment, const char *text)
{
    if (segment->kind == ROUTE_STATIC)
        return strlen(text) == segment->length && memcmp(text, segment->text, segment->length) == 0;
    return takes(segment->kind, text);
}

static bool matches(const struct route_pattern *pattern, const char *path)
{
    if (*path != '/')
        return false;
    for (unsigned i = 0; i < pattern->count; i++) {
        const struct route_segment *segment = &pattern->segments[i];
        const char *end;
        char *text;
        bool is_match;

        if (!path)
            return false;
        if (segment->kind == ROUTE_REST)
            return true;
        end = strchr(path + 1, '/');
        text = end ? strndup(path + 1, (size_t)(end - path - 1)) : strdup(path + 1);
        is_match = segment_matches(segment, text);
        free(text);
        if (!is_match)
            return false;
        path = end;
    }
    return !path;
}

static int rank(const struct route_segment *segment)
{
    if (segment->kind == ROUTE_STATIC)
        return -1;
    return segment->kind == ROUTE_UINT ? ROUTE_INT : (int)segment->kind;
}

/* Both match the same path. */
static bool is_better(const struct route_pattern *a, const struct route_pattern *b)
{
    for (unsigned i = 0; i < a->count && i < b->count; i++)
        if (rank(&a->segments[i]) != rank(&b->segments[i]))
            return rank(&a->segments[i]) < rank(&b->segments[i]);
    REQUIRE(!"one of two patterns that match alike was refused");
    return false;
}

/* ---- one input ---- */

static void check_values(const struct route_end *end, const struct route_value *values)
{
    for (unsigned i = 0; i < end->param_count; i++) {
        char *text = strndup(values[i].text, values[i].length);

        REQUIRE(strlen(text) == values[i].length);
        REQUIRE(end->params[i].kind == ROUTE_REST || takes(end->params[i].kind, text));
        free(text);
    }
}

static void check_path(const struct route_tree *tree, char *const *patterns, unsigned count,
                       const char *path)
{
    struct route_value values[ROUTE_PARAMS_MAX];
    const struct route_end *end = route_tree_find(tree, path, values);
    struct route_pattern parsed, best_parsed;
    const char *best = NULL;

    for (unsigned i = 0; i < count; i++) {
        REQUIRE(!route_pattern_parse(&parsed, patterns[i]));
        if (!matches(&parsed, path) || (best && strcmp(best, patterns[i]) == 0))
            continue;
        if (!best || is_better(&parsed, &best_parsed)) {
            best = patterns[i];
            best_parsed = parsed;
        }
    }
    REQUIRE(!best == !end);
    if (end) {
        REQUIRE(strcmp(best, end->pattern) == 0);
        check_values(end, values);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = strndup((const char *)data, size), *patterns[PATTERNS_MAX], *line = text, *next;
    struct route_tree *tree = route_tree_new();
    unsigned count = 0;

    for (; (next = strchr(line, '\n')) && count < PATTERNS_MAX; line = next + 1) {
        struct route_refusal refusal;

        *next = '\0';
        if (route_tree_add(tree, line, &refusal))
            patterns[count++] = line;
        else
            REQUIRE(refusal.why);
    }
    check_path(tree, patterns, count, line);
    route_tree_free(tree);
    free(text);
    return 0;
}
