/* hello: the smallest application. Copy it to begin one of your own, and build that with
 *     cc -shared -fPIC -fvisibility=hidden -Wl,-Bsymbolic-functions -o hello.so hello.c */
#include <reeve/app.h>

static int hello(reeve_environ *environ, reeve_start_response *start_response)
{
    start_response(environ, "200 OK", REEVE_HEADERS({"Content-Type", "text/plain"}));
    return reeve_write(environ, "Hello, World!\n", 14);
}

REEVE_APP(.name = "hello", .version = "1.0.0", .application = hello);
