/* escape.c: makes any name safe in a URL's path (RFC 3986 section 2) and in HTML. */
#include "escape.h"

#include <stdio.h>
#include <string.h>

#define IN_PATH "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$'()*+,=@/"

char *escape_url(reeve_environ *environ, const char *path)
{
    char *text = reeve_alloc(environ, 3 * strlen(path) + 1);
    char *end = text;

    if (text == NULL)
        return NULL;
    for (; *path != '\0'; path++)
        if (strchr(IN_PATH, *path) != NULL)
            *end++ = *path;
        else
            end += sprintf(end, "%%%02X", (unsigned char)*path);
    *end = '\0';
    return text;
}

static const char *entity(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

char *escape_html(reeve_environ *environ, const char *text)
{
    char *html = reeve_alloc(environ, strlen("&quot;") * strlen(text) + 1);
    char *end = html;

    if (html == NULL)
        return NULL;
    for (; *text != '\0'; text++) {
        const char *name = entity(*text);

        if (name == NULL)
            *end++ = *text;
        else
            end = stpcpy(end, name);
    }
    *end = '\0';
    return html;
}
