/* text_tables.c: the server, its workers, its applications: as they are now. */
#include "text.h"

#include <string.h>
#include <time.h>

/* ---- the server ---- */

static void print_server(const cJSON *json)
{
    char age[32];

    printf("%sreeve %s%s, pid %.0f, up %s%s\n", human_colour(stdout, COLOUR_BOLD),
           json_text(json, "version"), human_colour(stdout, COLOUR_NONE), json_number(json, "pid"),
           human_age(json_number(json, "uptime"), age, sizeof age),
           cJSON_IsTrue(json_at(json, "stopping")) ? ", stopping" : "");
}

static void print_drained(const cJSON *json)
{
    double left = json_number(json, "processes.draining");

    if (!cJSON_IsTrue(json_at(json, "is_drained")))
        return;
    text_label("drained");
    printf("%stakes no connections%s; ", human_colour(stdout, COLOUR_YELLOW),
           human_colour(stdout, COLOUR_NONE));
    if (left > 0)
        printf("%.0f worker%s finish%s\n", left, left == 1 ? "" : "s", left == 1 ? "es" : "");
    else
        printf("`reevectl resume` opens it again\n");
}

static void print_sockets(const cJSON *json)
{
    const char *label = cJSON_IsTrue(json_at(json, "is_drained")) ? "closed" : "listening";
    const cJSON *socket;

    cJSON_ArrayForEach (socket, json_at(json, "sockets")) {
        text_label(label);
        human_print_line(stdout, json_text(socket, "address"));
        if (strcmp(json_text(socket, "name"), json_text(socket, "address")) != 0)
            printf(" (%.64s)", json_text(socket, "name"));
        if (strcmp(json_text(socket, "protocol"), "chat") == 0)
            printf(", chat of %.64s", json_text(socket, "app"));
        if (json_number(socket, "queue") > 0)
            printf(", %.0f waiting to be accepted", json_number(socket, "queue"));
        putchar('\n');
        label = "";
    }
}

static void print_workers_line(const cJSON *json)
{
    static const struct {
        const char *path, *name;
        enum colour colour;
    } kinds[] = {
        {"processes.idle", "idle", COLOUR_NONE},
        {"processes.busy", "busy", COLOUR_GREEN},
        {"processes.starting", "starting", COLOUR_NONE},
        {"processes.draining", "draining", COLOUR_NONE},
        {"processes.stuck", "stuck", COLOUR_RED},
    };
    const char *comma = ": ";

    text_label("workers");
    printf("%.0f wanted", json_number(json, "processes.target"));
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        double count = json_number(json, kinds[i].path);

        if (count == 0)
            continue;
        printf("%s%s%.0f %s%s", comma, human_colour(stdout, kinds[i].colour), count, kinds[i].name,
               human_colour(stdout, COLOUR_NONE));
        comma = ", ";
    }
    if (json_number(json, "processes.respawns") > 0)
        printf("; %.0f respawned", json_number(json, "processes.respawns"));
    putchar('\n');
}

/* Workers that fail to start, again and again. */
static void print_starting(const cJSON *json)
{
    double missing = json_number(json, "missing"), failures = json_number(json, "failures");
    double seconds = json_number(json, "next_try_in");

    if (json == NULL)
        return;
    text_label("");
    if (missing > 0)
        printf("%s%.0f worker%s %s missing%s: ", human_colour(stdout, COLOUR_RED), missing,
               missing == 1 ? "" : "s", missing == 1 ? "is" : "are",
               human_colour(stdout, COLOUR_NONE));
    else
        printf("none is missing now, but ");
    if (failures == 1)
        printf("the last start failed, ");
    else
        printf("the last %.0f starts failed, ", failures);
    if (seconds > 0)
        printf("the next one is tried in %.1f s", seconds);
    else if (missing > 0)
        printf("the next one is being tried");
    else
        printf("and the latest have to prove themselves");
    if (json_at(json, "last") != NULL) {
        printf("; ");
        human_print_line(stdout, json_text(json, "last"));
    }
    putchar('\n');
}

