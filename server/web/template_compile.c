/* template_compile.c: a text in Mustache into nodes, by the public specification. It knows nothing
 * of models and of other templates. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "web/template.h"

#define DELIMITER_MOST 15u
#define NEST_MOST      100u

struct delimiter {
    char text[DELIMITER_MOST + 2]; /* with room for the '}' or '=' that may come before it */
    size_t length;
};

struct compiler {
    struct reeve_template *page;
    const char *text;
    size_t length, at; /* what lies before `at` is done */
    struct delimiter open, close;
    uint32_t nest[NEST_MOST]; /* the nodes that have no end yet */
    unsigned depth;
    size_t room; /* of page->nodes */
    char *error;
    size_t error_size;
};

struct tag {
    size_t start, end; /* with its delimiters */
    size_t at, length; /* what is in it, without the sigil and white space around */
    char sigil;        /* '\0': a value */
};

void template_place(const char *text, size_t at, unsigned *line_out, unsigned *column_out)
{
    size_t begin = 0;

    *line_out = 1;
    for (size_t i = 0; i < at; i++)
        if (text[i] == '\n') {
            begin = i + 1;
            ++*line_out;
        }
    *column_out = (unsigned)(at - begin) + 1;
}

static int fail(struct compiler *c, size_t at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int fail(struct compiler *c, size_t at, const char *format, ...)
{
    unsigned line, column;
    va_list args;
    int n;

    template_place(c->text, at, &line, &column);
    n = snprintf(c->error, c->error_size, "%u:%u: ", line, column);
    va_start(args, format);
    vsnprintf(c->error + n, c->error_size - (size_t)n, format, args);
    va_end(args);
    errno = EINVAL;
    return -1;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_space(char c)
{
    return is_blank(c) || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

static bool begins_line(const struct compiler *c, size_t at)
{
    return at == 0 || c->text[at - 1] == '\n';
}

/* ---- nodes ---- */

static int add(struct compiler *c, struct template_node node)
{
    struct reeve_template *page = c->page;

    if (page->count == c->room) {
        size_t room = c->room ? 2 * c->room : 16;
        struct template_node *grown = reallocarray(page->nodes, room, sizeof *grown);

        if (!grown) {
            snprintf(c->error, c->error_size, "memory has run out");
            errno = ENOMEM;
            return -1;
        }
        page->nodes = grown;
        c->room = room;
    }
    page->nodes[page->count++] = node;
    return 0;
}

static int add_line(struct compiler *c)
{
    return add(c, (struct template_node){.kind = TEMPLATE_LINE});
}

/* The text up to `to`, line by line. */
static int add_text(struct compiler *c, size_t to)
{
    while (c->at < to) {
        const char *newline = memchr(c->text + c->at, '\n', to - c->at);
        size_t end = newline ? (size_t)(newline - c->text) + 1 : to;

        if (begins_line(c, c->at) && add_line(c) == -1)
            return -1;
        if (add(c, (struct template_node){.kind = TEMPLATE_TEXT,
                                          .at = (uint32_t)c->at,
                                          .length = (uint32_t)(end - c->at)}) == -1)
            return -1;
        c->at = end;
    }
    return 0;
}

/* ---- tags ---- */

static void trim(const struct compiler *c, struct tag *tag)
{
    while (tag->length > 0 && is_space(c->text[tag->at])) {
        tag->at++;
        tag->length--;
    }
    while (tag->length > 0 && is_space(c->text[tag->at + tag->length - 1]))
        tag->length--;
}

/* The tag that begins at `start`, where the opening delimiter stands. */
static int find_tag(struct compiler *c, size_t start, struct tag *tag_out)
{
    size_t at = start + c->open.length;
    char sigil = at < c->length ? c->text[at] : '\0';
    struct delimiter close = c->close;
    const char *end;

    if (!sigil || !strchr("#^/>!&{=<$", sigil))
        sigil = '\0';
    else
        at++;
    if (sigil == '{' || sigil == '=') {
        memmove(close.text + 1, close.text, close.length++);
        close.text[0] = sigil == '{' ? '}' : '=';
    }
    end = at <= c->length ? memmem(c->text + at, c->length - at, close.text, close.length) : NULL;
    if (!end)
        return fail(c, start, "this tag has no \"%.*s\"", (int)close.length, close.text);
    *tag_out = (struct tag){.start = start,
                            .end = (size_t)(end - c->text) + close.length,
                            .at = at,
                            .length = (size_t)(end - c->text) - at,
                            .sigil = sigil};
    trim(c, tag_out);
    return 0;
}

/* Where the next line begins when there is nothing but blanks up to there; 0: there is
 * something. */
static size_t rest_of_line(const struct compiler *c, size_t at)
{
    while (at < c->length && is_blank(c->text[at]))
        at++;
    if (at == c->length)
        return at;
    if (c->text[at] == '\r' && at + 1 < c->length)
        at++;
    return c->text[at] == '\n' ? at + 1 : 0;
}

/* A tag that has its line for itself takes the line with it. */
static bool is_standalone(const struct compiler *c, const struct tag *tag, size_t *line_out,
                          size_t *next_out)
{
    size_t line = tag->start;

    if (tag->sigil == '\0' || tag->sigil == '&' || tag->sigil == '{')
        return false;
    while (line > 0 && is_blank(c->text[line - 1]))
        line--;
    *line_out = line;
    *next_out = rest_of_line(c, tag->end);
    return begins_line(c, line) && *next_out > 0;
}

/* ---- what is in a tag ---- */

static int check_name(struct compiler *c, const struct tag *tag, bool is_dotted)
{
    const char *name = c->text + tag->at;

    if (tag->length == 0)
        return fail(c, tag->start, "this tag has no name");
    if (tag->length > TEMPLATE_NAME_MOST)
        return fail(c, tag->start, "this name is too long");
    for (size_t i = 0; i < tag->length; i++)
        if (is_space(name[i]))
            return fail(c, tag->at, "a name has no white space");
    if (strchr("#^/>!&{=<$", name[0]))
        return fail(c, tag->at, "\"%c\" has to follow the delimiter at once", name[0]);
    if (!is_dotted || (tag->length == 1 && name[0] == '.'))
        return 0;
    if (name[0] == '.' || name[tag->length - 1] == '.' || memmem(name, tag->length, "..", 2))
        return fail(c, tag->at, "there is nothing between these dots");
    return 0;
}

static int set_delimiter(struct compiler *c, const struct tag *tag, size_t at, size_t length,
                         struct delimiter *out)
{
    if (length == 0 || length > DELIMITER_MOST || memchr(c->text + at, '=', length))
        return fail(c, tag->start, "delimiters are two words of up to %u bytes, without \"=\"",
                    DELIMITER_MOST);
    memcpy(out->text, c->text + at, length);
    out->length = length;
    return 0;
}

static int set_delimiters(struct compiler *c, const struct tag *tag)
{
    size_t first = 0, second, end = tag->length;

    while (first < end && !is_space(c->text[tag->at + first]))
        first++;
    for (second = first; second < end && is_space(c->text[tag->at + second]);)
        second++;
    for (size_t i = second; i < end; i++)
        if (is_space(c->text[tag->at + i]))
            end = second; /* a third word: none is right */
    if (set_delimiter(c, tag, tag->at, first, &c->open) == -1)
        return -1;
    return set_delimiter(c, tag, tag->at + second, end - second, &c->close);
}

static int begin(struct compiler *c, const struct tag *tag, struct template_node node)
{
    if (c->depth == NEST_MOST)
        return fail(c, tag->start, "more than %u sections within each other", NEST_MOST);
    c->nest[c->depth++] = c->page->count;
    return add(c, node);
}

/* A parent need not end on another line to have its lines for itself: then the blanks before it are
 * indentation, and the line break behind it goes with it. */
static void end_parent(struct compiler *c, const struct tag *tag, struct template_node *opened)
{
    size_t next = rest_of_line(c, tag->end);
    struct template_node *before = opened - (opened->indent_length > 0 ? 2 : 1);

    if (opened->is_standalone || !opened->begins_line || next == 0)
        return;
    opened->is_standalone = true;
    for (; before < opened; before++) /* the line's begin, and the blanks */
        *before = (struct template_node){.kind = TEMPLATE_TEXT};
    c->at = next;
}

static int end(struct compiler *c, const struct tag *tag)
{
    struct template_node *opened;
    const char *name = c->text + tag->at;

    if (c->depth == 0)
        return fail(c, tag->start, "\"%.*s\" was not begun", (int)tag->length, name);
    opened = &c->page->nodes[c->nest[--c->depth]];
    if (opened->length != tag->length || memcmp(c->text + opened->at, name, tag->length) != 0)
        return fail(c, tag->start, "\"%.*s\" ends here, where \"%.*s\" has to", (int)tag->length,
                    name, (int)opened->length, c->text + opened->at);
    opened->end = c->page->count;
    if (opened->kind == TEMPLATE_PARENT)
        end_parent(c, tag, opened);
    return add(c, (struct template_node){.kind = TEMPLATE_END});
}

static int add_tag(struct compiler *c, const struct tag *tag, size_t line, bool is_alone)
{
    struct template_node node = {.at = (uint32_t)tag->at,
                                 .length = (uint32_t)tag->length,
                                 .indent_at = (uint32_t)line,
                                 .indent_length = (uint32_t)(tag->start - line),
                                 .is_standalone = is_alone,
                                 .begins_line = begins_line(c, line)};
    bool is_dotted = !tag->sigil || strchr("#^&{", tag->sigil);

    if (tag->sigil == '!')
        return 0;
    if (tag->sigil == '=')
        return set_delimiters(c, tag);
    if (check_name(c, tag, is_dotted) == -1)
        return -1;
    switch (tag->sigil) {
    case '/':
        return end(c, tag);
    case '#':
        node.kind = TEMPLATE_SECTION;
        return begin(c, tag, node);
    case '^':
        node.kind = TEMPLATE_INVERTED;
        return begin(c, tag, node);
    case '<':
        node.kind = TEMPLATE_PARENT;
        return begin(c, tag, node);
    case '$':
        node.kind = TEMPLATE_BLOCK;
        return begin(c, tag, node);
    case '>':
        node.kind = TEMPLATE_PARTIAL;
        return add(c, node);
    default:
        node.kind = tag->sigil ? TEMPLATE_RAW : TEMPLATE_VALUE;
        return add(c, node);
    }
}

/* What stands around the blocks of a parent is not shown, so their lines begin with themselves. */
static bool is_block_of_parent(const struct compiler *c, const struct tag *tag)
{
    return tag->sigil == '$' && c->depth > 0 &&
           c->page->nodes[c->nest[c->depth - 1]].kind == TEMPLATE_PARENT;
}

static int take_tag(struct compiler *c, size_t start)
{
    size_t line = start, next = 0;
    struct tag tag;
    bool is_alone;

    if (find_tag(c, start, &tag) == -1)
        return -1;
    is_alone = is_standalone(c, &tag, &line, &next);
    if (add_text(c, is_alone ? line : start) == -1)
        return -1;
    if (!is_alone && begins_line(c, start) && add_line(c) == -1)
        return -1;
    if (!is_alone)
        next = is_block_of_parent(c, &tag) ? rest_of_line(c, tag.end) : 0;
    c->at = next > 0 ? next : tag.end;
    return add_tag(c, &tag, line, is_alone);
}

static int compile(struct compiler *c)
{
    const char *start;

    while ((start = memmem(c->text + c->at, c->length - c->at, c->open.text, c->open.length)))
        if (take_tag(c, (size_t)(start - c->text)) == -1)
            return -1;
    if (c->depth > 0) {
        const struct template_node *node = &c->page->nodes[c->nest[c->depth - 1]];

        return fail(c, node->at, "\"%.*s\" has no end", (int)node->length, c->text + node->at);
    }
    return add_text(c, c->length);
}

int template_compile(struct reeve_template *page, size_t length, char *error, size_t error_size)
{
    struct compiler c = {.page = page,
                         .text = page->text,
                         .length = length,
                         .open = {"{{", 2},
                         .close = {"}}", 2},
                         .error = error,
                         .error_size = error_size};
    size_t good = utf8_span(page->text, length);

    if (good < length)
        return fail(&c, good, "this is not UTF-8");
    if (memchr(page->text, '\0', length))
        return fail(&c, strlen(page->text), "a template has no zero bytes");
    return compile(&c);
}
