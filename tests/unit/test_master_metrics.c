/* test_master_metrics.c: /metrics keeps to the exposition format: every sample under its family's
 * head, families in one piece, labels escaped, buckets that only grow and end with the count. */
#include "master/metrics.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "board_case.h"

static char *text_of(struct evbuffer *out)
{
    size_t length = evbuffer_get_length(out);
    char *text = calloc(1, length + 1);

    assert_non_null(text);
    evbuffer_remove(out, text, length);
    evbuffer_free(out);
    return text;
}

static char *metrics_of(const struct board_case *c, bool is_openmetrics)
{
    struct stats *stats = stats_new(c->board, &c->config, c->now);
    struct report_source source = {.stats = stats, .config = &c->config};
    struct evbuffer *out = evbuffer_new();

    assert_non_null(stats);
    metrics_write(out, &source, is_openmetrics);
    stats_free(stats);
    return text_of(out);
}

static int setup(void **state)
{
    static struct board_case c;
    struct board_column *column;

    *state = &c;
    if (board_case_init(&c) != 0)
        return -1;
    board_set(&case_worker(&c, 0, 1)->active, 1);
    board_set(&case_worker(&c, 1, 2)->rss, 4096);
    board_set(&board_slot(c.board, 1)->heartbeat_at, c.now - 2 * CASE_HANG);
    column = &board_cell(c.board, 0, 0)->total;
    case_serve(column, 5);
    board_set(&column->answers[5], 2);
    board_set(&column->opened, 9);
    board_set(&column->messages_out, 11);
    board_set(&board_slot(c.board, 1)->websockets, 4);
    board_set(&board_slot(c.board, 1)->published, 6);
    histogram_record(&column->latency, 100);                 /* below every bound */
    histogram_record(&column->latency, 100000 * NS_PER_SEC); /* above every bound */
    for (uint64_t i = 0; i < 20000; i++)
        histogram_record(&column->latency, i * i * 100);
    return 0;
}

static int teardown(void **state)
{
    board_case_fini(*state);
    return 0;
}

static void assert_has(const char *text, const char *line)
{
    if (strstr(text, line) == NULL)
        fail_msg("there is no line %s in\n%s", line, text);
}

static void the_promised_families_are_there(void **state)
{
    char *text = metrics_of(*state, false);

    assert_has(text, "\nreeve_requests_total{app=\"hello\",code_class=\"2xx\"} 5\n");
    assert_has(text, "\nreeve_requests_total{app=\"hello\",code_class=\"5xx\"} 2\n");
    assert_has(text, "\nreeve_requests_total{app=\"echo\",code_class=\"none\"} 0\n");
    assert_has(text, "\nreeve_workers{status=\"busy\"} 1\n");
    assert_has(text, "\nreeve_workers{status=\"stuck\"} 1\n");
    assert_has(text, "\nreeve_worker_rss_bytes{worker=\"1\"} 4096\n");
    assert_has(text, "\n# TYPE reeve_request_duration_seconds histogram\n");
    assert_has(text, "\n# TYPE reeve_worker_loop_lag_seconds histogram\n");
    assert_has(text, "\n# TYPE reeve_connections gauge\n");
    assert_has(text, "\n# TYPE reeve_requests_total counter\n");
    assert_has(text, "\nreeve_app_reloads_total{app=\"hello\"} 0\n");
    assert_has(text, "\nreeve_respawns_total 0\n");
    assert_has(text, "\nreeve_connections_long_lived{kind=\"chat\"} 0\n");
    assert_has(text, "\nreeve_connections_long_lived{kind=\"websocket\"} 4\n");
    assert_has(text, "\nreeve_worker_connections_long_lived{worker=\"1\",kind=\"websocket\"} 4\n");
    assert_has(text, "\nreeve_pubsub_published_total 6\n");
    assert_has(text, "\nreeve_app_connections_opened_total{app=\"hello\"} 9\n");
    assert_has(text, "\nreeve_app_messages_sent_total{app=\"hello\"} 11\n");
    assert_null(strstr(text, "# EOF"));
    free(text);
}

static void an_app_is_told_from_the_column_that_it_has(void **state)
{
    struct board_case *c = *state;
    char *text;

    c->apps[0].column = 3;
    c->apps[1].column = 0;
    text = metrics_of(c, false);
    assert_has(text, "\nreeve_requests_total{app=\"hello\",code_class=\"2xx\"} 0\n");
    assert_has(text, "\nreeve_requests_total{app=\"echo\",code_class=\"2xx\"} 5\n");
    free(text);
    c->config.app_count = 1; /* "echo" is removed: no line of it is left */
    text = metrics_of(c, false);
    assert_null(strstr(text, "app=\"echo\""));
    free(text);
}

/* Cuts the next line off *rest; NULL at the end. */
static char *next_line(char **rest)
{
    char *line = *rest, *end = strchr(line, '\n');

    if (*line == '\0')
        return NULL;
    assert_non_null(end); /* the last line ends, too */
    *end = '\0';
    *rest = end + 1;
    return line;
}

/* Is it [a-zA-Z_:][a-zA-Z0-9_:]* followed by labels or a space? */
static size_t name_length(const char *line)
{
    size_t length = 0;

    while (isalnum((unsigned char)line[length]) || line[length] == '_' || line[length] == ':')
        length++;
    assert_true(length > 0 && !isdigit((unsigned char)line[0]));
    assert_true(line[length] == ' ' || line[length] == '{');
    return length;
}

