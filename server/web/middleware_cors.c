/* middleware_cors.c: the Fetch standard's CORS protocol. It tells browsers what pages of other
 * origins may read; it keeps nobody out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "web/middleware.h"

struct cors {
    struct middleware common;
    char **origins;
    bool is_any; /* "*" */
    bool has_credentials;
    char *methods, *headers, *exposed; /* NULL: the header is left out */
    char max_age[16];                  /* "": left out */
};

/* ---- making it ---- */

static void free_cors(void *state)
{
    struct cors *cors = state;

    free(cors->origins);
    free(cors->methods);
    free(cors->headers);
    free(cors->exposed);
    free(cors);
}

static bool is_any(const char *const *list)
{
    return list && list[0] && strcmp(list[0], "*") == 0;
}

/* As browsers serialise it: scheme, host in lower case, a port when it is not the scheme's. */
static bool is_origin(const char *origin)
{
    size_t scheme = strspn(origin, "abcdefghijklmnopqrstuvwxyz0123456789+-.");
    const char *host = origin + scheme + 3;

    if (strcmp(origin, "null") == 0)
        return true;
    return scheme > 0 && strncmp(origin + scheme, "://", 3) == 0 && *host &&
           strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789-._:[]~") == strlen(host);
}

static int check_origins(reeve_module *module, const char *const *origins)
{
    if (!origins || !origins[0])
        return middleware_refuse(module, "CORS: there have to be origins, or \"*\"");
    if (is_any(origins) && !origins[1])
        return 0;
    for (; *origins; origins++)
        if (!is_origin(*origins))
            return middleware_refuse(module,
                                     "CORS: \"%s\" is no origin: it has to be as browsers send it, "
                                     "\"https://app.example\", or \"*\" alone",
                                     *origins);
    return 0;
}

static int check_list(reeve_module *module, const reeve_cors *options, const char *const *list,
                      const char *name)
{
    if (!middleware_is_token_list(list))
        return middleware_refuse(module, "CORS: an item of %s is no name", name);
    if (options->credentials && is_any(list))
        return middleware_refuse(module, "CORS: with credentials, %s cannot be \"*\"", name);
    return 0;
}

static int check(reeve_module *module, const reeve_cors *options)
{
    if (check_origins(module, options->origins) == -1)
        return -1;
    if (options->credentials && is_any(options->origins))
        return middleware_refuse(module, "CORS: with credentials, origins cannot be \"*\"");
    for (const char *const *origin = options->origins; options->credentials && *origin; origin++)
        if (strcmp(*origin, "null") == 0)
            return middleware_refuse(module, "CORS: with credentials, no origin can be \"null\", "
                                             "which any page is in a sandboxed frame");
    if (check_list(module, options, options->methods, "methods") == -1 ||
        check_list(module, options, options->headers, "headers") == -1)
        return -1;
    return check_list(module, options, options->exposed, "exposed");
}

static bool has_items(const char *const *list)
{
    return list && list[0];
}

/* ---- its answers ---- */

/* What Access-Control-Allow-Origin says; NULL: it is not allowed. */
static const char *allowed(const struct cors *cors, const char *origin)
{
    if (origin && cors->is_any)
        return "*";
    for (char **each = cors->origins; origin && *each; each++)
        if (strcmp(*each, origin) == 0)
            return origin;
    return NULL;
}

static void put(reeve_header **to, const char *name, const char *value)
{
    if (value && *value)
        *(*to)++ = (reeve_header){name, value};
}

static int answer_preflight(const struct cors *cors, reeve_environ *environ,
                            reeve_start_response *start_response, const char *origin)
{
    reeve_header headers[8] = {{NULL, NULL}}, *to = headers;

    if (!cors->is_any)
        put(&to, "Vary", "Origin");
    if (allowed(cors, origin)) {
        put(&to, "Access-Control-Allow-Origin", allowed(cors, origin));
        put(&to, "Access-Control-Allow-Credentials", cors->has_credentials ? "true" : NULL);
        put(&to, "Access-Control-Allow-Methods", cors->methods);
        put(&to, "Access-Control-Allow-Headers", cors->headers);
        put(&to, "Access-Control-Max-Age", cors->max_age);
    }
    return start_response(environ, "204 No Content", headers);
}

static bool is_preflight(const reeve_environ *environ)
{
    return strcmp(reeve_method(environ), "OPTIONS") == 0 &&
           reeve_request_header(environ, "Origin") &&
           reeve_request_header(environ, "Access-Control-Request-Method");
}

/* The application's own of these names go in any case: to an origin that is not allowed nothing is
 * said. */
static reeve_header *headers_for(const struct cors *cors, reeve_environ *environ,
                                 const char *origin)
{
    bool is_allowed = allowed(cors, origin) != NULL;
    reeve_header *set = reeve_alloc(environ, 4 * sizeof *set);

    if (!set)
        return NULL;
    set[0] = (reeve_header){"Access-Control-Allow-Origin", allowed(cors, origin)};
    set[1] = (reeve_header){"Access-Control-Allow-Credentials",
                            is_allowed && cors->has_credentials ? "true" : NULL};
    set[2] = (reeve_header){"Access-Control-Expose-Headers", is_allowed ? cors->exposed : NULL};
    set[3] = (reeve_header){NULL, NULL};
    return set;
}

static int call(reeve_environ *environ, reeve_start_response *start_response, reeve_next *next,
                void *state)
{
    const struct cors *cors = state;
    const char *origin = reeve_request_header(environ, "Origin");
    const reeve_header *set;

    if (is_preflight(environ))
        return answer_preflight(cors, environ, start_response, origin);
    set = headers_for(cors, environ, origin);
    if (!set)
        return -1;
    if (middleware_change_headers(
            environ,
            &(struct header_changes){.set = set, .vary = cors->is_any ? NULL : "Origin"}) == -1)
        return -1;
    return reeve_next_call(next, environ, start_response);
}

static bool fill(struct cors *cors, const reeve_cors *options)
{
    static const char *const usual[] = {"GET", "HEAD", "POST", NULL};

    cors->is_any = is_any(options->origins);
    cors->has_credentials = options->credentials;
    cors->origins = middleware_copy_list(options->origins);
    cors->methods = middleware_join_list(has_items(options->methods) ? options->methods : usual);
    cors->headers = middleware_join_list(options->headers);
    cors->exposed = middleware_join_list(options->exposed);
    if (options->max_age > 0)
        snprintf(cors->max_age, sizeof cors->max_age, "%u", options->max_age);
    return cors->origins && cors->methods && (cors->headers || !has_items(options->headers)) &&
           (cors->exposed || !has_items(options->exposed));
}

int reeve_cors_new(reeve_module *module, const reeve_cors *options,
                   reeve_middleware *middleware_out)
{
    struct cors *cors;

    if (check(module, options) == -1)
        return -1;
    cors = calloc(1, sizeof *cors);
    if (!cors || !fill(cors, options)) {
        if (cors)
            free_cors(cors);
        return middleware_out_of_memory(module);
    }
    cors->common.free = free_cors;
    *middleware_out = (reeve_middleware){.call = call, .state = cors};
    return 0;
}
