/* output_text.c: for people: tables, sentences, colours where the terminal has them. */
#include "text.h"

/* ---- the configuration ---- */

static void print_value(const cJSON *value)
{
    char *text = cJSON_PrintUnformatted(value);

    human_print(stdout, text == NULL ? "?" : text);
    cJSON_free(text);
}

static void print_section(const char *kind, const char *name, const cJSON *section)
{
    const cJSON *item;

    printf("%s \"", kind);
    human_print(stdout, name);
    printf("\" {\n");
    cJSON_ArrayForEach (item, section) {
        printf("    %s = ", json_name(item));
        print_value(item);
        putchar('\n');
    }
    printf("}\n");
}

/* In the order and the words of the configuration file; durations in seconds, sizes in bytes. */
static void text_config(const struct report *report)
{
    const cJSON *item, *inner;

    cJSON_ArrayForEach (item, report->json) {
        if (cJSON_IsArray(item) || cJSON_IsObject(item)) {
            cJSON_ArrayForEach (inner, item) {
                const char *name = inner->string;

                print_section(json_name(item), name != NULL ? name : json_text(inner, "address"),
                              inner);
            }
            continue;
        }
        printf("%-16s = ", json_name(item));
        print_value(item);
        putchar('\n');
    }
}

/* ---- a word on what was done ---- */

static void text_done(const struct report *report, const char *sentence)
{
    (void)report;
    human_print(stdout, sentence);
    putchar('\n');
}

static void text_failure(const char *error, const char *detail)
{
    fflush(stdout);
    fputs("reevectl: ", stderr);
    human_print(stderr, detail[0] != '\0' ? detail : error);
    fputc('\n', stderr);
}

const struct output output_text = {
    .status = text_status,
    .stats = text_stats,
    .workers = text_workers,
    .apps = text_apps,
    .app = text_app,
    .config = text_config,
    .history = text_history,
    .incidents = text_incidents,
    .incident = text_incident,
    .worker = text_worker,
    .stacks = text_stacks,
    .receipt = text_receipt,
    .progress = text_progress,
    .verdict = text_verdict,
    .leave = text_leave,
    .done = text_done,
    .failure = text_failure,
};
