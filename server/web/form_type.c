/* form_type.c: reads a Content-Type, and refuses one that two readers could understand in two ways:
 * a parameter that comes twice, a boundary that is none. */
#include "web/form_type.h"

#include <string.h>
#include <strings.h>

#include "web/form_params.h"

static int refuse(int status, const char *error, const char **error_out)
{
    *error_out = error;
    return status;
}

static const struct kind_name {
    const char *name;
    enum form_kind kind;
} kinds[] = {
    {"application/x-www-form-urlencoded", FORM_URLENCODED},
    {"multipart/form-data", FORM_MULTIPART},
};

/* Behind the media type, or NULL for another one. */
static const char *skip_kind(const char *text, enum form_kind *kind_out)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        size_t length = strlen(kinds[i].name);

        if (strncasecmp(text, kinds[i].name, length) == 0 && strchr("; \t", text[length])) {
            *kind_out = kinds[i].kind;
            return text + length; /* strchr finds the NUL, too */
        }
    }
    return NULL;
}

/* A parameter's value, or NULL when it is longer than any that is meant here. */
static const char *short_value(const struct param *param, char *out, size_t size)
{
    if (param->value.length >= size)
        return NULL;
    param_value(param, false, out);
    return out;
}

/* Raw values may be quoted, and every byte of them. */
#define RAW_MAX (2 * MULTIPART_BOUNDARY_MAX + 2)

static int take_param(const struct param *param, struct form_type *type, bool *has_charset,
                      const char **error_out)
{
    char room[RAW_MAX + 1];
    const char *value = short_value(param, room, sizeof room);

    if (param_is(param, "boundary") && type->kind == FORM_MULTIPART) {
        if (type->boundary[0] || !value || !multipart_is_boundary(value, strlen(value)))
            return refuse(400, "The boundary in Content-Type is malformed.", error_out);
        memcpy(type->boundary, value, strlen(value) + 1);
    } else if (param_is(param, "charset")) {
        if (*has_charset)
            return refuse(400, "Content-Type is malformed.", error_out);
        *has_charset = true;
        if (!value || strcasecmp(value, "utf-8") != 0)
            return refuse(415, "Forms are read in UTF-8 only.", error_out);
    }
    return 0;
}

int form_type_read(const char *text, struct form_type *type_out, const char **error_out)
{
    bool has_charset = false;
    struct param param;
    const char *at;
    int got, status;

    *type_out = (struct form_type){.boundary = ""};
    at = text ? skip_kind(text, &type_out->kind) : NULL;
    if (!at)
        return refuse(415, "The body is no form.", error_out);
    while ((got = param_next(&at, &param)) == 1)
        if ((status = take_param(&param, type_out, &has_charset, error_out)) != 0)
            return status;
    if (got == -1)
        return refuse(400, "Content-Type is malformed.", error_out);
    if (type_out->kind == FORM_MULTIPART && !type_out->boundary[0])
        return refuse(400, "Content-Type has no boundary.", error_out);
    return 0;
}
