/* bequest.c: see bequest.h. Changes nothing of what it writes down. */
#include "master/bequest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sock.h"
#include "base/version.h"
#include "master/control.h"
#include "master/history.h"
#include "master/listeners.h"
#include "master/master.h"
#include "master/pool_private.h"
#include "master/succession.h"

/* How long until it fires; 0: it is not armed. */
static uint64_t time_left(const struct event *timer)
{
    struct timeval due, now;
    int64_t left;

    if (!evtimer_pending(timer, &due))
        return 0;
    gettimeofday(&now, NULL);
    left = (due.tv_sec - now.tv_sec) * (int64_t)NS_PER_SEC + (due.tv_usec - now.tv_usec) * 1000;
    return left > 0 ? (uint64_t)left : 1;
}

/* ---- texts: copies, all of them ---- */

struct writing {
    const struct master *master;
    struct succession *to;
    const struct build **builds; /* of those in the document, in its order */
    bool has_failed;             /* memory has run out */
};

static char *copy(struct writing *writing, const char *text)
{
    char *its = text != NULL ? strdup(text) : NULL;

    if (text != NULL && its == NULL)
        writing->has_failed = true;
    return its;
}

/* One more entry, all zeros; NULL without memory. */
static void *add(struct writing *writing, void *entries, size_t count, size_t size)
{
    char *more = reallocarray(entries, count + 1, size);

    if (more == NULL)
        writing->has_failed = true;
    else
        memset(more + count * size, 0, size);
    return more;
}

#define ADD(writing, list, count) \
    add((writing), (writing)->to->list, (writing)->to->count, sizeof(*(writing)->to->list))

/* ---- the parts ---- */

static void write_fixed(struct writing *writing)
{
    const struct config *config = writing->master->config;
    struct succession *to = writing->to;

    to->format = SUCCESSION_FORMAT;
    to->protocol = CHANNEL_PROTOCOL;
    to->pid = (int)getpid();
    to->version = copy(writing, REEVE_VERSION);
    to->is_max_workers_auto = config->is_max_workers_auto;
    to->is_control_auto = config->is_control_auto;
    to->is_state_dir_auto = config->is_state_dir_auto;
    to->workers = (int)config->workers;
    to->max_workers = (int)config->max_workers;
    to->max_apps = (int)config->max_apps;
    to->pubsub_ring = (int)config->pubsub_ring;
    to->control = copy(writing, config->control);
    to->state_dir = copy(writing, config->state_dir);
    to->pid_file = copy(writing, config->pid_file);
}

static void write_places(struct writing *writing)
{
    const struct master *master = writing->master;
    struct succession *to = writing->to;
    struct control_place place = {.fd = -1};

    to->folder = copy(writing, master->home.folder);
    to->lock = master->home.lock;
    to->is_private = master->home.is_private;
    to->has_pid_file = master->home.pid_file != NULL;
    to->board_fd = master->board_fd;
    if (master->control != NULL)
        place = control_place(master->control);
    to->control_fd = place.fd;
    to->control_device = place.device;
    to->control_inode = place.inode;
}

static void write_action(struct writing *writing)
{
    const struct receipt *receipt = writing->master->action.receipt;
    struct succession *to = writing->to;

    to->deploy = receipt->deploy;
    to->began_wall = receipt->began_wall;
    to->began_at = receipt->began_at;
    to->action = copy(writing, receipt->action);
    to->is_peer = receipt->requester.is_peer;
    to->peer_uid = receipt->requester.uid;
    to->peer_pid = (uint64_t)receipt->requester.pid;
    to->signal = copy(writing, receipt->requester.signal);
}

static void write_listeners(struct writing *writing)
{
    struct listeners *listening = writing->master->listening;

    for (size_t i = 0; i < listeners_count(listening); i++) {
        struct listeners_inherited from = listeners_socket(listening, i);
        struct succession_listener *more = ADD(writing, listeners, listener_count);

        if (more == NULL)
            return;
        writing->to->listeners = more;
        more[writing->to->listener_count++] = (struct succession_listener){
            .fd = from.fd,
            .name = copy(writing, from.name),
            .address = copy(writing, from.address),
            .is_ours = from.is_ours,
        };
    }
}

static void write_bells(struct writing *writing)
{
    const struct master *master = writing->master;

    for (unsigned i = 0; i < master->board->max_workers; i++) {
        struct succession_bell *more = ADD(writing, bells, bell_count);

        if (more == NULL)
            return;
        writing->to->bells = more;
        more[writing->to->bell_count++].fd = master->bells[i];
    }
}

/* Its place in the document; -1 for none. */
static int write_build(struct writing *writing, const struct build *build)
{
    struct succession *to = writing->to;
    struct succession_build *more;
    const struct build **known;

    for (size_t i = 0; i < to->build_count; i++)
        if (writing->builds[i] == build)
            return (int)i;
    if (build == NULL)
        return -1;
    known = reallocarray(writing->builds, to->build_count + 1, sizeof(*known));
    if (known != NULL)
        writing->builds = known;
    more = ADD(writing, builds, build_count);
    if (more != NULL)
        to->builds = more;
    if (known == NULL || more == NULL) {
        writing->has_failed = true;
        return -1;
    }
    known[to->build_count] = build;
    more[to->build_count] = (struct succession_build){
        .app = (int)build->app,
        .generation = build->generation,
        .path = copy(writing, build->path),
        .version = copy(writing, build->version),
        .build_id = copy(writing, build->build_id),
    };
    return (int)to->build_count++;
}

