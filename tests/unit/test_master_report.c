/* test_master_report.c: the reports are JSON with the names, units and shapes that were promised.
 */
#include "master/report.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/config_parts.h"
#include "board_case.h"

struct report_case {
    struct board_case board;
    struct stats *stats;
    struct report_source source;
};

static int setup(void **state)
{
    static struct report_case c;

    c.stats = NULL;
    *state = &c;
    return board_case_init(&c.board);
}

static int teardown(void **state)
{
    struct report_case *c = *state;

    stats_free(c->stats);
    board_case_fini(&c->board);
    return 0;
}

/* Makes a report and reads it back as a client would: what is printed has to be JSON. */
static cJSON *reread(struct report_case *c, cJSON *(*make)(const struct report_source *))
{
    cJSON *report, *json;
    char *text;

    stats_free(c->stats);
    c->stats = stats_new(c->board.board, &c->board.config, c->board.now);
    c->source = (struct report_source){.stats = c->stats, .config = &c->board.config};
    report = make(&c->source);
    text = cJSON_PrintUnformatted(report);
    assert_non_null(text);
    json = cJSON_ParseWithOpts(text, NULL, true);
    assert_non_null(json);
    cJSON_free(text);
    cJSON_Delete(report);
    return json;
}

/* What is at "workers.0.loop_lag.p99". */
static const cJSON *find(const cJSON *json, const char *path)
{
    while (*path != '\0') {
        size_t length = strcspn(path, ".");
        char name[64];

        snprintf(name, sizeof name, "%.*s", (int)length, path);
        json = cJSON_IsArray(json) ? cJSON_GetArrayItem(json, atoi(name))
                                   : cJSON_GetObjectItemCaseSensitive(json, name);
        if (json == NULL)
            fail_msg("there is no %s in it", name);
        path += length + (path[length] == '.');
    }
    return json;
}

static void assert_number(const cJSON *json, const char *path, double expected)
{
    const cJSON *item = find(json, path);

    assert_true(cJSON_IsNumber(item));
    if (fabs(item->valuedouble - expected) > fabs(expected) * 1e-9)
        fail_msg("%s is %.17g, not %.17g", path, item->valuedouble, expected);
}

static void assert_text(const cJSON *json, const char *path, const char *expected)
{
    const cJSON *item = find(json, path);

    assert_true(cJSON_IsString(item));
    assert_string_equal(item->valuestring, expected);
}

static void stats_has_the_names_that_operators_know(void **state)
{
    static const char *const paths[] = {
        "version",
        "pid",
        "started_at",
        "uptime",
        "generation",
        "connections.accepted",
        "connections.active",
        "connections.idle",
        "connections.closed",
        "connections.chats",
        "connections.websockets",
        "pubsub.published",
        "pubsub.delivered",
        "pubsub.missed",
        "requests.total",
        "requests.active",
        "requests.overdue",
        "sockets",
        "workers.0.id",
        "workers.0.incarnation",
        "workers.0.pid",
        "workers.0.status",
        "workers.0.booted",
        "workers.0.accepting",
        "workers.0.requests",
        "workers.0.delta_requests",
        "workers.0.exceptions",
        "workers.0.overdue",
        "workers.0.rss",
        "workers.0.last_spawn",
        "workers.0.respawn_count",
        "workers.0.last_heartbeat",
        "workers.0.loop_lag.p99",
        "workers.0.connections.chats",
        "workers.0.connections.websockets",
        "workers.0.pubsub.published",
        "workers.0.pubsub.delivered",
        "workers.0.pubsub.missed",
        "applications.hello.generation",
        "applications.hello.mount",
        "applications.hello.requests",
        "applications.hello.active",
        "applications.hello.exceptions",
        "applications.hello.overdue",
        "applications.hello.responses.2xx",
        "applications.hello.bytes_in",
        "applications.hello.connections.open",
        "applications.hello.connections.opened",
        "applications.hello.connections.moved",
        "applications.hello.connections.cut_off",
        "applications.hello.messages_in",
        "applications.hello.messages_out",
        "applications.hello.latency.count",
        "applications.hello.latency.mean",
        "applications.hello.latency.p50",
        "applications.hello.latency.p90",
        "applications.hello.latency.p99",
        "applications.hello.latency.p999",
        "applications.hello.latency.max",
        "applications.hello.generations",
        "applications.echo.mount",
    };
    struct report_case *c = *state;
    cJSON *json;

    case_worker(&c->board, 0, 1);
    json = reread(c, report_stats);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        find(json, paths[i]);
    cJSON_Delete(json);
}

