/* echo: answers any request with the request's own body, as it arrives. Copy it for whatever
 * streams: an upload of any size passes through one small buffer, and a slow client slows the
 * sender down. */
#include <inttypes.h>

#include <reeve/app.h>

/* Without a known length the server sends the body chunked, so that is no failure. */
static const char *length_text(reeve_environ *environ)
{
    int64_t length = reeve_content_length(environ);

    return length < 0 ? NULL : reeve_printf(environ, "%" PRId64, length);
}

static int echo(reeve_environ *environ, reeve_start_response *start_response)
{
    const char *type = reeve_environ_get(environ, "CONTENT_TYPE");
    const char *length = length_text(environ);
    char buffer[16384];
    ssize_t size;

    if (type == NULL || type[0] == '\0')
        type = "application/octet-stream";

    /* A header list ends at the first NULL name, so a header that may be missing comes last. */
    if (start_response(environ, "200 OK",
                       REEVE_HEADERS({"Content-Type", type},
                                     {length == NULL ? NULL : "Content-Length", length})) != 0)
        return -1;

    while ((size = reeve_read(environ, buffer, sizeof(buffer))) > 0)
        if (reeve_write(environ, buffer, (size_t)size) != 0)
            return -1;

    /* -1 is a body that broke off: the server answers 400, 408 or 413, or cuts an answer already
     * begun. */
    return (int)size;
}

REEVE_APP(.name = "echo", .version = "1.0.0", .application = echo);
