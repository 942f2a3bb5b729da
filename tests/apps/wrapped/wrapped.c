/* wrapped: handlers of every kind behind the bundled middleware. The first segment of the path is
 * which of them: /gzip/..., /basic/..., and so on; the rest, which handler. What happens where no
 * client sees it goes to a journal: option { journal = "/path/of/a/file" }. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <reeve/app.h>
#include <reeve/filter.h>
#include <reeve/middleware.h>
#include <reeve/router.h>

static const char *journal;

static void note(void *arg)
{
    int fd = journal ? open(journal, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;

    if (fd == -1)
        return;
    dprintf(fd, "%s\n", (const char *)arg);
    close(fd);
}

static int start(reeve_environ *environ, reeve_start_response *start_response, const char *type)
{
    return start_response(
        environ, "200 OK",
        REEVE_HEADERS({"Content-Type", type}, {"ETag", "\"tag\""}, {"Accept-Ranges", "bytes"}));
}

static int say(reeve_environ *environ, const char *text)
{
    return reeve_write(environ, text, strlen(text));
}

static long number(reeve_environ *environ, const char *name, long otherwise)
{
    const char *text = reeve_query_get(environ, name);

    return text ? strtol(text, NULL, 10) : otherwise;
}

/* ---- handlers ---- */

typedef int handler(reeve_environ *environ, reeve_start_response *start_response);

/* ?size=N&piece=N&type=T: lines that compress well, in pieces */
static int lines(reeve_environ *environ, reeve_start_response *start_response)
{
    long size = number(environ, "size", 100000), piece = number(environ, "piece", size);
    const char *type = reeve_query_get(environ, "type");
    char *text = reeve_alloc(environ, (size_t)piece + 1);

    for (long i = 0; text && i < piece; i++)
        text[i] = i % 50 == 49 ? '\n' : (char)('a' + i % 50 % 26);
    if (!text || start(environ, start_response, type ? type : "text/plain") == -1)
        return -1;
    for (; size > 0; size -= piece)
        if (reeve_write(environ, text, (size_t)(size < piece ? size : piece)) == -1)
            return -1;
    return 0;
}

/* The same with a Content-Length. */
static int declared(reeve_environ *environ, reeve_start_response *start_response)
{
    char text[20000], length[16];

    memset(text, 'd', sizeof(text));
    snprintf(length, sizeof(length), "%zu", sizeof(text));
    start_response(environ, "200 OK",
                   REEVE_HEADERS({"Content-Type", "application/json"}, {"Content-Length", length}));
    return strcmp(reeve_method(environ), "HEAD") == 0 ? 0
                                                      : reeve_write(environ, text, sizeof(text));
}

static int short_of_declared(reeve_environ *environ, reeve_start_response *start_response)
{
    start_response(environ, "200 OK",
                   REEVE_HEADERS({"Content-Type", "text/plain"}, {"Content-Length", "20000"}));
    return say(environ, "less");
}

/* ?header=H&value=V&status=S: of a long text */
static int header(reeve_environ *environ, reeve_start_response *start_response)
{
    const char *name = reeve_query_get(environ, "header"),
               *value = reeve_query_get(environ, "value");
    const char *status = reeve_query_get(environ, "status");
    char text[4000];

    memset(text, 'h', sizeof(text));
    if (start_response(environ, status ? status : "200 OK",
                       REEVE_HEADERS({"Content-Type", "text/plain"}, {name, value})) == -1)
        return -1;
    return reeve_write(environ, text, sizeof(text));
}

/* The first piece has to be seen for the second one to be written: GET .../go says so. */
static bool may_go;

static int go(reeve_environ *environ, reeve_start_response *start_response)
{
    may_go = true;
    start(environ, start_response, "text/plain");
    return say(environ, "gone\n");
}

static int stream(reeve_environ *environ, reeve_start_response *start_response)
{
    may_go = false;
    start(environ, start_response, "text/plain");
    if (say(environ, "first\n") == -1 || reeve_flush(environ) == -1)
        return -1;
    while (!may_go)
        if (reeve_sleep(0.005) == -1)
            return -1;
    return say(environ, "second\n");
}

static int endless(reeve_environ *environ, reeve_start_response *start_response)
{
    static char ended[] = "endless has ended";
    unsigned seed = 1;
    char noise[8192];

    reeve_on_close(environ, note, ended);
    start(environ, start_response, "text/plain");
    for (;;) {
        for (size_t i = 0; i < sizeof(noise); i++)
            noise[i] = (char)((seed = seed * 1103515245 + 12345) >> 16);
        if (reeve_write(environ, noise, sizeof(noise)) == -1)
            return -1;
    }
}

static int fails(reeve_environ *environ, reeve_start_response *start_response)
{
    start(environ, start_response, "text/plain");
    say(environ, "a secret");
    return -1;
}

static int fails_sent(reeve_environ *environ, reeve_start_response *start_response)
{
    start(environ, start_response, "text/plain");
    say(environ, "begun\n");
    reeve_flush(environ);
    return -1;
}

