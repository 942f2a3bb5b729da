/* view.c: answers: a status, a few headers, a body. */
#include <reeve/view.h>

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/utf8.h"
#include "http/chars.h"
#include "http/status.h"
#include "web/view_json.h"

#define MORE_VARIABLE \
    "reeve.view.headers" /* "Name: value" lines that reeve_view_header was given */
#define MORE_MOST 16u
#define OWN_MOST  4u

struct answer {
    int status;
    const char *type;     /* NULL: no body */
    const char *location; /* NULL: none */
    int64_t size;         /* -1: not known yet */
};

static int fail(int error)
{
    errno = error;
    return -1;
}

/* ---- headers ---- */

static bool is_own(const char *name)
{
    static const char *const own[] = {"Content-Type", "Content-Length", "X-Content-Type-Options"};

    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (strcasecmp(name, own[i]) == 0)
            return true;
    return false;
}

static bool is_text(const char *value)
{
    while (*value && char_is(*value, CHAR_TEXT))
        value++;
    return !*value;
}

/* A URI or a reference, as far as it can stand in Location. */
static bool is_reference(const char *text)
{
    const char *p = text;

    while ((unsigned char)*p > ' ' && (unsigned char)*p < 0x7f)
        p++;
    return p > text && !*p;
}

static unsigned count_lines(const char *text)
{
    unsigned count = 0;

    for (; *text; text++)
        count += *text == '\n';
    return count;
}

int reeve_view_header(reeve_environ *environ, const char *name, const char *value)
{
    const char *before = reeve_environ_get(environ, MORE_VARIABLE);
    char *text;

    if (!char_is_token(name, strlen(name)) || !value || !is_text(value) || is_own(name))
        return fail(EINVAL);
    if (strcasecmp(name, "Location") == 0 && !is_reference(value))
        return fail(EINVAL);
    if (before && count_lines(before) >= MORE_MOST)
        return fail(E2BIG);
    text = reeve_printf(environ, "%s%s: %s\n", before ? before : "", name, value);
    return text ? reeve_environ_set(environ, MORE_VARIABLE, text) : fail(ENOMEM);
}

/* What reeve_view_header was given; a redirection has a Location already. The end, or NULL without
 * memory. */
static reeve_header *put_more(reeve_environ *environ, reeve_header *header, bool has_location)
{
    const char *lines = reeve_environ_get(environ, MORE_VARIABLE);
    char *line = lines ? reeve_strdup(environ, lines) : NULL, *name, *value;

    if (lines && !line)
        return NULL;
    for (unsigned i = 0; line && *line && i < MORE_MOST; i++) {
        name = strsep(&line, "\n");
        value = strstr(name, ": ");
        if (!value)
            continue; /* somebody else has set the variable */
        *value = '\0';
        if (!has_location || strcasecmp(name, "Location") != 0)
            *header++ = (reeve_header){name, value + 2};
    }
    return header;
}

static bool has_body(int status)
{
    return status != 204 && status != 304;
}

static int start(reeve_environ *environ, reeve_start_response *start_response,
                 const struct answer *answer)
{
    reeve_header headers[OWN_MOST + MORE_MOST + 1] = {{NULL, NULL}}, *header = headers;

    if (answer->status < 200 || answer->status > 599)
        return fail(EINVAL);
    if (answer->location)
        *header++ = (reeve_header){"Location", answer->location};
    if (answer->type && has_body(answer->status))
        *header++ = (reeve_header){"Content-Type", answer->type};
    if (answer->size >= 0 && has_body(answer->status)) {
        const char *length = reeve_printf(environ, "%lld", (long long)answer->size);

        if (!length)
            return fail(ENOMEM);
        *header++ = (reeve_header){"Content-Length", length};
    }
    *header++ = (reeve_header){"X-Content-Type-Options", "nosniff"};
    if (!put_more(environ, header, answer->location != NULL))
        return fail(ENOMEM);
    return start_response(environ, status_line(answer->status), headers);
}

/* ---- simple answers ---- */

int reeve_view_bytes(reeve_environ *environ, reeve_start_response *start_response, int status,
                     const char *content_type, const void *data, size_t size)
{
    const struct answer answer = {.status = status, .type = content_type, .size = (int64_t)size};

    if (start(environ, start_response, &answer) == -1)
        return -1;
    return has_body(status) && size > 0 ? reeve_write(environ, data, size) : 0;
}

int reeve_view_text(reeve_environ *environ, reeve_start_response *start_response, int status,
                    const char *text)
{
    return reeve_view_bytes(environ, start_response, status, "text/plain; charset=utf-8", text,
                            strlen(text));
}

int reeve_view_empty(reeve_environ *environ, reeve_start_response *start_response, int status)
{
    return reeve_view_bytes(environ, start_response, status, NULL, NULL, 0);
}

int reeve_view_redirect(reeve_environ *environ, reeve_start_response *start_response, int status,
                        const char *location)
{
    const struct answer answer = {.status = status, .location = location};

    if (status != 301 && status != 302 && status != 303 && status != 307 && status != 308)
        return fail(EINVAL);
    if (!location || !is_reference(location))
        return fail(EINVAL);
    return start(environ, start_response, &answer);
}

/* ---- JSON ---- */

