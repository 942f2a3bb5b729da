/* output_text.c: for people: tables, sentences, colours where the terminal has them. */
#include "output.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "human.h"
#include "json.h"

/* ---- the server ---- */

static const char *count_at(const cJSON *json, const char *path, char text[32])
{
    return human_count(json_number(json, path), text, 32);
}

static void print_label(const char *label)
{
    printf("%s%-12s%s", human_colour(stdout, COLOUR_DIM), label, human_colour(stdout, COLOUR_NONE));
}

static void print_server(const cJSON *json)
{
    char age[32];

    printf("%sreeve %s%s, pid %.0f, up %s%s\n", human_colour(stdout, COLOUR_BOLD),
           json_text(json, "version"), human_colour(stdout, COLOUR_NONE), json_number(json, "pid"),
           human_age(json_number(json, "uptime"), age, sizeof age),
           cJSON_IsTrue(json_at(json, "stopping")) ? ", stopping" : "");
}

static void print_sockets(const cJSON *json)
{
    const cJSON *socket;
    const char *label = "listening";

    cJSON_ArrayForEach (socket, json_at(json, "sockets")) {
        print_label(label);
        human_print(stdout, json_text(socket, "address"));
        if (strcmp(json_text(socket, "name"), json_text(socket, "address")) != 0)
            printf(" (%s)", json_text(socket, "name"));
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

    print_label("workers");
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

static void print_traffic(const cJSON *json)
{
    char a[32], b[32], c[32];

    print_label("connections");
    printf("%s active, %s idle, %s accepted\n", count_at(json, "connections.active", a),
           count_at(json, "connections.idle", b), count_at(json, "connections.accepted", c));
    print_label("requests");
    printf("%s active, %s in total\n", count_at(json, "requests.active", a),
           count_at(json, "requests.total", b));
}

static void print_app_list(const cJSON *json)
{
    const cJSON *app;
    const char *label = "apps";

    cJSON_ArrayForEach (app, json_at(json, "applications")) {
        print_label(label);
        human_print(stdout, app->string);
        printf(" at ");
        human_print(stdout, json_text(app, "mount"));
        printf(", generation %.0f\n", json_number(app, "generation"));
        label = "";
    }
}

static void print_summary(const cJSON *json)
{
    print_server(json);
    print_sockets(json);
    print_workers_line(json);
    print_traffic(json);
}

static void text_status(const struct report *report)
{
    print_summary(report->json);
    print_app_list(report->json);
}

/* ---- tables ---- */

static void cell_count(struct table *table, const cJSON *json, const char *path, enum colour colour)
{
    char text[32];

    table_cell(table, json_number(json, path) == 0 ? COLOUR_NONE : colour, "%s",
               count_at(json, path, text));
}

static void cell_seconds(struct table *table, const cJSON *json, const char *path)
{
    char text[32];

    table_cell(table, COLOUR_NONE, "%s", human_seconds(json_number(json, path), text, sizeof text));
}

static void cell_bytes(struct table *table, const cJSON *json, const char *path)
{
    char text[32];

    table_cell(table, COLOUR_NONE, "%s", human_bytes(json_number(json, path), text, sizeof text));
}

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
        cell_count(table, worker, "requests", COLOUR_NONE);
        cell_count(table, worker, "delta_requests", COLOUR_NONE);
        cell_count(table, worker, "active", COLOUR_GREEN);
        cell_count(table, worker, "connections.open", COLOUR_NONE);
        cell_count(table, worker, "exceptions", COLOUR_RED);
        cell_count(table, worker, "respawn_count", COLOUR_YELLOW);
        cell_bytes(table, worker, "rss");
        cell_seconds(table, worker, "loop_lag.p99");
        cell_ago(table, worker, "last_spawn");
        cell_ago(table, worker, "last_heartbeat");
    }
    table_print(table, stdout);
}

