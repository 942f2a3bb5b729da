/* json.h: looking into the server's answers. What is not there reads as 0, "" or false: a newer or
 * an older server may say more or less. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <cjson/cJSON.h>

/* What is at "connections.idle" in `json`, which may be NULL. */
const cJSON *json_at(const cJSON *json, const char *path);
double json_number(const cJSON *json, const char *path);
const char *json_text(const cJSON *json, const char *path);

#endif
