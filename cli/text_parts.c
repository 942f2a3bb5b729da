/* text_parts.c: what several views of deployments show: what holds old code, a canary's figures,
 * what a build said, who asked. */
#include "text.h"

#include <pwd.h>
#include <string.h>

/* ---- what old code is held by ---- */

/* {"kind","waits_in","site","count"}, or {"reason","count"}; what is not told is "-". */
static void add_reason(struct table *table, const cJSON *entry)
{
    static const char *const texts[] = {"kind", "waits_in", "site"};

    text_cell_count(table, entry, "count", COLOUR_NONE);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *text = json_text(entry, texts[i]);

        if (i == 0 && text[0] == '\0')
            text = json_text(entry, "reason");
        table_cell(table, COLOUR_NONE, "%s", text[0] == '\0' ? "-" : text);
    }
}

#define REASONS ">COUNT|KIND|WAITS IN|WHERE"

/* {"app","generation","worker","count","by":[...],"reason"}: a row each of "by", or one for all. */
static void add_holder(struct table *table, const cJSON *holder)
{
    const cJSON *by = json_at(holder, "by"), *entry = cJSON_GetArrayItem(by, 0);

    do {
        text_cell(table, holder, "app");
        text_cell_number(table, holder, "generation");
        text_cell_number(table, holder, "worker");
        add_reason(table, entry != NULL ? entry : holder);
        entry = entry != NULL ? entry->next : NULL;
    } while (entry != NULL);
}

void text_print_held(const cJSON *held)
{
    struct table *table;
    const cJSON *holder;

    if (cJSON_GetArraySize(held) == 0)
        return;
    printf("\nthe old code is still held by\n");
    table = table_new("APP|>GENERATION|>WORKER|" REASONS);
    cJSON_ArrayForEach (holder, held) {
        add_holder(table, holder);
    }
    table_print(table, stdout);
}

/* {"generation","held","by":[...]}, the same of all workers together. */
static void add_generation(struct table *table, const char *app, const cJSON *generation)
{
    const cJSON *entry = cJSON_GetArrayItem(json_at(generation, "by"), 0);
    cJSON *sum = cJSON_CreateObject(); /* by what is not told */

    cJSON_AddNumberToObject(sum, "count", json_number(generation, "held"));
    do {
        table_cell(table, COLOUR_NONE, "%s", app);
        text_cell_number(table, generation, "generation");
        add_reason(table, entry != NULL ? entry : sum);
        entry = entry != NULL ? entry->next : NULL;
    } while (entry != NULL);
    cJSON_Delete(sum);
}

/* How many generations before the current one something holds; a row or more each goes to `table`
 * unless it is NULL. */
static int count_held(struct table *table, const char *name, const cJSON *app)
{
    const cJSON *generation;
    int count = 0;

    cJSON_ArrayForEach (generation, json_at(app, "generations")) {
        if (json_number(generation, "generation") >= json_number(app, "generation") ||
            json_number(generation, "held") <= 0)
            continue;
        count++;
        if (table != NULL)
            add_generation(table, name, generation);
    }
    return count;
}

void text_print_apps_held(const cJSON *apps)
{
    struct table *table;
    const cJSON *app;
    int count = 0;

    cJSON_ArrayForEach (app, apps) {
        count += count_held(NULL, "", app);
    }
    if (count == 0)
        return;
    printf("\nold code is still held by\n");
    table = table_new("APP|>GENERATION|" REASONS);
    cJSON_ArrayForEach (app, apps) {
        count_held(table, json_name(app), app);
    }
    table_print(table, stdout);
}

void text_print_app_held(const char *name, const cJSON *app)
{
    struct table *table;

    if (count_held(NULL, name, app) == 0)
        return;
    printf("\nold code is still held by\n");
    table = table_new("APP|>GENERATION|" REASONS);
    count_held(table, name, app);
    table_print(table, stdout);
}

/* ---- a canary ---- */

static void add_share(struct table *table, const cJSON *figures)
{
    table_cell(table, COLOUR_NONE, "%.2f%%", 100 * json_number(figures, "error_rate"));
}

void text_print_canary(const cJSON *canary)
{
    static const char *const counts[] = {"requests", "errors", "crashes", "hangs"};
    static const char *const times[] = {"p50", "p95", "p99"};
    const cJSON *old = json_at(canary, "old"), *new = json_at(canary, "new");
    struct table *table = table_new("CANARY|>OLD CODE|>NEW CODE");

    table_cell(table, COLOUR_NONE, "generation");
    text_cell_number(table, old, "generation");
    text_cell_number(table, new, "generation");
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        table_cell(table, COLOUR_NONE, "%s", counts[i]);
        text_cell_count(table, old, counts[i], COLOUR_NONE);
        text_cell_count(table, new, counts[i], i == 0 ? COLOUR_NONE : COLOUR_RED);
    }
    table_cell(table, COLOUR_NONE, "error rate");
    add_share(table, old);
    add_share(table, new);
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        table_cell(table, COLOUR_NONE, "%s", times[i]);
        text_cell_seconds(table, old, times[i]);
        text_cell_seconds(table, new, times[i]);
    }
    table_print(table, stdout);
}

/* ---- what a build said ---- */

void text_print_output(const cJSON *app)
{
    const char *output = json_text(app, "stderr");
    const cJSON *warning;

    cJSON_ArrayForEach (warning, json_at(app, "warnings")) {
        if (cJSON_IsString(warning)) {
            printf("  %swarning%s: ", human_colour(stdout, COLOUR_YELLOW),
                   human_colour(stdout, COLOUR_NONE));
            human_print_line(stdout, json_text(warning, ""));
            putchar('\n');
        }
    }
    if (output[0] == '\0')
        return;
    printf("  what it said while it was tried:\n");
    human_print(stdout, output);
    if (output[strlen(output) - 1] != '\n')
        putchar('\n');
}

/* ---- who asked ---- */

const char *text_requester(const cJSON *receipt, char *text, size_t size)
{
    const cJSON *by = json_at(receipt, "asked_by");
    const struct passwd *user;

    if (json_text(by, "signal")[0] != '\0') {
        snprintf(text, size, "%s", json_text(by, "signal"));
    } else if (cJSON_IsNumber(json_at(by, "uid"))) {
        user = getpwuid((uid_t)(int64_t)json_number(by, "uid"));
        if (user != NULL)
            snprintf(text, size, "%s", user->pw_name);
        else
            snprintf(text, size, "%.0f", json_number(by, "uid"));
    } else {
        snprintf(text, size, "-");
    }
    return text;
}