static void times_are_seconds_and_sizes_bytes(void **state)
{
    struct report_case *c = *state;
    struct board_slot *slot = case_worker(&c->board, 0, 1);
    double started = (double)c->board.board->started_wall / 1e9;
    cJSON *json;

    board_set(&slot->rss, 8 << 20);
    case_serve(&board_cell(c->board.board, 0, 0)->total, 10);
    json = reread(c, report_stats);
    assert_number(json, "uptime", 60);
    assert_number(json, "started_at", started);
    assert_number(json, "workers.0.last_heartbeat", started + 60);
    assert_number(json, "workers.0.rss", 8 << 20);
    assert_number(json, "applications.hello.latency.mean", 0.001);
    assert_true(find(json, "applications.hello.latency.p50")->valuedouble >= 0.001);
    assert_true(find(json, "applications.hello.latency.max")->valuedouble <= 0.001 * 1.0625);
    cJSON_Delete(json);
}

static void a_large_count_stays_exact(void **state)
{
    struct report_case *c = *state;
    struct board_slot *slot = case_worker(&c->board, 0, 1);
    cJSON *report;
    char *text;

    board_set(&slot->requests, UINT64_MAX - 1);
    cJSON_Delete(reread(c, report_workers));
    report = report_workers(&c->source);
    text = cJSON_PrintUnformatted(report);
    assert_non_null(strstr(text, "\"requests\":18446744073709551614,"));
    cJSON_free(text);
    cJSON_Delete(report);
}

static void only_the_living_are_listed(void **state)
{
    struct report_case *c = *state;
    struct board_slot *dead = case_worker(&c->board, 1, 4);
    cJSON *json;

    case_worker(&c->board, 2, 1);
    board_set(&dead->requests, 9);
    board_set(&board_seat(c->board.board, 1)->state, SEAT_EMPTY);
    json = reread(c, report_stats);
    assert_int_equal(cJSON_GetArraySize(find(json, "workers")), 1);
    assert_number(json, "workers.0.id", 2);
    assert_number(json, "requests.total", 9);
    cJSON_Delete(json);
}

static void an_app_is_shown_by_name_with_its_generations(void **state)
{
    struct report_case *c = *state;
    cJSON *json;

    case_worker(&c->board, 0, 1);
    case_serve(board_claim(board_cell(c->board.board, 0, 1), 5, 0), 12);
    json = reread(c, report_apps);
    assert_number(json, "applications.echo.generations.0.generation", 5);
    assert_number(json, "applications.echo.generations.0.responses.2xx", 12);
    cJSON_Delete(json);

    json = report_app(&c->source, "echo");
    assert_text(json, "name", "echo");
    assert_text(json, "module", "echo");
    assert_text(json, "mount", "/echo");
    cJSON_Delete(json);
    assert_null(report_app(&c->source, "ech"));
}

static void an_app_is_shown_from_the_column_that_it_has(void **state)
{
    struct report_case *c = *state;
    cJSON *json;

    case_worker(&c->board, 0, 1);
    case_serve(&board_cell(c->board.board, 0, 0)->total, 4);
    case_serve(&board_cell(c->board.board, 0, 3)->total, 9);
    c->board.apps[1].column = 3;
    json = reread(c, report_apps);
    assert_number(json, "applications.hello.requests", 4);
    assert_number(json, "applications.echo.requests", 9);
    cJSON_Delete(json);

    c->board.config.app_count = 1; /* "echo" is removed */
    json = reread(c, report_apps);
    assert_int_equal(cJSON_GetArraySize(find(json, "applications")), 1);
    cJSON_Delete(json);
    assert_null(report_app(&c->source, "echo"));
}

static void what_holds_an_old_generation_is_shown_with_it(void **state)
{
    static const struct holder rows[] = {{5, HOLD_REQUEST, CALL_READ, 0x1234, 3},
                                         {5, HOLD_OTHERS, CALL_NONE, 0, 9},
                                         {2, HOLD_STATE, CALL_NONE, 0, 1}};
    struct report_case *c = *state;
    struct board_cell *cell = board_cell(c->board.board, 0, 1);
    cJSON *json;

    case_worker(&c->board, 0, 1);
    case_serve(board_claim(cell, 6, 0), 1);
    case_serve(board_claim(cell, 5, 0), 1);
    board_show_holders(cell, rows, 3);
    json = reread(c, report_apps);
    assert_int_equal(cJSON_GetArraySize(find(json, "applications.echo.generations")), 3);
    assert_int_equal(cJSON_GetArraySize(find(json, "applications.echo.generations.0.by")), 0);
    assert_int_equal(cJSON_GetArraySize(find(json, "applications.echo.generations.1.by")), 2);
    assert_text(json, "applications.echo.generations.1.by.0.kind", "others");
    assert_text(json, "applications.echo.generations.1.by.1.kind", "request");
    assert_text(json, "applications.echo.generations.1.by.1.waits_in", "reeve_read");
    assert_text(json, "applications.echo.generations.1.by.1.site", "echo+0x1234");
    assert_number(json, "applications.echo.generations.1.by.1.count", 3);
    /* One that has no column any more. */
    assert_number(json, "applications.echo.generations.2.generation", 2);
    assert_number(json, "applications.echo.generations.2.held", 1);
    assert_text(json, "applications.echo.generations.2.by.0.kind", "state");
    cJSON_Delete(json);
}

