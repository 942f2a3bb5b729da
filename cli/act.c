/* act.c: the verbs that change something at once. What takes long is in deploy.c. */
#include "commands.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "json.h"
#include "request.h"

/* ---- at once ---- */

/* "4" sets, "+1" and "-1" change the number. False: it is neither. */
static bool scale_body(const char *text, char *body, size_t size)
{
    const char *digits = text + (text[0] == '+' || text[0] == '-');
    size_t length = strspn(digits, "0123456789");

    if (length == 0 || length > 6 || digits[length] != '\0')
        return false;
    snprintf(body, size, digits == text ? "{\"workers\":%ld}" : "{\"by\":%ld}",
             strtol(text, NULL, 10));
    return true;
}

enum exit_status run_scale(struct ctl *ctl)
{
    char body[48], sentence[96];
    struct wish wish = {.method = "POST", .path = "/v1/workers/scale", .body = body};
    struct client_answer answer;
    enum exit_status status;
    cJSON *json;

    if (!scale_body(ctl->argv[0], body, sizeof body)) {
        ctl->out->failure("usage", "the number of workers is N, or +N or -N to change it");
        return EXIT_USAGE;
    }
    status = request(ctl, &wish, &answer, &json);
    if (status == EXIT_DONE) {
        snprintf(sentence, sizeof sentence, "%.0f workers wanted, before: %.0f",
                 json_number(json, "workers"), json_number(json, "before"));
        ctl->out->done(&(struct report){json, answer.text}, sentence);
    }
    cJSON_Delete(json);
    client_answer_free(&answer);
    return status;
}

enum exit_status run_reopen(struct ctl *ctl)
{
    struct wish wish = {.method = "POST", .path = "/v1/logs/reopen"};
    struct client_answer answer;
    cJSON *json;
    enum exit_status status = request(ctl, &wish, &answer, &json);

    if (status == EXIT_DONE)
        ctl->out->done(&(struct report){json, answer.text}, "the log files are opened anew");
    cJSON_Delete(json);
    client_answer_free(&answer);
    return status;
}

enum exit_status run_cancel(struct ctl *ctl)
{
    struct wish wish = {.method = "POST", .path = "/v1/deploys/cancel"};
    struct client_answer answer;
    char sentence[128];
    cJSON *json;
    enum exit_status status = request(ctl, &wish, &answer, &json);
    double deploy = json_number(json, "cancelled");

    if (deploy > 0)
        snprintf(sentence, sizeof sentence,
                 "deployment %.0f is given up; `reevectl show %.0f` tells how it ends", deploy,
                 deploy);
    else
        snprintf(sentence, sizeof sentence, "the running deployment is given up");
    if (status == EXIT_DONE)
        ctl->out->done(&(struct report){json, answer.text}, sentence);
    cJSON_Delete(json);
    client_answer_free(&answer);
    return status;
}

/* ---- stop ---- */

/* The server's process is watched from before it is told, so that its end cannot be missed. */
static enum exit_status stop_and_wait(struct ctl *ctl, const struct wish *wish,
                                      struct client *client)
{
    struct client_answer answer = {.text = NULL};
    int pidfd = client_watch(client);
    enum exit_status status;
    cJSON *json;

    status = request_call(ctl, wish, client, &answer, &json);
    cJSON_Delete(json);
    client_answer_free(&answer);
    if (status == EXIT_DONE)
        status = request_end(ctl, wish, client, client_wait_end(client, pidfd));
    if (pidfd != -1)
        close(pidfd);
    return status;
}

enum exit_status run_stop(struct ctl *ctl)
{
    struct wish wish = {.method = "POST", .path = "/v1/shutdown", .is_action = true};
    struct client client;
    enum exit_status status;
    char sentence[64], json[64];

    wish.body = ctl->options[OPTION_NOW].is_given ? "{\"graceful\":false}" : "{\"graceful\":true}";
    client_catch_interrupt();
    status = request_open(ctl, &wish, &client);
    if (status != EXIT_DONE)
        return status;
    status = stop_and_wait(ctl, &wish, &client);
    if (status == EXIT_DONE) {
        if (client.server > 0)
            snprintf(sentence, sizeof sentence, "reeve (pid %d) has stopped", (int)client.server);
        else
            snprintf(sentence, sizeof sentence, "reeve has stopped");
        snprintf(json, sizeof json, "{\"stopped\":true,\"pid\":%d}", (int)client.server);
        ctl->out->done(&(struct report){NULL, json}, sentence);
    }
    client_close(&client);
    return status;
}

/* ---- check ---- */

/* The reeve that lies beside this reevectl: the one it was built with. NULL: there is none. */
static char *reeve_beside(void)
{
    char own[PATH_MAX] = "", *path = NULL;

    if (readlink("/proc/self/exe", own, sizeof own - 1) <= 0)
        return NULL;
    if (asprintf(&path, "%s/reeve", dirname(own)) < 0)
        return NULL;
    if (access(path, X_OK) == 0)
        return path;
    free(path);
    return NULL;
}

enum exit_status run_check(struct ctl *ctl)
{
    char *path = reeve_beside(), name[] = "reeve", test[] = "-t", file[] = "-c", reason[128];
    char *argv[] = {name, test, file, ctl->argv[0], NULL};

    if (path != NULL)
        execv(path, argv);
    else
        execvp(name, argv);
    snprintf(reason, sizeof reason, "cannot run %s: %s", path == NULL ? name : path,
             strerror(errno));
    ctl->out->failure("failed", reason);
    free(path);
    return EXIT_FAILED;
}