static int next_piece(void *state, const void **data, size_t *size)
{
    unsigned *left = state;

    *data = "a piece of an iterable\n";
    *size = 23;
    return (*left)-- > 0;
}

static int iterable(reeve_environ *environ, reeve_start_response *start_response)
{
    unsigned *left = reeve_alloc(environ, sizeof(*left));

    *left = 1000;
    start(environ, start_response, "text/plain");
    return reeve_respond(environ, (reeve_iterable){.next = next_piece, .state = left});
}

static int file(reeve_environ *environ, reeve_start_response *start_response)
{
    char line[1000];
    int fd = memfd_create("wrapped", MFD_CLOEXEC), result;

    memset(line, 'f', sizeof(line));
    for (unsigned i = 0; i < 300; i++)
        if (write(fd, line, sizeof(line)) == -1)
            return -1;
    start_response(environ, "200 OK",
                   REEVE_HEADERS({"Content-Type", "text/plain"}, {"Content-Length", "300000"}));
    result = reeve_send_file(environ, fd, 0, 300000);
    close(fd);
    return result;
}

/* A terabyte, of which there is nothing on the disk. */
static int huge(reeve_environ *environ, reeve_start_response *start_response)
{
    int fd = memfd_create("wrapped", MFD_CLOEXEC), result;
    const size_t size = (size_t)1 << 40;

    if (ftruncate(fd, (off_t)size) == -1)
        return -1;
    start_response(
        environ, "200 OK",
        REEVE_HEADERS({"Content-Type", "text/plain"}, {"Content-Length", "1099511627776"}));
    result = reeve_send_file(environ, fd, 0, size);
    close(fd);
    return result;
}

/* ?size=N: gives that much, begins anew with a status that is none, and takes no notice. */
static int anew(reeve_environ *environ, reeve_start_response *start_response)
{
    if (lines(environ, start_response) == -1)
        return -1;
    start_response(environ, "200", REEVE_NO_HEADERS);
    return 0;
}

static int who(reeve_environ *environ, reeve_start_response *start_response)
{
    const char *user = reeve_environ_get(environ, "REMOTE_USER");
    const char *type = reeve_environ_get(environ, "AUTH_TYPE");

    start_response(environ, "200 OK",
                   REEVE_HEADERS({"Content-Type", "text/plain"}, {"Vary", "Cookie"},
                                 {"Access-Control-Allow-Origin", "https://wrong.example"}));
    return say(environ, reeve_printf(environ, "%s %s\n", type ? type : "-", user ? user : "-"));
}

/* ?status=S&body=B&length=N: an error, with or without a body; to HEAD never with one */
static int error(reeve_environ *environ, reeve_start_response *start_response)
{
    const char *body = reeve_query_get(environ, "body"),
               *length = reeve_query_get(environ, "length");

    if (start_response(environ, reeve_query_get(environ, "status"),
                       REEVE_HEADERS({"Content-Type", "text/css"}, {"Allow", "GET"},
                                     {length ? "Content-Length" : NULL, length})) == -1)
        return -1;
    return body && strcmp(reeve_method(environ), "HEAD") != 0 ? say(environ, body) : 0;
}

/* ?ms=N&begun=1&late=1: waits; `late`: answers all the same */
static int waits(reeve_environ *environ, reeve_start_response *start_response)
{
    unsigned *left = reeve_alloc(environ, sizeof(*left));

    *left = 1;
    start(environ, start_response, "text/plain");
    reeve_respond(environ, (reeve_iterable){.next = next_piece, .state = left});
    if (number(environ, "begun", 0))
        say(environ, "begun\n"); /* which leaves when it waits */
    if (reeve_sleep((double)number(environ, "ms", 0) / 1000) == -1 && !number(environ, "late", 0))
        return -1;
    return say(environ, "waited\n");
}

static const struct {
    const char *path;
    handler *handler;
} handlers[] = {{"lines", lines},
                {"declared", declared},
                {"short", short_of_declared},
                {"header", header},
                {"stream", stream},
                {"go", go},
                {"huge", huge},
                {"anew", anew},
                {"endless", endless},
                {"fails", fails},
                {"fails-sent", fails_sent},
                {"iterable", iterable},
                {"file", file},
                {"who", who},
                {"error", error},
                {"waits", waits}};

static int route(reeve_environ *environ, reeve_start_response *start_response)
{
    const char *path = strrchr(reeve_path(environ), '/') + 1;

    for (size_t i = 0; i < sizeof(handlers) / sizeof(*handlers); i++)
        if (strcmp(handlers[i].path, path) == 0)
            return handlers[i].handler(environ, start_response);
    start_response(environ, "404 Not Found", REEVE_NO_HEADERS);
    return say(environ, "no such handler\n");
}

/* ---- the middleware ---- */

static int verify(reeve_environ *environ, const char *token, const char **user_out, void *arg)
{
    (void)arg;
    if (reeve_sleep(0.001) == -1)
        return -1;
    *user_out = reeve_printf(environ, "asked-%s", token);
    return strcmp(token, "good") == 0 ? 1 : strcmp(token, "broken") == 0 ? -1 : 0;
}

