/* template_render.c: nodes and a model into output, piece by piece.
 *
 * Nothing recurses here: what is open (sections, partials, parents, blocks) is a stack of frames on
 * the heap, since a coroutine's own is small. What is written may wait, so nothing is kept in
 * static variables, and nothing of the model is remembered but where it is. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "web/template.h"
#include "web/template_escape.h"

/* From this size on reeve_write sends a piece from where it lies, and copies nothing. */
#define PIECE       (16u << 10)
#define INDENT_MOST 256u
#define DEPTH_MOST  1024u

struct frame {
    const struct reeve_template *page;
    const cJSON *item;          /* what is added to the context here; NULL: nothing */
    uint32_t at, begin, end;    /* the next node, the first one, the one that ends it */
    uint32_t parent;            /* the node of a parent, in the page of the frame beneath */
    uint16_t indent_at, indent; /* what of render.indent its lines begin with, and how much */
    bool is_list;               /* when it ends it begins again with item->next */
    bool is_parent;
};

struct render {
    int (*write)(void *arg, const void *data, size_t size);
    void *arg;
    uint64_t bytes_left, steps_left;
    size_t length; /* of piece */
    unsigned depth, room;
    char indent[INDENT_MOST];
    char piece[PIECE];
    struct frame frames[];
};

static int fail(int error)
{
    errno = error;
    return -1;
}

/* ---- output ---- */

static int flush(struct render *r)
{
    size_t length = r->length;

    r->length = 0;
    return length == 0 || r->write(r->arg, r->piece, length) == 0 ? 0 : -1;
}

static int put(struct render *r, const char *data, size_t size)
{
    if (size > r->bytes_left)
        return fail(EFBIG);
    r->bytes_left -= size;
    while (size > 0) {
        size_t part = size < PIECE - r->length ? size : PIECE - r->length;

        memcpy(r->piece + r->length, data, part);
        r->length += part;
        data += part;
        size -= part;
        if (r->length == PIECE && flush(r) == -1)
            return -1;
    }
    return 0;
}

static int put_escaped(struct render *r, const char *text)
{
    size_t length = strlen(text), size;
    const char *data;

    while (length > 0) {
        size = template_escape(&text, &length, &data);
        if (put(r, data, size) == -1)
            return -1;
    }
    return 0;
}

/* With as many digits as bring the same number back; a whole one never with an exponent that a
 * person would have to read. */
static int put_number(struct render *r, double number)
{
    char text[32];

    if (!isfinite(number))
        return 0;
    if (fabs(number) < 9007199254740992 && number == floor(number))
        return put(r, text, (size_t)snprintf(text, sizeof text, "%lld", (long long)number));
    snprintf(text, sizeof text, "%1.15g", number);
    if (strtod(text, NULL) != number)
        snprintf(text, sizeof text, "%1.17g", number);
    return put(r, text, strlen(text));
}

static int put_value(struct render *r, const cJSON *item, bool is_raw)
{
    switch (item->type & 0xff) {
    case cJSON_Number:
        return put_number(r, item->valuedouble);
    case cJSON_True:
        return put(r, "true", 4);
    case cJSON_False:
        return put(r, "false", 5);
    case cJSON_String:
    case cJSON_Raw:
        if (!item->valuestring)
            return 0;
        return is_raw ? put(r, item->valuestring, strlen(item->valuestring))
                      : put_escaped(r, item->valuestring);
    default:
        return 0;
    }
}

/* ---- the context ---- */

/* Every step is counted, so that no model makes a page that takes for ever. */
static bool step(struct render *r)
{
    return r->steps_left > 0 && r->steps_left-- > 0;
}

static const cJSON *member(struct render *r, const cJSON *object, const char *name, size_t length)
{
    const cJSON *item;

    if ((object->type & 0xff) != cJSON_Object)
        return NULL;
    for (item = object->child; item && step(r); item = item->next)
        if (item->string && strncmp(item->string, name, length) == 0 && !item->string[length])
            return item;
    return NULL;
}

