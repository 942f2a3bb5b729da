/* config_check.c: looks at a configuration as a whole, after every value by itself was found good,
 * and works out what was left to reeve (`auto`). The order of the checks is the order in which an
 * operator would want to hear of them. */
#include "base/config_parts.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/paths.h"

/* As in the table of keys, for machines with more processors than that. */
#define WORKERS_MAX 1000

/* " (line N)", or nothing for the command line. */
static const char *line_note(const struct config_reading *reading, int line, char note[24])
{
    note[0] = '\0';
    if (reading->path != NULL && line > 0)
        snprintf(note, 24, " (line %d)", line);
    return note;
}

/* ---- workers ---- */

/* The processors this process may run on: a container or taskset may allow fewer than the machine
 * has. */
static unsigned count_cpus(void)
{
    cpu_set_t set;
    long online;

    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return (unsigned)CPU_COUNT(&set);
    online = sysconf(_SC_NPROCESSORS_ONLN); /* more than 1024, then */
    return online < 1 ? 1 : (unsigned)online;
}

static void check_workers(struct config_reading *reading)
{
    struct config *config = reading->config;

    if (config->workers == 0) {
        config->is_workers_auto = true;
        config->workers = count_cpus();
        if (config->workers > WORKERS_MAX)
            config->workers = WORKERS_MAX;
    }
    config->is_max_workers_auto = config->max_workers == 0;
    if (config->is_max_workers_auto) {
        config->max_workers = 2 * config->workers + 4;
        if (config->max_workers < 16)
            config->max_workers = 16;
    }
    if (config->max_workers <= config->workers)
        config_complain(reading, config_line_of(reading, "max_workers"),
                        "max_workers = %u is too few for %u workers: at least %u, since a "
                        "replacement runs beside the worker it replaces",
                        config->max_workers, config->workers, config->workers + 1);
    else if (config->max_unavailable >= config->max_workers)
        config_complain(reading, config_line_of(reading, "max_unavailable"),
                        "max_unavailable = %u must be less than max_workers (%u), since "
                        "replacements run beside the workers they replace",
                        config->max_unavailable, config->max_workers);
}

/* ---- limits ---- */

static void check_limits(struct config_reading *reading)
{
    const struct config *config = reading->config;
    int head = config_line_of(reading, "max_head"), target = config_line_of(reading, "max_target");

    if (config->max_target >= config->max_head)
        config_complain(reading, head > target ? head : target,
                        "max_target (%zu bytes) must be less than max_head (%zu bytes), which "
                        "holds the target and the headers",
                        config->max_target, config->max_head);
    if ((config->pubsub_ring & (config->pubsub_ring - 1)) != 0)
        config_complain(reading, config_line_of(reading, "pubsub_ring"),
                        "pubsub_ring (%zu bytes) must be a power of two, as 64k, 1m or 16m",
                        config->pubsub_ring);
}

/* ---- paths ---- */

static void check_paths(struct config_reading *reading)
{
    struct config *config = reading->config;
    size_t room = sizeof(((struct sockaddr_un *)0)->sun_path) - 1, length;

    config->is_control_auto = config->control == NULL;
    if (config->is_control_auto)
        config->control = paths_control();
    config->is_state_dir_auto = config->state_dir == NULL;
    if (config->is_state_dir_auto)
        config->state_dir = paths_state_dir();
    if (config->control == NULL || (config->state_dir == NULL && errno == ENOMEM)) {
        config_complain(reading, 0, "out of memory");
        return;
    }
    length = strlen(config->control);
    if (length > room)
        config_complain(reading, config_line_of(reading, "control"),
                        "the path of the control socket, \"%s\", has %zu bytes, but a Unix "
                        "socket's may have %zu",
                        config->control, length, room);
}

/* ---- listeners ---- */

/* Port 0 is another one each time. */
static bool is_same_address(const struct sock_address *a, const struct sock_address *b)
{
    size_t length = strlen(a->text);

    if (strcmp(a->text, b->text) != 0)
        return false;
    return a->addr.any.sa_family == AF_UNIX || strcmp(a->text + length - 2, ":0") != 0;
}

/* Which app a chat listener belongs to. */
static void check_protocol(struct config_reading *reading, size_t index)
{
    const struct config *config = reading->config;
    struct config_listen *listen = &reading->config->listens[index];
    int line = reading->listen_lines[index].app;

    if (listen->protocol == LISTEN_HTTP) {
        if (listen->app != NULL)
            config_complain(reading, line,
                            "listen \"%s\": app is for protocol = chat only; to an http listener "
                            "an app is bound by its own listen = {...}",
                            listen->address.text);
        return;
    }
    if (listen->app == NULL) {
        config_complain(reading, listen->line,
                        "listen \"%s\": protocol = chat needs app = \"NAME\", the app to which its "
                        "connections go",
                        listen->address.text);
        return;
    }
    while (listen->app_index < config->app_count &&
           strcmp(config->apps[listen->app_index].name, listen->app) != 0)
        listen->app_index++;
    if (listen->app_index == config->app_count)
        config_complain(reading, line, "listen \"%s\": there is no app \"%s\"",
                        listen->address.text, listen->app);
}

