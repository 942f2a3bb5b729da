/* text_stacks.c: what waits, and where: those that wait in the same place together. */
#include "text.h"

#include <stdlib.h>
#include <string.h>

#define SHOWN 5 /* of those that wait in one place */

struct waiting {
    const cJSON *item;
    char *place; /* alike for those that belong together */
    size_t index;
};

struct group {
    const struct waiting *first; /* ... and oldest */
    size_t count;
};

/* ---- the calls that are shown ---- */

static bool is_servers(const cJSON *frame)
{
    return json_is(frame, "object", "reeve");
}

/* The server's own calls say nothing of the application; unless there are no others. */
static bool has_others(const cJSON *backtrace)
{
    const cJSON *frame;

    cJSON_ArrayForEach (frame, backtrace) {
        if (!is_servers(frame))
            return true;
    }
    return false;
}

/* ---- who belongs together ---- */

static char *place_of(const cJSON *item)
{
    static const char *const members[] = {"app", "generation", "phase", "step", "task", "waits_in"};
    const cJSON *backtrace = json_at(item, "backtrace"), *frame;
    cJSON *place = cJSON_CreateObject(), *calls = cJSON_AddArrayToObject(place, "calls");
    bool is_servers_shown = !has_others(backtrace);
    char *text;

    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        const cJSON *member = json_at(item, members[i]);

        if (member != NULL)
            cJSON_AddItemToObject(place, members[i], cJSON_Duplicate(member, false));
    }
    cJSON_ArrayForEach (frame, backtrace) {
        if (is_servers_shown || !is_servers(frame))
            cJSON_AddItemToArray(calls, cJSON_Duplicate(frame, true));
    }
    text = cJSON_PrintUnformatted(place);
    cJSON_Delete(place);
    return text;
}

static int compare_waiting(const void *one, const void *two)
{
    const struct waiting *a = one, *b = two;
    int places = strcmp(a->place, b->place);

    return places != 0 ? places : (a->index > b->index) - (a->index < b->index);
}

static int compare_groups(const void *one, const void *two)
{
    const struct group *a = one, *b = two;

    return (a->first->index > b->first->index) - (a->first->index < b->first->index);
}

/* How many there are; `groups` has room for as many as there are `waiting`, which get sorted. */
static size_t group(struct waiting *waiting, size_t count, struct group *groups)
{
    size_t n = 0;

    qsort(waiting, count, sizeof waiting[0], compare_waiting);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || strcmp(waiting[i].place, waiting[i - 1].place) != 0)
            groups[n++] = (struct group){.first = &waiting[i]};
        groups[n - 1].count++;
    }
    qsort(groups, n, sizeof groups[0], compare_groups);
    return n;
}

/* ---- a group ---- */

static const char *kind_of(const cJSON *item)
{
    if (json_at(item, "task") != NULL)
        return "task";
    return json_at(item, "step") != NULL ? "init" : "request";
}

/* "3 requests of hello 2 wait in reeve_sleep", "1 task poll of hello 2 waits in reeve_await" */
static void print_what(const struct group *group)
{
    const cJSON *item = group->first->item;
    const char *call = json_text(item, "waits_in"), *task = json_text(item, "task");
    bool is_one = group->count == 1;

    printf("%s%zu %s%s%s", human_colour(stdout, COLOUR_BOLD), group->count, kind_of(item),
           is_one ? "" : "s", task[0] != '\0' ? " " : "");
    human_print_line(stdout, task);
    printf(" of ");
    human_print_line(stdout, json_text(item, "app"));
    printf(" %.0f %s%s", json_number(item, "generation"),
           json_is(item, "phase", "running") ? "run" : "wait", is_one ? "s" : "");
    if (call[0] != '\0') {
        printf(" in ");
        human_print_line(stdout, call);
    }
    printf("%s\n", human_colour(stdout, COLOUR_NONE));
}

static void print_one(const cJSON *item)
{
    char age[32], waited[32];

    printf("  ");
    if (json_text(item, "id")[0] != '\0') {
        human_print_line(stdout, json_text(item, "id"));
        putchar(' ');
        human_print_line(stdout, json_text(item, "method"));
        putchar(' ');
        human_print_line(stdout, json_text(item, "path"));
        printf("  ");
    }
    printf("worker %.0f.%.0f", json_number(item, "worker"), json_number(item, "incarnation"));
    if (json_at(item, "of_request") != NULL) {
        printf(", of request ");
        human_print_line(stdout, json_text(item, "of_request"));
    }
    if (json_at(item, "age") != NULL)
        printf(", %s", human_seconds(json_number(item, "age"), age, sizeof age));
    if (json_at(item, "waited") != NULL)
        printf(", waits %s", human_seconds(json_number(item, "waited"), waited, sizeof waited));
    putchar('\n');
}

static void print_calls(const cJSON *backtrace)
{
    bool is_servers_shown = !has_others(backtrace);
    const char *last_object = "";
    const cJSON *frame;

    cJSON_ArrayForEach (frame, backtrace) {
        if (!is_servers_shown && is_servers(frame))
            continue;
        text_print_frame(frame, last_object);
        last_object = json_text(frame, "object");
    }
}

static void print_group(const struct group *group)
{
    print_what(group);
    for (size_t i = 0; i < group->count && i < SHOWN; i++)
        print_one(group->first[i].item);
    if (group->count > SHOWN)
        printf("  and %zu more\n", group->count - SHOWN);
    print_calls(json_at(group->first->item, "backtrace"));
    putchar('\n');
}

/* ---- all of them ---- */

static void print_groups(const cJSON *list)
{
    size_t room = (size_t)cJSON_GetArraySize(list) + 1, count = 0, groups_count;
    struct waiting *waiting = calloc(room, sizeof waiting[0]);
    struct group *groups = calloc(room, sizeof groups[0]);
    const cJSON *item;

    cJSON_ArrayForEach (item, list) {
        char *place = waiting != NULL && groups != NULL ? place_of(item) : NULL;

        if (place == NULL) /* without memory those that there is some for */
            break;
        waiting[count] = (struct waiting){.item = item, .place = place, .index = count};
        count++;
    }
    groups_count = count > 0 ? group(waiting, count, groups) : 0;
    for (size_t i = 0; i < groups_count; i++)
        print_group(&groups[i]);
    for (size_t i = 0; i < count; i++)
        cJSON_free(waiting[i].place);
    free(waiting);
    free(groups);
}

static void print_silent(const cJSON *workers)
{
    const cJSON *worker;

    cJSON_ArrayForEach (worker, workers) {
        if (cJSON_IsTrue(json_at(worker, "ok")))
            continue;
        printf("%sworker %.0f.%.0f ", human_colour(stdout, COLOUR_YELLOW),
               json_number(worker, "id"), json_number(worker, "incarnation"));
        human_print_line(stdout, json_text(worker, "reason"));
        printf("%s\n", human_colour(stdout, COLOUR_NONE));
    }
}

void text_stacks(const struct report *report)
{
    const cJSON *list = json_at(report->json, "stacks");

    print_groups(list);
    if (json_number(report->json, "left_out") > 0)
        printf("%.0f more are not told of\n", json_number(report->json, "left_out"));
    else if (cJSON_GetArraySize(list) == 0)
        printf("no request waits\n");
    print_silent(json_at(report->json, "workers"));
}
