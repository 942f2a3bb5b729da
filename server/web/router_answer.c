/* router_answer.c: what a router says itself: 404, 405, OPTIONS, and where a path is to be found.
 * It leaves 404 and 405 to the application's fallback, if there is one. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "http/chars.h"
#include "web/router_private.h"

/* As the server's own answers. */
static int answer_error(const struct match *match, reeve_environ *environ,
                        reeve_start_response *start_response)
{
    const char *status = match->status == 405 ? "405 Method Not Allowed" : "404 Not Found";
    const char *allow = match->status == 405 ? reeve_route_allow(environ) : NULL;
    const reeve_header headers[] = {{"Content-Type", "text/plain; charset=utf-8"},
                                    {allow ? "Allow" : NULL, allow},
                                    {NULL, NULL}};
    char body[128];
    int size =
        snprintf(body, sizeof body, "%s\nrequest id %s\n", status, reeve_request_id(environ));

    if (start_response(environ, status, headers) == -1)
        return -1;
    return reeve_write(environ, body, (size_t)size);
}

static int answer_options(reeve_environ *environ, reeve_start_response *start_response)
{
    return start_response(environ, "204 No Content",
                          REEVE_HEADERS({"Allow", reeve_route_allow(environ)}));
}

/* ---- 308 ---- */

/* Escapes what is not a byte of a URI's path; `out` has room for three times as much. */
static char *encode(char *out, const char *path)
{
    for (; *path; path++)
        if (char_is(*path, CHAR_TARGET) && *path != '?')
            *out++ = *path;
        else
            out += sprintf(out, "%%%02X", (unsigned char)*path);
    *out = '\0';
    return out;
}

/* A path of this server's: it cannot begin with "//", which would name another host, since no
 * pattern begins with an empty segment, and one that takes every path needs no redirection. */
static const char *location_of(const struct match *match, reeve_environ *environ)
{
    const char *mount = reeve_environ_get(environ, "SCRIPT_NAME"), *query = reeve_query(environ);
    size_t size;
    char *text, *at;

    if (!mount)
        mount = "";
    size = 3 * (strlen(mount) + strlen(match->canonical)) + strlen(query) + 2;
    text = reeve_alloc(environ, size);
    if (!text)
        return NULL;
    at = encode(encode(text, mount), match->canonical);
    if (*query)
        stpcpy(stpcpy(at, "?"), query);
    return text;
}

static int answer_redirect(const struct match *match, reeve_environ *environ,
                           reeve_start_response *start_response)
{
    const char *location = location_of(match, environ);

    if (!location) {
        errno = ENOMEM;
        return -1;
    }
    return start_response(environ, "308 Permanent Redirect", REEVE_HEADERS({"Location", location}));
}

int router_answer(const struct match *match, reeve_environ *environ,
                  reeve_start_response *start_response)
{
    if (match->status == 204)
        return answer_options(environ, start_response);
    if (match->status == 308)
        return answer_redirect(match, environ, start_response);
    if (match->router->fallback)
        return match->router->fallback(environ, start_response);
    return answer_error(match, environ, start_response);
}