static const char *user_of(reeve_environ *environ, void *arg)
{
    (void)arg;
    return reeve_query_get(environ, "user");
}

static const char *render(reeve_environ *environ, const reeve_error_page *page, void *arg)
{
    return page->code == 404 ? reeve_printf(environ, "%s of kind %d", (const char *)arg, page->kind)
                             : NULL;
}

static const reeve_user users[] = {{"ann", "secret"}, {"bj\xc3\xb6rn", "pass:word"}, {NULL, NULL}};
static const reeve_token tokens[] = {{"token-of-ann", "ann"}, {NULL, NULL}};
static const char *const origins[] = {"https://app.example", "http://[::1]:8080", NULL};
static const char *const any[] = {"*", NULL};
static const char *const methods[] = {"GET", "PUT", NULL};
static const char *const headers[] = {"X-Token", "Content-Type", NULL};
static const char *const exposed[] = {"ETag", NULL};

static reeve_router *router;

/* In the order of `prefixes`; two of them are combined at /all. */
enum { GZIP, GZIP_FEW, BASIC, BEARER, ASK, CORS, CORS_ANY, RATE, TIME, PAGES, PAGES_ALL, COUNT };
static reeve_middleware made[COUNT];
static const char *const prefixes[COUNT] = {"/gzip", "/few",   "/basic",  "/bearer",
                                            "/ask",  "/cors",  "/any",    "/rate",
                                            "/time", "/pages", "/replace"};

static int make_access(reeve_module *module)
{
    const reeve_basic_auth basic = {.realm = "the app", .users = users};
    const reeve_bearer_auth bearer = {.realm = "the app", .tokens = tokens};
    const reeve_bearer_auth ask = {.realm = "the app", .verify = verify};
    const reeve_cors cors = {.origins = origins,
                             .methods = methods,
                             .headers = headers,
                             .exposed = exposed,
                             .credentials = true,
                             .max_age = 600};
    const reeve_cors open = {.origins = any};

    if (reeve_basic_auth_new(module, &basic, &made[BASIC]) == -1 ||
        reeve_bearer_auth_new(module, &bearer, &made[BEARER]) == -1 ||
        reeve_bearer_auth_new(module, &ask, &made[ASK]) == -1 ||
        reeve_cors_new(module, &cors, &made[CORS]) == -1)
        return -1;
    return reeve_cors_new(module, &open, &made[CORS_ANY]);
}

static int make_others(reeve_module *module)
{
    static char text[] = "my page";
    const char *level = reeve_option(module, "gzip_level");
    const reeve_gzip gzip = {.level = level ? (unsigned)atoi(level) : 0};
    const reeve_gzip few = {.most = 1, .min_size = 100};
    const reeve_rate_limit rate = {.rate = 0.01, .burst = 2, .tell = true, .key = user_of};
    const reeve_time_limit limit = {.seconds = 0.05};
    const reeve_error_pages pages = {.all = false}, all = {true, render, text, {0}};

    if (reeve_gzip_new(module, &gzip, &made[GZIP]) == -1 ||
        reeve_gzip_new(module, &few, &made[GZIP_FEW]) == -1 ||
        reeve_rate_limit_new(module, &rate, &made[RATE]) == -1 ||
        reeve_time_limit_new(module, &limit, &made[TIME]) == -1 ||
        reeve_error_pages_new(module, &pages, &made[PAGES]) == -1)
        return -1;
    return reeve_error_pages_new(module, &all, &made[PAGES_ALL]);
}

static void fini(reeve_module *module)
{
    (void)module;
    reeve_router_free(router);
    for (size_t i = 0; i < COUNT; i++)
        reeve_middleware_free(&made[i]);
}

static int add(const char *prefix, const reeve_middleware *middleware)
{
    const reeve_controller controller = {.prefix = prefix,
                                         .routes = REEVE_ROUTES(REEVE_ANY("/{handler}", route)),
                                         .middleware = middleware};

    return reeve_router_add(router, &controller);
}

static int init(reeve_module *module)
{
    journal = reeve_option(module, "journal");
    if (make_access(module) == -1 || make_others(module) == -1) {
        fini(module);
        return -1;
    }
    router = reeve_router_new();
    for (size_t i = 0; i < COUNT; i++) {
        const reeve_middleware table[] = {made[i], {NULL, NULL}};

        add(prefixes[i], table);
    }
    const reeve_middleware all[] = {made[CORS],  made[PAGES], made[GZIP],
                                    made[BASIC], made[TIME],  {NULL, NULL}};
    add("/all", all);
    return reeve_router_ready(router) == 0 ? 0 : reeve_router_refuse(router, module);
}

static int application(reeve_environ *environ, reeve_start_response *start_response)
{
    return reeve_router_call(router, environ, start_response);
}

REEVE_APP(.name = "wrapped", .version = "1", .init = init, .fini = fini,
          .application = application);
