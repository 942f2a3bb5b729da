/* ask.c: the verbs that ask: one GET, shown. */
#include "commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static enum exit_status show_worker(struct ctl *ctl)
{
    const char *id = ctl->argv[1];
    char path[64];

    if (strcmp(ctl->argv[0], "worker") != 0 || id[0] == '\0' || strlen(id) > 9 ||
        id[strspn(id, "0123456789")] != '\0') {
        ctl->out->failure("usage", "show takes one application or deployment, or `worker` and the "
                                   "worker's id, such as 0");
        return EXIT_USAGE;
    }
    snprintf(path, sizeof path, "/v1/workers/%s", id);
    return ask(ctl, path, ctl->out->worker);
}

/* A number is a deployment, a name an application; "worker" and another word a worker. */
enum exit_status run_show(struct ctl *ctl)
{
    const char *what = ctl->argv[0];
    double number;
    char path[128];

    if (ctl->argc == 2)
        return show_worker(ctl);
    if (option_number(what, &number)) {
        snprintf(path, sizeof path, "/v1/deploys/%.0f", number);
        return ask(ctl, path, ctl->out->receipt);
    }
    if (!request_is_app_name(what))
        return request_no_such_app(ctl);
    snprintf(path, sizeof path, "/v1/apps/%s", what);
    return ask(ctl, path, ctl->out->app);
}

enum exit_status run_stacks(struct ctl *ctl)
{
    const char *id = ctl->argc > 0 ? ctl->argv[0] : NULL;
    char path[64] = "/v1/stacks";

    if (id != NULL && (id[0] == '\0' || strlen(id) > 32 || id[strspn(id, "0123456789.")] != '\0')) {
        ctl->out->failure("usage", "a worker is named by its id, such as 0; `reevectl workers` "
                                   "lists them");
        return EXIT_USAGE;
    }
    if (id != NULL)
        snprintf(path, sizeof path, "/v1/stacks?worker=%s", id);
    return ask(ctl, path, ctl->out->stacks);
}

/* ---- history ---- */

static bool has_app(const cJSON *receipt, const char *name)
{
    const cJSON *app;

    cJSON_ArrayForEach (app, json_at(receipt, "apps")) {
        if (json_is(app, "app", name))
            return true;
    }
    return false;
}

/* Leaves the latest `limit` of those that `name` has a part in; NULL: any. */
static void sift(cJSON *deploys, const char *name, double limit)
{
    int count = cJSON_GetArraySize(deploys);

    for (int i = count - 1; i >= 0; i--) {
        if (limit >= 1 && (name == NULL || has_app(cJSON_GetArrayItem(deploys, i), name)))
            limit--;
        else
            cJSON_DeleteItemFromArray(deploys, i);
    }
}

/* What is a part of the answer, or was changed here. */
static enum exit_status show_part(struct ctl *ctl, const cJSON *json,
                                  void (*show)(const struct report *report))
{
    char *text = cJSON_PrintUnformatted(json);

    if (text == NULL) {
        ctl->out->failure("failed", "memory has run out");
        return EXIT_FAILED;
    }
    show(&(struct report){json, text});
    cJSON_free(text);
    return EXIT_DONE;
}

static enum exit_status show_history(struct ctl *ctl, cJSON *json)
{
    const struct option_value *limit = &ctl->options[OPTION_LIMIT];
    cJSON *deploys = cJSON_GetObjectItemCaseSensitive(json, "deploys");

    sift(deploys, ctl->argv[0], limit->is_given ? limit->number : 1e9);
    return show_part(ctl, json, ctl->out->history);
}

enum exit_status run_history(struct ctl *ctl)
{
    struct wish wish = {.method = "GET", .path = "/v1/deploys"};
    struct client_answer answer;
    enum exit_status status;
    cJSON *json;

    if (ctl->argc > 0 && !request_is_app_name(ctl->argv[0]))
        return request_no_such_app(ctl);
    status = request(ctl, &wish, &answer, &json);
    if (status == EXIT_DONE)
        status = show_history(ctl, json);
    cJSON_Delete(json);
    client_answer_free(&answer);
    return status;
}

/* ---- incidents ---- */

static const cJSON *find_incident(const cJSON *json, double number)
{
    const cJSON *incident;

    cJSON_ArrayForEach (incident, json_at(json, "incidents")) {
        if (json_number(incident, "number") == number)
            return incident;
    }
    return NULL;
}

static enum exit_status show_incident(struct ctl *ctl, const cJSON *json, double number)
{
    const cJSON *incident = find_incident(json, number);
    char sentence[96];

    if (incident == NULL) {
        snprintf(sentence, sizeof sentence,
                 "there is no incident %.0f any more, or not yet; the last ones are kept", number);
        ctl->out->failure("no such incident", sentence);
        return EXIT_FAILED;
    }
    return show_part(ctl, incident, ctl->out->incident);
}

enum exit_status run_incidents(struct ctl *ctl)
{
    struct wish wish = {.method = "GET", .path = "/v1/incidents"};
    struct client_answer answer;
    enum exit_status status;
    double number = 0;
    cJSON *json;

    if (ctl->argc > 0 && !option_number(ctl->argv[0], &number)) {
        ctl->out->failure("usage", "an incident has a number; `reevectl incidents` lists them");
        return EXIT_USAGE;
    }
    status = request(ctl, &wish, &answer, &json);
    if (status == EXIT_DONE && ctl->argc > 0)
        status = show_incident(ctl, json, number);
    else if (status == EXIT_DONE)
        ctl->out->incidents(&(struct report){json, answer.text});
    cJSON_Delete(json);
    client_answer_free(&answer);
    return status;
}

static void show_app_names(const struct report *report)
{
    const cJSON *app;

    cJSON_ArrayForEach (app, json_at(report->json, "applications")) {
        puts(json_name(app));
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
    const struct output *out = ctl->out;
    cJSON *json, *own = cJSON_CreateObject();
    char sentence[128], *text;

    ctl->out = &silent;
    if (request(ctl, &wish, &answer, &json) != EXIT_DONE)
        snprintf(sentence, sizeof sentence, "reevectl %s", REEVE_VERSION);
    else
        snprintf(sentence, sizeof sentence, "reevectl %s\nreeve %s, pid %.0f", REEVE_VERSION,
                 json_text(json, "version"), json_number(json, "pid"));
    ctl->out = out;
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
