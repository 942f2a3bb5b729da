/* options: answers what its configuration says: one line for each of the keys it knows. `refuse` is what its init is to
 * refuse the build with. */
#include <stdio.h>
#include <string.h>

#include <reeve/app.h>

static int options(reeve_environ *environ, reeve_start_response *start_response)
{
    const reeve_module *module = reeve_environ_module(environ);
    const char *colour = reeve_option(module, "colour"), *size = reeve_option(module, "size");
    const char *text =
        reeve_printf(environ, "colour=%s\nsize=%s\n", colour == NULL ? "(none)" : colour,
                     size == NULL ? "(none)" : size);

    start_response(environ, "200 OK", REEVE_NO_HEADERS);
    return reeve_write(environ, text, strlen(text));
}

static int init(reeve_module *module)
{
    const char *refuse = reeve_option(module, "refuse");

    if (refuse == NULL)
        return 0;
    fprintf(stderr, "what init writes to stderr\n");
    return reeve_refuse(module, "%s", refuse);
}

REEVE_APP(.name = "options", .version = "1.0.0", .init = init, .application = options);
