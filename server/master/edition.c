/* edition.c: see edition.h. */
#include "master/edition.h"

#include <stdlib.h>

struct edition *edition_new(struct config *config, const int *listeners)
{
    struct edition *edition = calloc(1, sizeof(*edition));

    if (edition == NULL)
        return NULL;
    edition->config = config;
    edition->listeners = listeners;
    edition->refs = 1;
    return edition;
}

struct edition *edition_ref(struct edition *edition)
{
    edition->refs++;
    return edition;
}

void edition_unref(struct edition *edition)
{
    if (edition == NULL || --edition->refs > 0)
        return;
    config_free(edition->config);
    free(edition);
}

const struct config_app *edition_app(const struct edition *edition, unsigned column)
{
    for (size_t i = 0; i < edition->config->app_count; i++)
        if (edition->config->apps[i].column == column)
            return &edition->config->apps[i];
    return NULL;
}
