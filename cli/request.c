/* request.c: see request.h. */
#include "request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/paths.h"
#include "json.h"

#define PATIENCE 30 /* seconds, for questions */

const char *request_socket(struct ctl *ctl)
{
    if (ctl->socket == NULL)
        ctl->socket = ctl->found = paths_control_find();
    return ctl->socket == NULL ? "" : ctl->socket;
}

static double timeout_of(const struct ctl *ctl, const struct wish *wish)
{
    if (ctl->options[OPTION_TIMEOUT].is_given)
        return ctl->options[OPTION_TIMEOUT].number;
    return wish->is_action ? 0 : PATIENCE;
}

enum exit_status request_end(struct ctl *ctl, const struct wish *wish, const struct client *client,
                             enum client_end end)
{
    const char *goes_on = wish->is_action ? "; the action goes on in the server" : "";
    char detail[512];

    switch (end) {
    case CLIENT_DONE:
        return EXIT_DONE;
    case CLIENT_NOT_RUNNING:
        snprintf(detail, sizeof detail, "reeve is not running (%s at %s)", client->reason,
                 request_socket(ctl));
        ctl->out->failure("not running", detail);
        return EXIT_NOT_RUNNING;
    case CLIENT_DENIED:
        snprintf(detail, sizeof detail,
                 "no permission to use %s: try as root, or as the user that reeve runs as",
                 request_socket(ctl));
        ctl->out->failure("permission denied", detail);
        return EXIT_DENIED;
    case CLIENT_LOST:
        ctl->out->failure(
            "connection lost",
            wish->is_action ? "the connection was lost before the action was over: whether it was "
                              "completed is not known here, `reevectl status` tells"
                            : "the connection was lost before the answer was complete");
        return wish->is_action ? EXIT_PARTIAL : EXIT_FAILED;
    case CLIENT_TIMED_OUT:
        snprintf(detail, sizeof detail, "no answer within %g seconds%s", timeout_of(ctl, wish),
                 goes_on);
        ctl->out->failure("timed out", detail);
        return EXIT_PARTIAL;
    case CLIENT_INTERRUPTED:
        snprintf(detail, sizeof detail, "interrupted%s", goes_on);
        ctl->out->failure("interrupted", detail);
        return EXIT_INTERRUPTED;
    case CLIENT_FAILED:
        break;
    }
    ctl->out->failure("failed", client->reason);
    return EXIT_FAILED;
}

/* The server's refusal: its own words, and the exit status that its status stands for. */
static enum exit_status refused(struct ctl *ctl, int status, const cJSON *json)
{
    const char *error = json_text(json, "error"), *detail = json_text(json, "detail");
    char plain[64];

    snprintf(plain, sizeof plain, "the server answered with status %d", status);
    ctl->out->failure(error[0] == '\0' ? "failed" : error, detail[0] == '\0' ? plain : detail);
    switch (status) {
    case 400:
        return EXIT_USAGE;
    case 403:
        return EXIT_DENIED;
    default:
        return EXIT_FAILED;
    }
}

enum exit_status request_open(struct ctl *ctl, const struct wish *wish, struct client *client_out)
{
    enum client_end end = client_open(client_out, request_socket(ctl), timeout_of(ctl, wish));

    if (end == CLIENT_DONE)
        return EXIT_DONE;
    client_close(client_out);
    return request_end(ctl, wish, client_out, end);
}

enum exit_status request_judge(struct ctl *ctl, const struct client_answer *answer,
                               cJSON **json_out)
{
    cJSON *json = answer->is_stream ? NULL : cJSON_Parse(answer->text);
    enum exit_status status = EXIT_DONE;

    *json_out = NULL;
    if (answer->status != 200) {
        status = refused(ctl, answer->status, json);
    } else if (!answer->is_stream && !cJSON_IsObject(json)) {
        ctl->out->failure("failed", "what answers there is not reeve");
        status = EXIT_FAILED;
    }
    if (status == EXIT_DONE)
        *json_out = json;
    else
        cJSON_Delete(json);
    return status;
}

enum exit_status request_call(struct ctl *ctl, const struct wish *wish, struct client *client,
                              struct client_answer *answer_out, cJSON **json_out)
{
    enum client_end end =
        client_call(client, wish->method, wish->path, wish->body, NULL, NULL, answer_out);

    *json_out = NULL;
    return end == CLIENT_DONE ? request_judge(ctl, answer_out, json_out)
                              : request_end(ctl, wish, client, end);
}

enum exit_status request(struct ctl *ctl, const struct wish *wish, struct client_answer *answer_out,
                         cJSON **json_out)
{
    struct client client;
    enum exit_status status = request_open(ctl, wish, &client);

    *answer_out = (struct client_answer){.text = NULL};
    *json_out = NULL;
    if (status != EXIT_DONE)
        return status;
    status = request_call(ctl, wish, &client, answer_out, json_out);
    client_close(&client);
    return status;
}

bool request_is_app_name(const char *name)
{
    size_t length =
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");

    return length > 0 && length < 64 && name[length] == '\0';
}

enum exit_status request_no_such_app(struct ctl *ctl)
{
    ctl->out->failure("no such application", "an application's name is letters, digits, - and _");
    return EXIT_FAILED;
}