static void connections_that_hold_an_old_generation_are_shown_as_such(void **state)
{
    static const struct holder rows[] = {
        {5, HOLD_CONNECTION, CALL_CHAT_READ, 0, 3},
        {5, HOLD_SUBSCRIPTION, CALL_SUBSCRIPTION, 0, 2},
    };
    struct report_case *c = *state;
    struct board_cell *cell = board_cell(c->board.board, 0, 1);
    cJSON *json;

    case_worker(&c->board, 0, 1);
    board_claim(cell, 6, 0);
    board_set(&board_claim(cell, 5, 0)->held, 5);
    board_show_holders(cell, rows, 2);
    json = reread(c, report_apps);
    assert_text(json, "applications.echo.generations.1.by.0.kind", "connection");
    assert_text(json, "applications.echo.generations.1.by.0.waits_in", "reeve_chat_read");
    assert_number(json, "applications.echo.generations.1.by.0.count", 3);
    assert_text(json, "applications.echo.generations.1.by.1.kind", "subscription");
    assert_text(json, "applications.echo.generations.1.by.1.waits_in", "reeve_subscription_next");
    cJSON_Delete(json);
    for (uint64_t kind = 0; kind < HOLD_KINDS; kind++)
        assert_non_null(hold_kind_name(kind));
    for (uint64_t call = CALL_NONE + 1; call < CALL_COUNT; call++)
        assert_non_null(hold_call_name(call));
    for (uint64_t step = STEP_NONE + 1; step < STEP_COUNT; step++)
        assert_non_null(worker_step_name(step));
}

static void status_names_the_apps_without_their_figures(void **state)
{
    struct report_case *c = *state;
    cJSON *json = reread(c, report_status);

    assert_text(json, "applications.echo.mount", "/echo");
    assert_null(cJSON_GetObjectItemCaseSensitive(find(json, "applications.echo"), "latency"));
    assert_null(cJSON_GetObjectItemCaseSensitive(json, "workers"));
    assert_text(json, "sockets.0.address", "127.0.0.1:8080");
    assert_text(json, "sockets.0.protocol", "http");
    assert_true(cJSON_IsNull(find(json, "sockets.0.app")));
    cJSON_Delete(json);
}

static void the_configuration_has_every_key_of_the_file(void **state)
{
    struct report_case *c = *state;
    cJSON *json;

    c->board.config.drain_timeout = 1500 * NS_PER_MS;
    c->board.config.max_head = 32768;
    c->board.config.keep = 10;
    c->board.config.fallback = FALLBACK_LAST_GOOD;
    c->board.listens[1].protocol = LISTEN_CHAT;
    c->board.listens[1].app = c->board.apps[1].name;
    c->board.apps[1].request_timeout = 2500 * NS_PER_MS;
    json = reread(c, report_config);
    for (const struct config_key *key = config_server_keys; key->name != NULL; key++)
        find(json, key->name);
    assert_number(json, "drain_timeout", 1.5);
    assert_number(json, "max_head", 32768);
    assert_number(json, "keep", 10);
    assert_text(json, "fallback", "last-good");
    for (const struct config_key *key = config_app_keys; key->name != NULL; key++)
        find(find(json, "app.echo"), key->name);
    assert_text(json, "app.echo.mount", "/echo");
    assert_number(json, "app.echo.request_timeout", 2.5);
    assert_text(json, "listen.0.address", "127.0.0.1:8080");
    assert_text(json, "listen.0.protocol", "http");
    assert_null(cJSON_GetObjectItemCaseSensitive(find(json, "listen.0"), "app"));
    assert_text(json, "listen.1.protocol", "chat");
    assert_text(json, "listen.1.app", "echo");
    cJSON_Delete(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(stats_has_the_names_that_operators_know, setup, teardown),
        cmocka_unit_test_setup_teardown(times_are_seconds_and_sizes_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_large_count_stays_exact, setup, teardown),
        cmocka_unit_test_setup_teardown(only_the_living_are_listed, setup, teardown),
        cmocka_unit_test_setup_teardown(an_app_is_shown_by_name_with_its_generations, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_app_is_shown_from_the_column_that_it_has, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_holds_an_old_generation_is_shown_with_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(connections_that_hold_an_old_generation_are_shown_as_such,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(status_names_the_apps_without_their_figures, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_configuration_has_every_key_of_the_file, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
