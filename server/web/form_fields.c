/* form_fields.c: takes "a=1&b=2" apart. A bad escape and a NUL are refused, and never passed on as
 * they are. */
#include "web/form_fields.h"

#include <string.h>

#include "http/uri.h"

/* Decodes [at, at + length) where it stands; what comes behind it is overwritten by a NUL. */
static bool decode(char *at, size_t length)
{
    return uri_decode_component(at, length, at) != -1;
}

static bool field_read(struct reeve_part *part, char *text, size_t length)
{
    char *equals = memchr(text, '=', length);
    size_t name_length = equals ? (size_t)(equals - text) : length;
    char *value = text + name_length + (equals != NULL);

    *part = (struct reeve_part){.name = text, .data = value, .type = "text/plain", .fd = -1};
    if (!decode(value, length - (size_t)(value - text)) || !decode(text, name_length))
        return false;
    part->size = strlen(value);
    return true;
}

static size_t count_fields(const char *text, size_t length)
{
    size_t count = 0;

    for (size_t i = 0; i < length; i++)
        count += text[i] != '&' && (i == 0 || text[i - 1] == '&');
    return count;
}

int fields_add(struct reeve_form *form, char *text, size_t length, size_t max)
{
    size_t count = count_fields(text, length);
    struct reeve_part *parts;

    if (count > max)
        return form_fail(form->environ, 413, "There are too many fields.");
    parts = reeve_alloc(form->environ, count * sizeof *parts);
    if (!parts)
        return form_fail_memory(form->environ);
    for (char *at = text, *end = text + length; at < end;) {
        char *amp = memchr(at, '&', (size_t)(end - at));
        size_t size = (size_t)((amp ? amp : end) - at);

        if (size > 0) {
            if (!field_read(parts, at, size))
                return form_fail(form->environ, 400, "A field is badly escaped.");
            form_add(form, parts++);
        }
        at += size + 1;
    }
    return 0;
}

int reeve_query_read(reeve_environ *environ, const reeve_form_limits *given, reeve_form **form_out)
{
    const reeve_form_limits limits = form_limits(given);
    struct reeve_form *form = form_new(environ);
    char *text = reeve_strdup(environ, reeve_query(environ));
    int status = 0;

    *form_out = NULL;
    if (!form || !text)
        return form_fail_memory(environ);
    status = fields_add(form, text, strlen(text), limits.max_fields);
    if (status == 0)
        *form_out = form;
    return status == 413 ? 414 : status;
}