static void add_figures(struct table *table, const cJSON *app)
{
    cell_count(table, app, "requests", COLOUR_NONE);
    cell_count(table, app, "active", COLOUR_GREEN);
    cell_count(table, app, "responses.2xx", COLOUR_NONE);
    cell_count(table, app, "responses.3xx", COLOUR_NONE);
    cell_count(table, app, "responses.4xx", COLOUR_NONE);
    cell_count(table, app, "responses.5xx", COLOUR_RED);
    cell_count(table, app, "exceptions", COLOUR_RED);
    cell_bytes(table, app, "bytes_out");
    cell_seconds(table, app, "latency.max");
    cell_seconds(table, app, "latency.p50");
    cell_seconds(table, app, "latency.p99");
}

#define FIGURES ">REQUESTS|>ACTIVE|?>2XX|?>3XX|?>4XX|>5XX|?>EXCEPTIONS|?>SENT|?>MAX|>P50|>P99"

static void print_apps(const cJSON *json)
{
    struct table *table = table_new("APP|MOUNT|>GENERATION|" FIGURES);
    const cJSON *app;

    cJSON_ArrayForEach (app, json_at(json, "applications")) {
        table_cell(table, COLOUR_BOLD, "%s", app->string);
        table_cell(table, COLOUR_NONE, "%s", json_text(app, "mount"));
        table_cell(table, COLOUR_NONE, "%.0f", json_number(app, "generation"));
        add_figures(table, app);
    }
    table_print(table, stdout);
}

static void text_workers(const struct report *report)
{
    print_workers(report->json);
}

static void text_apps(const struct report *report)
{
    print_apps(report->json);
}

static void text_stats(const struct report *report)
{
    print_summary(report->json);
    putchar('\n');
    print_workers(report->json);
    putchar('\n');
    print_apps(report->json);
}

static void text_app(const struct report *report)
{
    const cJSON *app = report->json, *generation;
    struct table *table = table_new(">GENERATION|>HELD|" FIGURES);

    printf("%s%s%s at %s, generation %.0f\n", human_colour(stdout, COLOUR_BOLD),
           json_text(app, "name"), human_colour(stdout, COLOUR_NONE), json_text(app, "mount"),
           json_number(app, "generation"));
    print_label("module");
    human_print(stdout, json_text(app, "module"));
    putchar('\n');
    print_label("reloads");
    printf("%.0f committed, %.0f refused\n\n", json_number(app, "reloads"),
           json_number(app, "refusals"));
    cJSON_ArrayForEach (generation, json_at(app, "generations")) {
        table_cell(table, COLOUR_NONE, "%.0f", json_number(generation, "generation"));
        cell_count(table, generation, "held", COLOUR_NONE);
        add_figures(table, generation);
    }
    table_cell(table, COLOUR_NONE, "all");
    cell_count(table, app, "held", COLOUR_NONE);
    add_figures(table, app);
    table_print(table, stdout);
}

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
        printf("    %s = ", item->string);
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

                print_section(item->string, name != NULL ? name : json_text(inner, "address"),
                              inner);
            }
            continue;
        }
        printf("%-16s = ", item->string);
        print_value(item);
        putchar('\n');
    }
}

/* ---- actions ---- */

static void print_dim(const char *format, const char *text)
{
    fputs(human_colour(stdout, COLOUR_DIM), stdout);
    printf("%s", format);
    human_print(stdout, text);
    fputs(human_colour(stdout, COLOUR_NONE), stdout);
}

/* {"step":"prepare","app":"hello","generation":2,"worker":0,"incarnation":1,...} becomes
 * "  hello generation 2: prepare, worker 0.1 (2.10 ms)". */
