/* views: a small library of books, for people as pages and for programs as JSON: routes, controllers
 * around a shared state, middleware, templates.
 *
 *     curl http://127.0.0.1:8080/views/
 *     curl http://127.0.0.1:8080/views/books/2
 *     curl http://127.0.0.1:8080/views/api/books
 *     curl -d '{"title": "Emma", "author": "Jane Austen"}' -H 'Content-Type: application/json' \
 *          http://127.0.0.1:8080/views/api/books
 *     curl --compressed -i -X DELETE http://127.0.0.1:8080/views/api/books   # 405, with what there is
 *
 * The books are in the worker's memory, so each worker has its own and a deployment forgets them;
 * apps/notes keeps its notes in a database. */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <reeve/middleware.h>
#include <reeve/router.h>
#include <reeve/view.h>
#include <stdio.h>
#include <string.h>

#define MOST 1000

/* ---- the model: what the controllers share ---- */

struct book {
    char title[80], author[80];
};

struct library {
    struct book books[MOST];
    int64_t count;
};

static struct library library = {.count = 3,
                                 .books = {{"The C Programming Language", "Kernighan & Ritchie"},
                                           {"The Practice of Programming", "Kernighan & Pike"},
                                           {"The Art of Computer Programming", "Donald Knuth"}}};

static const struct book *find_book(const struct library *from, reeve_environ *environ)
{
    int64_t id;

    if (reeve_param_int(environ, "id", &id) == -1 || id < 1 || id > from->count)
        return NULL;
    return &from->books[id - 1];
}

static cJSON *book_json(const struct library *from, const struct book *book)
{
    cJSON *json = cJSON_CreateObject();

    cJSON_AddNumberToObject(json, "id", (double)(book - from->books + 1));
    cJSON_AddStringToObject(json, "title", book->title);
    cJSON_AddStringToObject(json, "author", book->author);
    return json;
}

/* What reeve_json_own is given is freed when the request ends. NULL when memory has run out, as of
 * all of these calls, which take NULL, too: so it is enough to look at the end. */
static cJSON *list_json(const struct library *from, reeve_environ *environ)
{
    cJSON *json = reeve_json_own(environ, cJSON_CreateObject());
    cJSON *books = cJSON_AddArrayToObject(json, "books");

    if (!books)
        return NULL;
    for (int64_t i = 0; i < from->count; i++)
        cJSON_AddItemToArray(books, book_json(from, &from->books[i]));
    return json;
}

/* ---- pages: templates escape what they put in, so a title may be "<b>" ---- */

static const struct page {
    const char *name, *text;
} pages_texts[] = {
    {"head",
     "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{{title}}</title>\n"},
    {"list",
     "{{>head}}<h1>Books</h1>\n<ul>\n{{#books}}\n"
     "<li><a href=\"{{root}}/books/{{id}}\">{{title}}</a>, {{author}}</li>\n{{/books}}\n</ul>\n"
     "{{^books}}<p>There is none.</p>\n{{/books}}</html>\n"},
    {"book", "{{>head}}<h1>{{title}}</h1>\n<p>by {{author}}</p>\n<p><a href=\"{{root}}/\">All "
             "books</a></p>\n"
             "</html>\n"},
};

static reeve_templates *templates;

/* `root` is where the app is mounted, so that links lead there from any page. */
static int show(reeve_environ *environ, reeve_start_response *start_response, const char *page,
                cJSON *model)
{
    if (!cJSON_AddStringToObject(model, "root", reeve_environ_get(environ, "SCRIPT_NAME")))
        return -1; /* 500 */
    return reeve_view_html(environ, start_response, 200, reeve_templates_find(templates, page),
                           model);
}

static int show_list(reeve_environ *environ, reeve_start_response *start_response)
{
    cJSON *model = list_json(reeve_controller_state(environ), environ);

    cJSON_AddStringToObject(model, "title", "Books");
    return show(environ, start_response, "list", model);
}

static int show_book(reeve_environ *environ, reeve_start_response *start_response)
{
    const struct library *from = reeve_controller_state(environ);
    const struct book *book = find_book(from, environ);

    if (!book) /* without a body: the middleware makes a page of it */
        return reeve_view_empty(environ, start_response, 404);
    return show(environ, start_response, "book", reeve_json_own(environ, book_json(from, book)));
}

static const reeve_controller pages = {
    .routes = REEVE_ROUTES(REEVE_GET("/", show_list), REEVE_GET("/books/{id:int}", show_book)),
    .state = &library,
};

/* ---- the same for programs ---- */

static int send_list(reeve_environ *environ, reeve_start_response *start_response)
{
    return reeve_view_json(environ, start_response, 200,
                           list_json(reeve_controller_state(environ), environ));
}