static const cJSON *from_context(struct render *r, const char *name, size_t length)
{
    bool is_itself = length == 1 && name[0] == '.';
    const cJSON *found = NULL;

    for (unsigned i = r->depth; i > 0 && !found && step(r); i--) {
        const cJSON *item = r->frames[i - 1].item;

        if (item)
            found = is_itself ? item : member(r, item, name, length);
    }
    return found;
}

/* What a tag names, or NULL. */
static const cJSON *resolve(struct render *r, const struct frame *frame,
                            const struct template_node *node)
{
    const char *name = template_name(frame->page, node), *end = name + node->length;
    const char *dot = node->length > 1 ? memchr(name, '.', node->length) : NULL;
    const cJSON *item = from_context(r, name, (size_t)((dot ? dot : end) - name));

    while (dot && item) {
        name = dot + 1;
        dot = memchr(name, '.', (size_t)(end - name));
        item = member(r, item, name, (size_t)((dot ? dot : end) - name));
    }
    return item;
}

static bool is_true(const cJSON *item)
{
    switch (item ? item->type & 0xff : cJSON_NULL) {
    case cJSON_True:
    case cJSON_Object:
        return true;
    case cJSON_Number:
        return item->valuedouble != 0 && !isnan(item->valuedouble);
    case cJSON_String:
    case cJSON_Raw:
        return item->valuestring && item->valuestring[0];
    case cJSON_Array:
        return item->child != NULL;
    default:
        return false;
    }
}

/* ---- what opens a frame ---- */

static int push(struct render *r, struct frame frame)
{
    if (r->depth == r->room)
        return fail(ELOOP);
    frame.begin = frame.at;
    r->frames[r->depth++] = frame;
    return 0;
}

static int open_section(struct render *r, struct frame *frame, const struct template_node *node)
{
    uint32_t first = frame->at;
    const cJSON *item = resolve(r, frame, node);
    bool is_list = item && (item->type & 0xff) == cJSON_Array;

    frame->at = node->end + 1;
    if (!is_true(item))
        return 0;
    return push(r, (struct frame){.page = frame->page,
                                  .item = is_list ? item->child : item,
                                  .is_list = is_list,
                                  .at = first,
                                  .end = node->end,
                                  .indent_at = frame->indent_at,
                                  .indent = frame->indent});
}

/* On a line of its own what is called is indented as this line is, which itself may be indented;
 * elsewhere not at all. The room is used as a stack: what is beneath is still needed. */
static void indent(struct render *r, struct frame *called, const struct frame *by,
                   const struct template_node *node)
{
    size_t top = (size_t)by->indent_at + by->indent;
    size_t more = node->is_standalone ? node->indent_length : 0;

    called->indent_at = (uint16_t)(node->is_standalone ? by->indent_at : top);
    called->indent = node->is_standalone ? by->indent : 0;
    if (more > INDENT_MOST - top)
        more = INDENT_MOST - top;
    memcpy(r->indent + top, by->page->text + node->indent_at, more);
    called->indent = (uint16_t)(called->indent + more);
}

static int open_page(struct render *r, struct frame *frame, const struct template_node *node)
{
    const struct reeve_template *page =
        template_find(frame->page->set, template_name(frame->page, node), node->length);
    bool is_parent = node->kind == TEMPLATE_PARENT;
    struct frame called = {.page = page, .parent = frame->at - 1, .is_parent = is_parent};

    if (is_parent)
        frame->at = node->end + 1;
    if (!page)
        return 0;
    called.end = page->count;
    indent(r, &called, frame, node);
    return push(r, called);
}

/* What this parent tag gives for the block, as a node of `page`; NULL: nothing. */
static const struct template_node *replacement_in(struct render *r,
                                                  const struct reeve_template *page,
                                                  uint32_t parent, const char *name, size_t length)
{
    const struct template_node *nodes = page->nodes;

    for (uint32_t i = parent + 1; i < nodes[parent].end && step(r); i++) {
        const struct template_node *node = &nodes[i];

        if (node->kind == TEMPLATE_BLOCK && node->length == length &&
            memcmp(template_name(page, node), name, length) == 0)
            return node;
        if (node->end > 0)
            i = node->end;
    }
    return NULL;
}

