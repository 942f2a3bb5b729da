/* config_reading.c: the life of one reading: it begins with defaults, collects listeners and apps,
 * keeps the first complaint, and ends in a configuration or in that complaint. */
#include "base/config_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void config_complain(struct config_reading *reading, int line, const char *format, ...)
{
    char *why = NULL, place[24] = "";
    va_list args;
    int length;

    if (reading->has_failed)
        return;
    reading->has_failed = true;
    va_start(args, format);
    length = vasprintf(&why, format, args);
    va_end(args);
    if (length < 0)
        return;
    if (reading->path == NULL) {
        reading->error = why;
        return;
    }
    if (line > 0)
        snprintf(place, sizeof place, ":%d", line);
    if (asprintf(&reading->error, "%s%s: %s", reading->path, place, why) < 0)
        reading->error = NULL;
    free(why);
}

char *config_keep(struct config_reading *reading, const char *text)
{
    char *copy = strdup(text);

    if (copy == NULL)
        config_complain(reading, 0, "out of memory");
    return copy;
}

/* Room for one element more at the end of an array, zeroed; NULL after complaining. */
static void *grow(struct config_reading *reading, void *array, size_t count, size_t size)
{
    char *larger = realloc(array, (count + 1) * size);

    if (larger == NULL) {
        config_complain(reading, 0, "out of memory");
        return NULL;
    }
    memset(larger + count * size, 0, size);
    return larger;
}

struct config_listen *config_add_listen(struct config_reading *reading, const char *text, int line)
{
    struct config *config = reading->config;
    struct config_listen_lines *lines;
    struct config_listen *listens, *listen;
    const char *wrong;

    lines = grow(reading, reading->listen_lines, config->listen_count, sizeof *lines);
    if (lines == NULL)
        return NULL;
    reading->listen_lines = lines;
    listens = grow(reading, config->listens, config->listen_count, sizeof *listens);
    if (listens == NULL)
        return NULL;
    config->listens = listens;
    listen = &listens[config->listen_count++];
    listen->line = line;
    memset(reading->section_lines, 0, sizeof reading->section_lines);
    config_set_defaults(reading, config_listen_keys, listen);
    wrong = sock_parse(text, &listen->address);
    if (wrong != NULL)
        config_complain(reading, line, "%s \"%s\": %s",
                        reading->path == NULL ? "--listen" : "listen", text, wrong);
    return reading->has_failed ? NULL : listen;
}

static bool is_app_name(const char *name)
{
    size_t length =
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");

    return length > 0 && length <= 63 && name[length] == '\0';
}

struct config_app *config_add_app(struct config_reading *reading, const char *name, int line)
{
    struct config *config = reading->config;
    struct config_app_lines *lines;
    struct config_app *apps, *app;

    lines = grow(reading, reading->app_lines, config->app_count, sizeof *lines);
    if (lines == NULL)
        return NULL;
    reading->app_lines = lines;
    apps = grow(reading, config->apps, config->app_count, sizeof *apps);
    if (apps == NULL)
        return NULL;
    config->apps = apps;
    app = &apps[config->app_count];
    app->column = (unsigned)config->app_count++;
    app->line = line;
    memset(reading->section_lines, 0, sizeof reading->section_lines);
    config_set_defaults(reading, config_app_keys, app);
    app->name = config_keep(reading, name);
    if (!is_app_name(name))
        config_complain(reading, line,
                        "app \"%s\": a name is 1 to 63 letters, digits, \"-\" or \"_\"", name);
    return reading->has_failed ? NULL : app;
}

void config_reading_init(struct config_reading *reading, const char *path)
{
    *reading = (struct config_reading){.path = path};
    reading->config = calloc(1, sizeof *reading->config);
    if (reading->config == NULL)
        config_complain(reading, 0, "out of memory");
    else
        config_set_defaults(reading, config_server_keys, reading->config);
}

struct config *config_reading_end(struct config_reading *reading, char **error_out)
{
    struct config *config = reading->config;

    if (!reading->has_failed)
        config_check(reading);
    if (!reading->has_failed) {
        config->lines = malloc(sizeof reading->server_lines);
        if (config->lines == NULL)
            config_complain(reading, 0, "out of memory");
        else
            memcpy(config->lines, reading->server_lines, sizeof reading->server_lines);
    }
    free(reading->listen_lines);
    reading->listen_lines = NULL;
    free(reading->app_lines);
    reading->app_lines = NULL;
    free(reading->module_problem);
    reading->module_problem = NULL;
    reading->config = NULL;
    if (!reading->has_failed)
        return config;
    *error_out = reading->error != NULL ? reading->error : strdup("out of memory");
    reading->error = NULL;
    config_free(config);
    return NULL;
}

int config_refuse(const struct config *config, const char *key, char **error_out,
                  const char *format, ...)
{
    char *why = NULL, place[24] = "";
    int line = 0;
    va_list args;

    *error_out = NULL;
    va_start(args, format);
    if (vasprintf(&why, format, args) < 0)
        why = NULL;
    va_end(args);
    if (why == NULL || config->path == NULL) {
        *error_out = why;
        return -1;
    }
    for (size_t i = 0; config_server_keys[i].name != NULL; i++) {
        if (strcmp(config_server_keys[i].name, key) == 0)
            line = config->lines[i];
    }
    if (line > 0)
        snprintf(place, sizeof place, ":%d", line);
    if (asprintf(error_out, "%s%s: %s", config->path, place, why) < 0)
        *error_out = NULL;
    free(why);
    return -1;
}