static void print_incidents(const cJSON *json)
{
    double count = json_number(json, "incidents");

    if (count == 0)
        return;
    text_label("incidents");
    printf("%s%.0f%s; `reevectl incidents` tells of %s\n", human_colour(stdout, COLOUR_YELLOW),
           count, human_colour(stdout, COLOUR_NONE), count == 1 ? "it" : "them");
}

/* Only where there are any. */
static void print_live(const cJSON *json)
{
    char a[32], b[32], c[32];

    if (json_number(json, "connections.chats") + json_number(json, "connections.websockets") > 0)
        printf("; of the active %s chat, %s WebSocket", text_count(json, "connections.chats", a),
               text_count(json, "connections.websockets", b));
    putchar('\n');
    if (json_number(json, "pubsub.published") == 0)
        return;
    text_label("messages");
    printf("%s published, %s delivered, %s missed\n", text_count(json, "pubsub.published", a),
           text_count(json, "pubsub.delivered", b), text_count(json, "pubsub.missed", c));
}

static void print_traffic(const cJSON *json)
{
    char a[32], b[32], c[32];

    text_label("connections");
    printf("%s active, %s idle, %s accepted", text_count(json, "connections.active", a),
           text_count(json, "connections.idle", b), text_count(json, "connections.accepted", c));
    print_live(json);
    text_label("requests");
    printf("%s active, %s in total\n", text_count(json, "requests.active", a),
           text_count(json, "requests.total", b));
}

static void print_app_list(const cJSON *json)
{
    const cJSON *app;
    const char *label = "apps";

    cJSON_ArrayForEach (app, json_at(json, "applications")) {
        text_label(label);
        human_print_line(stdout, json_name(app));
        printf(" at ");
        human_print_line(stdout, json_text(app, "mount"));
        printf(", generation %.0f\n", json_number(app, "generation"));
        label = "";
    }
}

static void print_summary(const cJSON *json)
{
    print_server(json);
    print_drained(json);
    print_sockets(json);
    print_workers_line(json);
    print_starting(json_at(json, "starting"));
    print_incidents(json);
    print_traffic(json);
}

void text_status(const struct report *report)
{
    print_summary(report->json);
    print_app_list(report->json);
    text_print_quarantine(json_at(report->json, "quarantine"));
}

/* ---- tables ---- */

/* How long ago a moment was, by our clock: server and client are on one machine. */
static void cell_ago(struct table *table, const cJSON *json, const char *path)
{
    double at = json_number(json, path);
    struct timespec now;
    char text[32];

    clock_gettime(CLOCK_REALTIME, &now);
    table_cell(table, COLOUR_NONE, "%s",
               at == 0 ? "-"
                       : human_age((double)now.tv_sec + (double)now.tv_nsec / 1e9 - at, text,
                                   sizeof text));
}

static enum colour colour_of_status(const char *status)
{
    if (strcmp(status, "stuck") == 0)
        return COLOUR_RED;
    if (strcmp(status, "busy") == 0)
        return COLOUR_GREEN;
    return strcmp(status, "idle") == 0 ? COLOUR_NONE : COLOUR_YELLOW;
}

static void print_workers(const cJSON *json)
{
    struct table *table = table_new(">WORKER|>PID|STATUS|>REQUESTS|?>SINCE SPAWN|>ACTIVE|"
                                    "?>CONNECTIONS|?>EXCEPTIONS|?>RESPAWNS|>MEMORY|>LAG P99|?UP|"
                                    "HEARTBEAT");
    const cJSON *worker;

    cJSON_ArrayForEach (worker, json_at(json, "workers")) {
        const char *status = json_text(worker, "status");

        table_cell(table, COLOUR_NONE, "%.0f.%.0f", json_number(worker, "id"),
                   json_number(worker, "incarnation"));
        table_cell(table, COLOUR_NONE, "%.0f", json_number(worker, "pid"));
        table_cell(table, colour_of_status(status), "%s", status);
        text_cell_count(table, worker, "requests", COLOUR_NONE);
        text_cell_count(table, worker, "delta_requests", COLOUR_NONE);
        text_cell_count(table, worker, "active", COLOUR_GREEN);
        text_cell_count(table, worker, "connections.open", COLOUR_NONE);
        text_cell_count(table, worker, "exceptions", COLOUR_RED);
        text_cell_count(table, worker, "respawn_count", COLOUR_YELLOW);
        text_cell_bytes(table, worker, "rss");
        text_cell_seconds(table, worker, "loop_lag.p99");
        cell_ago(table, worker, "last_spawn");
        cell_ago(table, worker, "last_heartbeat");
    }
    table_print(table, stdout);
}

