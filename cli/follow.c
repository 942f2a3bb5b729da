/* follow.c: see follow.h.
 *
 * The server goes on with what it has begun, whoever listens. So this file never says "failed" of
 * an action that it only lost sight of: it asks for the receipt, or says how to. */
#include "follow.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "json.h"
#include "request.h"

#define UPGRADE_PATIENCE 30  /* seconds until a server that execs has to answer again */
#define LOST_PATIENCE    3   /* the same of one that hung up, which may be restarted by systemd */
#define ANSWER_PATIENCE  5   /* for one question about the receipt */
#define PAUSE            0.1 /* between two of them */

struct following {
    struct ctl *ctl;
    const struct errand *errand;
    struct screen screen;
    uint64_t deadline; /* clock_ns(); 0: none */
    double deploy;     /* its number; 0: not told yet */
    char action[160];  /* "a reload of hello" */
    cJSON *verdict;    /* the last line; NULL: not yet */
    bool has_begun;    /* a line has come */
    bool has_execed;   /* the server said that it would */
    bool has_changed;  /* "nothing was changed" is no longer true of a failure */
    int shown;         /* workers of the receipt that were told, after a connection lost */
};

/* ---- sentences ---- */

static void say(struct following *f, const char *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void say(struct following *f, const char *error, const char *format, ...)
{
    char detail[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(detail, sizeof detail, format, args);
    va_end(args);
    f->ctl->out->leave(&f->screen);
    f->ctl->out->failure(error, detail);
}

/* "deployment 7 (a reload of hello)" */
static const char *name_of(const struct following *f, char *text, size_t size)
{
    if (f->deploy == 0)
        snprintf(text, size, "the action");
    else if (f->action[0] == '\0')
        snprintf(text, size, "deployment %.0f", f->deploy);
    else
        snprintf(text, size, "deployment %.0f (%s)", f->deploy, f->action);
    return text;
}

/* We stop waiting, by Ctrl-C or after -t: `why` says so. In which state is it left? */
static void say_state(struct following *f, const struct client *client, const char *error,
                      const char *why)
{
    char name[224];

    if (!f->has_begun && !client->is_sent)
        say(f, error, "%s; nothing was begun", why);
    else if (!f->has_begun)
        say(f, error, "%s; it is not known whether it was begun: `reevectl history` tells", why);
    else if (f->deploy == 0)
        say(f, error, "%s; the action goes on in the server", why);
    else
        say(f, error, "%s; %s goes on in the server; `reevectl show %.0f` tells how it ended%s",
            why, name_of(f, name, sizeof name), f->deploy,
            f->errand->can_cancel ? ", `reevectl cancel` gives it up" : "");
}

static enum exit_status stop_waiting(struct following *f, const struct client *client,
                                     enum client_end end)
{
    char why[64];

    if (end == CLIENT_INTERRUPTED) {
        say_state(f, client, "interrupted", "interrupted");
        return EXIT_INTERRUPTED;
    }
    snprintf(why, sizeof why, "no verdict within %g seconds",
             f->ctl->options[OPTION_TIMEOUT].number);
    say_state(f, client, "timed out", why);
    return EXIT_PARTIAL;
}

/* ---- lines ---- */

static void note_step(struct following *f, const cJSON *json)
{
    f->has_begun = true;
    if (json_is(json, "step", "begin")) {
        f->deploy = json_number(json, "deploy");
        snprintf(f->action, sizeof f->action, "%s", json_text(json, "action"));
    } else if (json_is(json, "step", "draining")) {
        f->has_changed = true;
    } else if (json_is(json, "step", "exec")) {
        f->has_execed = true;
    }
}

/* `json` becomes the following's. */
static void take_verdict(struct following *f, cJSON *json, const char *text)
{
    f->has_begun = true;
    f->ctl->out->verdict(&(struct report){json, text}, &f->screen);
    cJSON_Delete(f->verdict);
    f->verdict = json;
}

static bool on_line(char *line, void *arg)
{
    struct following *f = arg;
    bool is_quiet = f->ctl->options[OPTION_NO_WAIT].is_given;
    cJSON *json = cJSON_Parse(line);

    if (json_at(json, "verdict") != NULL) {
        take_verdict(f, json, line);
        return true;
    }
    if (cJSON_IsObject(json)) {
        note_step(f, json);
        if (!is_quiet)
            f->ctl->out->progress(&(struct report){json, line}, &f->screen);
    }
    cJSON_Delete(json);
    return !is_quiet || !f->has_begun;
}

/* A line of our own, where the server's cannot reach us. */
static void tell(struct following *f, cJSON *line)
{
    char *text = cJSON_PrintUnformatted(line);

    if (text != NULL)
        f->ctl->out->progress(&(struct report){line, text}, &f->screen);
    cJSON_free(text);
    cJSON_Delete(line);
}

/* ---- the verdict ---- */

static enum exit_status status_of_verdict(const struct following *f)
{
    static const struct {
        const char *outcome;
        enum exit_status status;
    } table[] = {
        {"live", EXIT_DONE},
        {"done", EXIT_DONE},
        {"failed", EXIT_FAILED},
        {"rejected", EXIT_REJECTED},       /* by the preflight, or another check */
        {"aborted", EXIT_REJECTED},        /* by a worker */
        {"rolled back", EXIT_ROLLED_BACK}, /* after it was live, if only in some */
        {"timed out", EXIT_PARTIAL},
        {"interrupted", EXIT_PARTIAL}, /* the server itself was ended in its midst */
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (!json_is(f->verdict, "verdict", table[i].outcome))
            continue;
        return table[i].status == EXIT_FAILED && f->has_changed ? EXIT_PARTIAL : table[i].status;
    }
    return EXIT_PARTIAL; /* of a newer server: that nothing was changed would be a guess */
}

/* Without waiting: that it has begun is all there is to say. */
static enum exit_status begun(struct following *f)
{
    char name[224], sentence[320], text[48];

    if (f->deploy == 0) {
        f->ctl->out->done(&(struct report){NULL, "{\"begun\":true}"},
                          "begun; it goes on in the server");
        return EXIT_DONE;
    }
    snprintf(sentence, sizeof sentence, "%s has begun; `reevectl show %.0f` tells how it ends",
             name_of(f, name, sizeof name), f->deploy);
    snprintf(text, sizeof text, "{\"begun\":true,\"deploy\":%.0f}", f->deploy);
    f->ctl->out->done(&(struct report){NULL, text}, sentence);
    return EXIT_DONE;
}

/* ---- after the connection is lost ---- */

/* Workers that the receipt has more of than before. */
static void tell_workers(struct following *f, const cJSON *receipt)
{
    const cJSON *workers = json_at(receipt, "workers");
    int count = cJSON_GetArraySize(workers);

    for (int i = f->shown; i < count; i++) {
        const cJSON *worker = cJSON_GetArrayItem(workers, i);
        cJSON *line = cJSON_CreateObject();

        cJSON_AddStringToObject(line, "step", "ready");
        cJSON_AddNumberToObject(line, "worker", json_number(worker, "id"));
        cJSON_AddNumberToObject(line, "incarnation", json_number(worker, "incarnation"));
        tell(f, line);
    }
    f->shown = count > f->shown ? count : f->shown;
}

/* Of a receipt that is no longer "running", as the server would have ended its stream. */
static void verdict_from(struct following *f, cJSON *receipt)
{
    cJSON *line = cJSON_CreateObject();
    char *text;

    cJSON_AddStringToObject(line, "verdict", json_text(receipt, "outcome"));
    cJSON_AddNumberToObject(line, "deploy", f->deploy);
    if (json_at(receipt, "reason") != NULL)
        cJSON_AddStringToObject(line, "reason", json_text(receipt, "reason"));
    cJSON_AddItemToObject(line, "receipt", receipt);
    text = cJSON_PrintUnformatted(line);
    take_verdict(f, line, text == NULL ? "" : text);
    cJSON_free(text);
}

/* CLIENT_DONE with the receipt, NULL if the server knows no such deployment; or no answer of
 * use. */
static enum client_end ask_receipt(struct following *f, struct client *client, cJSON **receipt_out)
{
    uint64_t until = clock_ns() + ANSWER_PATIENCE * NS_PER_SEC;
    struct client_answer answer = {.text = NULL};
    enum client_end end;
    char path[48];

    *receipt_out = NULL;
    snprintf(path, sizeof path, "/v1/deploys/%.0f", f->deploy);
    until = f->deadline != 0 && f->deadline < until ? f->deadline : until;
    end = client_open_until(client, request_socket(f->ctl), until);
    if (end == CLIENT_DONE)
        end = client_call(client, "GET", path, NULL, NULL, NULL, &answer);
    client_close(client);
    if (end == CLIENT_DONE && answer.status == 200)
        *receipt_out = cJSON_Parse(answer.text);
    if (end == CLIENT_DONE && *receipt_out == NULL && answer.status != 404) {
        snprintf(client->reason, sizeof client->reason, "it answers with status %d", answer.status);
        end = CLIENT_FAILED;
    }
    client_answer_free(&answer);
    return end;
}

static enum exit_status say_gone(struct following *f, const struct client *client)
{
    const char *why = client->reason[0] != '\0' ? client->reason : "no answer";
    char name[224];

    name_of(f, name, sizeof name);
    if (f->has_execed)
        say(f, "not back",
            "reeve has not come back within %d s of the exec in %s (%s at %s): its log tells why",
            UPGRADE_PATIENCE, name, why, request_socket(f->ctl));
    else
        say(f, "connection lost",
            "reeve has gone in the midst of %s (%s at %s); once it runs again, `reevectl show "
            "%.0f` tells how it ended",
            name, why, request_socket(f->ctl), f->deploy);
    return EXIT_PARTIAL;
}

static enum exit_status say_unknown(struct following *f)
{
    char name[224];

    say(f, "unknown deployment",
        "the connection broke, and the server that answers now knows nothing of %s: how it ended "
        "is not known, `reevectl status` tells what serves",
        name_of(f, name, sizeof name));
    return EXIT_PARTIAL;
}

/* Until the receipt tells the outcome; bounded by the patience with a server that does not
 * answer. */
static enum exit_status watch_receipt(struct following *f, uint64_t patience)
{
    uint64_t give_up = clock_ns() + patience * NS_PER_SEC;
    struct client client;

    for (;;) {
        cJSON *receipt;
        enum client_end end = ask_receipt(f, &client, &receipt);

        client.is_sent = true; /* the action was */
        if (end == CLIENT_DONE && receipt == NULL)
            return say_unknown(f);
        if (receipt != NULL) {
            give_up = clock_ns() + patience * NS_PER_SEC;
            tell_workers(f, receipt);
            if (!json_is(receipt, "outcome", "running")) {
                verdict_from(f, receipt);
                return status_of_verdict(f);
            }
            cJSON_Delete(receipt);
        }
        if (end != CLIENT_INTERRUPTED && clock_ns() < give_up)
            end = client_pause(PAUSE);
        if (end == CLIENT_INTERRUPTED || (f->deadline != 0 && clock_ns() >= f->deadline))
            return stop_waiting(f, &client, end);
        if (clock_ns() >= give_up)
            return say_gone(f, &client);
    }
}

/* Whether the server that hung up on us is still there: CLIENT_NOT_RUNNING, if not. One that is
 * dying may accept a connection yet, and hang up again. */
static enum client_end look_for_server(struct following *f, struct client *client)
{
    uint64_t give_up = clock_ns() + LOST_PATIENCE * NS_PER_SEC;
    enum client_end end;

    do {
        struct client_answer answer = {.text = NULL};

        end = client_open(client, request_socket(f->ctl), ANSWER_PATIENCE);
        if (end == CLIENT_DONE)
            end = client_call(client, "GET", "/v1/status", NULL, NULL, NULL, &answer);
        client_close(client);
        client_answer_free(&answer);
    } while (end == CLIENT_LOST && clock_ns() < give_up && client_pause(PAUSE) == CLIENT_DONE);
    return end;
}

/* Neither a number nor a verdict has come: was it begun? */
static enum exit_status lost_early(struct following *f, const struct client *lost)
{
    struct client client;

    if (f->has_begun) {
        say(f, "connection lost",
            "the connection was lost before the action was over: whether it was completed is not "
            "known here, `reevectl status` tells");
        return EXIT_PARTIAL;
    }
    if (!lost->is_sent) {
        say(f, "connection lost", "the server hung up on the request; nothing was begun");
        return EXIT_FAILED;
    }
    if (look_for_server(f, &client) == CLIENT_NOT_RUNNING) {
        say(f, "not running",
            "reeve hung up without an answer and is not running any more (%s at %s); whether it "
            "had begun is not known",
            client.reason, request_socket(f->ctl));
        return EXIT_NOT_RUNNING;
    }
    say(f, "connection lost",
        "the server hung up without an answer: it is not known whether it was begun, `reevectl "
        "history` tells");
    return EXIT_PARTIAL;
}

static enum exit_status lost(struct following *f, const struct client *client)
{
    cJSON *line;

    if (f->deploy == 0)
        return lost_early(f, client);
    f->has_changed = f->has_changed || f->has_execed;
    line = cJSON_CreateObject();
    cJSON_AddStringToObject(line, "step", "reconnect");
    if (!f->has_execed)
        cJSON_AddStringToObject(line, "reason", "the connection broke");
    tell(f, line);
    return watch_receipt(f, f->has_execed ? UPGRADE_PATIENCE : LOST_PATIENCE);
}

/* ---- all of it ---- */

/* The call has come to an end of its own: a stream that was closed, a refusal. */
static enum exit_status conclude(struct following *f, const struct client *client,
                                 const struct client_answer *answer)
{
    enum exit_status status;
    cJSON *json;

    if (f->verdict != NULL)
        return status_of_verdict(f);
    if (answer->is_stream && answer->status == 200) {
        if (f->ctl->options[OPTION_NO_WAIT].is_given && f->has_begun)
            return begun(f);
        return lost(f, client);
    }
    status = request_judge(f->ctl, answer, &json);
    cJSON_Delete(json);
    if (status == EXIT_DONE) {
        f->ctl->out->failure("failed", "what answers there is not reeve, or is no reeve of now");
        status = EXIT_FAILED;
    }
    return status;
}

static enum exit_status call(struct following *f, const char *body)
{
    struct wish wish = {.method = "POST", .path = f->errand->path, .is_action = true};
    struct client_answer answer = {.text = NULL};
    enum exit_status status;
    struct client client;
    enum client_end end;

    end = client_open_until(&client, request_socket(f->ctl), f->deadline);
    if (end == CLIENT_DONE)
        end = client_call(&client, wish.method, wish.path, body, on_line, f, &answer);
    client_close(&client);
    if (f->verdict != NULL || end == CLIENT_DONE)
        status = conclude(f, &client, &answer);
    else if (end == CLIENT_INTERRUPTED || end == CLIENT_TIMED_OUT)
        status = stop_waiting(f, &client, end);
    else if (end == CLIENT_LOST || (end == CLIENT_FAILED && f->has_begun))
        status = lost(f, &client);
    else
        status = request_end(f->ctl, &wish, &client, end);
    client_answer_free(&answer);
    return status;
}

enum exit_status follow(struct ctl *ctl, struct errand *errand)
{
    const struct option_value *timeout = &ctl->options[OPTION_TIMEOUT];
    struct following f = {.ctl = ctl, .errand = errand};
    char *body = cJSON_PrintUnformatted(errand->body);
    enum exit_status status = EXIT_FAILED;

    if (timeout->is_given)
        f.deadline = clock_ns() + (uint64_t)(timeout->number * (double)NS_PER_SEC);
    client_catch_interrupt();
    if (body == NULL)
        ctl->out->failure("failed", "memory has run out");
    else
        status = call(&f, body);
    ctl->out->leave(&f.screen);
    cJSON_free(body);
    cJSON_Delete(errand->body);
    errand->body = NULL;
    cJSON_Delete(f.verdict);
    return status;
}