static void write_apps(struct writing *writing)
{
    const struct master *master = writing->master;

    for (unsigned i = 0; i < board_get(&master->board->app_count); i++) {
        const struct config_app *app = edition_app(master->edition, i);
        struct succession_app *more = ADD(writing, apps, app_count);

        if (more == NULL)
            return;
        writing->to->apps = more;
        more[writing->to->app_count++] = (struct succession_app){
            .name = copy(writing, catalog_name(&master->catalog, i)),
            .module = copy(writing, app != NULL ? app->module : NULL),
            .current = write_build(writing, master->catalog.apps[i].current),
            .last = master->catalog.apps[i].last,
        };
    }
}

static void write_holds(struct writing *writing, const struct worker *worker, int number)
{
    const struct hold *hold;

    LIST_FOREACH (hold, &worker->holds, link) {
        struct succession_hold *more = ADD(writing, holds, hold_count);

        if (more == NULL)
            return;
        writing->to->holds = more;
        more[writing->to->hold_count++] = (struct succession_hold){
            .worker = number,
            .build = write_build(writing, hold->build),
            .state = (int)hold->state,
            .asked_at = hold->asked_at,
        };
    }
}

static void write_worker(struct writing *writing, const struct worker *worker)
{
    struct succession *to = writing->to;
    struct succession_worker *more = ADD(writing, crew, worker_count);

    if (more == NULL)
        return;
    to->crew = more;
    more[to->worker_count] = (struct succession_worker){
        .id = (int)worker->id,
        .pid = (int)worker->pid,
        .state = (int)worker->state,
        .link = worker->channel != NULL ? channel_fd(worker->channel) : -1,
        .status = worker->status,
        .incarnation = worker->incarnation,
        .spawned_at = worker->spawned_at,
        .ready_at = worker->ready_at,
        .drained_at = worker->drained_at,
        .drain_limit = worker->drain_limit,
        .suspected_at = worker->suspected_at,
        .due_in = time_left(&worker->timer),
        .is_extra = worker->is_extra,
        .is_current = worker->is_current,
        .was_ready = worker->was_ready,
        .is_asked = worker->is_asked,
        .is_replaced = worker->is_replaced,
        .has_lost_connections = worker->has_lost_connections,
        .is_reaped = worker->is_reaped,
        .is_late = worker->is_late,
        .is_hung = worker->is_hung,
        .has_answered = worker->watch.has_answered,
        .hang_state = worker->hang_state,
        .refusal = copy(writing, worker->refusal),
        .hang = copy(writing, worker->hang),
    };
    write_holds(writing, worker, (int)to->worker_count++);
}

static void write_pool(struct writing *writing)
{
    const struct pool *pool = writing->master->pool;
    struct succession *to = writing->to;

    to->target = (int)pool->target;
    to->held_back = (int)pool->held_back;
    to->owed = (int)pool->owed;
    to->failures = (int)pool->backoff.failures;
    to->brief = (int)pool->backoff.brief;
    to->until = pool->backoff.until;
    to->retry_in = time_left(&pool->retry);
    to->was_ready = pool->was_ready;
    to->start_failures = (int)pool->starting.failures;
    to->last_failure = copy(writing, pool->starting.last);
    for (const struct worker *w = pool_first(pool); w != NULL; w = pool_next(w))
        write_worker(writing, w);
}

int bequest_write(const struct master *master, const char *nonce)
{
    struct succession succession = {.format = 0};
    struct writing writing = {.master = master, .to = &succession};
    int fd = -1, error = ENOMEM;

    succession.nonce = copy(&writing, nonce);
    write_fixed(&writing);
    write_places(&writing);
    write_action(&writing);
    write_listeners(&writing);
    write_bells(&writing);
    write_apps(&writing);
    write_pool(&writing);
    succession.receipts = cJSON_Duplicate(history_receipts(master->history), true);
    if (!writing.has_failed && succession.receipts != NULL) {
        fd = succession_write(&succession);
        error = errno;
    }
    succession_fini(&succession);
    free(writing.builds);
    errno = error;
    return fd;
}

/* ---- descriptors ---- */

static int keep(int fd, bool is_kept)
{
    return fd == -1 ? 0 : sock_set_cloexec(fd, !is_kept);
}

int bequest_keep(const struct master *master, bool is_kept)
{
    const struct catalog *catalog = &master->catalog;
    int status = keep(master->board_fd, is_kept) | keep(master->home.lock, is_kept);

    for (unsigned i = 0; i < master->board->max_workers; i++)
        status |= keep(master->bells[i], is_kept);
    if (master->control != NULL)
        status |= keep(control_place(master->control).fd, is_kept);
    for (size_t i = 0; i < listeners_count(master->listening); i++)
        status |= keep(listeners_socket(master->listening, i).fd, is_kept);
    for (unsigned i = 0; i < board_get(&master->board->app_count); i++)
        if (catalog->apps[i].current != NULL)
            status |= build_keep(catalog->apps[i].current, is_kept);
    for (const struct worker *w = pool_first(master->pool); w != NULL; w = pool_next(w)) {
        const struct hold *hold;

        if (w->channel != NULL)
            status |= keep(channel_fd(w->channel), is_kept);
        LIST_FOREACH (hold, &w->holds, link)
            status |= build_keep(hold->build, is_kept);
    }
    return status == 0 ? 0 : -1;
}
