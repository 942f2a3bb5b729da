/* text_incident.c: requests of the flight recorder, and abnormal ends of workers. */
#include "text.h"

#include <string.h>

/* ---- requests ---- */

static void add_request_of(struct table *table, const cJSON *flight)
{
    table_cell(table, COLOUR_NONE, "%s", json_text(flight, "id"));
    table_cell(table, COLOUR_NONE, "%.40s %.0f", json_text(flight, "app"),
               json_number(flight, "generation"));
    table_cell(table, COLOUR_NONE, "%.10s %.60s", json_text(flight, "method"),
               json_text(flight, "path"));
}

/* "reeve_sleep at slow (x.c:40)", or "running". */
static void add_doing(struct table *table, const cJSON *flight)
{
    const char *call = json_text(flight, "waits_in"), *site = json_text(flight, "site");
    bool is_running = json_is(flight, "phase", "running");

    table_cell(table, is_running ? COLOUR_GREEN : COLOUR_NONE, "%.30s%s%.80s",
               call[0] != '\0' ? call : json_text(flight, "phase"), site[0] != '\0' ? " at " : "",
               site);
}

/* `total` may be more than are told of. */
static void print_in_flight(const cJSON *flights, double total)
{
    int count = cJSON_GetArraySize(flights);
    struct table *table;
    const cJSON *flight;

    if (count == 0 && total > 0)
        printf("\n%.0f in flight: no more is kept of them\n", total);
    if (count == 0)
        return;
    printf("\nin flight\n");
    table = table_new(">AGE|?ID|APP|REQUEST|DOES");
    cJSON_ArrayForEach (flight, flights) {
        text_cell_seconds(table, flight, "age");
        add_request_of(table, flight);
        add_doing(table, flight);
    }
    table_print(table, stdout);
    if (total > count)
        printf("and %.0f more\n", total - count);
}

static void print_ended(const cJSON *flights)
{
    struct table *table;
    const cJSON *flight;

    if (cJSON_GetArraySize(flights) == 0)
        return;
    printf("\nended, the latest first\n");
    table = table_new(">AGO|?ID|APP|REQUEST|>STATUS|>TOOK");
    cJSON_ArrayForEach (flight, flights) {
        text_cell_seconds(table, flight, "in_phase");
        add_request_of(table, flight);
        if (json_number(flight, "status") > 0)
            text_cell_number(table, flight, "status");
        else
            table_cell(table, COLOUR_YELLOW, "cut");
        text_cell_seconds(table, flight, "seconds");
    }
    table_print(table, stdout);
}

static void print_flights(const cJSON *json)
{
    print_in_flight(json_at(json, "in_flight"),
                    json_number(json, "in_flight_count") + json_number(json, "unrecorded"));
    print_ended(json_at(json, "ended"));
}

/* ---- a backtrace ---- */

void text_print_frame(const cJSON *frame, const char *last_object)
{
    const char *function = json_text(frame, "function"), *file = json_text(frame, "file");
    const char *object = json_text(frame, "object");

    if (json_number(frame, "left_out") > 0) {
        printf("  ... %.0f more\n", json_number(frame, "left_out"));
        return;
    }
    printf("  ");
    text_coloured(function[0] != '\0' ? COLOUR_BOLD : COLOUR_NONE,
                  function[0] != '\0' ? function : json_text(frame, "offset"));
    if (file[0] != '\0') {
        printf(" (");
        human_print_line(stdout, file);
        printf(":%.0f)", json_number(frame, "line"));
    }
    if (object[0] != '\0' && strcmp(object, last_object) != 0) {
        printf(" in ");
        human_print_line(stdout, object);
    }
    printf("%s\n", cJSON_IsTrue(json_at(frame, "inlined")) ? ", inlined" : "");
    if (json_number(frame, "repeated") > 0)
        printf("  ... %.0f more of it\n", json_number(frame, "repeated"));
}

void text_print_backtrace(const cJSON *backtrace)
{
    const char *last_object = "";
    const cJSON *frame;

    cJSON_ArrayForEach (frame, backtrace) {
        text_print_frame(frame, last_object);
        last_object = json_text(frame, "object");
    }
}

/* ---- an incident ---- */

static void print_overflow(const cJSON *incident)
{
    double size = json_number(incident, "overflown");

    if (size <= 0)
        return;
    if (cJSON_IsTrue(json_at(incident, "on_loop")))
        printf("\nthe loop's own stack of %.0f KiB was too small, or the recursion has no end:\n"
               "`ulimit -s`, or LimitSTACK= of a service, sets its size\n",
               size / 1024);
    else
        printf("\nthe stack of %.0f KiB was too small, or the recursion has no end: .stack_size\n"
               "in REEVE_APP, or stack_size of the configuration, sets its size\n",
               size / 1024);
}

