/* json.h: looking into the server's answers. What is not there reads as 0, "" or false: a newer or
 * an older server may say more or less. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>

/* What is at "connections.idle" in `json`, which may be NULL. */
const cJSON *json_at(const cJSON *json, const char *path);
/* Never more than 1e15 either way, so that it can be printed in a table and counted with. */
double json_number(const cJSON *json, const char *path);
const char *json_text(const cJSON *json, const char *path);
bool json_is(const cJSON *json, const char *path, const char *text);
/* The name of a member; "" of what is an array's item. */
const char *json_name(const cJSON *item);

#endif
