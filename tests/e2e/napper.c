/* napper: an application whose requests wait in static functions, one of them inlined, until a file
 * is there: ?until=FILE. By default each wakes up now and then to look; with ?ms=N it first waits
 * so long in one go. /short waits at another place. With the option `init`, init waits for that
 * file, in workers only. 48-stacks.bats compiles it. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <reeve/app.h>

#define KEPT __attribute__((noinline, noclone))

static volatile unsigned long naps;

KEPT static int nap(double seconds)
{
    int result = reeve_sleep(seconds);

    naps++; /* or the call would be a jump, and this no frame */
    return result;
}

/* inlined */
static int nap_until(const char *file, double seconds)
{
    int result = 0;

    while (result == 0 && access(file, F_OK) != 0)
        result = nap(seconds);
    return result;
}

KEPT static int short_view(const char *file)
{
    int result = nap_until(file, 0.02);

    naps++;
    return result;
}

KEPT static int long_view(const char *file, double seconds)
{
    int result = nap(seconds);

    return result == 0 ? nap_until(file, 0.02) : result;
}

static int napper(reeve_environ *environ, reeve_start_response *start_response)
{
    const char *until = reeve_query_get(environ, "until"), *ms = reeve_query_get(environ, "ms");
    int result;

    if (until == NULL)
        result = 0;
    else if (strcmp(reeve_path(environ), "/short") == 0)
        result = short_view(until);
    else
        result = long_view(until, ms != NULL ? atof(ms) / 1000 : 0.05);
    if (result != 0 ||
        start_response(environ, "200 OK", REEVE_HEADERS({"Content-Type", "text/plain"})) != 0)
        return -1;
    return reeve_write(environ, "well rested\n", 12);
}

/* Another time, or the compiler would make one function of this and short_view. */
KEPT static int wait_in_init(const char *file)
{
    int result = nap_until(file, 0.03);

    naps++;
    return result;
}

static int init(reeve_module *module)
{
    const char *file = reeve_option(module, "init");
    int result = file == NULL || reeve_is_preflight() ? 0 : wait_in_init(file);

    naps++;
    return result;
}

REEVE_APP(.name = "napper", .version = "1.0.0", .init = init, .application = napper);