/* The outermost parent that replaces the block wins: it is the most special page. */
static int open_block(struct render *r, struct frame *frame, const struct template_node *node)
{
    struct frame block = {.page = frame->page,
                          .at = frame->at,
                          .end = node->end,
                          .indent_at = frame->indent_at,
                          .indent = frame->indent};
    const char *name = template_name(frame->page, node);

    frame->at = node->end + 1;
    for (unsigned i = 1; i < r->depth && step(r); i++) {
        const struct reeve_template *page = r->frames[i - 1].page;
        const struct template_node *found =
            r->frames[i].is_parent
                ? replacement_in(r, page, r->frames[i].parent, name, node->length)
                : NULL;

        if (found) {
            block.page = page;
            block.at = (uint32_t)(found - page->nodes) + 1;
            block.end = found->end;
            break;
        }
    }
    return push(r, block);
}

/* ---- the loop ---- */

static int render_node(struct render *r, struct frame *frame, const struct template_node *node)
{
    const cJSON *item;

    switch ((enum template_kind)node->kind) {
    case TEMPLATE_TEXT:
        return put(r, frame->page->text + node->at, node->length);
    case TEMPLATE_LINE:
        return put(r, r->indent + frame->indent_at, frame->indent);
    case TEMPLATE_VALUE:
    case TEMPLATE_RAW:
        item = resolve(r, frame, node);
        return item ? put_value(r, item, node->kind == TEMPLATE_RAW) : 0;
    case TEMPLATE_SECTION:
        return open_section(r, frame, node);
    case TEMPLATE_INVERTED:
        if (is_true(resolve(r, frame, node)))
            frame->at = node->end + 1;
        return 0;
    case TEMPLATE_BLOCK:
        return open_block(r, frame, node);
    case TEMPLATE_PARENT:
    case TEMPLATE_PARTIAL:
        return open_page(r, frame, node);
    case TEMPLATE_END:
        return 0;
    }
    return 0;
}

static void end_frame(struct render *r, struct frame *frame)
{
    if (frame->is_list && frame->item->next) {
        frame->item = frame->item->next;
        frame->at = frame->begin;
    } else {
        r->depth--;
    }
}

static int render_all(struct render *r)
{
    while (r->depth > 0) {
        struct frame *frame = &r->frames[r->depth - 1];

        if (!step(r))
            return fail(E2BIG);
        if (frame->at == frame->end)
            end_frame(r, frame);
        else if (render_node(r, frame, &frame->page->nodes[frame->at++]) == -1)
            return -1;
    }
    return flush(r);
}

int reeve_template_render(const reeve_template *page, const struct cJSON *model,
                          const reeve_template_limits *given,
                          int (*write)(void *arg, const void *data, size_t size), void *arg)
{
    reeve_template_limits limits = {
        .max_bytes = 64u << 20, .max_steps = 10000000, .max_depth = 128};
    struct render *r;
    int result, reason;

    if (!page)
        return fail(ENOENT);
    if (given && given->max_bytes)
        limits.max_bytes = given->max_bytes;
    if (given && given->max_steps)
        limits.max_steps = given->max_steps;
    if (given && given->max_depth)
        limits.max_depth = given->max_depth < DEPTH_MOST ? given->max_depth : DEPTH_MOST;
    r = malloc(sizeof *r + (limits.max_depth + 1) * sizeof r->frames[0]);
    if (!r)
        return -1;
    r->write = write;
    r->arg = arg;
    r->bytes_left = limits.max_bytes;
    r->steps_left = limits.max_steps;
    r->length = 0;
    r->depth = 0;
    r->room = limits.max_depth + 1;
    push(r, (struct frame){.page = page, .item = model, .end = page->count});
    result = render_all(r);
    reason = errno;
    free(r);
    errno = reason;
    return result;
}