/* What the application should look at; that a client has gone is none of it. */
static int tell(reeve_environ *environ, const char *what)
{
    static const struct {
        int error;
        const char *reason;
    } reasons[] = {{EILSEQ, "a text is not UTF-8"}, {ELOOP, "it is too deep"},
                   {EFBIG, "it is too large"},      {E2BIG, "it takes too many steps"},
                   {ENOENT, "there is none"},       {ENOMEM, "memory has run out"},
                   {EINVAL, "an item is no JSON"}};
    int error = errno;

    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].error == error)
            reeve_log(environ, REEVE_LOG_ERROR, "%s is not sent: %s", what, reasons[i].reason);
    return fail(error);
}

static int send_json(reeve_environ *environ, reeve_start_response *start_response, int status,
                     const char *type, const cJSON *json, const reeve_json_limits *limits)
{
    size_t length;
    char *text = view_json_text(json, limits, &length);
    int result, reason;

    if (!text)
        return tell(environ, "JSON");
    result = reeve_view_bytes(environ, start_response, status, type, text, length);
    reason = errno;
    free(text);
    errno = reason;
    return result;
}

int reeve_view_json_with(reeve_environ *environ, reeve_start_response *start_response, int status,
                         const struct cJSON *json, const reeve_json_limits *limits)
{
    return send_json(environ, start_response, status, "application/json", json, limits);
}

int reeve_view_json(reeve_environ *environ, reeve_start_response *start_response, int status,
                    const struct cJSON *json)
{
    return reeve_view_json_with(environ, start_response, status, json, NULL);
}

/* ---- problems ---- */

/* A detail may quote what a client has sent, and an error must not be one itself: the text, or a
 * copy with U+FFFD for what is not UTF-8. NULL without memory. */
static const char *repair(reeve_environ *environ, const char *text)
{
    size_t length = strlen(text), good = utf8_span(text, length);
    char *copy, *p;

    if (good == length)
        return text;
    copy = p = reeve_alloc(environ, 3 * length + 1);
    if (!copy)
        return NULL;
    for (;;) {
        p = (char *)mempcpy(p, text, good);
        text += good;
        length -= good;
        if (length == 0)
            break;
        p = stpcpy(p, UTF8_REPLACEMENT);
        text++;
        length--;
        good = utf8_span(text, length);
    }
    *p = '\0';
    return copy;
}

static bool add_text(reeve_environ *environ, cJSON *json, const char *name, const char *text)
{
    if (!text)
        return true;
    text = repair(environ, text);
    return text && cJSON_AddStringToObject(json, name, text);
}

/* The members keep to themselves: a reference each. */
static bool add_members(cJSON *json, const cJSON *members)
{
    const cJSON *member;

    cJSON_ArrayForEach (member, members) {
        if (!member->string || cJSON_GetObjectItemCaseSensitive(json, member->string))
            continue; /* what the RFC names is not overridden */
        if (!cJSON_AddItemReferenceToObject(json, member->string, (cJSON *)(uintptr_t)member))
            return false;
    }
    return true;
}

int reeve_view_problem_with(reeve_environ *environ, reeve_start_response *start_response,
                            int status, const reeve_problem *problem)
{
    cJSON *json;
    const char *title = problem->title;
    int result = -1, reason;

    if (status < 400 || status > 599)
        return fail(EINVAL);
    if (title && !*title)
        title = status_line(status) + 4;
    json = cJSON_CreateObject();
    errno = ENOMEM;
    if (json && add_text(environ, json, "type", problem->type) &&
        add_text(environ, json, "title", title) &&
        cJSON_AddNumberToObject(json, "status", status) &&
        add_text(environ, json, "detail", problem->detail) &&
        add_text(environ, json, "instance", problem->instance) &&
        add_members(json, problem->members))
        result = send_json(environ, start_response, status, "application/problem+json", json, NULL);
    reason = errno;
    cJSON_Delete(json);
    errno = reason;
    return result;
}

int reeve_view_problem(reeve_environ *environ, reeve_start_response *start_response, int status,
                       const char *detail)
{
    return reeve_view_problem_with(environ, start_response, status,
                                   REEVE_PROBLEM(.title = "", .detail = detail));
}

/* ---- HTML ---- */

static int write_piece(void *arg, const void *data, size_t size)
{
    return reeve_write(arg, data, size);
}

static int drop_piece(void *arg, const void *data, size_t size)
{
    (void)arg;
    (void)data;
    (void)size;
    return 0;
}

int reeve_view_html_with(reeve_environ *environ, reeve_start_response *start_response, int status,
                         const reeve_template *page, const struct cJSON *model,
                         const reeve_template_limits *limits)
{
    const struct answer answer = {.status = status, .type = "text/html; charset=utf-8", .size = -1};

    if (!page)
        errno = ENOENT;
    if (!page)
        return tell(environ, "a page");
    if (start(environ, start_response, &answer) == -1)
        return -1;
    if (reeve_template_render(page, model, limits, has_body(status) ? write_piece : drop_piece,
                              environ) == -1)
        return tell(environ, "a page");
    return 0;
}

int reeve_view_html(reeve_environ *environ, reeve_start_response *start_response, int status,
                    const reeve_template *page, const struct cJSON *model)
{
    return reeve_view_html_with(environ, start_response, status, page, model, NULL);
}