static void add_figures(struct table *table, const cJSON *app)
{
    text_cell_count(table, app, "requests", COLOUR_NONE);
    text_cell_count(table, app, "active", COLOUR_GREEN);
    text_cell_count(table, app, "connections.open", COLOUR_GREEN);
    text_cell_count(table, app, "responses.2xx", COLOUR_NONE);
    text_cell_count(table, app, "responses.3xx", COLOUR_NONE);
    text_cell_count(table, app, "responses.4xx", COLOUR_NONE);
    text_cell_count(table, app, "responses.5xx", COLOUR_RED);
    text_cell_count(table, app, "exceptions", COLOUR_RED);
    text_cell_count(table, app, "overdue", COLOUR_YELLOW);
    text_cell_bytes(table, app, "bytes_out");
    text_cell_count(table, app, "messages_in", COLOUR_NONE);
    text_cell_count(table, app, "messages_out", COLOUR_NONE);
    text_cell_seconds(table, app, "latency.max");
    text_cell_seconds(table, app, "latency.p50");
    text_cell_seconds(table, app, "latency.p99");
}

#define FIGURES                                                                                \
    ">REQUESTS|>ACTIVE|?>LIVE|?>2XX|?>3XX|?>4XX|>5XX|?>EXCEPTIONS|?>OVERDUE|?>SENT|?>MSGS IN|" \
    "?>MSGS OUT|?>MAX|>P50|>P99"

static void print_apps(const cJSON *json)
{
    struct table *table = table_new("APP|MOUNT|>GENERATION|" FIGURES);
    const cJSON *app;

    cJSON_ArrayForEach (app, json_at(json, "applications")) {
        table_cell(table, COLOUR_BOLD, "%s", json_name(app));
        table_cell(table, COLOUR_NONE, "%s", json_text(app, "mount"));
        table_cell(table, COLOUR_NONE, "%.0f", json_number(app, "generation"));
        add_figures(table, app);
    }
    table_print(table, stdout);
}

void text_workers(const struct report *report)
{
    print_workers(report->json);
}

void text_apps(const struct report *report)
{
    print_apps(report->json);
    text_print_apps_held(json_at(report->json, "applications"));
}

void text_stats(const struct report *report)
{
    print_summary(report->json);
    putchar('\n');
    print_workers(report->json);
    putchar('\n');
    print_apps(report->json);
}

void text_app(const struct report *report)
{
    const cJSON *app = report->json, *generation;
    struct table *table = table_new(">GENERATION|>HELD|" FIGURES);

    text_coloured(COLOUR_BOLD, json_text(app, "name"));
    printf(" at ");
    human_print_line(stdout, json_text(app, "mount"));
    printf(", generation %.0f\n", json_number(app, "generation"));
    text_line("module", json_text(app, "module"));
    text_label("reloads");
    printf("%.0f committed, %.0f refused\n\n", json_number(app, "reloads"),
           json_number(app, "refusals"));
    cJSON_ArrayForEach (generation, json_at(app, "generations")) {
        table_cell(table, COLOUR_NONE, "%.0f", json_number(generation, "generation"));
        text_cell_count(table, generation, "held", COLOUR_NONE);
        add_figures(table, generation);
    }
    table_cell(table, COLOUR_NONE, "all");
    text_cell_count(table, app, "held", COLOUR_NONE);
    add_figures(table, app);
    table_print(table, stdout);
    text_print_app_held(json_text(app, "name"), app);
}
