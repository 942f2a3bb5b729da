/* numbered: answers which build it is, and from which process. Compiled with -DBUILD=N it is build N, with one of the
 * others below a build that is no good: LOADING, IN_INIT and IN_REQUEST are statements, FIELDS are the descriptor's.
 * With FAIL_EVERY=N each Nth request of a worker is answered 500, with SLOW=MS each takes so long. */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <reeve/app.h>

#ifndef BUILD
#define BUILD 0
#endif
#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)

#ifdef MISSING_SYMBOL
extern int reeve_no_such_function(void);
#define BROKEN reeve_no_such_function() ||
#else
#define BROKEN
#endif

/* "build 7 pid 123\n": the number lies in the module's own data, so code that was unmapped could not say it. */
static int answer(reeve_environ *env, reeve_start_response *start_response)
{
    const char *text = reeve_printf(env, "build %s pid %d\n", TEXT(BUILD), (int)getpid());

    if (BROKEN start_response(env, "200 OK", REEVE_HEADERS({"X-Build", TEXT(BUILD)})) != 0)
        return -1;
    return reeve_write(env, text, strlen(text));
}

/* Until there is a file of that name. */
static int wait_for(const char *path)
{
    while (access(path, F_OK) != 0)
        if (reeve_sleep(0.01) != 0)
            return -1;
    return 0;
}

/* An answer without end, a line each 20 ms, until the client goes. */
static int answer_forever(reeve_environ *env, reeve_start_response *start_response)
{
    static const char line[] = "build " TEXT(BUILD) "\n";

    start_response(env, "200 OK", REEVE_NO_HEADERS);
    while (reeve_write(env, line, strlen(line)) == 0 && reeve_flush(env) == 0 &&
           reeve_sleep(0.02) == 0)
        ;
    return -1;
}

static bool is_to_fail(void)
{
#ifdef FAIL_EVERY
    static unsigned count;

    return ++count % FAIL_EVERY == 0;
#else
    return false;
#endif
}

/* ?until=PATH: waits for that file first; ?ms=N: so long; ?forever: does not end; ?fail: gives no answer; ?crash: takes
 * the worker along */
static int numbered(reeve_environ *env, reeve_start_response *start_response)
{
    const char *until = reeve_query_get(env, "until"), *ms = reeve_query_get(env, "ms");

#ifdef IN_REQUEST
    IN_REQUEST;
#endif
    if (reeve_query_get(env, "crash") != NULL)
        raise(SIGKILL);
    if (reeve_query_get(env, "fail") != NULL)
        return -1;
    if (ms != NULL && reeve_sleep(atof(ms) / 1000) != 0)
        return -1;
    if (until != NULL && wait_for(until) != 0)
        return -1;
    if (reeve_query_get(env, "forever") != NULL)
        return answer_forever(env, start_response);
#ifdef SLOW
    if (reeve_sleep(SLOW / 1000.0) != 0)
        return -1;
#endif
    if (is_to_fail())
        return start_response(env, "500 Internal Server Error", REEVE_NO_HEADERS);
    return answer(env, start_response);
}

#ifdef LOADING /* within dlopen */
__attribute__((constructor)) static void construct(void)
{
    LOADING;
}
#endif

static int init(reeve_module *module)
{
#ifdef IN_INIT
    IN_INIT;
#endif
#ifdef FAIL_INIT
    return reeve_refuse(module, "this build says no");
#endif
#ifdef FAIL_IN_WORKER
    if (!reeve_is_preflight())
        return reeve_refuse(module, "not in a worker");
#endif
#ifdef CRASH_INIT
    abort();
#endif
#ifdef FAIL_IN_SECOND /* worker: the first makes the file */
    if (!reeve_is_preflight() &&
        open(reeve_option(module, "first"), O_CREAT | O_EXCL | O_WRONLY, 0600) == -1)
        return reeve_refuse(module, "not in a second worker");
#endif
#ifdef CRASH_IN_WORKER
    if (!reeve_is_preflight())
        raise(SIGKILL);
#endif
#ifdef HANG_INIT
    for (;;)
        pause();
#endif
#ifdef WAIT_IN_WORKER /* for a file, while the worker serves others */
    if (!reeve_is_preflight() && wait_for(reeve_option(module, "go")) != 0)
        return -1;
#endif
#ifdef HANG_IN_WORKER
    while (!reeve_is_preflight())
        pause();
#endif
#ifdef CRASH_WITH_FILE /* only when the file of that name is there */
    if (!reeve_is_preflight() && access(reeve_option(module, "crash_with"), F_OK) == 0)
        _exit(3);
#endif
    (void)module;
    return 0;
}

static int selftest(reeve_module *module)
{
#ifdef FAIL_SELFTEST
    return reeve_refuse(module, "2 and 2 make 5");
#endif
    (void)module;
    return 0;
}

#ifndef FIELDS /* more of them, or others */
#define FIELDS
#endif
#ifndef NO_DESCRIPTOR
REEVE_APP(.name = "numbered", .version = "1.0." TEXT(BUILD), .init = init, .selftest = selftest,
          .application = numbered, FIELDS);
#else
REEVE_API int (*const no_descriptor[])(void) = {(int (*)(void))numbered, (int (*)(void))init,
                                                (int (*)(void))selftest};
#endif
