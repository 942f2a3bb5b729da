/* heir.c: see heir.h. Whatever could be refused is refused in the check, where the former image
 * goes on as if nothing had been; in the taking over only a machine at its end still refuses. */
#include "master/heir.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sock.h"
#include "base/version.h"
#include "master/check.h"
#include "master/control.h"
#include "master/history.h"
#include "master/listeners.h"
#include "master/master.h"
#include "master/pool_private.h"
#include "master/sentence.h"
#include "master/timer.h"

int heir_document(void)
{
    const char *text = getenv(HEIR_VARIABLE);
    char *end;
    long fd = text != NULL ? strtol(text, &end, 10) : -1;

    if (text == NULL)
        return -1;
    if (end == text || *end != '\0' || fd < 0 || fd > INT_MAX)
        fd = -1;
    unsetenv(HEIR_VARIABLE);
    if (fd != -1)
        sock_set_cloexec((int)fd, true);
    return (int)fd;
}

/* ---- the configuration ---- */

static const char *place_of(const struct config *config)
{
    return config->path != NULL ? config->path : "the command line";
}

#define ADVICE "reload the configuration first (reevectl reload --config), then upgrade"

static int compare_listeners(const struct succession *s, const struct config *config,
                             char **error_out)
{
    for (size_t i = 0; i < config->listen_count; i++) {
        const struct config_listen *listen = &config->listens[i];
        bool is_found = false;

        for (size_t j = 0; j < s->listener_count && !is_found; j++)
            is_found = s->listeners[j].name != NULL && s->listeners[j].address != NULL &&
                       strcmp(s->listeners[j].name, listen->name) == 0 &&
                       strcmp(s->listeners[j].address, listen->address.text) == 0;
        if (!is_found)
            return sentence_set(error_out,
                                "%s names a listener that is not in force, \"%s\": " ADVICE,
                                place_of(config), listen->name);
    }
    if (config->listen_count != s->listener_count)
        return sentence_set(error_out, "%s lacks a listener that is in force: " ADVICE,
                            place_of(config));
    return 0;
}

/* NULL: no app of this name is in force. */
static const struct succession_app *app_in_force(const struct succession *s, const char *name)
{
    for (size_t i = 0; i < s->app_count; i++)
        if (s->apps[i].module != NULL && s->apps[i].current != -1 &&
            strcmp(s->apps[i].name, name) == 0)
            return &s->apps[i];
    return NULL;
}

static int compare_apps(const struct succession *s, const struct config *config, char **error_out)
{
    size_t in_force = 0;

    for (size_t i = 0; i < s->app_count; i++)
        in_force += s->apps[i].module != NULL;
    for (size_t i = 0; i < config->app_count; i++) {
        const struct config_app *app = &config->apps[i];
        const struct succession_app *now = app_in_force(s, app->name);

        if (now == NULL)
            return sentence_set(error_out, "%s names an app that is not in force, \"%s\": " ADVICE,
                                place_of(config), app->name);
        if (strcmp(now->module, app->module) != 0)
            return sentence_set(
                error_out, "%s names another module of app \"%s\" than the one in force: " ADVICE,
                place_of(config), app->name);
    }
    if (config->app_count != in_force)
        return sentence_set(error_out, "%s lacks an app that is in force: " ADVICE,
                            place_of(config));
    return 0;
}

int heir_compare(const struct succession *s, struct config *config, char **error_out)
{
    const struct config now = {
        .is_max_workers_auto = s->is_max_workers_auto,
        .is_control_auto = s->is_control_auto,
        .is_state_dir_auto = s->is_state_dir_auto,
        .workers = (unsigned)s->workers,
        .max_workers = (unsigned)s->max_workers,
        .max_apps = (unsigned)s->max_apps,
        .pubsub_ring = (size_t)s->pubsub_ring,
        .control = s->control,
        .state_dir = s->state_dir,
        .pid_file = s->pid_file,
    };

    if (config_compare(&now, config, error_out) != 0 ||
        compare_listeners(s, config, error_out) != 0)
        return -1;
    return compare_apps(s, config, error_out);
}

