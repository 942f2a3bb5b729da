/* text_verdict.c: how an action ended, told to whoever followed it: each application's part, then
 * one line on the whole. text_receipt.c has the same in full. */
#include "text.h"

#include <string.h>

static bool is_well(const char *outcome)
{
    return strcmp(outcome, "live") == 0 || strcmp(outcome, "done") == 0;
}

static enum colour colour_of(const char *outcome)
{
    return is_well(outcome) ? COLOUR_GREEN : COLOUR_RED;
}

/* "hello generation 2 (1.0.1): rejected: REASON" */
static void print_app(const cJSON *app)
{
    const char *outcome = json_text(app, "outcome"), *reason = json_text(app, "reason");

    text_print_app(app);
    printf(": ");
    text_coloured(colour_of(outcome), outcome);
    if (reason[0] != '\0')
        printf(": ");
    human_print(stdout, reason);
    if (json_number(app, "from") > 0 && is_well(outcome))
        printf(", before: generation %.0f", json_number(app, "from"));
    putchar('\n');
    text_print_output(app);
}

static bool is_told(const cJSON *apps, const char *reason)
{
    const cJSON *app;

    cJSON_ArrayForEach (app, apps) {
        if (json_is(app, "reason", reason))
            return true;
    }
    return false;
}

static const char *plural(int count)
{
    return count == 1 ? "" : "s";
}

/* What a good end means, by the kind of the action. */
static void print_success(const cJSON *receipt, const char *verdict, int workers)
{
    if (json_is(receipt, "kind", "config"))
        printf("the new configuration is in force");
    else if (json_is(receipt, "kind", "upgrade"))
        printf("the new binary runs");
    else if (json_is(receipt, "kind", "drain"))
        printf("drained");
    else if (json_is(receipt, "kind", "resume"))
        printf("takes connections again");
    else if (strcmp(verdict, "live") == 0)
        printf("%slive%s in %d worker%s", human_colour(stdout, COLOUR_GREEN),
               human_colour(stdout, COLOUR_NONE), workers, plural(workers));
    else if (strncmp(json_text(receipt, "action"), "a restart of worker ", 20) == 0)
        printf("%s is replaced", json_text(receipt, "action") + strlen("a restart of "));
    else
        printf("all workers are replaced");
}

static void print_seconds(const cJSON *line)
{
    double seconds = json_number(line, "receipt.seconds.total");
    char text[32];

    if (seconds == 0)
        seconds = json_number(line, "seconds");
    if (seconds > 0)
        printf(" after %s", human_seconds(seconds, text, sizeof text));
}

static void print_failure(const cJSON *line, const char *verdict)
{
    const char *reason = json_text(line, "reason");

    if (reason[0] == '\0')
        reason = json_text(line, "receipt.reason");
    if (reason[0] == '\0' && json_is(line, "receipt.kind", "drain"))
        reason = "it is drained, but running requests were cut off at drain_timeout";
    if (reason[0] == '\0' && strcmp(verdict, "timed out") == 0)
        reason = "it is done, but running requests were cut off";
    text_coloured(COLOUR_RED, verdict[0] == '\0' ? "ended with a verdict unknown here" : verdict);
    print_seconds(line);
    if (reason[0] != '\0' && !is_told(json_at(line, "receipt.apps"), reason)) {
        printf(": ");
        human_print(stdout, reason);
    }
    if (strcmp(verdict, "rejected") == 0 || strcmp(verdict, "aborted") == 0 ||
        strcmp(verdict, "rolled back") == 0)
        printf("; what was serving before goes on serving");
}

/* "deployment 7: live in 2 workers after 0.31 s" */
static void print_conclusion(const cJSON *line)
{
    const char *verdict = json_text(line, "verdict");
    const cJSON *receipt = json_at(line, "receipt"), *workers = json_at(receipt, "workers");
    int serving = cJSON_GetArraySize(json_at(line, "workers"));

    if (json_number(line, "deploy") > 0)
        printf("deployment %.0f: ", json_number(line, "deploy"));
    if (is_well(verdict)) {
        print_success(receipt, verdict, cJSON_GetArraySize(workers));
        print_seconds(line);
        if (serving > 0)
            printf("; %d serve%s", serving, serving == 1 ? "s" : "");
    } else {
        print_failure(line, verdict);
    }
    putchar('\n');
}

void text_verdict(const struct report *line, struct screen *screen)
{
    const cJSON *receipt = json_at(line->json, "receipt"), *app;

    text_leave(screen);
    cJSON_ArrayForEach (app, json_at(receipt, "apps")) {
        print_app(app);
    }
    if (cJSON_IsObject(json_at(receipt, "canary"))) {
        putchar('\n');
        text_print_canary(json_at(receipt, "canary"));
    }
    text_print_held(json_at(receipt, "held"));
    if (cJSON_IsObject(json_at(receipt, "canary")) ||
        cJSON_GetArraySize(json_at(receipt, "held")) > 0)
        putchar('\n');
    print_conclusion(line->json);
    fflush(stdout);
}
