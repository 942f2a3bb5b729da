/* template_escape.c: see template_escape.h. */
#include "web/template_escape.h"

#include <string.h>

#include "base/utf8.h"

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

/* How much can stay as it is. */
static size_t plain_span(const char *text, size_t length)
{
    size_t at = 0;

    while (at < length) {
        size_t step = utf8_sequence(text + at, length - at);

        if (step == 0 || entity(text[at]))
            break;
        at += step;
    }
    return at;
}

size_t template_escape(const char **text, size_t *length, const char **data_out)
{
    size_t plain = plain_span(*text, *length), step = plain, size = plain;

    *data_out = *text;
    if (plain == 0 && *length > 0) {
        const char *instead = entity(**text);

        *data_out = instead ? instead : UTF8_REPLACEMENT;
        size = strlen(*data_out);
        step = 1;
    }
    *text += step;
    *length -= step;
    return size;
}
