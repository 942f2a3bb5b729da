/* headers.c: lists of headers that filters change (reeve/filter.h). */
#include <errno.h>
#include <reeve/filter.h>
#include <string.h>
#include <strings.h>

reeve_header *reeve_headers_copy(reeve_environ *environ, const reeve_header *headers, size_t more)
{
    size_t count = 0, text = 0;
    reeve_header *copy;
    char *at;

    for (; headers && headers[count].name; count++)
        text += strlen(headers[count].name) + strlen(headers[count].value) + 2;
    copy = reeve_alloc(environ, (count + more + 1) * sizeof *copy + text);
    if (!copy) {
        errno = ENOMEM;
        return NULL;
    }
    at = (char *)(copy + count + more + 1);
    memset(copy, 0, (count + more + 1) * sizeof *copy);
    for (size_t i = 0; i < count; i++) {
        copy[i].name = at;
        at = stpcpy(at, headers[i].name) + 1;
        copy[i].value = at;
        at = stpcpy(at, headers[i].value) + 1;
    }
    return copy;
}

const char *reeve_headers_find(const reeve_header *headers, const char *name)
{
    for (; headers && headers->name; headers++)
        if (strcasecmp(headers->name, name) == 0)
            return headers->value;
    return NULL;
}

void reeve_headers_remove(reeve_header *headers, const char *name)
{
    reeve_header *to = headers;

    for (; headers->name; headers++)
        if (strcasecmp(headers->name, name) != 0)
            *to++ = *headers;
    while (to != headers)
        *to++ = (reeve_header){.name = NULL};
}

void reeve_headers_set(reeve_header *headers, const char *name, const char *value)
{
    reeve_headers_remove(headers, name);
    while (headers->name)
        headers++;
    *headers = (reeve_header){.name = name, .value = value};
}

/* Whether a list of names has this one, or "*". */
static bool has_name(const char *list, const char *name)
{
    size_t length = strlen(name);

    for (const char *at = list; *at; at += *at == ',') {
        size_t size = strcspn(at, ",");
        const char *end = at + size;

        at += strspn(at, " \t");
        while (end > at && (end[-1] == ' ' || end[-1] == '\t'))
            end--;
        if (end - at == 1 && *at == '*')
            return true;
        if ((size_t)(end - at) == length && strncasecmp(at, name, length) == 0)
            return true;
        at += strcspn(at, ",");
    }
    return false;
}

int reeve_headers_vary(reeve_environ *environ, reeve_header *headers, const char *name)
{
    const reeve_header *last = NULL;
    const char *value;

    for (const reeve_header *header = headers; header->name; header++) {
        if (strcasecmp(header->name, "Vary") != 0)
            continue;
        if (has_name(header->value, name))
            return 0;
        last = header;
    }
    if (!last) {
        reeve_headers_set(headers, "Vary", name);
        return 0;
    }
    value = reeve_printf(environ, "%s, %s", last->value, name);
    if (!value) {
        errno = ENOMEM;
        return -1;
    }
    headers[last - headers].value = value;
    return 0;
}
