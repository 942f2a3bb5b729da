/* json.c: see json.h. */
#include "json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MOST 1e15

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
    double number = cJSON_IsNumber(item) ? item->valuedouble : 0;

    if (isnan(number))
        return 0;
    return number > MOST ? MOST : number < -MOST ? -MOST : number;
}

const char *json_text(const cJSON *json, const char *path)
{
    const cJSON *item = json_at(json, path);

    return cJSON_IsString(item) && item->valuestring != NULL ? item->valuestring : "";
}

bool json_is(const cJSON *json, const char *path, const char *text)
{
    return strcmp(json_text(json, path), text) == 0;
}

const char *json_name(const cJSON *item)
{
    return item->string != NULL ? item->string : "";
}
