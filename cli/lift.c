/* lift.c: the verb that ends a quarantine. */
#include "commands.h"

#include <stdio.h>
#include <string.h>

#include "json.h"
#include "request.h"

/* {"app","path"} of the arguments; NULL when memory has run out. */
static char *lift_body(const struct ctl *ctl)
{
    static const char *const keys[] = {"app", "path"};
    cJSON *body = cJSON_CreateObject();
    char *text;

    for (int i = 0; i < ctl->argc; i++)
        cJSON_AddStringToObject(body, keys[i], ctl->argv[i]);
    text = cJSON_PrintUnformatted(body);
    cJSON_Delete(body);
    return text;
}

/* "trouble 3 /null is served again", or how many they are. */
static void say_lifted(struct ctl *ctl, const struct report *report)
{
    const cJSON *lifted = json_at(report->json, "lifted");
    const cJSON *first = cJSON_GetArrayItem(lifted, 0);
    char sentence[1024];

    if (cJSON_GetArraySize(lifted) == 1)
        snprintf(sentence, sizeof sentence, "%s %.0f: %s%s is served again",
                 json_text(first, "app"), json_number(first, "generation"),
                 json_text(first, "path"), cJSON_IsTrue(json_at(first, "is_prefix")) ? "*" : "");
    else
        snprintf(sentence, sizeof sentence, "%d routes are served again",
                 cJSON_GetArraySize(lifted));
    ctl->out->done(report, sentence);
}

enum exit_status run_lift(struct ctl *ctl)
{
    struct wish wish = {.method = "POST", .path = "/v1/quarantine/lift"};
    struct client_answer answer;
    enum exit_status status;
    char *body;
    cJSON *json;

    if (ctl->argc == 0 && !ctl->options[OPTION_ALL].is_given) {
        ctl->out->failure("usage", "lift takes the APP, or --all for every application; "
                                   "`reevectl status` lists what is quarantined");
        return EXIT_USAGE;
    }
    wish.body = body = lift_body(ctl);
    status = request(ctl, &wish, &answer, &json);
    if (status == EXIT_DONE)
        say_lifted(ctl, &(struct report){json, answer.text});
    cJSON_Delete(json);
    client_answer_free(&answer);
    cJSON_free(body);
    return status;
}