/* ---- the check ---- */

static int check_board(int fd, char **error_out)
{
    struct board *board = board_attach(fd);

    if (board == NULL && errno == EPROTO)
        return sentence_set(error_out,
                            "its scoreboard has another layout: stop the server and start "
                            "the new one");
    if (board == NULL)
        return sentence_set(error_out, "the scoreboard cannot be used: %s", strerror(errno));
    board_detach(board);
    return 0;
}

/* What runs now has to run under this binary, too: its interface may have changed. */
static int check_builds(const struct succession *s, const struct config *config, char **error_out)
{
    for (size_t i = 0; i < config->app_count; i++) {
        struct config_app *app = &config->apps[i];
        const struct succession_app *now = app_in_force(s, app->name);

        free(app->module);
        app->module = strdup(s->builds[now->current].path);
        if (app->module == NULL)
            return sentence_set(error_out, "memory has run out");
    }
    return check_modules(config, error_out);
}

static int check(const struct succession *s, struct config *config, const char *problem,
                 char **error_out)
{
    if (check_board(s->board_fd, error_out) != 0)
        return -1;
    if (s->bell_count != (size_t)s->max_workers)
        return sentence_set(error_out, "the state contradicts itself");
    if (config == NULL)
        return sentence_set(error_out, "%s", problem);
    if (heir_compare(s, config, error_out) != 0)
        return -1;
    return check_builds(s, config, error_out);
}

int heir_answer(struct config *config, const char *problem, int document)
{
    struct succession succession = {.format = 0};
    char *refusal = NULL, *text;
    int status = succession_read(document, &succession, &refusal);
    cJSON *answer = cJSON_CreateObject();

    if (status == 0)
        status = check(&succession, config, problem, &refusal);
    cJSON_AddStringToObject(answer, "nonce", succession.nonce != NULL ? succession.nonce : "");
    if (status == 0)
        cJSON_AddStringToObject(answer, "version", REEVE_VERSION);
    else
        cJSON_AddStringToObject(answer, "refusal", sentence_or(refusal));
    text = cJSON_PrintUnformatted(answer);
    if (text == NULL || puts(text) == EOF || fflush(stdout) != 0)
        status = -1;
    free(text);
    cJSON_Delete(answer);
    free(refusal);
    succession_fini(&succession);
    return status == 0 ? 0 : 1;
}

/* ---- places ---- */

/* With limits that forget nothing: what is needed is known only later (master_set_history_limits).
 */
static int take_history(struct master *master, const struct succession *s, char **error_out)
{
    const struct history_limits limits = {
        .modules = INT_MAX, .receipts = INT_MAX, .resumed = s->deploy};
    const cJSON *receipt;

    master->history = history_open(master->home.folder, &limits);
    if (master->history == NULL)
        return sentence_set(error_out, "memory has run out");
    /* What the disk did not take, or where there is none. */
    cJSON_ArrayForEach (receipt, s->receipts) {
        const cJSON *number = cJSON_GetObjectItemCaseSensitive(receipt, "deploy");

        if (cJSON_IsNumber(number) &&
            history_receipt(master->history, (uint64_t)number->valuedouble) == NULL)
            history_put(master->history, receipt);
    }
    return 0;
}

static int take_listeners(struct master *master, const struct succession *s, char **error_out)
{
    struct listeners_inherited *inherited = calloc(s->listener_count + 1, sizeof(*inherited));
    int status;

    if (inherited == NULL)
        return sentence_set(error_out, "memory has run out");
    for (size_t i = 0; i < s->listener_count; i++)
        inherited[i] = (struct listeners_inherited){.fd = s->listeners[i].fd,
                                                    .name = s->listeners[i].name,
                                                    .address = s->listeners[i].address,
                                                    .is_ours = s->listeners[i].is_ours};
    master->listening = listeners_new();
    if (master->listening == NULL)
        status = sentence_set(error_out, "memory has run out");
    else
        status = listeners_inherit(master->listening, inherited, s->listener_count, error_out);
    free(inherited);
    if (status != 0 ||
        listeners_prepare(master->listening, master->edition->config, error_out) == NULL)
        return -1;
    listeners_commit(master->listening);
    master->edition->listeners = listeners_fds(master->listening);
    return 0;
}

