/* text_receipt.c: a deployment in full: what `reevectl show 7` prints. */
#include "text.h"

#include <string.h>

static void print_requester(const cJSON *receipt)
{
    char who[64], when[48];

    text_label("asked by");
    human_print_line(stdout, json_at(receipt, "asked_by") == NULL
                                 ? "the server itself"
                                 : text_requester(receipt, who, sizeof who));
    if (json_number(receipt, "asked_by.pid") > 0)
        printf(" (pid %.0f)", json_number(receipt, "asked_by.pid"));
    printf(", %s\n", human_when(json_number(receipt, "began_at"), when, sizeof when));
}

/* "0.31 s: preflight 0.10 s, prepare 12.1 ms, ..." */
static void print_seconds(const cJSON *seconds)
{
    const char *separator = ": ";
    const cJSON *part;
    char text[32];

    if (cJSON_GetArraySize(seconds) == 0)
        return;
    text_label("took");
    fputs(human_seconds(json_number(seconds, "total"), text, sizeof text), stdout);
    cJSON_ArrayForEach (part, seconds) {
        if (strcmp(json_name(part), "total") == 0 || json_number(part, "") <= 0)
            continue;
        fputs(separator, stdout);
        human_print_line(stdout, json_name(part));
        printf(" %s", human_seconds(json_number(part, ""), text, sizeof text));
        separator = ", ";
    }
    putchar('\n');
}

static enum colour colour_of(const char *outcome)
{
    if (strcmp(outcome, "live") == 0 || strcmp(outcome, "done") == 0)
        return COLOUR_GREEN;
    return strcmp(outcome, "running") == 0 ? COLOUR_YELLOW : COLOUR_RED;
}

static void print_head(const cJSON *receipt)
{
    const char *outcome = json_text(receipt, "outcome");

    printf("%sdeployment %.0f%s: ", human_colour(stdout, COLOUR_BOLD),
           json_number(receipt, "deploy"), human_colour(stdout, COLOUR_NONE));
    human_print_line(stdout, json_text(receipt, "action"));
    printf(": ");
    text_coloured(colour_of(outcome), outcome);
    putchar('\n');
    print_requester(receipt);
    print_seconds(json_at(receipt, "seconds"));
    text_line("reason", json_text(receipt, "reason"));
}

static void print_handover(const cJSON *handover)
{
    const char *reason = json_text(handover, "reason");

    if (!cJSON_IsObject(handover))
        return;
    text_label("  handover");
    printf("the state went over in %.0f worker%s", json_number(handover, "done"),
           json_number(handover, "done") == 1 ? "" : "s");
    if (json_number(handover, "refused") > 0)
        printf(", in %.0f not", json_number(handover, "refused"));
    if (reason[0] != '\0')
        printf(": ");
    human_print_line(stdout, reason);
    putchar('\n');
}

static void print_generation(const char *label, double generation)
{
    if (generation <= 0)
        return;
    text_label(label);
    printf("generation %.0f\n", generation);
}

static void print_app(const cJSON *app)
{
    const char *outcome = json_text(app, "outcome");
    char size[32];

    putchar('\n');
    text_print_app(app);
    printf(": ");
    text_coloured(colour_of(outcome), outcome);
    putchar('\n');
    print_generation("  before", json_number(app, "from"));
    print_generation("  module of", json_number(app, "rollback_to"));
    text_line("  reason", json_text(app, "reason"));
    text_line("  module", json_text(app, "module"));
    if (json_number(app, "size") > 0)
        text_line("  size", human_bytes(json_number(app, "size"), size, sizeof size));
    text_line("  build id", json_text(app, "build_id"));
    text_line("  sha256", json_text(app, "sha256"));
    print_handover(json_at(app, "handover"));
    text_print_output(app);
}

static void add_flag(struct table *table, const cJSON *worker, const char *name)
{
    const cJSON *flag = json_at(worker, name);

    table_cell(table, cJSON_IsFalse(flag) ? COLOUR_RED : COLOUR_NONE, "%s",
               cJSON_IsTrue(flag)    ? "yes"
               : cJSON_IsFalse(flag) ? "no"
                                     : "-");
}

static void print_workers(const cJSON *workers)
{
    struct table *table;
    const cJSON *worker;

    if (cJSON_GetArraySize(workers) == 0)
        return;
    putchar('\n');
    table = table_new(">WORKER|PREPARED|>TIME|COMMITTED|UNLOADED|REASON");
    cJSON_ArrayForEach (worker, workers) {
        table_cell(table, COLOUR_NONE, "%.0f.%.0f", json_number(worker, "id"),
                   json_number(worker, "incarnation"));
        add_flag(table, worker, "ok");
        text_cell_seconds(table, worker, "seconds");
        add_flag(table, worker, "committed");
        add_flag(table, worker, "unloaded");
        text_cell(table, worker, "reason");
    }
    table_print(table, stdout);
}

/* "canary on worker 0, 1 for 30 s: taken back: REASON" */
static void print_canary(const cJSON *canary)
{
    const char *separator = "\ncanary on worker ", *reason = json_text(canary, "reason");
    const cJSON *worker;

    if (!cJSON_IsObject(canary))
        return;
    cJSON_ArrayForEach (worker, json_at(canary, "workers")) {
        printf("%s%.0f", separator, json_number(worker, ""));
        separator = ", ";
    }
    printf("%s for %g s: ", separator[0] == '\n' ? "\ncanary" : "", json_number(canary, "seconds"));
    human_print_line(stdout, json_text(canary, "verdict"));
    if (reason[0] != '\0')
        printf(": ");
    human_print_line(stdout, reason);
    putchar('\n');
    text_print_canary(canary);
}

void text_receipt(const struct report *report)
{
    const cJSON *receipt = report->json, *app;

    print_head(receipt);
    cJSON_ArrayForEach (app, json_at(receipt, "apps")) {
        print_app(app);
    }
    print_workers(json_at(receipt, "workers"));
    print_canary(json_at(receipt, "canary"));
    text_print_held(json_at(receipt, "held"));
}
