/* route_tree.c: the nodes, and the one table of the fixed texts of all of them. */
#include "web/route_tree.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

#define TABLE_FIRST 64u /* a power of two, as are all its sizes */

/* A segment of one or more patterns. Nodes are known by their number: 0 is the root, and as a child
 * none. */
struct node {
    /* A fixed text's own; else the pattern that brought it, for a refusal. */
    const char *text;
    uint32_t length;
    uint32_t parent;
    uint32_t params[ROUTE_KINDS];
    bool has_static; /* in the table */
    struct end *end, *rest;
};

struct end {
    struct end *next;
    struct route_end public;
};

/* What most look-ups see of a child. */
struct slot {
    uint32_t hash;
    uint32_t node; /* 0: free */
};

struct route_tree {
    struct node *nodes;
    uint32_t count, room;
    struct slot *table; /* open addressing; at most half full */
    uint32_t mask, used;
    struct end *first, **last;
    struct arena arena;
};

/* ---- the table ---- */

static uint32_t hash_begin(uint32_t parent)
{
    return 2166136261u ^ parent * 0x9e3779b1u;
}

static uint32_t hash_add(uint32_t hash, char c)
{
    return (hash ^ (unsigned char)c) * 16777619u;
}

/* The low bits choose the place: let the high ones have a say. */
static uint32_t hash_end(uint32_t hash)
{
    return hash ^ hash >> 15;
}

static uint32_t hash_of(uint32_t parent, const char *text, size_t length)
{
    uint32_t hash = hash_begin(parent);

    for (size_t i = 0; i < length; i++)
        hash = hash_add(hash, text[i]);
    return hash_end(hash);
}

static uint32_t find_static(const struct route_tree *tree, uint32_t parent, uint32_t hash,
                            const char *text, size_t length)
{
    for (uint32_t i = hash & tree->mask; tree->table[i].node; i = (i + 1) & tree->mask) {
        const struct node *node = &tree->nodes[tree->table[i].node];

        if (tree->table[i].hash == hash && node->parent == parent && node->length == length &&
            memcmp(node->text, text, length) == 0)
            return tree->table[i].node;
    }
    return 0;
}

static void put(struct slot *table, uint32_t mask, struct slot slot)
{
    uint32_t i = slot.hash & mask;

    while (table[i].node)
        i = (i + 1) & mask;
    table[i] = slot;
}

static int grow_table(struct route_tree *tree)
{
    uint32_t size = (tree->mask + 1) * 2;
    struct slot *table = calloc(size, sizeof *table);

    if (!table)
        return -1;
    for (uint32_t i = 0; i <= tree->mask; i++)
        if (tree->table[i].node)
            put(table, size - 1, tree->table[i]);
    free(tree->table);
    tree->table = table;
    tree->mask = size - 1;
    return 0;
}

/* ---- adding ---- */

static uint32_t add_node(struct route_tree *tree, const struct node *node)
{
    if (tree->count == tree->room) {
        uint32_t room = tree->room * 2;
        struct node *nodes = realloc(tree->nodes, room * sizeof *nodes);

        if (!nodes)
            return 0;
        tree->nodes = nodes;
        tree->room = room;
    }
    tree->nodes[tree->count] = *node;
    return tree->count++;
}

static uint32_t add_static(struct route_tree *tree, uint32_t parent,
                           const struct route_segment *segment)
{
    uint32_t hash = hash_of(parent, segment->text, segment->length);
    uint32_t node = find_static(tree, parent, hash, segment->text, segment->length);

    if (node)
        return node;
    if (tree->used * 2 > tree->mask && grow_table(tree) == -1)
        return 0;
    node = add_node(tree, &(struct node){.text = segment->text,
                                         .length = (uint32_t)segment->length,
                                         .parent = parent});
    if (!node)
        return 0;
    put(tree->table, tree->mask, (struct slot){.hash = hash, .node = node});
    tree->used++;
    tree->nodes[parent].has_static = true;
    return node;
}

static uint32_t add_param(struct route_tree *tree, uint32_t parent, enum route_kind kind,
                          const char *pattern)
{
    uint32_t node = tree->nodes[parent].params[kind];

    if (!node) {
        node = add_node(tree, &(struct node){.text = pattern, .parent = parent});
        tree->nodes[parent].params[kind] = node;
    }
    return node;
}

/* A number is int or uint at one place: both would be for "12". */
static const char *other_number(const struct route_tree *tree, uint32_t parent,
                                enum route_kind kind)
{
    uint32_t other = kind == ROUTE_INT    ? tree->nodes[parent].params[ROUTE_UINT]
                     : kind == ROUTE_UINT ? tree->nodes[parent].params[ROUTE_INT]
                                          : 0;

    return other ? tree->nodes[other].text : NULL;
}

static struct end *new_end(struct route_tree *tree, const char *text,
                           const struct route_pattern *pattern)
{
    struct end *end = arena_alloc(&tree->arena, sizeof *end + pattern->param_count *
                                                                  sizeof end->public.params[0]);

    if (!end)
        return NULL;
    end->next = NULL;
    end->public = (struct route_end){.pattern = text};
    for (unsigned i = 0; i < pattern->count; i++) {
        const struct route_segment *segment = &pattern->segments[i];
        struct route_param *param = &end->public.params[end->public.param_count];

        if (segment->kind == ROUTE_STATIC)
            continue;
        param->kind = segment->kind;
        param->name = arena_copy(&tree->arena, segment->text, segment->length);
        if (!param->name)
            return NULL;
        end->public.param_count++;
    }
    return end;
}

