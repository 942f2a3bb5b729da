/* output_json.c: everything as it came from the server, a JSON object a line. */
#include "output.h"

#include <stdio.h>
#include <string.h>

static void print_text(const struct report *report)
{
    size_t length = strlen(report->text);

    while (length > 0 && report->text[length - 1] == '\n')
        length--;
    printf("%.*s\n", (int)length, report->text);
    fflush(stdout); /* whoever follows an action reads line by line */
}

static void print_line(const struct report *line, struct screen *screen)
{
    (void)screen;
    print_text(line);
}

static void leave(struct screen *screen)
{
    (void)screen;
}

static void print_done(const struct report *report, const char *sentence)
{
    (void)sentence;
    print_text(report);
}

static void print_failure(const char *error, const char *detail)
{
    cJSON *json = cJSON_CreateObject();
    char *text;

    cJSON_AddStringToObject(json, "error", error);
    cJSON_AddStringToObject(json, "detail", detail);
    text = cJSON_PrintUnformatted(json);
    puts(text == NULL ? "{\"error\":\"memory has run out\"}" : text);
    cJSON_free(text);
    cJSON_Delete(json);
}

const struct output output_json = {
    .status = print_text,
    .stats = print_text,
    .workers = print_text,
    .apps = print_text,
    .app = print_text,
    .config = print_text,
    .history = print_text,
    .incidents = print_text,
    .incident = print_text,
    .worker = print_text,
    .stacks = print_text,
    .receipt = print_text,
    .progress = print_line,
    .verdict = print_line,
    .leave = leave,
    .done = print_done,
    .failure = print_failure,
};
