/* route.c: tables of mounts, made once at start. */
#include "app/route.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool is_bound(const struct config_app *app, const struct config_listen *listen)
{
    if (listen->protocol != LISTEN_HTTP)
        return false; /* no paths there */
    if (app->listen_count == 0)
        return true;
    for (size_t i = 0; i < app->listen_count; i++)
        if (strcmp(app->listens[i], listen->name) == 0)
            return true;
    return false;
}

static int longer_first(const void *a, const void *b)
{
    const struct route *left = a, *right = b;

    return (left->length < right->length) - (left->length > right->length);
}

static int fill_table(struct route_table *table, const struct config *config,
                      const struct config_listen *listen)
{
    table->routes = calloc(config->app_count, sizeof table->routes[0]);
    if (!table->routes)
        return -1;
    for (size_t i = 0; i < config->app_count; i++) {
        const char *mount = config->apps[i].mount;

        if (!is_bound(&config->apps[i], listen))
            continue;
        if (strcmp(mount, "/") == 0)
            mount = "";
        table->routes[table->count++] =
            (struct route){.mount = mount, .length = strlen(mount), .app = (unsigned)i};
    }
    qsort(table->routes, table->count, sizeof table->routes[0], longer_first);
    return 0;
}

struct route_table *route_tables_new(const struct config *config)
{
    struct route_table *tables = calloc(config->listen_count, sizeof *tables);

    for (size_t i = 0; tables && i < config->listen_count; i++)
        if (fill_table(&tables[i], config, &config->listens[i]) == -1) {
            route_tables_free(tables, config);
            return NULL;
        }
    return tables;
}

void route_tables_free(struct route_table *tables, const struct config *config)
{
    for (size_t i = 0; tables && i < config->listen_count; i++)
        free(tables[i].routes);
    free(tables);
}

const struct route *route_find(const struct route_table *table, const char *path, size_t length)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct route *route = &table->routes[i];

        if (route->length <= length && memcmp(path, route->mount, route->length) == 0 &&
            (route->length == length || path[route->length] == '/'))
            return route;
    }
    return NULL;
}
