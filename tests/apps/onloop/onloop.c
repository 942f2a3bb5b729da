/* onloop: runs on the worker's own stack, where nothing may wait, and tells what comes of trying. */
#include <errno.h>
#include <string.h>

#include <reeve/app.h>

static int onloop(reeve_environ *environ, reeve_start_response *start_response)
{
    char buffer[16];
    int slept = reeve_sleep(0.001) == -1 && errno == EDEADLK;
    ssize_t n = reeve_read(environ, buffer, sizeof(buffer));
    const char *read = n > 0                  ? "data"
                       : n == 0               ? "the end"
                       : errno == EWOULDBLOCK ? "nothing yet"
                                              : "failed";
    const char *text = reeve_printf(environ, "sleep %s, read %s\n", slept ? "refused" : "?", read);

    start_response(environ, "200 OK", REEVE_NO_HEADERS);
    return reeve_write(environ, text, strlen(text));
}

REEVE_APP(.name = "onloop", .version = "1.0.0", .application = onloop, .on_loop = true);
