/* reeve/view.h: what a handler answers with: text, JSON, HTML from a template, a redirection, an
 * error; and the JSON that a client sends.
 *
 *     static reeve_templates *templates;
 *
 *     static int init(reeve_module *module)
 *     {
 *         char error[REEVE_TEMPLATE_ERROR];
 *
 *         templates = reeve_templates_new();
 *         if (reeve_templates_load(templates, reeve_option(module, "templates"), error) == -1)
 *             return reeve_refuse(module, "%s", error);
 *         return 0;
 *     }
 *
 *     static int show(reeve_environ *environ, reeve_start_response *start_response)
 *     {
 *         cJSON *model = reeve_json_own(environ, cJSON_CreateObject());
 *
 *         cJSON_AddStringToObject(model, "name", "Ada");
 *         return reeve_view_html(environ, start_response, 200,
 *                                reeve_templates_find(templates, "show"), model);
 *     }
 *
 * JSON is cJSON's (Debian: libcjson-dev, <cjson/cJSON.h>); the server brings the library along, so
 * a module is not linked with it. Its allocation hooks are the server's: cJSON_InitHooks is not to
 * be called. cJSON recurses with what it parses, prints and frees, on a stack that is small here,
 * and so its depth is limited before it begins; a model that an application builds, duplicates or
 * frees itself has to keep to that, too. cJSON_GetObjectItem and cJSON_HasObjectItem take any case
 * for the same: reach for cJSON_GetObjectItemCaseSensitive.
 *
 * Every call that answers takes the status as a number from 200 to 599 and adds the usual reason
 * (EINVAL for any other number); it calls start_response and writes the whole body, so that
 * `return reeve_view_...(...);` ends a handler. Each returns 0, or -1 with the errno of
 * start_response or reeve_write, or its own. What failed before a byte was sent becomes a 500, as
 * ever, or may be answered by another view. All are [suspends], as reeve_write is, and all send
 * `X-Content-Type-Options: nosniff`. A body for 204 and 304 is dropped, and its type with it. Since
 * 1.2, all of it. */
#ifndef REEVE_VIEW_H
#define REEVE_VIEW_H

#include <reeve/app.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cJSON;

/* ---- answers ---- */

/* A header for whichever view answers this request: a cookie, Cache-Control, Allow, or the Location
 * of what a 201 has made (a redirection's own goes before it). Copied; up to 16 of them (E2BIG),
 * the same name as often as it is given. EINVAL: the name is no token, or is one of those that views
 * set (Content-Type, Content-Length, X-Content-Type-Options), or the value has a control byte, or,
 * for Location, is none that reeve_view_redirect takes. ENOMEM. Does not suspend. */
REEVE_API int reeve_view_header(reeve_environ *environ, const char *name, const char *value);

/* text/plain; charset=utf-8. */
REEVE_API int reeve_view_text(reeve_environ *environ, reeve_start_response *start_response,
                              int status, const char *text);

/* Bytes of any type; "text/csv; charset=utf-8", say. */
REEVE_API int reeve_view_bytes(reeve_environ *environ, reeve_start_response *start_response,
                               int status, const char *content_type, const void *data, size_t size);

/* No body: for 204, or a HEAD of one's own. */
REEVE_API int reeve_view_empty(reeve_environ *environ, reeve_start_response *start_response,
                               int status);

/* Sends the client elsewhere: 301, 302, 303 (after a form), 307 or 308. `location` is a URI or a
 * reference as it is to stand in the header, of visible ASCII bytes (EINVAL): other ones are for
 * the caller to percent-encode. Whether the client may be sent to where the caller, or a field of a
 * form, says is the application's to decide. */
REEVE_API int reeve_view_redirect(reeve_environ *environ, reeve_start_response *start_response,
                                  int status, const char *location);

/* An error for programs, application/problem+json (RFC 9457): status, title (the status's reason)
 * and, unless it is NULL, a detail: a sentence for whoever sent the request. The status is from 400
 * on. Bytes that are not UTF-8 are replaced by U+FFFD. */
REEVE_API int reeve_view_problem(reeve_environ *environ, reeve_start_response *start_response,
                                 int status, const char *detail);

/* The same with all that RFC 9457 knows. What is NULL is left out, and an empty title is the
 * status's reason. */
