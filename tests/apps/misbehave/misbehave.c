/* misbehave: breaks the rules of the interface, one rule a path, and tells how the server took it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <reeve/app.h>

typedef int misdeed(reeve_environ *environ, reeve_start_response *start_response);

static const char *errno_name(int error)
{
    switch (error) {
    case EINVAL:
        return "EINVAL";
    case EPERM:
        return "EPERM";
    case EALREADY:
        return "EALREADY";
    case EPROTO:
        return "EPROTO";
    case EMSGSIZE:
        return "EMSGSIZE";
    default:
        return strerror(error);
    }
}

static int start(reeve_environ *environ, reeve_start_response *start_response, const char *status)
{
    return start_response(environ, status, REEVE_HEADERS({"Content-Type", "text/plain"}));
}

static int say(reeve_environ *environ, const char *text)
{
    return reeve_write(environ, text, strlen(text));
}

/* Answers with what errno says, or "accepted". */
static int tell(reeve_environ *environ, reeve_start_response *start_response, int result)
{
    const char *text = result == 0 ? "accepted" : errno_name(errno);

    if (result != 0 && start(environ, start_response, "200 OK") != 0)
        return -1;
    return say(environ, text);
}

/* ---- no answer, or half of one ---- */

static int no_answer(reeve_environ *environ, reeve_start_response *start_response)
{
    (void)environ;
    (void)start_response;
    return 0;
}

static int fails(reeve_environ *environ, reeve_start_response *start_response)
{
    (void)start_response;
    reeve_log(environ, REEVE_LOG_WARNING, "a secret for the log only");
    return -1;
}

static int fails_started(reeve_environ *environ, reeve_start_response *start_response)
{
    start(environ, start_response, "200 OK");
    return -1;
}

static int fails_written(reeve_environ *environ, reeve_start_response *start_response)
{
    start(environ, start_response, "200 OK");
    say(environ, "secret");
    return -1;
}

static int fails_sent(reeve_environ *environ, reeve_start_response *start_response)
{
    start(environ, start_response, "200 OK");
    say(environ, "begun\n");
    reeve_flush(environ);
    return -1;
}

/* ---- start_response ---- */

static int replaces(reeve_environ *environ, reeve_start_response *start_response)
{
    start_response(environ, "200 OK", REEVE_HEADERS({"X-First", "1"}));
    say(environ, "first");
    start_response(environ, "404 Not Found", REEVE_HEADERS({"X-Second", "2"}));
    return say(environ, "second");
}

static int starts_late(reeve_environ *environ, reeve_start_response *start_response)
{
    start(environ, start_response, "200 OK");
    say(environ, "sent, ");
    reeve_flush(environ);
    return say(environ, start(environ, start_response, "404 Not Found") == 0 ? "accepted"
                                                                             : errno_name(errno));
}

static int writes_first(reeve_environ *environ, reeve_start_response *start_response)
{
    return tell(environ, start_response, say(environ, "too early"));
}

/* ?name=...&value=...: any header */
static int header(reeve_environ *environ, reeve_start_response *start_response)
{
    const reeve_header given = {reeve_query_get(environ, "name"),
                                reeve_query_get(environ, "value")};

    return tell(environ, start_response,
                start_response(environ, "200 OK", REEVE_HEADERS({"X-Before", "1"}, given)));
}

/* A value that no query string can carry. */
static int header_with_nul_name(reeve_environ *environ, reeve_start_response *start_response)
{
    return tell(environ, start_response,
                start_response(environ, "200 OK", REEVE_HEADERS({"", "empty name"})));
}

static int status(reeve_environ *environ, reeve_start_response *start_response)
{
    return tell(environ, start_response,
                start_response(environ, reeve_query_get(environ, "line"), REEVE_NO_HEADERS));
}

/* ---- lengths ---- */

static int two_lengths(reeve_environ *environ, reeve_start_response *start_response)
{
    return tell(environ, start_response,
                start_response(environ, "200 OK",
                               REEVE_HEADERS({"Content-Length", "8"}, {"Content-Length", "8"})));
}

static int length(reeve_environ *environ, reeve_start_response *start_response, const char *value)
{
    return start_response(environ, "200 OK", REEVE_HEADERS({"Content-Length", value}));
}

static int too_long(reeve_environ *environ, reeve_start_response *start_response)
{
    length(environ, start_response, "5");
    say(environ, "12345");
    if (say(environ, "6") != -1 || errno != EMSGSIZE)
        return -1;
    return 0;
}

static int too_short(reeve_environ *environ, reeve_start_response *start_response)
{
    length(environ, start_response, "10");
    return say(environ, "12345");
}

static int nothing_declared(reeve_environ *environ, reeve_start_response *start_response)
{
    return length(environ, start_response, "10");
}

static int body_with_204(reeve_environ *environ, reeve_start_response *start_response)
{
    start_response(environ, "204 No Content", REEVE_HEADERS({"Content-Length", "4"}));
    return say(environ, "none");
}

static int body_with_304(reeve_environ *environ, reeve_start_response *start_response)
{
    start_response(environ, "304 Not Modified", REEVE_HEADERS({"ETag", "\"x\""}));
    return say(environ, "none");
}

static int empty(reeve_environ *environ, reeve_start_response *start_response)
{
    return start_response(environ, "200 OK", REEVE_NO_HEADERS);
}

/* ---- the worker itself ---- */

static int crashes(reeve_environ *environ, reeve_start_response *start_response)
{
    (void)environ;
    (void)start_response;
    abort();
}

/* Date and Server of its own take the place of the server's. */
static int own_stamp(reeve_environ *environ, reeve_start_response *start_response)
{
    start_response(environ, "200 OK",
                   REEVE_HEADERS({"Date", "Thu, 01 Jan 1970 00:00:00 GMT"}, {"Server", "mine"}));
    return say(environ, "stamped");
}

static const struct {
    const char *path;
    misdeed *misdeed;
} misdeeds[] = {
    {"/no-answer", no_answer},
    {"/fails", fails},
    {"/fails-started", fails_started},
    {"/fails-written", fails_written},
    {"/fails-sent", fails_sent},
    {"/replaces", replaces},
    {"/starts-late", starts_late},
    {"/writes-first", writes_first},
    {"/header", header},
    {"/empty-name", header_with_nul_name},
    {"/status", status},
    {"/two-lengths", two_lengths},
    {"/too-long", too_long},
    {"/too-short", too_short},
    {"/nothing-declared", nothing_declared},
    {"/204", body_with_204},
    {"/304", body_with_304},
    {"/empty", empty},
    {"/crashes", crashes},
    {"/own-stamp", own_stamp},
};

static int misbehave(reeve_environ *environ, reeve_start_response *start_response)
{
    for (size_t i = 0; i < sizeof(misdeeds) / sizeof(misdeeds[0]); i++)
        if (strcmp(misdeeds[i].path, reeve_path(environ)) == 0)
            return misdeeds[i].misdeed(environ, start_response);
    start(environ, start_response, "404 Not Found");
    return say(environ, "no such misdeed\n");
}

REEVE_APP(.name = "misbehave", .version = "1.0.0", .application = misbehave);
