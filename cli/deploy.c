/* deploy.c: the verbs that are deployments. What is POSTed is made here; follow.c does the rest. */
#include "commands.h"

#include <stdio.h>
#include <string.h>

#include "follow.h"
#include "json.h"
#include "request.h"

/* Each name once, however often it was given. */
static cJSON *app_names(char *const *argv)
{
    cJSON *names = cJSON_CreateArray();

    for (int i = 0; argv[i] != NULL; i++) {
        int k = 0;

        while (strcmp(argv[k], argv[i]) != 0)
            k++;
        if (k == i)
            cJSON_AddItemToArray(names, cJSON_CreateString(argv[i]));
    }
    return names;
}

static enum exit_status check_names(struct ctl *ctl)
{
    for (int i = 0; i < ctl->argc; i++) {
        if (!request_is_app_name(ctl->argv[i]))
            return request_no_such_app(ctl);
    }
    return EXIT_DONE;
}

enum exit_status run_reload(struct ctl *ctl)
{
    struct errand errand = {.path = "/v1/apps/reload", .can_cancel = true};
    char path[128];

    if (ctl->options[OPTION_CONFIG].is_given)
        errand = (struct errand){.path = "/v1/config/reload"};
    if (check_names(ctl) != EXIT_DONE)
        return EXIT_FAILED;
    errand.body = option_body(ctl->options);
    if (ctl->argc == 1) {
        snprintf(path, sizeof path, "/v1/apps/%s/reload", ctl->argv[0]);
        errand.path = path;
    } else if (ctl->argc > 1) {
        cJSON_AddItemToObject(errand.body, "apps", app_names(ctl->argv));
    }
    return follow(ctl, &errand);
}

enum exit_status run_rollback(struct ctl *ctl)
{
    struct errand errand = {.can_cancel = true};
    double generation = 0;
    char path[128];

    if (ctl->argc > 1 && !option_number(ctl->argv[1], &generation)) {
        ctl->out->failure("usage", "a generation is a whole number from 1 on; `reevectl history "
                                   "APP` lists them");
        return EXIT_USAGE;
    }
    if (!request_is_app_name(ctl->argv[0]))
        return request_no_such_app(ctl);
    snprintf(path, sizeof path, "/v1/apps/%s/rollback", ctl->argv[0]);
    errand.path = path;
    errand.body = cJSON_CreateObject();
    if (generation >= 1)
        cJSON_AddNumberToObject(errand.body, "generation", generation);
    return follow(ctl, &errand);
}

enum exit_status run_restart(struct ctl *ctl)
{
    struct errand errand = {.path = "/v1/workers/restart"};

    errand.body = option_body(ctl->options);
    return follow(ctl, &errand);
}

/* "0", or "0.3" with the incarnation, as reevectl shows them: it can stand in a path. */
static bool is_worker(const char *text)
{
    return text[0] != '\0' && strlen(text) < 32 && text[strspn(text, "0123456789.")] == '\0';
}

static enum exit_status kill_worker(struct ctl *ctl, const char *path)
{
    struct wish wish = {.method = "POST", .path = path};
    struct client_answer answer;
    char sentence[160];
    cJSON *json;
    enum exit_status status = request(ctl, &wish, &answer, &json);
    double requests = json_number(json, "requests");

    if (status == EXIT_DONE) {
        snprintf(sentence, sizeof sentence,
                 "worker %.0f.%.0f (pid %.0f) is killed; lost with it: %.0f request%s",
                 json_number(json, "killed.id"), json_number(json, "killed.incarnation"),
                 json_number(json, "killed.pid"), requests, requests == 1 ? "" : "s");
        ctl->out->done(&(struct report){json, answer.text}, sentence);
    }
    cJSON_Delete(json);
    client_answer_free(&answer);
    return status;
}

enum exit_status run_worker(struct ctl *ctl)
{
    const char *action = ctl->argv[0], *id = ctl->argv[1];
    struct errand errand = {.can_cancel = true};
    char path[96];

    if (strcmp(action, "kill") != 0 && strcmp(action, "restart") != 0) {
        ctl->out->failure("usage", "what is to be done with a worker is kill or restart");
        return EXIT_USAGE;
    }
    if (!is_worker(id)) {
        ctl->out->failure("usage", "a worker is named by its id, such as 0, or by 0.3 with its "
                                   "incarnation; `reevectl workers` lists them");
        return EXIT_USAGE;
    }
    snprintf(path, sizeof path, "/v1/workers/%s/%s", id, action);
    if (strcmp(action, "kill") == 0)
        return kill_worker(ctl, path);
    errand.path = path;
    errand.body = cJSON_CreateObject();
    return follow(ctl, &errand);
}

enum exit_status run_drain(struct ctl *ctl)
{
    struct errand errand = {.path = "/v1/drain", .can_cancel = true};

    errand.body = cJSON_CreateObject();
    return follow(ctl, &errand);
}

enum exit_status run_resume(struct ctl *ctl)
{
    struct errand errand = {.path = "/v1/resume"};

    errand.body = cJSON_CreateObject();
    return follow(ctl, &errand);
}

enum exit_status run_upgrade(struct ctl *ctl)
{
    struct errand errand = {.path = "/v1/upgrade"};

    errand.body = option_body(ctl->options);
    return follow(ctl, &errand);
}
