/* background: works outside of requests, and keeps a journal of it, a line each: build, process, what.
 *     option { journal = "/path/of/a/file" }  needed
 *     tick = "SECONDS", tick_takes = "SECONDS", tick_fails = "yes"    a timer
 *     job = "SECONDS", job_while = "/a/file"  a job, which takes as long as there is that file
 *     drain_until = "/a/file"                 on_drain takes until there is that file
 * A task of its waits for ever. Compiled with -DBUILD=N it is build N; build 3 is refused by the
 * workers, after it has begun to work. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <reeve/async.h>

#ifndef BUILD
#define BUILD 1
#endif

static const char *journal, *job_while, *drain_until;
static double tick_takes;
static bool tick_fails;
static reeve_timer *timer;
static reeve_module *self;

static void note(const char *what)
{
    char line[128];
    int length = snprintf(line, sizeof(line), "%d %d %s\n", BUILD, (int)getpid(), what);
    int fd = open(journal, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    if (fd == -1 || write(fd, line, (size_t)length) != length)
        abort();
    close(fd);
}

/* ---- what it does ---- */

static int forever(void *arg, void **value_out)
{
    (void)arg, (void)value_out;
    note("forever begins");
    while (reeve_sleep(3600) == 0)
        ;
    note(errno == ECANCELED ? "forever is cancelled" : "forever fails");
    return -1;
}

static int tick(void *arg, void **value_out)
{
    (void)arg, (void)value_out;
    note("tick");
    reeve_sleep(tick_takes);
    note("tock");
    errno = ECONNREFUSED;
    return tick_fails ? -1 : 0;
}

static int work(void *arg, void **value_out)
{
    int result = 0;

    (void)arg, (void)value_out;
    note("job begins");
    while (result == 0 && access(job_while, F_OK) == 0)
        result = reeve_sleep(0.01);
    note("job ends");
    return result;
}

/* ---- its life ---- */

static double number(const char *key)
{
    const char *text = reeve_option(self, key);

    return text == NULL ? 0 : strtod(text, NULL);
}

static int doze(void *arg, void **value_out)
{
    (void)arg, (void)value_out;
    return reeve_sleep(3600);
}

static int refuse_late(reeve_module *module)
{
    reeve_spawn(doze, NULL);
    reeve_spawn_background(module, forever, NULL, NULL);
    reeve_call_every(module, 0.001, tick, module);
    reeve_job_every(module, "late", 0.001, forever, NULL);
    reeve_sleep(0.05);
    return reeve_refuse(module, "it has changed its mind");
}

static int init(reeve_module *module)
{
    self = module;
    journal = reeve_option(module, "journal");
    job_while = reeve_option(module, "job_while");
    drain_until = reeve_option(module, "drain_until");
    tick_takes = number("tick_takes");
    tick_fails = reeve_option(module, "tick_fails") != NULL;
    if (job_while != NULL && reeve_job_every(module, "work", number("job"), work, NULL) != 0)
        return reeve_refuse(module, "no job: %s", strerror(errno));
    if (job_while != NULL &&
        (reeve_job_every(module, "work", 1, work, NULL) == 0 || errno != EEXIST))
        return reeve_refuse(module, "it has the same job twice");
    if (reeve_job_every(module, "a b", 1, work, NULL) == 0 || errno != EINVAL)
        return reeve_refuse(module, "it has a job of no name");
    if (BUILD == 3 && !reeve_is_preflight())
        return refuse_late(module);
    return 0;
}

/* For a job that ought not to run in a preflight process there is time enough. */
static int selftest(reeve_module *module)
{
    (void)module;
    return reeve_sleep(0.3);
}

static int on_start(reeve_module *module)
{
    note("start");
    if (number("tick") > 0)
        timer = reeve_call_every(module, number("tick"), tick, NULL);
    return reeve_spawn_background(module, forever, NULL, NULL);
}

static int on_drain(reeve_module *module)
{
    (void)module;
    note("drain");
    while (drain_until != NULL && access(drain_until, F_OK) != 0)
        if (reeve_sleep(0.01) != 0)
            break;
    note("drained");
    return 0;
}

static void fini(reeve_module *module)
{
    (void)module;
    reeve_timer_stop(timer); /* long since */
    if (!reeve_is_preflight())
        note("fini");
}

/* ---- requests ---- */

static int fails(void *arg, void **value_out)
{
    (void)arg, (void)value_out;
    errno = ECONNREFUSED;
    return -1;
}

static int crashes(void *arg, void **value_out)
{
    volatile int *nowhere = NULL;

    (void)arg, (void)value_out;
    reeve_sleep(0.01);
    return *nowhere;
}

/* Takes no notice of the end. */
static int stubborn(void *arg, void **value_out)
{
    (void)arg, (void)value_out;
    while (reeve_sleep(3600) <= 0)
        ;
    return 0;
}

/* With a task in its scope. */
static void nest(void)
{
    reeve_future *future = reeve_spawn(doze, NULL);

    reeve_await(future, REEVE_FOREVER, NULL);
}

static void stop_timer(void)
{
    reeve_timer_stop(timer);
    timer = NULL;
}

static int serve(reeve_environ *env, reeve_start_response *start_response)
{
    const char *path = reeve_path(env);

    if (strcmp(path, "/fails") == 0)
        reeve_spawn_background(self, fails, NULL, NULL);
    else if (strcmp(path, "/crashes") == 0)
        reeve_spawn_background(self, crashes, NULL, NULL);
    else if (strcmp(path, "/stubborn") == 0)
        reeve_spawn_background(self, stubborn, NULL, NULL);
    else if (strcmp(path, "/nests") == 0)
        nest();
    else if (strcmp(path, "/stops") == 0)
        stop_timer();
    start_response(env, "200 OK", REEVE_HEADERS({"Content-Type", "text/plain"}));
    return reeve_write(env, "ok\n", 3);
}

REEVE_APP(.name = "background", .version = "1.0.0", .application = serve, .init = init,
          .selftest = selftest, .on_start = on_start, .on_drain = on_drain, .fini = fini);
