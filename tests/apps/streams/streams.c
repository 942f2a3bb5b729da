/* streams: bodies of every kind in both directions. What happens where no client sees it goes to a journal, one line each:
 *     option { journal = "/path/of/a/file" } */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <reeve/app.h>

typedef int serve(reeve_environ *env, reeve_start_response *start_response);

static const char *journal;

static void note(const char *line)
{
    int fd = journal == NULL ? -1 : open(journal, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    if (fd == -1)
        return;
    dprintf(fd, "%s\n", line);
    close(fd);
}

static long number(reeve_environ *env, const char *name)
{
    const char *text = reeve_query_get(env, name);

    return text == NULL ? 0 : strtol(text, NULL, 10);
}

static int start(reeve_environ *env, reeve_start_response *start_response)
{
    return start_response(env, "200 OK", REEVE_HEADERS({"Content-Type", "text/plain"}));
}

static int say(reeve_environ *env, const char *text)
{
    return reeve_write(env, text, strlen(text));
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

static int respond(reeve_environ *env, long count, long fails_at)
{
    struct pieces *pieces = reeve_alloc(env, sizeof(*pieces));

    *pieces = (struct pieces){.count = count, .fails_at = fails_at};
    return reeve_respond(env, (reeve_iterable){next_piece, close_pieces, pieces});
}

/* ?count=N&fails_at=N */
static int iterable(reeve_environ *env, reeve_start_response *start_response)
{
    start(env, start_response);
    return respond(env, number(env, "count"), number(env, "fails_at"));
}

static int iterable_then_fails(reeve_environ *env, reeve_start_response *start_response)
{
    start(env, start_response);
    respond(env, 3, 0);
    return -1;
}

static int iterable_twice(reeve_environ *env, reeve_start_response *start_response)
{
    start(env, start_response);
    respond(env, 1, 0);
    return respond(env, 2, 0) == -1 && errno == EALREADY ? 0 : -1;
}

/* ---- hooks ---- */

static void note_close(void *arg)
{
    note(arg);
}

static int hooks(reeve_environ *env, reeve_start_response *start_response)
{
    static char first[] = "first", second[] = "second";

    reeve_on_close(env, note_close, first);
    reeve_on_close(env, note_close, second);
    start(env, start_response);
    return say(env, "hooked\n");
}

static int hooks_then_fails(reeve_environ *env, reeve_start_response *start_response)
{
    static char text[] = "after a failure";

    (void)start_response;
    reeve_on_close(env, note_close, text);
    return -1;
}

/* ---- writing ---- */

/* ?mb=N in pieces of 64 KiB, of which the last byte of each line tells the piece */
static int big(reeve_environ *env, reeve_start_response *start_response)
{
    static char piece[65536], ended[] = "big has ended";
    long pieces = number(env, "mb") * 16;

    memset(piece, 'x', sizeof(piece));
    reeve_on_close(env, note_close, ended);
    start(env, start_response);
    for (long i = 0; i < pieces; i++)
        if (reeve_write(env, piece, sizeof(piece)) != 0) {
            note(errno == ETIMEDOUT ? "big: timed out" : errno == EPIPE ? "big: gone" : "big: ?");
            return -1;
        }
    return 0;
}

static int vector(reeve_environ *env, reeve_start_response *start_response)
{
    char one[] = "one ", two[] = "two ", three[] = "three\n";
    const struct iovec pieces[] = {{one, 4}, {NULL, 0}, {two, 4}, {three, 6}};

    start(env, start_response);
    return reeve_writev(env, pieces, 4);
}

/* Three pieces that leave one by one. */
static int flushed(reeve_environ *env, reeve_start_response *start_response)
{
    start(env, start_response);
    for (int i = 0; i < 3; i++)
        if (say(env, "piece\n") != 0 || reeve_flush(env) != 0)
            return -1;
    return 0;
}

/* ?path=&offset=&size= between two written lines */
static int file(reeve_environ *env, reeve_start_response *start_response)
{
    const char *path = reeve_query_get(env, "path");
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    int result;

    if (fd == -1)
        return -1;
    start(env, start_response);
    say(env, "before\n");
    result = reeve_send_file(env, fd, number(env, "offset"), (size_t)number(env, "size"));
    if (result != 0)
        note(errno == EIO ? "file: EIO" : errno == EPIPE ? "file: gone" : strerror(errno));
    close(fd);
    return result != 0 ? -1 : say(env, "after\n");
}

/* ---- waiting ---- */

static int until_gone(reeve_environ *env, reeve_start_response *start_response)
{
    start(env, start_response);
    say(env, "waiting\n");
    reeve_flush(env);
    while (reeve_sleep(0.02) == 0)
        continue;
    if (reeve_is_gone(env))
        note("gone");
    return -1;
}

/* ?s=N: longer than the sleep app would */
static int rest(reeve_environ *env, reeve_start_response *start_response)
{
    if (reeve_sleep((double)number(env, "s")) != 0)
        return -1;
    start(env, start_response);
    return say(env, "rested\n");
}

/* ---- reading ---- */

/* Reads the body slowly, and tells its length: ?ms= between two reads */
static int slow_read(reeve_environ *env, reeve_start_response *start_response)
{
    char buffer[4096];
    double seconds = (double)number(env, "ms") / 1000;
    long total = 0;
    ssize_t n;

    while ((n = reeve_read(env, buffer, sizeof(buffer))) > 0) {
        total += n;
        reeve_sleep(seconds);
    }
    if (n < 0) {
        note(errno == ECONNRESET  ? "read: gone"
             : errno == ETIMEDOUT ? "read: timed out"
                                  : "read: ?");
        return -1;
    }
    start(env, start_response);
    return say(env, reeve_printf(env, "read %ld\n", total));
}

/* Answers without a look at the body. */
static int unread(reeve_environ *env, reeve_start_response *start_response)
{
    start(env, start_response);
    return say(env, "not read\n");
}

/* Reads half of it, answers, and leaves the rest. */
static int half_read(reeve_environ *env, reeve_start_response *start_response)
{
    int64_t left = reeve_content_length(env) / 2;
    char buffer[4096];
    ssize_t n = 1;

    for (; left > 0 && n > 0; left -= n)
        n = reeve_read(env, buffer, left < (int64_t)sizeof(buffer) ? (size_t)left : sizeof(buffer));
    start(env, start_response);
    return say(env, "half read\n");
}

/* ---- env ---- */

static int overrides(reeve_environ *env, reeve_start_response *start_response)
{
    const char *before;

    reeve_environ_set(env, "app.user", "ada");
    reeve_environ_set(env, "PATH_INFO", "/changed");
    reeve_environ_set(env, "HTTP_X_OLD", NULL);
    before = reeve_environ_get(env, "HTTP_X_OLD");
    start(env, start_response);
    return say(env, reeve_printf(env, "%s %s %s\n", reeve_environ_get(env, "app.user"),
                                 reeve_path(env), before == NULL ? "removed" : before));
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
    {"/rest", rest},
    {"/slow-read", slow_read},
    {"/unread", unread},
    {"/half-read", half_read},
    {"/overrides", overrides},
};

static int streams(reeve_environ *env, reeve_start_response *start_response)
{
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        if (strcmp(paths[i].path, reeve_path(env)) == 0)
            return paths[i].serve(env, start_response);
    start_response(env, "404 Not Found", REEVE_NO_HEADERS);
    return say(env, "no such stream\n");
}

static int init(reeve_module *module)
{
    journal = reeve_option(module, "journal");
    return 0;
}

REEVE_APP(.name = "streams", .version = "1.0.0", .init = init, .application = streams);
