/* text.c: see text.h: labels and cells. */
#include "text.h"

void text_label(const char *label)
{
    printf("%s%-12s%s", human_colour(stdout, COLOUR_DIM), label, human_colour(stdout, COLOUR_NONE));
}

void text_line(const char *label, const char *value)
{
    if (value[0] == '\0')
        return;
    text_label(label);
    human_print_line(stdout, value);
    putchar('\n');
}

void text_coloured(enum colour colour, const char *value)
{
    fputs(human_colour(stdout, colour), stdout);
    human_print_line(stdout, value);
    fputs(human_colour(stdout, COLOUR_NONE), stdout);
}

void text_print_app(const cJSON *app)
{
    const char *version = json_text(app, "version");

    human_print_line(stdout, json_text(app, "app"));
    if (json_number(app, "generation") > 0)
        printf(" generation %.0f", json_number(app, "generation"));
    if (version[0] != '\0') {
        printf(" (");
        human_print_line(stdout, version);
        printf(")");
    }
}

const char *text_count(const cJSON *json, const char *path, char text[32])
{
    return human_count(json_number(json, path), text, 32);
}

void text_cell(struct table *table, const cJSON *json, const char *path)
{
    table_cell(table, COLOUR_NONE, "%s", json_text(json, path));
}

void text_cell_number(struct table *table, const cJSON *json, const char *path)
{
    table_cell(table, COLOUR_NONE, "%.0f", json_number(json, path));
}

void text_cell_count(struct table *table, const cJSON *json, const char *path, enum colour colour)
{
    char text[32];

    table_cell(table, json_number(json, path) == 0 ? COLOUR_NONE : colour, "%s",
               text_count(json, path, text));
}

void text_cell_seconds(struct table *table, const cJSON *json, const char *path)
{
    char text[32];

    table_cell(table, COLOUR_NONE, "%s", human_seconds(json_number(json, path), text, sizeof text));
}

void text_cell_bytes(struct table *table, const cJSON *json, const char *path)
{
    char text[32];

    table_cell(table, COLOUR_NONE, "%s", human_bytes(json_number(json, path), text, sizeof text));
}
