/* metrics.c: writes every field that has a metric's name, family by family, and the histograms.
 *
 * A family's lines stand together, as both formats demand: so the loop over families is outside and
 * the one over workers or apps inside. */
#include "master/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/version.h"

/* One thing that has a table's figures, and how its lines are told from those of the others. */
struct subject {
    const void *figures;
    const char *label; /* "app"; NULL: there is only one */
    const char *value;
    const char *job;  /* of the app; NULL: it is none */
    const char *pool; /* likewise */
    char number[24];  /* room for a value */
};

struct writer {
    struct evbuffer *out;
    bool is_openmetrics;
};

void metrics_write_label(struct evbuffer *out, const char *value)
{
    for (; *value != '\0'; value++) {
        if (*value == '\n')
            evbuffer_add(out, "\\n", 2);
        else if (*value == '\\' || *value == '"')
            evbuffer_add_printf(out, "\\%c", *value);
        else
            evbuffer_add(out, value, 1);
    }
}

/* OpenMetrics names a counter's family without the suffix of its lines. */
static int family_length(const struct writer *writer, const char *name, const char *type)
{
    size_t length = strlen(name), suffix = strlen("_total");

    if (writer->is_openmetrics && strcmp(type, "counter") == 0 && length > suffix)
        length -= suffix;
    return (int)length;
}

static void write_head(const struct writer *writer, const char *name, const char *type,
                       const char *unit, const char *help)
{
    int length = family_length(writer, name, type);

    evbuffer_add_printf(writer->out, "# HELP %.*s %s%s%s\n", length, name, unit,
                        unit[0] == '\0' ? "" : " ", help);
    evbuffer_add_printf(writer->out, "# TYPE %.*s %s\n", length, name, type);
}

static void write_pair(struct evbuffer *out, const char *label, const char *value)
{
    evbuffer_add_printf(out, "%s=\"", label);
    metrics_write_label(out, value);
    evbuffer_add(out, "\"", 1);
}

/* Writes "name{app="hello",more}" and a space; `more` may be NULL. */
static void write_name(const struct writer *writer, const char *name, const char *suffix,
                       const struct subject *subject, const char *more)
{
    struct evbuffer *out = writer->out;

    evbuffer_add_printf(out, "%s%s", name, suffix);
    if (subject->label != NULL || more != NULL)
        evbuffer_add(out, "{", 1);
    if (subject->label != NULL)
        write_pair(out, subject->label, subject->value);
    if (subject->job != NULL) {
        evbuffer_add(out, ",", 1);
        write_pair(out, "job", subject->job);
    }
    if (subject->pool != NULL) {
        evbuffer_add(out, ",", 1);
        write_pair(out, "pool", subject->pool);
    }
    if (more != NULL)
        evbuffer_add_printf(out, "%s%s", subject->label != NULL ? "," : "", more);
    if (subject->label != NULL || more != NULL)
        evbuffer_add(out, "}", 1);
    evbuffer_add(out, " ", 1);
}

static void write_seconds(struct evbuffer *out, uint64_t ns)
{
    evbuffer_add_printf(out, "%" PRIu64 ".%09" PRIu64 "\n", (uint64_t)(ns / NS_PER_SEC),
                        (uint64_t)(ns % NS_PER_SEC));
}

static void write_count(struct evbuffer *out, uint64_t count)
{
    evbuffer_add_printf(out, "%" PRIu64 "\n", count);
}

static void write_value(struct evbuffer *out, const struct stats_field *field, const void *member)
{
    switch (field->kind) {
    case STATS_COUNT:
    case STATS_GAUGE:
        write_count(out, *(const uint64_t *)member);
        break;
    case STATS_SECONDS:
        write_seconds(out, *(const uint64_t *)member);
        break;
    case STATS_FLAG:
        write_count(out, *(const bool *)member);
        break;
    case STATS_TEXT:
        evbuffer_add(out, "0\n", 2); /* no table gives a text a metric */
        break;
    }
}

