/* view_read.c: a request's body as JSON: its type, its size, its depth and its letter are checked
 * before cJSON sees it, and what cJSON makes of it after that. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json_depth.h"
#include "web/template.h"
#include "web/view_check.h"
#include "web/view_json.h"

#define FIRST_ROOM 4096u

struct reading {
    reeve_environ *environ;
    reeve_json_limits limits;
    char *text;
    size_t length, room;
    const char *reason;
};

static int refuse(struct reading *r, int status, const char *reason)
{
    r->reason = reason ? reason : "memory has run out";
    return status;
}

/* ---- the type ---- */

static const char *skip_blanks(const char *text)
{
    return text + strspn(text, " \t");
}

/* The value of a charset parameter is UTF-8, quoted or not. */
static bool is_utf8(const char *value)
{
    size_t length;

    value += *value == '"';
    length = strcspn(value, "\"; \t");
    return (length == 5 && strncasecmp(value, "utf-8", 5) == 0) ||
           (length == 4 && strncasecmp(value, "utf8", 4) == 0);
}

static bool is_json_type(const char *type)
{
    size_t length = strcspn(type, "; \t");
    bool is_json = (length == 16 && strncasecmp(type, "application/json", 16) == 0) ||
                   (length > 5 && strncasecmp(type + length - 5, "+json", 5) == 0);

    for (type = skip_blanks(type + length); is_json && *type == ';';) {
        type = skip_blanks(type + 1);
        if (strncasecmp(type, "charset=", 8) == 0 && !is_utf8(type + 8))
            is_json = false;
        type += strcspn(type, ";");
    }
    return is_json && !*type;
}

static int check_type(struct reading *r)
{
    const char *type = reeve_environ_get(r->environ, "CONTENT_TYPE");

    if (r->limits.any_type || (type && is_json_type(skip_blanks(type))))
        return 0;
    return refuse(r, 415, "The Content-Type has to be application/json, in UTF-8.");
}

/* ---- the bytes ---- */

static int refuse_size(struct reading *r)
{
    return refuse(
        r, 413,
        reeve_printf(r->environ, "The JSON may have at most %zu bytes.", r->limits.max_bytes));
}

static int read_failed(struct reading *r)
{
    switch (errno) {
    case ETIMEDOUT:
        return refuse(r, 408, "The body did not come in time.");
    case EBADMSG:
        return refuse(r, 400, "The body's chunks are broken.");
    case EFBIG:
        return refuse(r, 413, "The body is larger than this server takes.");
    case ECONNRESET:
        return refuse(r, 400, "The body is not whole.");
    case ECANCELED:
        return refuse(r, 504, "The request took too long.");
    default:
        return refuse(r, 500, "The body could not be read.");
    }
}

/* Room for one byte more than is allowed, which tells that it is too long, and for a terminator. */
static int make_room(struct reading *r)
{
    size_t most = r->limits.max_bytes + 2, room = r->room ? 2 * r->room : FIRST_ROOM;
    int64_t declared = reeve_content_length(r->environ);
    char *grown;

    if (r->room == 0 && declared > 0)
        room = (size_t)declared + 2; /* one more for the read that finds the end */
    room = room < most ? room : most;
    grown = realloc(r->text, room);
    if (!grown)
        return refuse(r, 500, NULL);
    r->text = grown;
    r->room = room;
    return 0;
}

static int read_text(struct reading *r)
{
    int64_t declared = reeve_content_length(r->environ);
    ssize_t n;
    int status;

    if (declared > 0 && (uint64_t)declared > r->limits.max_bytes)
        return refuse_size(r);
    do {
        if (r->length + 1 >= r->room && (status = make_room(r)))
            return status;
        n = reeve_read(r->environ, r->text + r->length, r->room - 1 - r->length);
        if (n == -1)
            return read_failed(r);
        r->length += (size_t)n;
        if (r->length > r->limits.max_bytes)
            return refuse_size(r);
    } while (n > 0);
    r->text[r->length] = '\0';
    return 0;
}

/* ---- the JSON ---- */

static int refuse_at(struct reading *r, size_t at, const char *flaw)
{
    unsigned line, column;

    template_place(r->text, at < r->length ? at : r->length, &line, &column);
    return refuse(
        r, 400,
        reeve_printf(r->environ, "The JSON has, in line %u at column %u, %s.", line, column, flaw));
}

static int check_text(struct reading *r)
{
    size_t at;
    const char *flaw;

    if (strspn(r->text, " \t\r\n") == r->length)
        return refuse(r, 400, "The body is empty, where JSON has to be.");
    flaw = view_check_text(r->text, r->length, &at);
    if (flaw)
        return refuse_at(r, at, flaw);
    if (!json_is_shallow(r->text, (int)r->limits.max_depth))
        return refuse(
            r, 400,
            reeve_printf(r->environ, "The JSON may be at most %u deep.", r->limits.max_depth));
    if (view_check_count(r->text, r->length) > r->limits.max_values)
        return refuse(r, 413,
                      reeve_printf(r->environ, "The JSON may have at most %zu values.",
                                   r->limits.max_values));
    return 0;
}

static int parse(struct reading *r, cJSON **json_out)
{
    const char *end = r->text, *flaw;
    int status;

    *json_out = cJSON_ParseWithLengthOpts(r->text, r->length + 1, &end, true);
    if (!*json_out)
        return refuse_at(r, (size_t)(end - r->text), "something that is not JSON");
    status = view_check_tree(*json_out, &flaw);
    if (status) {
        cJSON_Delete(*json_out);
        *json_out = NULL;
        return refuse(r, status, reeve_printf(r->environ, "Of the JSON, %s.", flaw));
    }
    *json_out = reeve_json_own(r->environ, *json_out);
    return *json_out ? 0 : refuse(r, 500, NULL);
}

int reeve_json_read(reeve_environ *environ, const reeve_json_limits *given, struct cJSON **json_out,
                    const char **reason_out)
{
    struct reading r = {.environ = environ, .limits = view_json_limits(given, 1u << 20, 1u << 16)};
    int status;

    *json_out = NULL;
    if (!(status = check_type(&r)) && !(status = read_text(&r)) && !(status = check_text(&r)))
        status = parse(&r, json_out);
    free(r.text);
    if (reason_out)
        *reason_out = r.reason;
    return status;
}

/* ---- whose it is ---- */

static void free_json(void *arg)
{
    cJSON_Delete(arg);
}

struct cJSON *reeve_json_own(reeve_environ *environ, struct cJSON *json)
{
    if (!json || reeve_on_close(environ, free_json, json) == 0)
        return json;
    cJSON_Delete(json);
    return NULL;
}
