/* route_tree.h: patterns as a tree by segment, in which a path finds the best one.
 *
 * A look-up takes a step for each segment of the path, however many patterns there are: the fixed
 * texts of all nodes are in one hash table. Only where a path fits several patterns at first, and
 * the better one not to its end, does it go back. Knows nothing of requests. Lifetime: its owner's;
 * while nothing is added, any number of look-ups may be going on. */
#ifndef WEB_ROUTE_TREE_H
#define WEB_ROUTE_TREE_H

#include <stddef.h>

#include "web/route_pattern.h"

struct route_tree;

struct route_param {
    const char *name;
    enum route_kind kind;
};

/* Where a pattern ends: one for each. All of it in the tree's memory. */
struct route_end {
    const char *pattern;
    void *data; /* whoever added it has it; NULL at first */
    unsigned param_count;
    struct route_param params[]; /* in the pattern's order */
};

struct route_refusal {
    const char *why;   /* half a sentence, or NULL: memory has run out */
    const char *other; /* the pattern that stands against it: the end of that sentence; or NULL */
};

/* What a parameter stands for: lies in the path that was looked up. */
struct route_value {
    const char *text;
    size_t length;
};

struct route_tree *route_tree_new(void);
void route_tree_free(struct route_tree *tree);

/* The end of that pattern, which is made when it is not there. NULL: it is refused. */
struct route_end *route_tree_add(struct route_tree *tree, const char *pattern,
                                 struct route_refusal *refusal_out);

/* The end that matches best, and the values of its params; NULL: none. */
const struct route_end *route_tree_find(const struct route_tree *tree, const char *path,
                                        struct route_value values_out[ROUTE_PARAMS_MAX]);

/* Every end once, in the order of their coming, until `each` returns non-zero: what it returned
 * last. */
int route_tree_each(const struct route_tree *tree, int (*each)(struct route_end *end, void *arg),
                    void *arg);

/* `size` bytes that live as long as the tree, for what its ends carry; NULL: memory has run out. */
void *route_tree_alloc(struct route_tree *tree, size_t size);

#endif
