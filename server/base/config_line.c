/* config_line.c: a configuration without a file, from what the command line gives. The same keys,
 * types and checks. */
#include "base/config_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* build/apps/hello.so is the app "hello". */
static char *app_name(struct config_reading *reading, const char *module)
{
    const char *slash = strrchr(module, '/');
    char *name = config_keep(reading, slash == NULL ? module : slash + 1);
    char *end = name == NULL ? NULL : strrchr(name, '.');

    if (end != NULL && strcmp(end, ".so") == 0)
        *end = '\0';
    return name;
}

static void set_app(struct config_reading *reading, struct config_app *app, const char *key,
                    const char *text)
{
    int lines[CONFIG_KEYS_MAX] = {0};

    config_set_key(reading, config_app_keys, app, lines, key, text, 0);
}

static void add_module(struct config_reading *reading, const char *module)
{
    bool is_first = reading->config->app_count == 0;
    char *name = app_name(reading, module), mount[80];
    struct config_app *app = NULL;

    if (name != NULL)
        app = config_add_app(reading, name, 0);
    if (app != NULL)
        set_app(reading, app, "module", module);
    if (app != NULL && !is_first) {
        snprintf(mount, sizeof mount, "/%s", name);
        set_app(reading, app, "mount", mount);
    }
    free(name);
}

static void set_servers(struct config_reading *reading, const struct config_line *line)
{
    const struct {
        const char *key, *text;
    } values[] = {
        {"workers", line->workers},       {"control", line->control},
        {"state_dir", line->state_dir},   {"log_level", line->log_level},
        {"access_log", line->access_log}, {"pid_file", line->pid_file},
    };

    for (size_t i = 0; i < sizeof values / sizeof values[0] && !reading->has_failed; i++) {
        if (values[i].text != NULL)
            config_set_key(reading, config_server_keys, reading->config, reading->server_lines,
                           values[i].key, values[i].text, 0);
    }
}

struct config *config_from_line(const struct config_line *line, char **error_out)
{
    struct config_reading reading;

    config_reading_init(&reading, NULL);
    if (!reading.has_failed)
        set_servers(&reading, line);
    if (line->listen_count == 0 && !reading.has_failed)
        config_add_listen(&reading, "127.0.0.1:8080", 0);
    for (size_t i = 0; i < line->listen_count && !reading.has_failed; i++)
        config_add_listen(&reading, line->listens[i], 0);
    if (line->module_count == 0)
        config_complain(&reading, 0, "no module: name at least one, such as hello.so");
    for (size_t i = 0; i < line->module_count && !reading.has_failed; i++)
        add_module(&reading, line->modules[i]);
    return config_reading_end(&reading, error_out);
}
