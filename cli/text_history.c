/* text_history.c: the deployments so far, a row an application each. */
#include "text.h"

#include <string.h>

static enum colour colour_of(const char *outcome)
{
    if (strcmp(outcome, "live") == 0 || strcmp(outcome, "done") == 0)
        return COLOUR_NONE;
    return strcmp(outcome, "running") == 0 ? COLOUR_YELLOW : COLOUR_RED;
}

/* "hello 1->2 1.0.1"; an app's first generation is "hello 1 1.0.0". */
static void add_app(struct table *table, const cJSON *app)
{
    char from[32] = "";

    if (app == NULL) {
        table_cell(table, COLOUR_NONE, "-");
        return;
    }
    if (json_number(app, "from") > 0)
        snprintf(from, sizeof from, "%.0f->", json_number(app, "from"));
    table_cell(table, COLOUR_NONE, "%.40s %s%.0f %.16s", json_text(app, "app"), from,
               json_number(app, "generation"), json_text(app, "version"));
}

static void add_first_row(struct table *table, const cJSON *receipt, const cJSON *app)
{
    const char *outcome = json_text(receipt, "outcome");
    char text[64];

    text_cell_number(table, receipt, "deploy");
    table_cell(table, COLOUR_NONE, "%s",
               human_when(json_number(receipt, "began_at"), text, sizeof text));
    text_cell(table, receipt, "kind");
    add_app(table, app);
    table_cell(table, colour_of(outcome), "%s", outcome);
    table_cell(table, COLOUR_NONE, "%s", text_requester(receipt, text, sizeof text));
    if (json_number(receipt, "seconds.total") > 0)
        text_cell_seconds(table, receipt, "seconds.total");
    else
        table_cell(table, COLOUR_NONE, "-");
}

/* Another application of the same deployment: only that column says anything. */
static void add_further_row(struct table *table, const cJSON *app)
{
    for (int i = 0; i < 3; i++)
        table_cell(table, COLOUR_NONE, "%s", "");
    add_app(table, app);
    for (int i = 0; i < 3; i++)
        table_cell(table, COLOUR_NONE, "%s", "");
}

void text_history(const struct report *report)
{
    const cJSON *deploys = json_at(report->json, "deploys"), *receipt, *app;
    struct table *table;

    if (cJSON_GetArraySize(deploys) == 0) {
        printf("there is no deployment of that\n");
        return;
    }
    table = table_new(">DEPLOY|?WHEN|KIND|APPLICATION|OUTCOME|?BY|>TOOK");
    cJSON_ArrayForEach (receipt, deploys) {
        const cJSON *apps = json_at(receipt, "apps");
        const cJSON *first = cJSON_GetArrayItem(apps, 0);

        add_first_row(table, receipt, first);
        for (app = first == NULL ? NULL : first->next; app != NULL; app = app->next)
            add_further_row(table, app);
    }
    table_print(table, stdout);
}
