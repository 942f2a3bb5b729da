/* stats.c: adds up the scoreboard.
 *
 * Only what was ever written is looked at: reading a page of the sparse board would make it cost
 * memory. It decides nothing and asks no process. */
#include "base/stats.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/version.h"

const char *const stats_status_names[STATS_STATUSES] = {"starting", "idle", "busy", "draining",
                                                        "stuck"};

static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0; /* two cells may be a moment apart */
}

/* A moment of clock_ns() as people count: since 1970. 0 stays 0: not yet. */
static uint64_t wall_of(const struct board *board, uint64_t at)
{
    return at == 0 ? 0 : board->started_wall + at - board->started_at;
}

static void times_derive(struct stats_times *t)
{
    const struct histogram_sum *h = &t->histogram;

    t->count = h->count;
    t->mean = h->count == 0 ? 0 : h->sum / h->count;
    t->p50 = histogram_quantile(h, 0.5);
    t->p90 = histogram_quantile(h, 0.9);
    t->p99 = histogram_quantile(h, 0.99);
    t->p999 = histogram_quantile(h, 0.999);
    t->max = histogram_quantile(h, 1);
}

static void live_add(struct stats_live *into, const struct board_slot *from)
{
    into->chats += board_get(&from->chats);
    into->websockets += board_get(&from->websockets);
    into->published += board_get(&from->published);
    into->delivered += board_get(&from->delivered);
    into->missed += board_get(&from->missed);
}

static void column_add_connections(struct stats_column *into, const struct board_column *from)
{
    into->connections += board_get(&from->connections);
    into->opened += board_get(&from->opened);
    into->moved += board_get(&from->moved);
    into->cut_off += board_get(&from->cut_off);
    into->messages_in += board_get(&from->messages_in);
    into->messages_out += board_get(&from->messages_out);
}

static void column_add(struct stats_column *into, const struct board_column *from)
{
    uint64_t requests = board_get(&from->requests);

    column_add_connections(into, from);
    if (requests == 0 && board_get(&from->held) == 0)
        return; /* no request was ever written here: the histogram's pages stay unmade */
    into->requests += requests;
    into->active += board_get(&from->active);
    into->held += board_get(&from->held);
    into->exceptions += board_get(&from->exceptions);
    into->overdue += board_get(&from->overdue);
    for (size_t i = 0; i < sizeof(into->answers) / sizeof(into->answers[0]); i++)
        into->answers[i] += board_get(&from->answers[i]);
    into->bytes_in += board_get(&from->bytes_in);
    into->bytes_out += board_get(&from->bytes_out);
    histogram_add(&into->latency.histogram, &from->latency);
}

static bool was_ever_filled(const struct board *board, unsigned worker)
{
    return board_get(&board_seat(board, worker)->incarnation) != 0;
}

/* Notes `generation` as one of the app's two latest, the newest first. */
static void app_note_generation(struct stats_app *app, uint64_t generation)
{
    if (generation == 0 || generation == app->latest[0].generation)
        return;
    if (generation > app->latest[0].generation) {
        app->latest[1].generation = app->latest[0].generation;
        app->latest[0].generation = generation;
    } else if (generation > app->latest[1].generation) {
        app->latest[1].generation = generation;
    }
}

static void app_add_latest(struct stats_app *app, const struct board_column *from)
{
    uint64_t generation = board_get(&from->generation);

    for (size_t i = 0; i < app->latest_count; i++) {
        if (generation == app->latest[i].generation)
            column_add(&app->latest[i], from);
    }
}

