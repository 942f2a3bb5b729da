/* streams: bodies of every kind in both directions. What happens where no client sees it goes to a journal, one line each:
 *     option { journal = "/path/of/a/file" } */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <reeve/app.h>

typedef int serve(reeve_environ *environ, reeve_start_response *start_response);

static const char *journal;

static void note(const char *line)
{
    int fd = journal == NULL ? -1 : open(journal, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    if (fd == -1)
        return;
    dprintf(fd, "%s\n", line);
    close(fd);
}

static long number(reeve_environ *environ, const char *name)
{
    const char *text = reeve_query_get(environ, name);

    return text == NULL ? 0 : strtol(text, NULL, 10);
}

static int start(reeve_environ *environ, reeve_start_response *start_response)
{
    return start_response(environ, "200 OK", REEVE_HEADERS({"Content-Type", "text/plain"}));
}

static int say(reeve_environ *environ, const char *text)
{
    return reeve_write(environ, text, strlen(text));
}

/* ---- iterables ---- */

struct pieces {
    long at, count, fails_at; /* count 0: without end; fails_at 0: never */
    char text[64];
};

static int next_piece(void *state, const void **data, size_t *size)
{
    struct pieces *pieces = state;

    pieces->at++;
    if (pieces->at == pieces->fails_at)
        return -1;
    if (pieces->count != 0 && pieces->at > pieces->count)
        return 0;
    *size = (size_t)snprintf(pieces->text, sizeof(pieces->text), "piece %ld\n", pieces->at);
    *data = pieces->text;
    return 1;
}

static void close_pieces(void *state)
{
    (void)state;
    note("closed");
}

static int respond(reeve_environ *environ, long count, long fails_at)
{
    struct pieces *pieces = reeve_alloc(environ, sizeof(*pieces));

    *pieces = (struct pieces){.count = count, .fails_at = fails_at};
    return reeve_respond(environ, (reeve_iterable){next_piece, close_pieces, pieces});
}

/* ?count=N&fails_at=N */
static int iterable(reeve_environ *environ, reeve_start_response *start_response)
{
    start(environ, start_response);
    return respond(environ, number(environ, "count"), number(environ, "fails_at"));
}

static int iterable_then_fails(reeve_environ *environ, reeve_start_response *start_response)
{
    start(environ, start_response);
    respond(environ, 3, 0);
    return -1;
}

static int iterable_twice(reeve_environ *environ, reeve_start_response *start_response)
{
    start(environ, start_response);
    respond(environ, 1, 0);
    return respond(environ, 2, 0) == -1 && errno == EALREADY ? 0 : -1;
}

/* ---- hooks ---- */

static void note_close(void *arg)
{
    note(arg);
}

static int hooks(reeve_environ *environ, reeve_start_response *start_response)
{
    static char first[] = "first", second[] = "second";

    reeve_on_close(environ, note_close, first);
    reeve_on_close(environ, note_close, second);
    start(environ, start_response);
    return say(environ, "hooked\n");
}

static int hooks_then_fails(reeve_environ *environ, reeve_start_response *start_response)
{
    static char text[] = "after a failure";

    (void)start_response;
    reeve_on_close(environ, note_close, text);
    return -1;
}

/* ---- writing ---- */

/* ?mb=N in pieces of 64 KiB, of which the last byte of each line tells the piece */
static int big(reeve_environ *environ, reeve_start_response *start_response)
{
    static char piece[65536], ended[] = "big has ended";
    long pieces = number(environ, "mb") * 16;

    memset(piece, 'x', sizeof(piece));
    reeve_on_close(environ, note_close, ended);
    start(environ, start_response);
    for (long i = 0; i < pieces; i++)
        if (reeve_write(environ, piece, sizeof(piece)) != 0) {
            note(errno == ETIMEDOUT ? "big: timed out" : errno == EPIPE ? "big: gone" : "big: ?");
            return -1;
        }
    return 0;
}

static int vector(reeve_environ *environ, reeve_start_response *start_response)
{
    char one[] = "one ", two[] = "two ", three[] = "three\n";
    const struct iovec pieces[] = {{one, 4}, {NULL, 0}, {two, 4}, {three, 6}};

    start(environ, start_response);
    return reeve_writev(environ, pieces, 4);
}

/* Three pieces that leave one by one. */
static int flushed(reeve_environ *environ, reeve_start_response *start_response)
{
    start(environ, start_response);
    for (int i = 0; i < 3; i++)
        if (say(environ, "piece\n") != 0 || reeve_flush(environ) != 0)
            return -1;
    return 0;
}

/* ?path=&offset=&size= between two written lines */
static int file(reeve_environ *environ, reeve_start_response *start_response)
{
    const char *path = reeve_query_get(environ, "path");
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    int result;

    if (fd == -1)
        return -1;
    start(environ, start_response);
    say(environ, "before\n");
    result =
        reeve_send_file(environ, fd, number(environ, "offset"), (size_t)number(environ, "size"));
    if (result != 0)
        note(errno == EIO ? "file: EIO" : errno == EPIPE ? "file: gone" : strerror(errno));
    close(fd);
    return result != 0 ? -1 : say(environ, "after\n");
}

/* ---- waiting ---- */

static int until_gone(reeve_environ *environ, reeve_start_response *start_response)
{
    start(environ, start_response);
    say(environ, "waiting\n");
    reeve_flush(environ);
    while (!reeve_is_gone(environ))
        if (reeve_sleep(0.02) != 0)
            return -1;
    note("gone");
    return -1;
}

/* ---- reading ---- */

/* Reads the body slowly, and tells its length: ?ms= between two reads */
static int slow_read(reeve_environ *environ, reeve_start_response *start_response)
{
    char buffer[4096];
    double seconds = (double)number(environ, "ms") / 1000;
    long total = 0;
    ssize_t n;

    while ((n = reeve_read(environ, buffer, sizeof(buffer))) > 0) {
        total += n;
        reeve_sleep(seconds);
    }
    if (n < 0) {
        note(errno == ECONNRESET  ? "read: gone"
             : errno == ETIMEDOUT ? "read: timed out"
                                  : "read: ?");
        return -1;
    }
    start(environ, start_response);
    return say(environ, reeve_printf(environ, "read %ld\n", total));
}

/* Answers without a look at the body. */
static int unread(reeve_environ *environ, reeve_start_response *start_response)
{
    start(environ, start_response);
    return say(environ, "not read\n");
}

/* Reads half of it, answers, and leaves the rest. */
static int half_read(reeve_environ *environ, reeve_start_response *start_response)
{
    int64_t left = reeve_content_length(environ) / 2;
    char buffer[4096];
    ssize_t n = 1;

    for (; left > 0 && n > 0; left -= n)
        n = reeve_read(environ, buffer,
                       left < (int64_t)sizeof(buffer) ? (size_t)left : sizeof(buffer));
    start(environ, start_response);
    return say(environ, "half read\n");
}

/* ---- environ ---- */

static int overrides(reeve_environ *environ, reeve_start_response *start_response)
{
    const char *before;

    reeve_environ_set(environ, "app.user", "ada");
    reeve_environ_set(environ, "PATH_INFO", "/changed");
    reeve_environ_set(environ, "HTTP_X_OLD", NULL);
    before = reeve_environ_get(environ, "HTTP_X_OLD");
    start(environ, start_response);
    return say(environ, reeve_printf(environ, "%s %s %s\n", reeve_environ_get(environ, "app.user"),
                                     reeve_path(environ), before == NULL ? "removed" : before));
}

static const struct {
    const char *path;
    serve *serve;
} paths[] = {
    {"/iterable", iterable},
    {"/iterable-then-fails", iterable_then_fails},
    {"/iterable-twice", iterable_twice},
    {"/hooks", hooks},
    {"/hooks-then-fails", hooks_then_fails},
    {"/big", big},
    {"/vector", vector},
    {"/flushed", flushed},
    {"/file", file},
    {"/until-gone", until_gone},
    {"/slow-read", slow_read},
    {"/unread", unread},
    {"/half-read", half_read},
    {"/overrides", overrides},
};

static int streams(reeve_environ *environ, reeve_start_response *start_response)
{
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        if (strcmp(paths[i].path, reeve_path(environ)) == 0)
            return paths[i].serve(environ, start_response);
    start_response(environ, "404 Not Found", REEVE_NO_HEADERS);
    return say(environ, "no such stream\n");
}

static int init(reeve_module *module)
{
    journal = reeve_option(module, "journal");
    return 0;
}

REEVE_APP(.name = "streams", .version = "1.0.0", .init = init, .application = streams);