int heir_take_places(struct master *master, const struct succession *s, char **error_out)
{
    if (home_adopt(&master->home, s->folder, s->lock, s->is_private, error_out) != 0 ||
        take_history(master, s, error_out) != 0)
        return -1;
    if (s->has_pid_file && s->pid_file != NULL) {
        master->home.pid_file = strdup(s->pid_file);
        if (master->home.pid_file == NULL)
            return sentence_set(error_out, "memory has run out");
    }
    return take_listeners(master, s, error_out);
}

static int take_bells(struct master *master, const struct succession *s, char **error_out)
{
    if (s->bell_count == master->board->max_workers)
        master->bells = calloc(s->bell_count, sizeof(*master->bells));
    if (master->bells == NULL)
        return sentence_set(error_out, "the bells of the workers cannot be taken over");
    for (size_t i = 0; i < s->bell_count; i++)
        master->bells[i] = s->bells[i].fd;
    for (size_t i = 0; i < s->bell_count; i++)
        if (sock_set_cloexec(master->bells[i], true) != 0)
            return sentence_set(error_out, "the bells of the workers cannot be used: %s",
                                strerror(errno));
    return 0;
}

int heir_take_board(struct master *master, const struct succession *s, char **error_out)
{
    master->board = board_attach(s->board_fd);
    if (master->board == NULL || sock_set_cloexec(s->board_fd, true) != 0)
        return sentence_set(error_out, "the scoreboard cannot be used: %s", strerror(errno));
    master->board_fd = s->board_fd;
    return take_bells(master, s, error_out);
}

/* ---- builds, workers ---- */

/* Of those in the document, in its order; the references are the array's. NULL without memory. */
static struct build **adopt_builds(const struct succession *s)
{
    struct build **builds = calloc(s->build_count + 1, sizeof(struct build *));

    for (size_t i = 0; builds != NULL && i < s->build_count; i++) {
        const struct succession_build *from = &s->builds[i];

        builds[i] = build_adopt(from->path, (unsigned)from->app, from->generation);
        if (builds[i] == NULL)
            return NULL; /* the process ends */
        snprintf(builds[i]->version, sizeof(builds[i]->version), "%s",
                 from->version != NULL ? from->version : "");
        snprintf(builds[i]->build_id, sizeof(builds[i]->build_id), "%s",
                 from->build_id != NULL ? from->build_id : "");
    }
    return builds;
}

static void drop_builds(struct build **builds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        build_unref(builds[i]);
    free(builds);
}

/* The columns of the document are the scoreboard's: their names stand there. */
static void fill_catalog(struct master *master, const struct succession *s, struct build **builds)
{
    for (size_t i = 0; i < s->app_count && i < master->board->max_apps; i++) {
        const struct succession_app *app = &s->apps[i];

        master->catalog.apps[i].last = app->last;
        if (app->current != -1)
            build_unref(catalog_replace(&master->catalog, (unsigned)i, builds[app->current]));
    }
}

static int add_holds(const struct succession *s, size_t number, struct worker *worker,
                     struct build **builds)
{
    for (size_t i = s->hold_count; i-- > 0;) { /* each is put before the others */
        struct hold *hold;

        if ((size_t)s->holds[i].worker != number)
            continue;
        hold = hold_add(&worker->holds, builds[s->holds[i].build]);
        if (hold == NULL)
            return -1;
        hold->state = (enum hold_state)s->holds[i].state;
        hold->asked_at = s->holds[i].asked_at;
    }
    return 0;
}

static int adopt_worker(struct master *master, const struct succession *s, size_t number,
                        struct build **builds)
{
    const struct succession_worker *from = &s->crew[number];
    struct worker *worker = calloc(1, sizeof(*worker));

