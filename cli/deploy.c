/* deploy.c: the verbs that are deployments. What is POSTed is made here; follow.c does the rest. */
#include "commands.h"

#include <stdio.h>
#include <string.h>

#include "follow.h"
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

enum exit_status run_upgrade(struct ctl *ctl)
{
    struct errand errand = {.path = "/v1/upgrade"};

    errand.body = option_body(ctl->options);
    return follow(ctl, &errand);
}
