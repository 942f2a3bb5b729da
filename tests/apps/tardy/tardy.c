/* tardy: requests that take their time, and what they do when it is over. What happens where no client sees it goes to
 * a journal, one line each:
 *     option { journal = "/path/of/a/file" }
 * With ?as=NAME each line begins with that name. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <reeve/app.h>

typedef int serve(reeve_environ *env, reeve_start_response *start_response);

static const char *journal;

/* "NAME WHAT: ECANCELED" */
static void note(const char *as, const char *what, int result)
{
    int fd = journal == NULL ? -1 : open(journal, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    const char *name = result == 0 ? "ok" : strerrorname_np(errno);

    if (fd == -1)
        return;
    dprintf(fd, "%s %s: %s\n", as, what, name);
    close(fd);
}

static int start(reeve_environ *env, reeve_start_response *start_response)
{
    return start_response(env, "200 OK", REEVE_HEADERS({"Content-Type", "text/plain"}));
}

static int say(reeve_environ *env, const char *text)
{
    return reeve_write(env, text, strlen(text));
}

static char *name_of(reeve_environ *env)
{
    const char *as = reeve_query_get(env, "as");

    return reeve_strdup(env, as == NULL ? "?" : as);
}

/* ---- waiting ---- */

static int at_once(reeve_environ *env, reeve_start_response *start_response)
{
    start(env, start_response);
    return say(env, "at once\n");
}

/* No jump into the call, of which no place would be left to tell. */
static int sleeps(reeve_environ *env, reeve_start_response *start_response)
{
    volatile int result = reeve_sleep(60);

    (void)env, (void)start_response;
    return result;
}

static int replies(reeve_environ *env, reeve_start_response *start_response)
{
    if (reeve_sleep(60) == 0 || errno != ECANCELED)
        return -1;
    start_response(env, "503 Service Unavailable", REEVE_HEADERS({"Retry-After", "7"}));
    return say(env, "I was too slow\n");
}

static int insists(reeve_environ *env, reeve_start_response *start_response)
{
    const char *as = name_of(env);

    (void)start_response;
    for (int i = 0; i < 3; i++)
        note(as, "insists", reeve_sleep(60));
    return -1;
}

/* ---- sending ---- */

static int half(reeve_environ *env, reeve_start_response *start_response)
{
    start(env, start_response);
    say(env, "half\n");
    return reeve_sleep(60);
}

/* Without end. */
static int writes(reeve_environ *env, reeve_start_response *start_response)
{
    static char piece[65536];
    int result = 0;

    start(env, start_response);
    while ((result = reeve_write(env, piece, sizeof(piece))) == 0)
        ;
    note(name_of(env), "write", result);
    return -1;
}

/* ---- reading ---- */

static int reads(reeve_environ *env, reeve_start_response *start_response)
{
    char buffer[4096];
    long total = 0;
    ssize_t n;

    while ((n = reeve_read(env, buffer, sizeof(buffer))) > 0)
        total += n;
    note(name_of(env), "read", (int)n);
    if (n < 0)
        return -1;
    start(env, start_response);
    return say(env, reeve_printf(env, "read %ld\n", total));
}

/* ---- iterables ---- */

static int next_piece(void *state, const void **data, size_t *size)
{
    (void)state;
    if (reeve_sleep(0.05) != 0)
        return -1;
    *data = "piece\n";
    *size = 6;
    return 1;
}

static int next_whatever(void *state, const void **data, size_t *size)
{
    (void)next_piece(state, data, size);
    *data = "whatever\n";
    *size = 9;
    return 1;
}

static void close_pieces(void *state)
{
    note(state, "closed", 0);
}

static void on_close(void *arg)
{
    note(arg, "hook", 0);
}

static int iterates(reeve_environ *env, reeve_start_response *start_response)
{
    reeve_on_close(env, on_close, name_of(env));
    start(env, start_response);
    return reeve_respond(
        env, (reeve_iterable){.next = next_piece, .close = close_pieces, .state = name_of(env)});
}

static int takes_no_notice(reeve_environ *env, reeve_start_response *start_response)
{
    start(env, start_response);
    return reeve_respond(
        env, (reeve_iterable){.next = next_whatever, .close = close_pieces, .state = name_of(env)});
}

/* ---- which ---- */

static const struct {
    const char *path;
    serve *serve;
} paths[] = {
    {"/", at_once},        {"/sleep", sleeps},      {"/replies", replies},
    {"/insists", insists}, {"/half", half},         {"/write", writes},
    {"/read", reads},      {"/iterable", iterates}, {"/heedless", takes_no_notice},
};

static int tardy(reeve_environ *env, reeve_start_response *start_response)
{
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        if (strcmp(paths[i].path, reeve_path(env)) == 0)
            return paths[i].serve(env, start_response);
    start_response(env, "404 Not Found", REEVE_NO_HEADERS);
    return say(env, "no such path\n");
}

static int init(reeve_module *module)
{
    journal = reeve_option(module, "journal");
    return 0;
}

REEVE_APP(.name = "tardy", .version = "1.0.0", .init = init, .application = tardy);
