/* check.c: the preflight without a server around it, one app after the other. A running server's
 * state folder is left alone: the copies go to a private one. */
#include "master/check.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/log.h"
#include "master/build.h"
#include "master/home.h"
#include "master/preflight.h"
#include "master/sentence.h"
#include "master/signals.h"

struct check {
    const struct config *config;
    struct event_base *base;
    struct preflight *preflight; /* of `build` */
    struct build *build;
    unsigned app;
    char *refusal; /* NULL: accepted */
};

static void on_signal(int number, void *arg)
{
    struct check *check = arg;
    pid_t pid;
    int status;

    if (number == SIGCHLD) {
        while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
            preflight_reap(check->preflight, pid, status);
    } else if (number == SIGINT || number == SIGTERM || number == SIGQUIT || number == SIGHUP) {
        preflight_cancel(check->preflight);
    }
}

/* A line each. */
static void show_warnings(const struct check *check, const char *warnings)
{
    size_t length;

    for (; *warnings != '\0'; warnings += length + (warnings[length] == '\n')) {
        length = strcspn(warnings, "\n");
        fprintf(stderr, "app \"%s\": warning: %.*s\n", check->config->apps[check->app].name,
                (int)length, warnings);
    }
}

static void on_end(const struct preflight_result *result, void *arg)
{
    struct check *check = arg;

    if (result->refusal != NULL) {
        fputs(result->output, stderr);
        sentence_set(&check->refusal, "%s", result->refusal);
    }
    show_warnings(check, result->warnings);
    check->preflight = NULL;
    event_base_loopbreak(check->base);
}

static int check_one(struct check *check, struct spool *spool)
{
    const struct config_app *app = &check->config->apps[check->app];
    struct preflight_order order = {.base = check->base, .config = check->config};

    check->build = build_new(spool, app->name, check->app, 1);
    if (check->build == NULL)
        return sentence_set(&check->refusal, "memory has run out");
    order.app = check->app;
    order.generation = 1;
    order.module = app->module;
    order.path = check->build->path;
    check->preflight = preflight_start(&order, on_end, check);
    if (check->preflight == NULL)
        sentence_set(&check->refusal, "no process for it: %s", strerror(errno));
    else
        event_base_dispatch(check->base);
    build_unref(check->build);
    return check->refusal == NULL ? 0 : -1;
}

/* "FILE:LINE: app "hello": ...", as the configuration's own errors. */
static int name_app(const struct check *check, char **error_out)
{
    const struct config_app *app = &check->config->apps[check->app];

    if (check->config->path != NULL)
        return sentence_set(error_out, "%s:%d: app \"%s\": %s", check->config->path, app->line,
                            app->name, sentence_or(check->refusal));
    return sentence_set(error_out, "%s: %s", app->module, sentence_or(check->refusal));
}

static int check_all(struct check *check, struct spool *spool, char **error_out)
{
    for (check->app = 0; check->app < check->config->app_count; check->app++)
        if (check_one(check, spool) != 0)
            return name_app(check, error_out);
    return 0;
}

int check_modules(const struct config *config, char **error_out)
{
    struct check check = {.config = config};
    struct signals *signals = NULL;
    struct home home;
    int status = -1;

    if (home_open(&home, NULL, error_out) != 0)
        return -1;
    check.base = event_base_new();
    if (check.base != NULL)
        signals = signals_open(check.base, on_signal, &check);
    if (signals == NULL)
        sentence_set(error_out, "the event loop cannot be made");
    else
        status = check_all(&check, home.spool, error_out);
    free(check.refusal);
    signals_close(signals);
    if (check.base != NULL)
        event_base_free(check.base);
    home_close(&home);
    libevent_global_shutdown();
    return status;
}