static struct route_end *link_end(struct route_tree *tree, struct end **place, const char *text,
                                  const struct route_pattern *pattern,
                                  struct route_refusal *refusal)
{
    if (*place && strcmp((*place)->public.pattern, text) != 0) {
        *refusal = (struct route_refusal){"it matches the same paths as", (*place)->public.pattern};
        return NULL;
    }
    if (!*place) {
        if (!(*place = new_end(tree, text, pattern)))
            return NULL;
        *tree->last = *place;
        tree->last = &(*place)->next;
    }
    return &(*place)->public;
}

static struct route_end *insert(struct route_tree *tree, const char *text,
                                const struct route_pattern *pattern, struct route_refusal *refusal)
{
    uint32_t node = 0;

    for (unsigned i = 0; i < pattern->count; i++) {
        const struct route_segment *segment = &pattern->segments[i];
        const char *other = other_number(tree, node, segment->kind);

        if (other) {
            *refusal = (struct route_refusal){"int and uint are at one place, see", other};
            return NULL;
        }
        if (segment->kind == ROUTE_REST)
            return link_end(tree, &tree->nodes[node].rest, text, pattern, refusal);
        node = segment->kind == ROUTE_STATIC ? add_static(tree, node, segment)
                                             : add_param(tree, node, segment->kind, text);
        if (!node)
            return NULL;
    }
    return link_end(tree, &tree->nodes[node].end, text, pattern, refusal);
}

struct route_end *route_tree_add(struct route_tree *tree, const char *pattern,
                                 struct route_refusal *refusal_out)
{
    struct route_pattern parsed;
    char *text;

    *refusal_out = (struct route_refusal){.why = route_pattern_parse(&parsed, pattern)};
    if (refusal_out->why)
        return NULL;
    text = arena_copy(&tree->arena, pattern, strlen(pattern));
    if (!text)
        return NULL;
    route_pattern_parse(&parsed, text); /* again, so that its parts lie in the tree */
    return insert(tree, text, &parsed, refusal_out);
}

/* ---- finding ---- */

struct search {
    const struct route_tree *tree;
    struct route_value *values;
};

static const struct end *find(const struct search *search, uint32_t at, const char *segment,
                              unsigned depth);

/* The node of the segment that ends at `end` is `child`: the rest of the path from there. */
static const struct end *go_on(const struct search *search, uint32_t child, const char *end,
                               unsigned depth)
{
    return *end ? find(search, child, end + 1, depth) : search->tree->nodes[child].end;
}

static const struct end *find_param(const struct search *search, const struct node *node,
                                    const char *segment, const char *end, unsigned depth)
{
    size_t length = (size_t)(end - segment);

    for (int kind = 0; kind < ROUTE_KINDS; kind++) {
        const struct end *found;

        if (!node->params[kind] || !route_kind_takes((enum route_kind)kind, segment, length))
            continue;
        search->values[depth] = (struct route_value){segment, length};
        if ((found = go_on(search, node->params[kind], end, depth + 1)))
            return found;
    }
    return NULL;
}

/* Goes as deep as a pattern at most; `depth` is of params. */
static const struct end *find(const struct search *search, uint32_t at, const char *segment,
                              unsigned depth)
{
    const struct node *node = &search->tree->nodes[at];
    uint32_t hash = hash_begin(at), child;
    const struct end *found;
    const char *end;

    for (end = segment; *end && *end != '/'; end++)
        hash = hash_add(hash, *end);
    if (node->has_static &&
        (child = find_static(search->tree, at, hash_end(hash), segment, (size_t)(end - segment))) &&
        (found = go_on(search, child, end, depth)))
        return found;
    if ((found = find_param(search, node, segment, end, depth)))
        return found;
    if (node->rest)
        search->values[depth] = (struct route_value){segment, strlen(segment)};
    return node->rest;
}

const struct route_end *route_tree_find(const struct route_tree *tree, const char *path,
                                        struct route_value values_out[ROUTE_PARAMS_MAX])
{
    const struct search search = {.tree = tree, .values = values_out};
    const struct end *end = *path == '/' ? find(&search, 0, path + 1, 0) : NULL;

    return end ? &end->public : NULL;
}

/* ---- the whole ---- */

int route_tree_each(const struct route_tree *tree, int (*each)(struct route_end *end, void *arg),
                    void *arg)
{
    int result = 0;

    for (struct end *end = tree->first; end && !result; end = end->next)
        result = each(&end->public, arg);
    return result;
}

void *route_tree_alloc(struct route_tree *tree, size_t size)
{
    return arena_alloc(&tree->arena, size);
}

struct route_tree *route_tree_new(void)
{
    struct route_tree *tree = calloc(1, sizeof *tree);

    if (!tree)
        return NULL;
    arena_init(&tree->arena, NULL, 0);
    tree->last = &tree->first;
    tree->mask = TABLE_FIRST - 1;
    tree->room = 16;
    tree->count = 1; /* the root */
    tree->table = calloc(TABLE_FIRST, sizeof *tree->table);
    tree->nodes = calloc(tree->room, sizeof *tree->nodes);
    if (tree->table && tree->nodes)
        return tree;
    route_tree_free(tree);
    return NULL;
}

void route_tree_free(struct route_tree *tree)
{
    if (!tree)
        return;
    free(tree->table);
    free(tree->nodes);
    arena_fini(&tree->arena);
    free(tree);
}