static bool is_of_family(const char *name, size_t length, const char *family, const char *type)
{
    static const char *const suffixes[] = {"", "_total", "_bucket", "_sum", "_count"};
    bool is_histogram = strcmp(type, "histogram") == 0;

    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        if ((i >= 2) != is_histogram)
            continue;
        if (length == strlen(family) + strlen(suffixes[i]) &&
            strncmp(name, family, strlen(family)) == 0 &&
            strncmp(name + strlen(family), suffixes[i], strlen(suffixes[i])) == 0)
            return true;
    }
    return false;
}

static void assert_value(const char *line)
{
    const char *value = strrchr(line, ' ');
    char *end;

    assert_non_null(value);
    strtod(value + 1, &end);
    assert_true(end > value + 1 && *end == '\0');
}

/* The sample's name with its labels stands nowhere before it. */
static void assert_first(const char *text, const char *line)
{
    size_t length = (size_t)(strrchr(line, ' ') - line) + 1;

    /* `text` was cut into lines up to this one. */
    for (const char *at = text; at < line; at += strlen(at) + 1)
        assert_false(strncmp(at, line, length) == 0);
}

static void check_format(char *text, bool is_openmetrics)
{
    char family[128] = "", type[16] = "", seen[8192] = "\n", mark[140];
    char *rest = text, *line;

    while ((line = next_line(&rest)) != NULL) {
        if (strcmp(line, "# EOF") == 0) {
            assert_true(is_openmetrics && *rest == '\0');
        } else if (strncmp(line, "# HELP ", 7) == 0) {
            assert_int_equal(sscanf(line + 7, "%127s", family), 1);
            snprintf(mark, sizeof mark, "\n%s\n", family);
            assert_null(strstr(seen, mark)); /* one family, one piece */
            strncat(seen, mark + 1, sizeof seen - strlen(seen) - 1);
            assert_true(strlen(line) > 8 + strlen(family));
        } else if (strncmp(line, "# TYPE ", 7) == 0) {
            char name[128];

            assert_int_equal(sscanf(line + 7, "%127s %15s", name, type), 2);
            assert_string_equal(name, family);
            if (strcmp(type, "counter") == 0 && !is_openmetrics)
                assert_string_equal(family + strlen(family) - 6, "_total");
        } else {
            assert_true(is_of_family(line, name_length(line), family, type));
            assert_value(line);
            assert_first(text, line);
        }
    }
}

static void every_sample_stands_under_its_family(void **state)
{
    for (int is_openmetrics = 0; is_openmetrics < 2; is_openmetrics++) {
        char *text = metrics_of(*state, is_openmetrics);

        if (is_openmetrics)
            assert_has(text, "\n# TYPE reeve_requests counter\n");
        check_format(text, is_openmetrics);
        free(text);
    }
}

/* Of reeve_request_duration_seconds of the app hello. */
static unsigned long long sample_of(const char *text, const char *rest_of_line)
{
    char line[160];
    const char *at;

    snprintf(line, sizeof line, "\nreeve_request_duration_seconds%s ", rest_of_line);
    at = strstr(text, line);
    if (at == NULL)
        fail_msg("there is no %s", line + 1);
    return strtoull(at + strlen(line), NULL, 10);
}

static void buckets_only_grow_and_end_with_the_count(void **state)
{
    static const char prefix[] = "\nreeve_request_duration_seconds_bucket{app=\"hello\",le=\"";
    char *text = metrics_of(*state, false);
    unsigned long long before = 0, count = sample_of(text, "_count{app=\"hello\"}");
    double bound = 0;
    int buckets = 0;

    for (const char *at = text; (at = strstr(at, prefix)) != NULL; buckets++) {
        char *end;
        double le = strtod(at + sizeof prefix - 1, &end);
        unsigned long long value = strtoull(end + 3, NULL, 10);

        assert_memory_equal(end, "\"} ", 3);
        assert_true(le > bound);
        assert_true(value >= before && value <= count);
        bound = le;
        before = value;
        at += sizeof prefix;
    }
    assert_true(buckets > 10);
    assert_int_equal(count, 20007);
    assert_int_equal(before, count); /* the last one is +Inf */
    assert_true(sample_of(text, "_bucket{app=\"hello\",le=\"300.0\"}") < count);
    assert_true(sample_of(text, "_bucket{app=\"hello\",le=\"0.0001\"}") > 0);
    free(text);
}

static void a_label_is_escaped(void **state)
{
    struct evbuffer *out = evbuffer_new();
    char *text;

    (void)state;
    metrics_write_label(out, "a\"b\\c\nd");
    text = text_of(out);
    assert_string_equal(text, "a\\\"b\\\\c\\nd");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_promised_families_are_there, setup, teardown),
        cmocka_unit_test_setup_teardown(an_app_is_told_from_the_column_that_it_has, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(every_sample_stands_under_its_family, setup, teardown),
        cmocka_unit_test_setup_teardown(buckets_only_grow_and_end_with_the_count, setup, teardown),
        cmocka_unit_test(a_label_is_escaped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