static void print_incident(const cJSON *incident)
{
    char when[64];

    printf("incident %.0f, %s\n", json_number(incident, "number"),
           human_when(json_number(incident, "at"), when, sizeof when));
    text_coloured(COLOUR_RED, json_text(incident, "sentence"));
    putchar('\n');
    text_print_backtrace(json_at(incident, "backtrace"));
    print_overflow(incident);
    if (cJSON_IsTrue(json_at(incident, "untraced")))
        printf("\nit left no trace: a thread's stack overflowed, or the signal was blocked or\n"
               "handled by the application\n");
    print_flights(incident);
}

void text_incident(const struct report *report)
{
    print_incident(report->json);
}

/* "SIGSEGV", "hang", "exit 3". */
static void add_what(struct table *table, const cJSON *incident)
{
    const char *kind = json_text(incident, "kind"), *name = json_text(incident, "signal_name");

    if (strcmp(kind, "crash") == 0 && json_number(incident, "overflown") > 0)
        table_cell(table, COLOUR_RED, "stack overflow");
    else if (strcmp(kind, "crash") == 0 && name[0] != '\0')
        table_cell(table, COLOUR_RED, "%s", name);
    else if (strcmp(kind, "killed") == 0 && name[0] != '\0')
        table_cell(table, COLOUR_YELLOW, "killed by %s", name);
    else if (strcmp(kind, "exit") == 0)
        table_cell(table, COLOUR_YELLOW, "exit %.0f", json_number(incident, "exit_status"));
    else if (strcmp(kind, "hang") == 0 && name[0] != '\0' && strcmp(name, "SIGKILL") != 0)
        table_cell(table, COLOUR_YELLOW, "hang after %s", name);
    else
        table_cell(table, COLOUR_YELLOW, "%s", kind);
}

void text_incidents(const struct report *report)
{
    const cJSON *incidents = json_at(report->json, "incidents"), *incident;
    double before = json_number(report->json, "before_upgrade");
    struct table *table;
    char when[64];

    if (before > 0)
        printf("%.0f before the upgrade: the log tells of %s\n", before,
               before > 1 ? "them" : "it");
    if (cJSON_GetArraySize(incidents) == 0) {
        printf("no worker has ended abnormally%s\n", before > 0 ? " since" : "");
        return;
    }
    table = table_new(">INCIDENT|?WHEN|WORKER|WHAT|APP|REQUEST");
    cJSON_ArrayForEach (incident, incidents) {
        const cJSON *request = json_at(incident, "request");
        const char *step = json_text(incident, "step");

        text_cell_number(table, incident, "number");
        table_cell(table, COLOUR_NONE, "%s",
                   human_when(json_number(incident, "at"), when, sizeof when));
        table_cell(table, COLOUR_NONE, "%.0f.%.0f", json_number(incident, "worker"),
                   json_number(incident, "incarnation"));
        add_what(table, incident);
        if (json_at(incident, "app") != NULL)
            table_cell(table, COLOUR_NONE, "%.40s %.0f", json_text(incident, "app"),
                       json_number(incident, "generation"));
        else
            table_cell(table, COLOUR_NONE, "-");
        if (request != NULL)
            table_cell(table, COLOUR_NONE, "%.10s %.40s", json_text(request, "method"),
                       json_text(request, "path"));
        else
            table_cell(table, COLOUR_NONE, "%.40s", step[0] != '\0' ? step : "-");
    }
    table_print(table, stdout);
}

/* ---- a worker ---- */

static void print_worker(const cJSON *worker)
{
    char text[32];

    printf("%sworker %.0f.%.0f%s, pid %.0f, %s, ", human_colour(stdout, COLOUR_BOLD),
           json_number(worker, "id"), json_number(worker, "incarnation"),
           human_colour(stdout, COLOUR_NONE), json_number(worker, "pid"),
           json_text(worker, "status"));
    printf("%s requests, ", text_count(worker, "requests", text));
    printf("%s\n", human_bytes(json_number(worker, "rss"), text, sizeof text));
}

void text_worker(const struct report *report)
{
    const cJSON *worker = json_at(report->json, "worker");
    const cJSON *incident = json_at(report->json, "incident");

    if (cJSON_IsObject(worker))
        print_worker(worker);
    else
        printf("there is no worker in this slot now; of the last one:\n");
    print_flights(report->json);
    if (!cJSON_IsObject(incident))
        return;
    printf("\nhow the last one in this slot that had trouble ended:\n");
    print_incident(incident);
}