typedef struct reeve_problem {
    size_t size; /* sizeof(reeve_problem); REEVE_PROBLEM fills it in */
    const char *type, *title, *detail, *instance;
    const struct cJSON *members; /* an object: its members stand beside the others */
} reeve_problem;
#define REEVE_PROBLEM(...) (&(const reeve_problem){.size = sizeof(reeve_problem), __VA_ARGS__})

REEVE_API int reeve_view_problem_with(reeve_environ *environ, reeve_start_response *start_response,
                                      int status, const reeve_problem *problem);

/* ---- JSON ---- */

/* What JSON may be at most. 0 stands for the default, NULL in place of it all for all defaults:
 *     reeve_json_read(environ, REEVE_JSON_LIMITS(.max_bytes = 4096), &json, &reason)
 * A value is a number, a text, a list ..., each of which takes 80 bytes of memory and more. A depth
 * is the number of brackets that are open at once; each takes about 150 bytes of stack, so that
 * 128, the most there can be, is for stacks of 64 KiB and more. */
typedef struct reeve_json_limits {
    size_t size;        /* sizeof(reeve_json_limits); REEVE_JSON_LIMITS fills it in */
    size_t max_bytes;   /* of text: 1 MiB to read, 16 MiB to print; 1 GiB at most */
    size_t max_values;  /* 65,536 to read, 1,048,576 to print */
    unsigned max_depth; /* 32 */
    bool any_type;      /* reading: take it with any Content-Type, or none */
    bool is_pretty;     /* printing: with line breaks and tabs */
} reeve_json_limits;
#define REEVE_JSON_LIMITS(...) \
    (&(const reeve_json_limits){.size = sizeof(reeve_json_limits), __VA_ARGS__})

/* Gives the JSON to the request, at whose end it is freed with cJSON_Delete, and returns it. NULL,
 * and nothing is left to free: it was NULL, or memory has run out. Does not suspend. */
REEVE_API struct cJSON *reeve_json_own(reeve_environ *environ, struct cJSON *json);

/* application/json. The JSON stays the caller's (see reeve_json_own), is printed before the first
 * byte is sent, and is not looked at after that. NaN and infinity are printed as null. EILSEQ: a
 * text or a name is not UTF-8; ELOOP: it is too deep; EFBIG: it has too many values or, where a
 * number with a fraction is counted as 26 bytes, is too long; EINVAL: an item is no JSON (a
 * cJSON_Raw is printed unseen). Then nothing is begun, and the log says so. */
REEVE_API int reeve_view_json(reeve_environ *environ, reeve_start_response *start_response,
                              int status, const struct cJSON *json);
REEVE_API int reeve_view_json_with(reeve_environ *environ, reeve_start_response *start_response,
                                   int status, const struct cJSON *json,
                                   const reeve_json_limits *limits);

/* Reads the request's body as JSON. Returns 0 and the JSON, which is the request's (it is freed at
 * its end), or the status to answer with, and why in one sentence:
 *
 *     int status = reeve_json_read(environ, NULL, &json, &reason);
 *     if (status)
 *         return reeve_view_problem(environ, start_response, status, reason);
 *
 *   400  it is no JSON by the letter of RFC 8259: no byte order mark, no comments; or it has bytes
 *        that are not UTF-8, a U+0000, a number beyond a double, a member's name twice in an
 *        object, or is too deep; or the client has gone within it
 *   408  the client sent nothing for body_timeout
 *   413  it has too many bytes (also beyond max_body) or values
 *   415  the Content-Type is neither application/json nor anything ending in +json, or its charset
 *        is another than UTF-8
 *   500  memory has run out, or it is not all there yet in an on_loop module
 *   504  the request was cancelled
 * A number is a double: whole ones are exact up to 2^53. Memory: the text while it is read, at most
 * max_bytes, and after that the JSON. reason_out may be NULL; the reason lives as long as the
 * request. [suspends] */
REEVE_API int reeve_json_read(reeve_environ *environ, const reeve_json_limits *limits,
                              struct cJSON **json_out, const char **reason_out);

/* ---- templates ---- */

