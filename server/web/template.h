/* template.h: a compiled template: an array of nodes that point into the text.
 *
 * Made once, in init, and only read after that: rendering keeps what changes to itself, so any
 * number of requests may be in the middle of the same template. */
#ifndef WEB_TEMPLATE_H
#define WEB_TEMPLATE_H

#include <reeve/view.h>
#include <stdbool.h>
#include <stdint.h>

#define TEMPLATE_TEXT_MOST (1u << 20)
#define TEMPLATE_NAME_MOST 255u

enum template_kind {
    TEMPLATE_TEXT,
    TEMPLATE_LINE, /* a line begins: where a partial's indentation goes */
    TEMPLATE_VALUE,
    TEMPLATE_RAW, /* a value that is not escaped */
    TEMPLATE_SECTION,
    TEMPLATE_INVERTED,
    TEMPLATE_BLOCK,  /* {{$part}} */
    TEMPLATE_PARENT, /* {{<name}}: of what is in it only the blocks count */
    TEMPLATE_PARTIAL,
    TEMPLATE_END,
};

struct template_node {
    uint32_t at, length;    /* in the text: a piece of it, or a name */
    uint32_t end;           /* section, inverted, block, parent: the node that ends it */
    uint32_t indent_at;     /* partial, parent: the blanks before it in its line */
    uint32_t indent_length; /* ... and how long that is */
    uint8_t kind;           /* enum template_kind */
    bool is_standalone;     /* it has its line for itself */
    bool begins_line;       /* parent: nothing but blanks stand before it */
};

struct reeve_template {
    const struct reeve_templates *set;
    char *name;
    char *text;
    struct template_node *nodes;
    uint32_t count;
};

/* The name of a tag as it stands in the text: not terminated. */
static inline const char *template_name(const struct reeve_template *page,
                                        const struct template_node *node)
{
    return page->text + node->at;
}

/* Compiles page->text, of that length, into page->nodes. 0, or -1 with errno and "line:column: ..."
 * in `error`. */
int template_compile(struct reeve_template *page, size_t length, char *error, size_t error_size);

/* "LINE:COLUMN" of a place in a text. */
void template_place(const char *text, size_t at, unsigned *line_out, unsigned *column_out);

/* By a name that is not terminated; NULL: not there. */
const struct reeve_template *template_find(const struct reeve_templates *set, const char *name,
                                           size_t length);

#endif