    if (worker == NULL)
        return -1;
    LIST_INIT(&worker->holds);
    worker->edition = edition_ref(master->edition);
    worker->id = (unsigned)from->id;
    worker->incarnation = from->incarnation;
    worker->pid = from->pid;
    worker->state = (enum seat_state)from->state;
    worker->is_extra = from->is_extra;
    worker->is_current = from->is_current;
    worker->was_ready = from->was_ready;
    worker->is_asked = from->is_asked;
    worker->is_replaced = from->is_replaced;
    worker->has_lost_connections = from->has_lost_connections;
    worker->is_reaped = from->is_reaped;
    worker->is_late = from->is_late;
    worker->status = from->status;
    worker->spawned_at = from->spawned_at;
    worker->ready_at = from->ready_at;
    worker->drained_at = from->drained_at;
    worker->drain_limit = from->drain_limit;
    worker->suspected_at = from->suspected_at;
    worker->refusal = from->refusal != NULL ? strdup(from->refusal) : NULL;
    worker->is_hung = from->is_hung;
    worker->watch.has_answered = from->has_answered;
    worker->hang_state = (char)from->hang_state;
    worker->hang = from->hang != NULL ? strdup(from->hang) : NULL;
    if (from->link != -1 && sock_set_cloexec(from->link, true) != 0)
        return -1;
    if (life_adopt(master->pool, worker, from->link) != 0 ||
        add_holds(s, number, worker, builds) != 0)
        return -1;
    if (from->due_in > 0)
        timer_arm(&worker->timer, from->due_in);
    return 0;
}

static int adopt_pool(struct master *master, const struct succession *s, struct build **builds)
{
    struct pool *pool = master->pool;
    bool is_changed = master->config->workers != (unsigned)s->workers;

    for (size_t i = 0; i < s->worker_count; i++)
        if (adopt_worker(master, s, i, builds) != 0)
            return -1;
    /* An operator's own `scale` stands, unless the configuration has changed its mind. */
    pool->target = is_changed ? master->config->workers : (unsigned)s->target;
    pool->held_back = (unsigned)s->held_back;
    pool->owed = (unsigned)s->owed;
    pool->backoff = (struct backoff){
        .failures = (unsigned)s->failures, .brief = (unsigned)s->brief, .until = s->until};
    pool->was_ready = s->was_ready;
    starting_go_on(pool, (unsigned)s->start_failures, s->last_failure);
    if (pool->held_back > 0) {
        pool->retry_at = clock_ns() + s->retry_in;
        timer_arm(&pool->retry, s->retry_in);
    }
    return 0;
}

/* ---- the action that this is ---- */

static int take_action(struct master *master, const struct succession *s)
{
    const struct requester requester = {
        .is_peer = s->is_peer,
        .uid = (uid_t)s->peer_uid,
        .pid = (pid_t)s->peer_pid,
        .signal = s->signal != NULL ? "SIGUSR2" : NULL, /* no other upgrades */
    };
    struct receipt *receipt = receipt_new(s->deploy, ACTION_UPGRADE, s->action, &requester);

    if (receipt == NULL)
        return -1;
    receipt->began_wall = s->began_wall;
    receipt->began_at = s->began_at;
    master->action.receipt = receipt;
    return 0;
}

int heir_take_state(struct master *master, const struct succession *s, char **error_out)
{
    const struct control_place place = {s->control_fd, s->control_device, s->control_inode};
    struct build **builds = adopt_builds(s);

    if (builds == NULL)
        return sentence_set(error_out, "memory has run out");
    fill_catalog(master, s, builds);
    if (adopt_pool(master, s, builds) != 0 || take_action(master, s) != 0)
        return sentence_set(error_out, "a worker cannot be taken over: %s", strerror(errno));
    drop_builds(builds, s->build_count);
    if (place.fd != -1)
        master->control = control_adopt(master, &place);
    return 0;
}
