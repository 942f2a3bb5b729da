/* middleware.c: what the bundled middleware have in common: their options, plain answers, and
 * headers that are added to somebody else's. */
#include "web/middleware.h"

#include <errno.h>
#include <reeve/filter.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/chars.h"

void reeve_middleware_free(reeve_middleware *middleware)
{
    struct middleware *state = middleware->state;

    if (state)
        state->free(state);
    *middleware = (reeve_middleware){.state = NULL};
}

/* ---- options ---- */

int middleware_refuse(reeve_module *module, const char *format, ...)
{
    char sentence[512];
    va_list args;

    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    if (module)
        reeve_refuse(module, "%s", sentence);
    errno = EINVAL;
    return -1;
}

int middleware_out_of_memory(reeve_module *module)
{
    middleware_refuse(module, "middleware: out of memory");
    errno = ENOMEM;
    return -1;
}

static size_t count_of(const char *const *list)
{
    size_t count = 0;

    while (list && list[count])
        count++;
    return count;
}

char **middleware_copy_list(const char *const *list)
{
    size_t count = count_of(list), size = (count + 1) * sizeof(char *);
    char **copy, *at;

    for (size_t i = 0; i < count; i++)
        size += strlen(list[i]) + 1;
    copy = malloc(size);
    if (!copy)
        return NULL;
    at = (char *)(copy + count + 1);
    for (size_t i = 0; i < count; i++) {
        copy[i] = at;
        at = stpcpy(at, list[i]) + 1;
    }
    copy[count] = NULL;
    return copy;
}

char *middleware_join_list(const char *const *list)
{
    size_t count = count_of(list), size = 1;
    char *text, *at;

    for (size_t i = 0; i < count; i++)
        size += strlen(list[i]) + 2;
    text = at = count > 0 ? malloc(size) : NULL;
    for (size_t i = 0; text && i < count; i++)
        at = stpcpy(stpcpy(at, i > 0 ? ", " : ""), list[i]);
    return text;
}

static bool is_token(const char *text)
{
    size_t n = 0;

    while (char_is(text[n], CHAR_TOKEN))
        n++;
    return n > 0 && !text[n];
}

bool middleware_is_token_list(const char *const *list)
{
    for (; list && *list; list++)
        if (!is_token(*list))
            return false;
    return true;
}

/* ---- answers ---- */

int middleware_answer(reeve_environ *environ, reeve_start_response *start_response,
                      const char *status, const reeve_header *headers)
{
    reeve_header *all = reeve_headers_copy(environ, headers, 1);
    const char *body = reeve_printf(environ, "%s\n", status);

    if (!all || !body)
        return -1;
    reeve_headers_set(all, "Content-Type", "text/plain; charset=utf-8");
    if (start_response(environ, status, all) == -1)
        return -1;
    return reeve_write(environ, body, strlen(body));
}

/* ---- headers of a response that goes by ---- */

static int on_start(reeve_beneath *beneath, const char *status, const reeve_header *headers,
                    void *state)
{
    const struct header_changes *changes = state;
    reeve_environ *environ = reeve_filter_environ(beneath);
    reeve_header *changed;
    size_t count = 1; /* for Vary */

    while (changes->set[count - 1].name)
        count++;
    changed = reeve_headers_copy(environ, headers, count);
    if (!changed || (changes->vary && reeve_headers_vary(environ, changed, changes->vary) == -1))
        return -1;
    for (const reeve_header *header = changes->set; header->name; header++)
        if (header->value)
            reeve_headers_set(changed, header->name, header->value);
        else
            reeve_headers_remove(changed, header->name);
    return reeve_filter_start(beneath, status, changed);
}

static const reeve_filter changing = {.on_start = on_start};

int middleware_change_headers(reeve_environ *environ, const struct header_changes *changes)
{
    struct header_changes *copy = reeve_alloc(environ, sizeof *copy);

    if (!copy) {
        errno = ENOMEM;
        return -1;
    }
    *copy = *changes;
    return reeve_filter_push(environ, &changing, copy);
}
