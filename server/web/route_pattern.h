/* route_pattern.h: a route's pattern, "/users/{id:int}", taken apart. Knows nothing of requests. */
#ifndef WEB_ROUTE_PATTERN_H
#define WEB_ROUTE_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#define ROUTE_SEGMENTS_MAX 32
#define ROUTE_PARAMS_MAX   16
#define ROUTE_PATTERN_MAX  512

/* In the order in which they are tried. */
enum route_kind {
    ROUTE_INT,
    ROUTE_UINT,
    ROUTE_UUID,
    ROUTE_SLUG,
    ROUTE_TEXT,
    ROUTE_KINDS,              /* of those that stand for one segment */
    ROUTE_REST = ROUTE_KINDS, /* the rest of the path */
    ROUTE_STATIC
};

struct route_segment {
    enum route_kind kind;
    const char *text; /* of the pattern: itself, or the parameter's name; not terminated */
    size_t length;
};

struct route_pattern {
    struct route_segment segments[ROUTE_SEGMENTS_MAX]; /* one at least */
    unsigned count, param_count;
};

/* Takes `text` apart. NULL, or why it is no pattern: half a sentence that follows its name. */
const char *route_pattern_parse(struct route_pattern *pattern, const char *text);

/* What a parameter of that kind (not ROUTE_REST) stands for. */
bool route_kind_takes(enum route_kind kind, const char *text, size_t length);

#endif
