/* ask.c: the verbs that ask: one GET, shown. */
#include "commands.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/version.h"
#include "json.h"
#include "request.h"

typedef void show_report(const struct report *report);

static enum exit_status ask(struct ctl *ctl, const char *path, show_report *show)
{
    struct wish wish = {.method = "GET", .path = path};
    struct client_answer answer;
    cJSON *json;
    enum exit_status status = request(ctl, &wish, &answer, &json);

    if (status == EXIT_DONE)
        show(&(struct report){json, answer.text});
    cJSON_Delete(json);
    client_answer_free(&answer);
    return status;
}

enum exit_status run_status(struct ctl *ctl)
{
    return ask(ctl, "/v1/status", ctl->out->status);
}

enum exit_status run_stats(struct ctl *ctl)
{
    return ask(ctl, "/v1/stats", ctl->out->stats);
}

enum exit_status run_workers(struct ctl *ctl)
{
    return ask(ctl, "/v1/workers", ctl->out->workers);
}

enum exit_status run_apps(struct ctl *ctl)
{
    return ask(ctl, "/v1/apps", ctl->out->apps);
}

enum exit_status run_config(struct ctl *ctl)
{
    return ask(ctl, "/v1/config", ctl->out->config);
}

enum exit_status run_show(struct ctl *ctl)
{
    char path[128];

    if (!request_is_app_name(ctl->argv[0])) {
        ctl->out->failure("no such application",
                          "an application's name is letters, digits, - and _");
        return EXIT_FAILED;
    }
    snprintf(path, sizeof path, "/v1/apps/%s", ctl->argv[0]);
    return ask(ctl, path, ctl->out->app);
}

static void show_app_names(const struct report *report)
{
    const cJSON *app;

    cJSON_ArrayForEach (app, json_at(report->json, "applications")) {
        puts(app->string);
    }
}

enum exit_status run_app_names(struct ctl *ctl)
{
    return ask(ctl, "/v1/status", show_app_names);
}

static void say_nothing(const char *error, const char *detail)
{
    (void)error;
    (void)detail;
}

static const struct output silent = {.failure = say_nothing}; /* request() uses no more of it */

/* Not running is no failure here: then there is only one version. */
enum exit_status run_version(struct ctl *ctl)
{
    struct wish wish = {.method = "GET", .path = "/v1/status"};
    struct client_answer answer = {.text = NULL};
    struct ctl quiet = *ctl;
    cJSON *json, *own = cJSON_CreateObject();
    char sentence[128], *text;

    quiet.out = &silent;
    if (request(&quiet, &wish, &answer, &json) != EXIT_DONE)
        snprintf(sentence, sizeof sentence, "reevectl %s", REEVE_VERSION);
    else
        snprintf(sentence, sizeof sentence, "reevectl %s\nreeve %s, pid %.0f", REEVE_VERSION,
                 json_text(json, "version"), json_number(json, "pid"));
    cJSON_AddStringToObject(own, "reevectl", REEVE_VERSION);
    cJSON_AddItemToObject(own, "reeve",
                          json == NULL ? cJSON_CreateNull()
                                       : cJSON_CreateString(json_text(json, "version")));
    text = cJSON_PrintUnformatted(own);
    ctl->out->done(&(struct report){own, text == NULL ? "" : text}, sentence);
    cJSON_free(text);
    cJSON_Delete(own);
    cJSON_Delete(json);
    client_answer_free(&answer);
    return EXIT_DONE;
}