static int send_book(reeve_environ *environ, reeve_start_response *start_response)
{
    const struct library *from = reeve_controller_state(environ);
    const struct book *book = find_book(from, environ);

    if (!book)
        return reeve_view_problem(environ, start_response, 404, "there is no such book");
    return reeve_view_json(environ, start_response, 200,
                           reeve_json_own(environ, book_json(from, book)));
}

/* A text of an object, if there is one that fits. */
static const char *text_of(const cJSON *json, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);
    const char *text = cJSON_GetStringValue(item);

    return text && *text && strlen(text) < sizeof((struct book *)0)->title ? text : NULL;
}

static int add_book(reeve_environ *environ, reeve_start_response *start_response)
{
    struct library *to = reeve_controller_state(environ);
    const char *reason, *title, *author;
    cJSON *json;
    int status = reeve_json_read(environ, NULL, &json, &reason);
    struct book *book;

    if (status)
        return reeve_view_problem(environ, start_response, status, reason);
    title = text_of(json, "title");
    author = text_of(json, "author");
    if (!title || !author)
        return reeve_view_problem(environ, start_response, 422,
                                  "a book has a title and an author, of 1 to 79 bytes each");
    /* reeve_json_read may have waited for the client; from here to the end nothing does. */
    if (to->count == MOST)
        return reeve_view_problem(environ, start_response, 507, "the shelf is full");
    book = &to->books[to->count++];
    snprintf(book->title, sizeof book->title, "%s", title);
    snprintf(book->author, sizeof book->author, "%s", author);
    if (reeve_view_header(environ, "Location",
                          reeve_printf(environ, "%s/api/books/%" PRId64,
                                       reeve_environ_get(environ, "SCRIPT_NAME"), to->count)) == -1)
        return -1;
    return reeve_view_json(environ, start_response, 201,
                           reeve_json_own(environ, book_json(to, book)));
}

/* A hook before each call: a 1 would say that it has answered itself. */
static int count_call(reeve_environ *environ, reeve_start_response *start_response)
{
    static unsigned long calls;

    (void)start_response;
    reeve_log(environ, REEVE_LOG_DEBUG, "call %lu of %s", ++calls, reeve_route_pattern(environ));
    return 0;
}

static const reeve_controller api = {
    .prefix = "/api/books",
    .routes = REEVE_ROUTES(REEVE_GET("", send_list), REEVE_POST("", add_book),
                           REEVE_GET("/{id:int}", send_book)),
    .state = &library,
    .before = REEVE_BEFORE(count_call),
};

/* ---- around all of it, from outside inwards; the last stays empty ---- */

static reeve_middleware around[4];
static reeve_router *router;

static int make_middleware(reeve_module *module)
{
    const reeve_error_pages error_pages = {0};
    const reeve_gzip gzip = {0};
    const reeve_time_limit time_limit = {.seconds = 10};

    if (reeve_error_pages_new(module, &error_pages, &around[0]) == -1 ||
        reeve_gzip_new(module, &gzip, &around[1]) == -1)
        return -1;
    return reeve_time_limit_new(module, &time_limit, &around[2]);
}

static int make_templates(reeve_module *module)
{
    char error[REEVE_TEMPLATE_ERROR];

    templates = reeve_templates_new();
    if (!templates)
        return reeve_refuse(module, "out of memory");
    for (size_t i = 0; i < sizeof pages_texts / sizeof pages_texts[0]; i++)
        if (reeve_templates_add(templates, pages_texts[i].name, pages_texts[i].text,
                                strlen(pages_texts[i].text), error) == -1)
            return reeve_refuse(module, "%s", error);
    return 0;
}

static void clear(void)
{
    reeve_router_free(router);
    reeve_templates_free(templates);
    for (size_t i = 0; i < sizeof around / sizeof around[0]; i++)
        reeve_middleware_free(&around[i]);
}

static int init(reeve_module *module)
{
    if (make_templates(module) == -1 || make_middleware(module) == -1) {
        clear();
        return -1;
    }
    router = reeve_router_new();
    reeve_router_use(router, around);
    reeve_router_add(router, &pages);
    reeve_router_add(router, &api);
    if (reeve_router_ready(router) == 0)
        return 0;
    reeve_refuse(module, "%s", reeve_router_error(router));
    clear();
    return -1;
}

static void fini(reeve_module *module)
{
    (void)module;
    clear();
}

static int application(reeve_environ *environ, reeve_start_response *start_response)
{
    return reeve_router_call(router, environ, start_response);
}

REEVE_APP(.name = "views", .version = "1.0.0", .init = init, .fini = fini,
          .application = application,
          .selftest_paths = (const char *const[]){"/", "/books/1", "/api/books", NULL});