static void write_family_head(const struct writer *writer, const struct stats_field *field)
{
    const char *type = field->kind == STATS_COUNT ? "counter" : "gauge";
    bool is_seconds = strncmp(field->unit, "seconds", 7) == 0;

    if (field->family != NULL)
        write_head(writer, field->metric, type, "", field->family);
    else
        write_head(writer, field->metric, type, is_seconds ? "" : field->unit, field->help);
}

/* Which fields, from the i-th on, are of the same family? */
static size_t family_end(const struct stats_table *table, size_t i)
{
    const char *metric = table->fields[i].metric;
    size_t end = i + 1;

    while (end < table->count && table->fields[end].metric != NULL &&
           strcmp(table->fields[end].metric, metric) == 0)
        end++;
    return end;
}

static void write_table(const struct writer *writer, const struct stats_table *table,
                        const struct subject *subjects, size_t count)
{
    for (size_t i = 0, end; i < table->count; i = end) {
        end = i + 1;
        if (table->fields[i].metric == NULL)
            continue;
        end = family_end(table, i);
        write_family_head(writer, &table->fields[i]);
        for (size_t s = 0; s < count; s++) {
            for (const struct stats_field *f = &table->fields[i]; f < &table->fields[end]; f++) {
                write_name(writer, f->metric, "", &subjects[s], f->label);
                write_value(writer->out, f, stats_member(subjects[s].figures, f));
            }
        }
    }
}

static const struct bound {
    uint64_t ns;
    const char *label;
} bounds[] = {
#define MS(n) ((uint64_t)((n)*NS_PER_MS))
    {MS(0.1), "le=\"0.0001\""},   {MS(0.25), "le=\"0.00025\""}, {MS(0.5), "le=\"0.0005\""},
    {MS(1), "le=\"0.001\""},      {MS(2.5), "le=\"0.0025\""},   {MS(5), "le=\"0.005\""},
    {MS(10), "le=\"0.01\""},      {MS(25), "le=\"0.025\""},     {MS(50), "le=\"0.05\""},
    {MS(100), "le=\"0.1\""},      {MS(250), "le=\"0.25\""},     {MS(500), "le=\"0.5\""},
    {MS(1000), "le=\"1.0\""},     {MS(2500), "le=\"2.5\""},     {MS(5000), "le=\"5.0\""},
    {MS(10000), "le=\"10.0\""},   {MS(30000), "le=\"30.0\""},   {MS(60000), "le=\"60.0\""},
    {MS(300000), "le=\"300.0\""},
#undef MS
};

/* The buckets, +Inf and _count all come from one copy, so they cannot disagree. */
static void write_histogram(const struct writer *writer, const char *name,
                            const struct subject *subject, const struct histogram_sum *histogram)
{
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        write_name(writer, name, "_bucket", subject, bounds[i].label);
        write_count(writer->out, histogram_count_below(histogram, bounds[i].ns));
    }
    write_name(writer, name, "_bucket", subject, "le=\"+Inf\"");
    write_count(writer->out, histogram->count);
    write_name(writer, name, "_sum", subject, NULL);
    write_seconds(writer->out, histogram->sum);
    write_name(writer, name, "_count", subject, NULL);
    write_count(writer->out, histogram->count);
}

static void write_server(const struct writer *writer, const struct stats *stats)
{
    struct subject server = {.figures = &stats->server};

    write_head(writer, "reeve_info", "gauge", "", "always 1; which version runs");
    evbuffer_add_printf(writer->out, "reeve_info{version=\"%s\"} 1\n", REEVE_VERSION);
    write_table(writer, &stats_server_table, &server, 1);
}

/* Those whose queue is not known are left out. */
static void write_sockets(const struct writer *writer, const struct report_source *from)
{
    size_t count = 0, most = from->config->listen_count;
    struct stats_socket *sockets = calloc(most + 1, sizeof *sockets);
    struct subject *subjects = calloc(most + 1, sizeof *subjects);

    if (sockets == NULL || subjects == NULL)
        goto out;
    for (size_t i = 0; i < most; i++) {
        if (!report_socket(from, i, &sockets[count]))
            continue;
        subjects[count].figures = &sockets[count];
        subjects[count].label = "socket";
        subjects[count].value = sockets[count].name;
        count++;
    }
    write_table(writer, &stats_socket_table, subjects, count);
out:
    free(sockets);
    free(subjects);
}