static void text_progress(const struct report *line)
{
    const cJSON *json = line->json;
    const char *separator = "  ";
    char seconds[32];

    if (json_at(json, "app") != NULL) {
        printf("  ");
        human_print(stdout, json_text(json, "app"));
        printf(" generation %.0f", json_number(json, "generation"));
        separator = ": ";
    }
    printf("%s", separator);
    if (json_at(json, "worker") != NULL)
        printf("worker %.0f.%.0f ", json_number(json, "worker"), json_number(json, "incarnation"));
    human_print(stdout, json_text(json, "step"));
    if (json_at(json, "pid") != NULL)
        printf(", pid %.0f", json_number(json, "pid"));
    if (json_at(json, "seconds") != NULL)
        printf(", %s", human_seconds(json_number(json, "seconds"), seconds, sizeof seconds));
    if (cJSON_IsFalse(json_at(json, "ok")))
        printf(": %srefused%s", human_colour(stdout, COLOUR_RED),
               human_colour(stdout, COLOUR_NONE));
    if (json_at(json, "reason") != NULL)
        print_dim(": ", json_text(json, "reason"));
    putchar('\n');
    fflush(stdout);
}

static void print_output(const char *output)
{
    if (output[0] == '\0')
        return;
    printf("what it said while it was tried:\n");
    human_print(stdout, output);
    if (output[strlen(output) - 1] != '\n')
        putchar('\n');
}

static const char *plural(int count)
{
    return count == 1 ? "" : "s";
}

static void print_held(const cJSON *list)
{
    const cJSON *item;
    const char *separator = "; the old code is still held: by ";

    cJSON_ArrayForEach (item, list) {
        printf("%s%.0f in worker %.0f", separator, json_number(item, "count"),
               json_number(item, "worker"));
        separator = ", by ";
    }
}

static void print_live(const cJSON *receipt)
{
    int count = cJSON_GetArraySize(json_at(receipt, "workers"));
    char seconds[32];

    printf(": %slive%s in %d worker%s after %s", human_colour(stdout, COLOUR_GREEN),
           human_colour(stdout, COLOUR_NONE), count, plural(count),
           human_seconds(json_number(receipt, "seconds.total"), seconds, sizeof seconds));
    print_held(json_at(receipt, "held"));
    putchar('\n');
}

static void print_receipt(const cJSON *receipt)
{
    const char *outcome = json_text(receipt, "outcome"), *version = json_text(receipt, "version");

    human_print(stdout, json_text(receipt, "app"));
    printf(" generation %.0f", json_number(receipt, "generation"));
    if (version[0] != '\0') {
        printf(" (");
        human_print(stdout, version);
        printf(")");
    }
    if (strcmp(outcome, "live") == 0) {
        print_live(receipt);
        return;
    }
    printf(": %s", human_colour(stdout, COLOUR_RED));
    human_print(stdout, outcome);
    printf("%s: ", human_colour(stdout, COLOUR_NONE));
    human_print(stdout, json_text(receipt, "reason"));
    printf("; what was serving before goes on serving\n");
    print_output(json_text(receipt, "stderr"));
}

static void print_restart(const cJSON *json)
{
    bool is_late = strcmp(json_text(json, "verdict"), "timed out") == 0;
    int count = cJSON_GetArraySize(json_at(json, "workers"));
    char seconds[32];

    printf("all workers are replaced after %s%s; %d serve%s\n",
           human_seconds(json_number(json, "seconds"), seconds, sizeof seconds),
           is_late ? ", but not every old one finished in time" : "", count, count == 1 ? "s" : "");
}

/* Whatever else an action may end with: "failed: REASON". */
static void print_verdict(const cJSON *json)
{
    const char *reason = json_text(json, "reason");

    human_print(stdout, json_text(json, "verdict"));
    if (reason[0] != '\0')
        printf(": ");
    human_print(stdout, reason);
    putchar('\n');
}

static void text_verdict(const struct report *line)
{
    const cJSON *receipts = json_at(line->json, "receipts"), *receipt;
    const char *verdict = json_text(line->json, "verdict");

    cJSON_ArrayForEach (receipt, receipts) {
        print_receipt(receipt);
    }
    if (strcmp(verdict, "done") == 0 || strcmp(verdict, "timed out") == 0)
        print_restart(line->json);
    else if (cJSON_GetArraySize(receipts) == 0)
        print_verdict(line->json);
}

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
    .progress = text_progress,
    .verdict = text_verdict,
    .done = text_done,
    .failure = text_failure,
};
