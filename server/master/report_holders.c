/* report_holders.c: what keeps an old generation loaded, as JSON, the places by name. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/holder.h"
#include "master/report.h"
#include "master/sites.h"

/* A place that is only a number gets the module's name before it. */
static void put_site(cJSON *object, const char *module, const char *path, uint64_t offset)
{
    const char *slash = strrchr(module, '/');
    char *name = path == NULL ? NULL : site_name(path, offset);
    char text[512];

    if (name != NULL && name[0] != '+')
        snprintf(text, sizeof text, "%s", name);
    else
        snprintf(text, sizeof text, "%s+0x%" PRIx64, slash != NULL ? slash + 1 : module, offset);
    cJSON_AddStringToObject(object, "site", text);
    free(name);
}

static cJSON *row(const struct holder *holder, const char *module, const char *path)
{
    cJSON *object = cJSON_CreateObject();
    const char *call = hold_call_name(holder->waits_in);

    cJSON_AddStringToObject(object, "kind", hold_kind_name(holder->kind));
    if (call != NULL)
        cJSON_AddStringToObject(object, "waits_in", call);
    if (holder->site != 0)
        put_site(object, module, path, holder->site);
    cJSON_AddNumberToObject(object, "count", (double)holder->count);
    return object;
}

cJSON *report_holders(const struct holder_list *holders, struct pool *pool, unsigned app,
                      uint64_t generation, const char *module)
{
    cJSON *list = cJSON_CreateArray();
    const char *path = NULL;

    if (pool != NULL && holders->count > 0)
        path = site_path(pool, app, generation);
    for (size_t i = 0; i < holders->count; i++)
        if (holders->items[i].generation == generation)
            cJSON_AddItemToArray(list, row(&holders->items[i], module == NULL ? "" : module, path));
    return list;
}
