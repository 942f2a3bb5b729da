/* top_cells.c: see top_cells.h. */
#include "top_cells.h"

#include <stdio.h>
#include <string.h>

/* clang-format off */
static const struct top_columns tables[TOP_TABLES] = {
    [TOP_WORKERS] = {11, {
        {"WORKER",    7,  7, false, 0, TOP_BY_ID},
        {"PID",       7,  7, true,  6, -1},
        {"STATUS",    8,  8, false, 0, -1},
        {"REQ/S",     8,  8, true,  0, TOP_BY_RATE},
        {"ACTIVE",    7,  7, true,  2, TOP_BY_ACTIVE},
        {"CONN",      6,  6, true,  3, -1},
        {"RSS",       8,  8, true,  1, TOP_BY_RSS},
        {"LAG",       7,  7, true,  4, TOP_BY_LAG},
        {"UP",       11, 11, true,  5, -1},
        {"REQUESTS", 15, 15, true,  7, -1},
        {"RESPAWNS",  8,  8, true,  8, -1},
    }},
    [TOP_APPS] = {11, {
        {"APP",      12, 27, false, 0, -1},
        {"GEN",       5,  5, true,  3, -1},
        {"REQ/S",     8,  8, true,  0, TOP_BY_APP_RATE},
        {"ACTIVE",    7,  7, true,  2, -1},
        {"LIVE",      7,  7, true,  5, -1},
        {"ERR/S",     7,  7, true,  1, TOP_BY_ERRORS},
        {"P50",       8,  8, true,  4, -1},
        {"P99",       8,  8, true,  0, TOP_BY_P99},
        {"MSG/S",     8,  8, true,  7, -1},
        {"REQUESTS", 15, 15, true,  8, -1},
        {"HELD",      8,  8, true,  9, -1},
    }},
    [TOP_REQUESTS] = {5, {
        {"AGE",       8,    8, true,  0, -1},
        {"WORKER",    7,    7, false, 2, -1},
        {"APP",      12,   12, false, 3, -1},
        {"IN",       14,   14, false, 1, -1},
        {"REQUEST",  12, 1000, false, 0, -1},
    }},
};
/* clang-format on */

const struct top_columns *top_columns(enum top_table table)
{
    return &tables[table];
}

size_t top_rows(const struct top_model *model, enum top_table table)
{
    switch (table) {
    case TOP_WORKERS:
        return model->worker_count;
    case TOP_APPS:
        return model->app_count;
    default:
        return model->request_count;
    }
}

int top_key(const struct top_view *view, enum top_table table)
{
    switch (table) {
    case TOP_WORKERS:
        return (int)view->by_worker;
    case TOP_APPS:
        return (int)view->by_app;
    default:
        return -1;
    }
}

char *top_rate(double rate, char *text, size_t size)
{
    if (rate < 0)
        snprintf(text, size, "-");
    else if (rate > 0 && rate < 9.95)
        snprintf(text, size, "%.1f", rate);
    else
        human_count(rate, text, size);
    return text;
}

char *top_seconds(double seconds, char *text, size_t size)
{
    if (seconds <= 0)
        snprintf(text, size, "-");
    else
        human_seconds(seconds, text, size);
    return text;
}

static enum colour colour_of_status(const char *status)
{
    if (strcmp(status, "busy") == 0)
        return COLOUR_GREEN;
    if (strcmp(status, "stuck") == 0)
        return COLOUR_RED;
    return strcmp(status, "idle") == 0 ? COLOUR_NONE : COLOUR_YELLOW;
}

static void cell_of_worker(const struct top_worker *worker, size_t column, struct top_cell *cell)
{
    char *text = cell->text;
    const size_t size = sizeof cell->text;

    switch (column) {
    case 0:
        snprintf(text, size, "%.0f.%.0f", worker->id, worker->incarnation);
        break;
    case 1:
        snprintf(text, size, "%.0f", worker->pid);
        break;
    case 2:
        snprintf(text, size, "%s", worker->status);
        cell->colour = colour_of_status(worker->status);
        break;
    case 3:
        top_rate(worker->rate, text, size);
        break;
    case 4:
        human_count(worker->active, text, size);
        break;
    case 5:
        human_count(worker->connections, text, size);
        break;
    case 6:
        human_bytes(worker->rss, text, size);
        break;
    case 7:
        top_seconds(worker->lag, text, size);
        break;
    case 8:
        human_age(worker->up, text, size);
        break;
    case 9:
        human_count(worker->requests, text, size);
        break;
    default:
        human_count(worker->respawns, text, size);
        break;
    }
}

static void cell_of_app(const struct top_app *app, size_t column, struct top_cell *cell)
{
    char *text = cell->text;
    const size_t size = sizeof cell->text;

    switch (column) {
    case 0:
        snprintf(text, size, "%s", app->name);
        cell->colour = COLOUR_BOLD;
        break;
    case 1:
        snprintf(text, size, "%.0f", app->generation);
        break;
    case 2:
        top_rate(app->rate, text, size);
        break;
    case 3:
        human_count(app->active, text, size);
        break;
    case 4:
        human_count(app->live, text, size);
        break;
    case 5:
        top_rate(app->errors, text, size);
        cell->colour = app->errors > 0 ? COLOUR_RED : COLOUR_NONE;
        break;
    case 6:
        top_seconds(app->p50, text, size);
        break;
    case 7:
        top_seconds(app->p99, text, size);
        break;
    case 8:
        top_rate(app->messages, text, size);
        break;
    case 9:
        human_count(app->requests, text, size);
        break;
    default:
        human_count(app->held, text, size);
        break;
    }
}

static void cell_of_request(const struct top_request *request, uint64_t now, size_t column,
                            struct top_cell *cell)
{
    char *text = cell->text;
    const size_t size = sizeof cell->text;

    switch (column) {
    case 0:
        human_seconds(top_request_age(request, now), text, size);
        break;
    case 1:
        snprintf(text, size, "%.0f.%.0f", request->worker, request->incarnation);
        break;
    case 2:
        snprintf(text, size, "%s", request->app);
        break;
    case 3:
        snprintf(text, size, "%s", request->state);
        break;
    default:
        snprintf(text, size, "%s %.250s", request->method, request->path);
        break;
    }
}

void top_cell(const struct top_model *model, const struct top_view *view, enum top_table table,
              size_t row, size_t column, struct top_cell *cell_out)
{
    cell_out->colour = COLOUR_NONE;
    if (table == TOP_WORKERS)
        cell_of_worker(&model->workers[row], column, cell_out);
    else if (table == TOP_APPS)
        cell_of_app(&model->apps[row], column, cell_out);
    else
        cell_of_request(&model->requests[row], view->now, column, cell_out);
}