static void app_gather(struct stats_app *app, const struct board *board, unsigned column)
{
    app_note_generation(app, app->generation);
    for (unsigned i = 0; i < board->max_workers; i++) {
        const struct board_cell *cell = board_cell(board, i, column);

        if (!was_ever_filled(board, i))
            continue;
        column_add(&app->total, &cell->total);
        for (size_t k = 0; k < 2; k++)
            app_note_generation(app, board_get(&cell->latest[k].generation));
    }
    app->latest_count = (app->latest[0].generation != 0) + (app->latest[1].generation != 0);
    for (unsigned i = 0; i < board->max_workers; i++) {
        if (!was_ever_filled(board, i))
            continue;
        for (size_t k = 0; k < 2; k++)
            app_add_latest(app, &board_cell(board, i, column)->latest[k]);
    }
    times_derive(&app->total.latency);
    for (size_t i = 0; i < app->latest_count; i++)
        times_derive(&app->latest[i].latency);
}

static void gather_jobs(struct stats_app *app, const struct board *board,
                        const struct job_table *table, uint64_t now)
{
    for (size_t i = 0; i < JOB_MOST; i++) {
        struct stats_job *job = &app->jobs[app->job_count];

        if (!job_read(board, &table->rows[i], now, &job->figures))
            continue;
        job->name = job->figures.name;
        job->worker = job->figures.worker;
        job->last_begun = wall_of(board, job->figures.begun_at);
        job->next_in = less(job->figures.due_at, now);
        app->job_count++;
    }
}

static void gather_pools(struct stats_app *app, const struct board *board, unsigned column)
{
    struct pools_list list = {0};

    if (pools_gather(&list, board, column) == 0 && list.count > 0)
        app->pools = calloc(list.count, sizeof app->pools[0]);
    for (size_t i = 0; app->pools && i < list.count; i++) {
        app->pools[i].figures = list.items[i];
        app->pools[i].name = app->pools[i].figures.name;
        app->pool_count++;
    }
    pools_free(&list);
}

/* The configuration's, each from its column. One that was taken out of the configuration keeps its
 * column, and what it did stays in the slots' totals. */
static void gather_apps(struct stats *stats, const struct board *board, const struct config *config,
                        uint64_t now)
{
    for (size_t i = 0; i < config->app_count; i++) {
        const struct config_app *configured = &config->apps[i];
        struct stats_app *app = &stats->apps[stats->app_count];
        const struct board_app *entry;

        if (configured->column >= board->max_apps)
            continue; /* it has none yet */
        entry = board_app(board, configured->column);
        app->name = configured->name;
        app->mount = configured->mount;
        app->generation = board_get(&entry->generation);
        app->reloads = board_get(&entry->reloads);
        app->refusals = board_get(&entry->refusals);
        app_gather(app, board, configured->column);
        holder_list_gather(&app->holders, board, configured->column);
        gather_jobs(app, board, &entry->jobs, now);
        gather_pools(app, board, configured->column);
        stats->app_count++;
    }
}

static enum stats_status status_of(const struct board_seat *seat, const struct board_slot *slot,
                                   const struct config *config, uint64_t now)
{
    uint64_t state = board_get(&seat->state);
    bool is_own = board_get(&slot->incarnation) == board_get(&seat->incarnation);
    uint64_t heartbeat = is_own ? board_get(&slot->heartbeat_at) : 0;

    if (state == SEAT_STARTING || heartbeat == 0)
        return STATS_STARTING; /* boot_timeout watches over it */
    if (config->hang_timeout != 0 && less(now, heartbeat) > config->hang_timeout)
        return STATS_STUCK;
    if (state == SEAT_DRAINING)
        return STATS_DRAINING;
    return board_get(&slot->active) > 0 ? STATS_BUSY : STATS_IDLE;
}

