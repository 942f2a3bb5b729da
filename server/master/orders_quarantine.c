/* orders_quarantine.c: the order that ends quarantines. */
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "http/uri.h"
#include "master/master.h"
#include "master/orders.h"
#include "master/quarantines.h"

/* A path as in a request, to be freed; NULL: it is none, or memory has run out. */
static char *decode(const cJSON *item)
{
    const char *raw = cJSON_GetStringValue(item);
    char *path = raw != NULL ? malloc(strlen(raw) + 1) : NULL;

    if (path != NULL && uri_decode_path(raw, strlen(raw), path) >= 0)
        return path;
    free(path);
    return NULL;
}

static void lift(struct call *call, const char *app, const char *path)
{
    cJSON *lifted = quarantines_lift(call->master->quarantines, app, path), *json;

    if (cJSON_GetArraySize(lifted) > 0) {
        json = cJSON_CreateObject();
        cJSON_AddItemToObject(json, "lifted", lifted);
        call_answer(call, HTTP_OK, json);
        return;
    }
    cJSON_Delete(lifted);
    if (app != NULL && config_find_app(call->master->config, app) == NULL)
        orders_refuse_app(call, app);
    else
        call_refuse(call, HTTP_NOTFOUND, "not quarantined",
                    "nothing of that is quarantined; `reevectl status` lists what is");
}

void orders_lift(struct call *call)
{
    const cJSON *app = cJSON_GetObjectItemCaseSensitive(call->body, "app");
    const cJSON *path = cJSON_GetObjectItemCaseSensitive(call->body, "path");
    char *decoded = decode(path);

    if (app != NULL && !cJSON_IsString(app))
        call_refuse(call, HTTP_BADREQUEST, "bad request", "\"app\" has to be an app's name");
    else if (path != NULL && decoded == NULL)
        call_refuse(call, HTTP_BADREQUEST, "bad request",
                    "\"path\" has to be a path as in a request, such as \"/users/7\"");
    else
        lift(call, cJSON_GetStringValue(app), decoded);
    free(decoded);
}