static void check_listen(struct config_reading *reading, size_t index)
{
    struct config_listen *listen = &reading->config->listens[index];
    char note[24];

    if (listen->name == NULL)
        listen->name = config_keep(reading, listen->address.text);
    for (size_t i = 0; i < index && !reading->has_failed; i++) {
        const struct config_listen *other = &reading->config->listens[i];

        line_note(reading, other->line, note);
        if (is_same_address(&listen->address, &other->address))
            config_complain(reading, listen->line, "there already is a listener at \"%s\"%s",
                            listen->address.text, note);
        else if (strcmp(listen->name, other->name) == 0)
            config_complain(reading, listen->line, "there already is a listener named \"%s\"%s",
                            listen->name, note);
    }
    check_protocol(reading, index);
}

static void check_listens(struct config_reading *reading)
{
    const struct config *config = reading->config;

    if (config->listen_count == 0)
        config_complain(reading, 0, "no listener: add one, such as listen \"127.0.0.1:8080\" { }");
    for (size_t i = 0; i < config->listen_count && !reading->has_failed; i++)
        check_listen(reading, i);
}

/* ---- apps ---- */

/* A listener by its name, or by its address in any spelling. */
static const struct config_listen *find_listen(const struct config *config, const char *name)
{
    struct sock_address address;
    bool is_address = sock_parse(name, &address) == NULL;

    for (size_t i = 0; i < config->listen_count; i++) {
        const struct config_listen *listen = &config->listens[i];

        if (strcmp(listen->name, name) == 0 ||
            (is_address && strcmp(listen->address.text, address.text) == 0))
            return listen;
    }
    return NULL;
}

/* From what the operator wrote to the listeners' names. */
static void resolve_listens(struct config_reading *reading, size_t index)
{
    struct config_app *app = &reading->config->apps[index];
    int line = reading->app_lines[index].listens;

    for (size_t i = 0; i < app->listen_count && !reading->has_failed; i++) {
        const struct config_listen *listen = find_listen(reading->config, app->listens[i]);

        if (listen == NULL) {
            config_complain(reading, line, "app \"%s\": there is no listener \"%s\"", app->name,
                            app->listens[i]);
            return;
        }
        if (listen->protocol != LISTEN_HTTP)
            config_complain(reading, line,
                            "app \"%s\": the listener \"%s\" speaks %s, and is bound to the app "
                            "that it names itself",
                            app->name, listen->name, config_protocol_name(listen->protocol));
        for (size_t k = 0; k < i; k++) {
            if (strcmp(app->listens[k], listen->name) == 0)
                config_complain(reading, line, "app \"%s\" names the listener \"%s\" twice",
                                app->name, listen->name);
        }
        free(app->listens[i]);
        app->listens[i] = config_keep(reading, listen->name);
    }
}

static bool shares_listener(const struct config_app *a, const struct config_app *b)
{
    if (a->listen_count == 0 || b->listen_count == 0)
        return true;
    for (size_t i = 0; i < a->listen_count; i++) {
        for (size_t k = 0; k < b->listen_count; k++) {
            if (strcmp(a->listens[i], b->listens[k]) == 0)
                return true;
        }
    }
    return false;
}

static void check_app(struct config_reading *reading, size_t index)
{
    struct config_app *app = &reading->config->apps[index];
    int mount_line = reading->app_lines[index].mount;
    char note[24];

    if (app->module == NULL)
        config_complain(reading, app->line, "app \"%s\" has no module", app->name);
    if (app->request_timeout == CONFIG_AUTO)
        app->request_timeout = reading->config->request_timeout;
    resolve_listens(reading, index);
    for (size_t i = 0; i < index && !reading->has_failed; i++) {
        const struct config_app *other = &reading->config->apps[i];

        line_note(reading, other->line, note);
        if (strcmp(app->name, other->name) == 0)
            config_complain(reading, app->line, "there already is an app \"%s\"%s", app->name,
                            note);
        else if (strcmp(app->mount, other->mount) == 0 && shares_listener(app, other))
            config_complain(reading, mount_line > 0 ? mount_line : app->line,
                            "app \"%s\" is mounted at \"%s\", where app \"%s\"%s is", app->name,
                            app->mount, other->name, note);
    }
}

static void check_apps(struct config_reading *reading)
{
    const struct config *config = reading->config;

    /* With a fallback it is for the start to judge: the file may be gone half-way through
     * somebody's copying of a new one. */
    if (reading->module_problem != NULL && config->fallback == FALLBACK_NONE)
        config_complain(reading, reading->module_line, "%s", reading->module_problem);
    if (config->app_count == 0)
        config_complain(reading, 0,
                        "no app: add one, such as app \"hello\" { module = \"hello.so\" }");
    if (config->app_count > config->max_apps)
        config_complain(reading, config_line_of(reading, "max_apps"),
                        "max_apps = %u is too few for %zu apps", config->max_apps,
                        config->app_count);
    for (size_t i = 0; i < config->app_count && !reading->has_failed; i++)
        check_app(reading, i);
}

void config_check(struct config_reading *reading)
{
    static void (*const checks[])(struct config_reading *) = {
        check_listens, check_apps, check_workers, check_limits, check_paths,
    };

    for (size_t i = 0; i < sizeof checks / sizeof checks[0] && !reading->has_failed; i++)
        checks[i](reading);
}
