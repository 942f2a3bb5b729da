/* environ: shows a request's variables as one JSON object, sorted by name. Copy it for walking
 * through the environ, and for JSON without a library: whatever bytes a client sends, what leaves
 * is valid JSON in UTF-8. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <reeve/app.h>

struct variable {
    const char *name;
    const char *value;
};

struct list {
    struct variable *items;
    size_t count;
};

/* ---- JSON ---- */

static bool is_continuation(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

/* The length of the well-formed UTF-8 sequence at `s`, or 0. RFC 3629: no overlong forms, no
 * surrogates, nothing above U+10FFFF. The string's NUL is no continuation byte, so nothing behind
 * it is read. */
static size_t utf8_length(const unsigned char *s)
{
    if (s[0] < 0x80)
        return 1;
    if (s[0] < 0xc2 || s[0] > 0xf4 || !is_continuation(s[1]))
        return 0;
    if (s[0] < 0xe0)
        return 2;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f) || !is_continuation(s[2]))
        return 0;
    if (s[0] < 0xf0)
        return 3;
    return is_continuation(s[3]) ? 4 : 0;
}

/* A byte that is not UTF-8 is shown as the Latin-1 letter it may have been meant for: \u00e9. */
static void print_string(FILE *out, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;

    putc('"', out);
    while (*s != '\0') {
        size_t length = utf8_length(s);

        if (length == 0 || *s < 0x20) {
            fprintf(out, "\\u%04x", *s);
            length = 1;
        } else {
            if (*s == '"' || *s == '\\')
                putc('\\', out);
            fwrite(s, 1, length, out);
        }
        s += length;
    }
    putc('"', out);
}

static void print_object(FILE *out, const struct list *list)
{
    fputs("{", out);
    for (size_t i = 0; i < list->count; i++) {
        fputs(i == 0 ? "\n  " : ",\n  ", out);
        print_string(out, list->items[i].name);
        fputs(": ", out);
        print_string(out, list->items[i].value);
    }
    fputs("\n}\n", out);
}

/* The object as text for free(), or NULL. */
static char *object_text(const struct list *list, size_t *size_out)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, size_out);

    if (out == NULL)
        return NULL;
    print_object(out, list);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

/* ---- the variables ---- */

static int count_one(const char *name, const char *value, void *arg)
{
    (void)name;
    (void)value;
    ++*(size_t *)arg;
    return 0;
}

static int add_one(const char *name, const char *value, void *arg)
{
    struct list *list = arg;

    list->items[list->count++] = (struct variable){name, value};
    return 0;
}

static int by_name(const void *left, const void *right)
{
    return strcmp(((const struct variable *)left)->name, ((const struct variable *)right)->name);
}

/* Memory from reeve_alloc goes with the request, so there is nothing to free. */
static int collect(reeve_environ *environ, struct list *list)
{
    size_t count = 0;

    reeve_environ_each(environ, count_one, &count);
    list->count = 0;
    list->items = reeve_alloc(environ, (count + 1) * sizeof(*list->items));
    if (list->items == NULL)
        return -1;
    reeve_environ_each(environ, add_one, list);
    qsort(list->items, list->count, sizeof(*list->items), by_name);
    return 0;
}

static int show_environ(reeve_environ *environ, reeve_start_response *start_response)
{
    struct list list;
    size_t size;
    char *text;
    int result;

    if (collect(environ, &list) != 0 || (text = object_text(&list, &size)) == NULL)
        return -1;
    result = start_response(environ, "200 OK", REEVE_HEADERS({"Content-Type", "application/json"}));
    if (result == 0)
        result = reeve_write(environ, text, size);
    free(text);
    return result;
}

REEVE_APP(.name = "environ", .version = "1.0.0", .application = show_environ);