/* Templates are Mustache (the public specification, without its lambdas):
 *     {{name}}                  the value, escaped for HTML: in text and in quoted attributes
 *     {{{name}}} {{&name}}      the value as it is
 *     {{#name}}...{{/name}}     for each in a list; once for another value that is true
 *     {{^name}}...{{/name}}     once for a value that is false
 *     {{a.b.c}} {{.}}           within; the value itself
 *     {{>name}}                 another template of the set, indented as this line is
 *     {{<name}}{{$part}}...{{/part}}{{/name}}  the same, with its {{$part}}...{{/part}} replaced
 *     {{! comment }}  {{=<% %>=}}              a comment; other delimiters from here on
 * Escaped are & < > " ' and nothing else: so a value never ends the text or the quoted attribute it
 * stands in. It is no protection in an attribute without quotes, in a script or a style, nor for a
 * URL ("javascript:..."). Bytes of an escaped value that are not UTF-8 are replaced by U+FFFD.
 *
 * The model is JSON. A name is looked for in the innermost value around it that is an object and
 * has it, the rest of a dotted name in that only; what is not found is nothing, and false. False
 * are also null, false, "", 0, NaN and []. Numbers are printed as JSON's, null, NaN, infinity,
 * lists and objects as nothing. A template that is not there is nothing, too, but see
 * reeve_templates_load. Line breaks and indentation around tags are the specification's; what
 * replaces a part of a parent is not indented anew. */
typedef struct reeve_template reeve_template;
typedef struct reeve_templates reeve_templates;

/* Room for a sentence that says what is wrong, "page.mustache:3:7: ...": line and column, in bytes,
 * from 1 on. */
#define REEVE_TEMPLATE_ERROR 512

/* A set of templates that know each other by name. Made and filled in init and not changed after
 * that, it serves all requests at once; freed in fini. NULL: ENOMEM. None of these suspends. */
REEVE_API reeve_templates *reeve_templates_new(void);
REEVE_API void reeve_templates_free(reeve_templates *templates); /* NULL is fine */

/* Compiles a text, which is copied, up to 1 MiB of UTF-8. 0, or -1 with a sentence in `error`:
 * EINVAL a mistake in it, EFBIG, EEXIST the name is taken, ENOMEM. */
REEVE_API int reeve_templates_add(reeve_templates *templates, const char *name, const char *text,
                                  size_t length, char error[REEVE_TEMPLATE_ERROR]);

/* Adds each NAME.mustache in a folder (not in those within it), up to 1,024, under the name NAME.
 * Every other template that one of them names has to be there as well. 0, or -1 with errno and a
 * sentence; some may then have been added. It blocks while it reads. A folder that is NULL is an
 * error, so that an option need not be looked at. */
REEVE_API int reeve_templates_load(reeve_templates *templates, const char *folder,
                                   char error[REEVE_TEMPLATE_ERROR]);

/* NULL: it is not there. Lives as long as the set. */
REEVE_API const reeve_template *reeve_templates_find(const reeve_templates *templates,
                                                     const char *name);

/* What rendering may take; 0 stands for the default. */
typedef struct reeve_template_limits {
    size_t size;        /* sizeof(reeve_template_limits); REEVE_TEMPLATE_LIMITS fills it in */
    uint64_t max_bytes; /* of output: 64 MiB */
    uint64_t max_steps; /* tags and lines rendered, members of objects looked at: 10 million */
    unsigned max_depth; /* sections, partials and parents within each other: 128; 1,024 at most */
} reeve_template_limits;
#define REEVE_TEMPLATE_LIMITS(...) \
    (&(const reeve_template_limits){.size = sizeof(reeve_template_limits), __VA_ARGS__})

/* text/html; charset=utf-8. The page is written in pieces of 16 KiB while it is made, so that a
 * large one takes no more memory than a small one; what waits for a slow client waits in the middle
 * of it, and until this returns the model must neither be changed nor freed. ENOENT: the template
 * is NULL; ELOOP: too deep, as partials are that go on naming themselves; EFBIG: too much output;
 * E2BIG: too many steps; ENOMEM: all of them are logged. What has not left by then (32 KiB never
 * have) is dropped for a 500; else the client is cut off. */
REEVE_API int reeve_view_html(reeve_environ *environ, reeve_start_response *start_response,
                              int status, const reeve_template *page, const struct cJSON *model);
REEVE_API int reeve_view_html_with(reeve_environ *environ, reeve_start_response *start_response,
                                   int status, const reeve_template *page,
                                   const struct cJSON *model, const reeve_template_limits *limits);

/* Renders to somewhere else, with or without a request: `write` gets the pieces, and what it
 * returns other than 0 ends it, as -1 with write's errno. Suspends when write does; errors as
 * above. */
REEVE_API int reeve_template_render(const reeve_template *page, const struct cJSON *model,
                                    const reeve_template_limits *limits,
                                    int (*write)(void *arg, const void *data, size_t size),
                                    void *arg);

#ifdef __cplusplus
}
#endif
#endif
