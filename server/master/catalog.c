/* catalog.c: see catalog.h. Knows builds and columns; nothing of workers or deployments. */
#include "master/catalog.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "master/sentence.h"

int catalog_open(struct catalog *catalog, struct board *board)
{
    *catalog = (struct catalog){.board = board};
    catalog->apps = calloc(board->max_apps, sizeof(*catalog->apps));
    return catalog->apps != NULL ? 0 : -1;
}

void catalog_close(struct catalog *catalog)
{
    for (unsigned i = 0; catalog->apps != NULL && i < catalog->board->max_apps; i++) {
        build_unref(catalog->apps[i].current);
        build_unref(catalog->apps[i].next);
    }
    free(catalog->apps);
    catalog->apps = NULL;
}

const char *catalog_name(const struct catalog *catalog, unsigned column)
{
    if (column >= board_get(&catalog->board->app_count))
        return NULL;
    return board_app(catalog->board, column)->name;
}

/* -1: there is none left. */
static int column_of(struct catalog *catalog, const char *name)
{
    unsigned count = (unsigned)board_get(&catalog->board->app_count), column = 0;
    struct board_app *entry;

    while (column < count && strcmp(board_app(catalog->board, column)->name, name) != 0)
        column++;
    if (column < count)
        return (int)column;
    if (count == catalog->board->max_apps)
        return -1;
    entry = board_app(catalog->board, column);
    snprintf(entry->name, sizeof(entry->name), "%s", name);
    board_set(&catalog->board->app_count, count + 1);
    return (int)column;
}

int catalog_assign(struct catalog *catalog, struct config *config, char **error_out)
{
    for (size_t i = 0; i < config->app_count; i++) {
        int column = column_of(catalog, config->apps[i].name);

        if (column == -1)
            return sentence_set(error_out,
                                "app \"%s\" has no place on the scoreboard: max_apps is %u, those "
                                "that were removed while the server ran included",
                                config->apps[i].name, catalog->board->max_apps);
        config->apps[i].column = (unsigned)column;
    }
    return 0;
}

struct build *catalog_build(const struct catalog *catalog, const struct edition *edition,
                            unsigned column)
{
    const struct catalog_app *app = &catalog->apps[column];

    return edition == catalog->next && app->next != NULL ? app->next : app->current;
}

struct build *catalog_replace(struct catalog *catalog, unsigned column, struct build *build)
{
    struct build *former = catalog->apps[column].current;

    catalog->apps[column].current = build != NULL ? build_ref(build) : NULL;
    board_set(&board_app(catalog->board, column)->generation,
              build != NULL ? build->generation : 0);
    return former;
}

void catalog_begin_edition(struct catalog *catalog, const struct edition *edition)
{
    catalog->next = edition;
}

void catalog_set_next(struct catalog *catalog, unsigned column, struct build *build)
{
    catalog->apps[column].next = build_ref(build);
}

static void keep(struct catalog *catalog, unsigned column)
{
    struct catalog_app *app = &catalog->apps[column];

    if (app->next != NULL)
        build_unref(catalog_replace(catalog, column, app->next));
    else if (edition_app(catalog->next, column) == NULL)
        build_unref(catalog_replace(catalog, column, NULL));
}

void catalog_end_edition(struct catalog *catalog, bool is_kept)
{
    for (unsigned i = 0; i < board_get(&catalog->board->app_count); i++) {
        if (is_kept)
            keep(catalog, i);
        build_unref(catalog->apps[i].next);
        catalog->apps[i].next = NULL;
    }
    catalog->next = NULL;
}
