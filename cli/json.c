/* json.c: see json.h. */
#include "json.h"

#include <stdio.h>
#include <string.h>

const cJSON *json_at(const cJSON *json, const char *path)
{
    char name[64];

    while (json != NULL && *path != '\0') {
        size_t length = strcspn(path, ".");

        snprintf(name, sizeof name, "%.*s", (int)length, path);
        json = cJSON_GetObjectItemCaseSensitive(json, name);
        path += length;
        path += *path == '.';
    }
    return json;
}

double json_number(const cJSON *json, const char *path)
{
    const cJSON *item = json_at(json, path);

    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

const char *json_text(const cJSON *json, const char *path)
{
    const cJSON *item = json_at(json, path);

    return cJSON_IsString(item) ? item->valuestring : "";
}