static void worker_gather(struct stats_worker *w, const struct board *board,
                          const struct config *config, uint64_t now)
{
    const struct board_seat *seat = board_seat(board, (unsigned)w->id);
    const struct board_slot *slot = board_slot(board, (unsigned)w->id);
    bool is_own = board_get(&slot->incarnation) == board_get(&seat->incarnation);

    w->incarnation = board_get(&seat->incarnation);
    w->pid = board_get(&seat->pid);
    w->status = status_of(seat, slot, config, now);
    w->status_name = stats_status_names[w->status];
    w->last_spawn = wall_of(board, board_get(&seat->last_spawn));
    w->respawn_count = board_get(&seat->respawns);
    w->requests = board_get(&slot->requests);
    w->exceptions = board_get(&slot->exceptions);
    w->overdue = board_get(&slot->overdue);
    w->refused = board_get(&slot->refused);
    w->connections = board_connections(board, (unsigned)w->id);
    live_add(&w->live, slot);
    histogram_add(&w->loop_lag.histogram, &slot->loop_lag);
    times_derive(&w->loop_lag);
    if (!is_own)
        return; /* the rest is the state of the process before */
    w->is_booted = board_get(&slot->booted_at) != 0;
    w->is_accepting = board_get(&slot->is_accepting) != 0;
    w->active = board_get(&slot->active);
    w->connections_idle = board_get(&slot->idle);
    w->delta_requests = less(w->requests, board_get(&slot->requests_at_boot));
    w->rss = board_get(&slot->rss);
    w->last_heartbeat = wall_of(board, board_get(&slot->heartbeat_at));
}

static void gather_workers(struct stats *stats, const struct board *board,
                           const struct config *config, uint64_t now)
{
    for (unsigned i = 0; i < board->max_workers; i++) {
        struct stats_worker *w = &stats->workers[stats->worker_count];

        if (!was_ever_filled(board, i) || board_get(&board_seat(board, i)->state) == SEAT_EMPTY)
            continue;
        w->id = i;
        worker_gather(w, board, config, now);
        stats->server.statuses[w->status]++;
        stats->worker_count++;
    }
}

static void gather_server(struct stats_server *s, const struct board *board)
{
    uint64_t handed_out = 0;

    s->incidents = board_get(&board->incidents);
    for (unsigned i = 0; i < board->max_workers; i++) {
        const struct board_slot *slot = board_slot(board, i);
        const struct board_seat *seat = board_seat(board, i);

        if (!was_ever_filled(board, i))
            continue;
        s->closed += board_get(&slot->closed);
        s->idle += board_get(&slot->idle);
        s->accepted += board_get(&slot->accepted);
        s->requests += board_get(&slot->requests);
        s->requests_active += board_get(&slot->active);
        s->refused += board_get(&slot->refused);
        s->exceptions += board_get(&slot->exceptions);
        s->overdue += board_get(&slot->overdue);
        live_add(&s->live, slot);
        s->respawns += board_get(&seat->respawns);
        s->recycled += board_get(&seat->recycled);
        handed_out += board_get(&seat->handed_out);
        s->handed_over += board_get(&seat->handed_in);
    }
    s->closed += less(handed_out, s->handed_over); /* the master found nobody to take them */
    s->active = less(less(s->accepted, s->closed), s->idle);
}

struct stats *stats_new(const struct board *board, const struct config *config, uint64_t now)
{
    struct stats *stats = calloc(1, sizeof *stats);

    if (stats == NULL)
        return NULL;
    stats->apps = calloc(config->app_count + 1, sizeof *stats->apps);
    stats->workers = calloc(board->max_workers + 1u, sizeof *stats->workers);
    if (stats->apps == NULL || stats->workers == NULL) {
        stats_free(stats);
        return NULL;
    }
    stats->server.version = REEVE_VERSION;
    stats->server.pid = (uint64_t)getpid();
    stats->server.uptime = less(now, board->started_at);
    stats->server.started_at = board->started_wall;
    stats->server.generation = board_get(&board->deployments);
    stats->server.target = config->workers;
    stats->server.quarantined = quarantine_count(&board->quarantine, now);
    stats->server.quarantine_refused = board_get(&board->quarantine.refused);
    gather_server(&stats->server, board);
    gather_workers(stats, board, config, now);
    gather_apps(stats, board, config, now);
    return stats;
}

void stats_free(struct stats *stats)
{
    if (stats == NULL)
        return;
    for (size_t i = 0; i < stats->app_count; i++) {
        holder_list_free(&stats->apps[i].holders);
        free(stats->apps[i].pools);
    }
    free(stats->workers);
    free(stats->apps);
    free(stats);
}
