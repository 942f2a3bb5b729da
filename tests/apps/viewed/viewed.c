/* viewed: every view, and JSON that comes in. Templates are read from
 *     option { templates = "/path/of/a/folder" } */
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <reeve/app.h>
#include <reeve/view.h>

static reeve_templates *templates;

static int text(reeve_environ *environ, reeve_start_response *start_response)
{
    reeve_view_header(environ, "Set-Cookie", "seen=1");
    return reeve_view_text(environ, start_response, 200, "gr\xc3\xbc\xc3\x9f\n");
}

/* What comes in goes out, within "was". */
static int json(reeve_environ *environ, reeve_start_response *start_response)
{
    cJSON *came, *model;
    const char *reason;
    int status = reeve_json_read(environ, NULL, &came, &reason);

    if (status)
        return reeve_view_problem(environ, start_response, status, reason);
    model = reeve_json_own(environ, cJSON_CreateObject());
    cJSON_AddItemReferenceToObject(model, "was", came);
    return reeve_view_json(environ, start_response, 200, model);
}

/* ?name= */
static int page(reeve_environ *environ, reeve_start_response *start_response)
{
    cJSON *model = reeve_json_own(environ, cJSON_CreateObject());
    const char *name = reeve_query_get(environ, "name");

    cJSON_AddStringToObject(model, "name", name ? name : "");
    return reeve_view_html(environ, start_response, 200, reeve_templates_find(templates, "page"),
                           model);
}

/* ?rows=N, each of which is written 1,000 times */
static int big(reeve_environ *environ, reeve_start_response *start_response)
{
    cJSON *model = reeve_json_own(environ, cJSON_CreateObject());
    cJSON *rows = cJSON_AddArrayToObject(model, "rows"), *thousand;
    const char *count = reeve_query_get(environ, "rows");

    thousand = cJSON_AddArrayToObject(model, "thousand");
    for (long i = count ? strtol(count, NULL, 10) : 0; i > 0; i--)
        cJSON_AddItemToArray(rows, cJSON_CreateNumber((double)i));
    for (int i = 0; i < 1000; i++)
        cJSON_AddItemToArray(thousand, cJSON_CreateTrue());
    return reeve_view_html_with(
        environ, start_response, 200, reeve_templates_find(templates, "big"), model,
        REEVE_TEMPLATE_LIMITS(.max_bytes = 1ull << 40, .max_steps = 1ull << 40));
}

static int looped(reeve_environ *environ, reeve_start_response *start_response)
{
    return reeve_view_html(environ, start_response, 200, reeve_templates_find(templates, "looped"),
                           NULL);
}

static int moved(reeve_environ *environ, reeve_start_response *start_response)
{
    const char *to = reeve_query_get(environ, "to");

    if (reeve_view_redirect(environ, start_response, 303, to) == 0)
        return 0;
    return reeve_view_problem(environ, start_response, 400, "This is no place to go to.");
}

static const struct {
    const char *path;
    reeve_application *view;
} views[] = {
    {"/text", text}, {"/json", json},     {"/page", page},
    {"/big", big},   {"/looped", looped}, {"/moved", moved},
};

static int viewed(reeve_environ *environ, reeve_start_response *start_response)
{
    for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++)
        if (strcmp(views[i].path, reeve_path(environ)) == 0)
            return views[i].view(environ, start_response);
    return reeve_view_problem(environ, start_response, 404, "There is no such view.");
}

static int init(reeve_module *module)
{
    char error[REEVE_TEMPLATE_ERROR];

    templates = reeve_templates_new();
    if (!templates)
        return -1;
    if (reeve_templates_load(templates, reeve_option(module, "templates"), error) == 0)
        return 0;
    reeve_templates_free(templates);
    return reeve_refuse(module, "%s", error);
}

static void fini(reeve_module *module)
{
    (void)module;
    reeve_templates_free(templates);
}

/* The smallest stack there is: what comes from outside must not need more. */
REEVE_APP(.name = "viewed", .version = "1.0.0", .init = init, .fini = fini, .application = viewed,
          .stack_size = 32 << 10);
