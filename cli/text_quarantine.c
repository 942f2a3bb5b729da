/* text_quarantine.c: the routes that are answered 503 since they killed workers. */
#include "text.h"

static void cell_path(struct table *table, const cJSON *entry)
{
    table_cell(table, COLOUR_RED, "%s%s", json_text(entry, "path"),
               cJSON_IsTrue(json_at(entry, "is_prefix")) ? "*" : "");
}

void text_print_quarantine(const cJSON *quarantine)
{
    struct table *table;
    const cJSON *entry;
    char age[32];

    if (cJSON_GetArraySize(quarantine) == 0)
        return;
    printf("\nanswered 503, since they killed workers (`reevectl lift APP PATH`)\n");
    table = table_new("APP|>GENERATION|PATH|>KILLS|>REFUSED|SERVED IN");
    cJSON_ArrayForEach (entry, quarantine) {
        text_cell(table, entry, "app");
        text_cell_number(table, entry, "generation");
        cell_path(table, entry);
        text_cell_count(table, entry, "kills", COLOUR_NONE);
        text_cell_count(table, entry, "refused", COLOUR_NONE);
        table_cell(table, COLOUR_NONE, "%s",
                   human_age(json_number(entry, "remaining"), age, sizeof age));
    }
    table_print(table, stdout);
}
