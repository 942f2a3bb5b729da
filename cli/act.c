/* act.c: the verbs that change something. What takes long is followed line by line to its verdict,
 * from which the exit status is made. */
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

/* ---- following an action ---- */

struct following {
    struct ctl *ctl;
    cJSON *verdict;   /* the last line; NULL: not yet */
    bool has_changed; /* a worker was drained: "nothing was changed" is no longer true */
};

static bool on_line(char *line, void *arg)
{
    struct following *following = arg;
    const struct output *out = following->ctl->out;
    cJSON *json = cJSON_Parse(line);
    struct report report = {json, line};

    if (json_at(json, "verdict") != NULL) {
        out->verdict(&report);
        cJSON_Delete(following->verdict);
        following->verdict = json;
        return true;
    }
    if (json != NULL)
        out->progress(&report);
    if (strcmp(json_text(json, "step"), "draining") == 0)
        following->has_changed = true;
    cJSON_Delete(json);
    return true;
}

static enum exit_status status_of_outcome(const char *outcome)
{
    static const struct {
        const char *outcome;
        enum exit_status status;
    } table[] = {
        {"live", EXIT_DONE},
        {"rejected", EXIT_REJECTED},       /* by the preflight */
        {"aborted", EXIT_REJECTED},        /* by a worker */
        {"rolled back", EXIT_ROLLED_BACK}, /* after it was live */
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strcmp(table[i].outcome, outcome) == 0)
            return table[i].status;
    }
    return EXIT_FAILED;
}

/* Of a reload: each application is a transaction of its own, so some may be live and others not. */
static enum exit_status status_of_receipts(const cJSON *verdict)
{
    const cJSON *receipt;
    enum exit_status worst = status_of_outcome(json_text(verdict, "verdict"));
    int live = 0, others = 0;

    cJSON_ArrayForEach (receipt, json_at(verdict, "receipts")) {
        if (status_of_outcome(json_text(receipt, "outcome")) == EXIT_DONE)
            live++;
        else
            others++;
    }
    return live > 0 && others > 0 ? EXIT_PARTIAL : worst;
}

static enum exit_status status_of_restart(const struct following *following)
{
    const char *verdict = json_text(following->verdict, "verdict");

    if (strcmp(verdict, "done") == 0)
        return EXIT_DONE;
    if (strcmp(verdict, "timed out") == 0 || following->has_changed)
        return EXIT_PARTIAL;
    return EXIT_FAILED;
}

/* Without waiting: that it has begun is all there is to say. */
static enum exit_status begun(struct ctl *ctl)
{
    ctl->out->done(&(struct report){NULL, "{\"begun\":true}"}, "begun; it goes on in the server");
    return EXIT_DONE;
}

/* Unless it is over before it has properly begun. */
static bool on_first_line(char *line, void *arg)
{
    if (strstr(line, "\"verdict\"") != NULL)
        on_line(line, arg);
    return false;
}

/* EXIT_DONE with following->verdict set, unless ctl says not to wait for it. */
static enum exit_status follow(struct following *following, const char *path)
{
    struct ctl *ctl = following->ctl;
    struct wish wish = {.method = "POST", .path = path, .is_action = true};
    struct client_answer answer;
    enum exit_status status;
    cJSON *json;

    wish.on_line = ctl->has_flag ? on_first_line : on_line;
    wish.arg = following;
    client_catch_interrupt();
    status = request(ctl, &wish, &answer, &json);
    cJSON_Delete(json);
    client_answer_free(&answer);
    if (status == EXIT_DONE && !ctl->has_flag && following->verdict == NULL) {
        ctl->out->failure("no verdict", "the server ended the action without a verdict");
        status = EXIT_PARTIAL;
    }
    return status;
}

/* One application's, or with NULL all of them. */
static enum exit_status reload(struct ctl *ctl, const char *app)
{
    struct following following = {.ctl = ctl};
    enum exit_status status;
    char path[128];

    snprintf(path, sizeof path, app == NULL ? "/v1/apps/reload" : "/v1/apps/%s/reload", app);
    status = follow(&following, path);
    if (status == EXIT_DONE)
        status = following.verdict == NULL ? begun(ctl) : status_of_receipts(following.verdict);
    cJSON_Delete(following.verdict);
    return status;
}

enum exit_status run_reload(struct ctl *ctl)
{
    enum exit_status status;

    if (ctl->argc == 0)
        return reload(ctl, NULL);
    if (ctl->has_flag && ctl->argc > 1) {
        ctl->out->failure("usage",
                          "--no-wait can begin one deployment: that of one APP, or of all");
        return EXIT_USAGE;
    }
    for (int i = 0; i < ctl->argc; i++) {
        if (!request_is_app_name(ctl->argv[i])) {
            ctl->out->failure("no such application",
                              "an application's name is letters, digits, - and _");
            return EXIT_FAILED;
        }
    }
    for (int i = 0; i < ctl->argc; i++) {
        status = reload(ctl, ctl->argv[i]);
        if (status != EXIT_DONE) /* those before are live; those behind were not begun */
            return i > 0 && status != EXIT_INTERRUPTED ? EXIT_PARTIAL : status;
    }
    return EXIT_DONE;
}

enum exit_status run_restart(struct ctl *ctl)
{
    struct following following = {.ctl = ctl};
    enum exit_status status = follow(&following, "/v1/workers/restart");

    if (status == EXIT_DONE)
        status = following.verdict == NULL ? begun(ctl) : status_of_restart(&following);
    cJSON_Delete(following.verdict);
    return status;
}

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

    wish.body = ctl->has_flag ? "{\"graceful\":false}" : "{\"graceful\":true}";
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