static void write_workers(const struct writer *writer, const struct stats *stats)
{
    static const char lag[] = "reeve_worker_loop_lag_seconds";
    struct subject *subjects = calloc(stats->worker_count + 1, sizeof *subjects);

    if (subjects == NULL)
        return;
    for (size_t i = 0; i < stats->worker_count; i++) {
        snprintf(subjects[i].number, sizeof subjects[i].number, "%" PRIu64, stats->workers[i].id);
        subjects[i].figures = &stats->workers[i];
        subjects[i].label = "worker";
        subjects[i].value = subjects[i].number;
    }
    write_table(writer, &stats_worker_table, subjects, stats->worker_count);
    write_head(writer, lag, "histogram", "", "how late a worker's loop came to its events");
    for (size_t i = 0; i < stats->worker_count; i++)
        write_histogram(writer, lag, &subjects[i], &stats->workers[i].loop_lag.histogram);
    free(subjects);
}

static void write_apps(const struct writer *writer, const struct stats *stats)
{
    static const char duration[] = "reeve_request_duration_seconds";
    struct subject *subjects = calloc(stats->app_count + 1, sizeof *subjects);

    if (subjects == NULL)
        return;
    for (size_t i = 0; i < stats->app_count; i++) {
        subjects[i].figures = &stats->apps[i];
        subjects[i].label = "app";
        subjects[i].value = stats->apps[i].name;
    }
    write_table(writer, &stats_app_table, subjects, stats->app_count);
    for (size_t i = 0; i < stats->app_count; i++)
        subjects[i].figures = &stats->apps[i].total;
    write_table(writer, &stats_column_table, subjects, stats->app_count);
    write_head(writer, duration, "histogram", "",
               "from the last byte of a request's head to the last of its answer");
    for (size_t i = 0; i < stats->app_count; i++)
        write_histogram(writer, duration, &subjects[i], &stats->apps[i].total.latency.histogram);
    free(subjects);
}

static void write_jobs(const struct writer *writer, const struct stats *stats)
{
    struct subject *subjects = calloc(stats->app_count * JOB_MOST + 1, sizeof *subjects);
    size_t count = 0;

    for (size_t i = 0; subjects != NULL && i < stats->app_count; i++) {
        const struct stats_app *app = &stats->apps[i];

        for (size_t j = 0; j < app->job_count; j++)
            subjects[count++] = (struct subject){.figures = &app->jobs[j],
                                                 .label = "app",
                                                 .value = app->name,
                                                 .job = app->jobs[j].name};
    }
    if (count > 0)
        write_table(writer, &stats_job_table, subjects, count);
    free(subjects);
}

static size_t count_pools(const struct stats *stats)
{
    size_t count = 0;

    for (size_t i = 0; i < stats->app_count; i++)
        count += stats->apps[i].pool_count;
    return count;
}

static void write_pools(const struct writer *writer, const struct stats *stats)
{
    struct subject *subjects = calloc(count_pools(stats) + 1, sizeof *subjects);
    size_t count = 0;

    for (size_t i = 0; subjects != NULL && i < stats->app_count; i++) {
        const struct stats_app *app = &stats->apps[i];

        for (size_t j = 0; j < app->pool_count; j++)
            subjects[count++] = (struct subject){.figures = &app->pools[j],
                                                 .label = "app",
                                                 .value = app->name,
                                                 .pool = app->pools[j].name};
    }
    if (count > 0)
        write_table(writer, &stats_pool_table, subjects, count);
    free(subjects);
}

void metrics_write(struct evbuffer *out, const struct report_source *from, bool is_openmetrics)
{
    const struct writer writer = {out, is_openmetrics};

    write_server(&writer, from->stats);
    write_sockets(&writer, from);
    write_workers(&writer, from->stats);
    write_apps(&writer, from->stats);
    write_jobs(&writer, from->stats);
    write_pools(&writer, from->stats);
    if (is_openmetrics)
        evbuffer_add_printf(out, "# EOF\n");
}
