/* fuzz_json.c: any bytes as a body that should be JSON, the way reeve_json_read goes.
 *
 * Aborts when what is taken cannot be printed within what was measured, or when what is printed is
 * not the same JSON again. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/json_depth.h"
#include "web/view_check.h"
#include "web/view_json.h"

#define REQUIRE(condition)                                                  \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                        \
        }                                                                   \
    } while (0)

#define DEPTH 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static cJSON *parse(const char *text, size_t length)
{
    const char *end, *flaw;
    size_t at = length + 1;
    cJSON *json;

    flaw = view_check_text(text, length, &at);
    REQUIRE(at <= length);
    if (flaw || !json_is_shallow(text, DEPTH))
        return NULL;
    REQUIRE(strlen(text) == length);
    json = cJSON_ParseWithLengthOpts(text, length + 1, &end, 1);
    if (json && view_check_tree(json, &flaw)) {
        cJSON_Delete(json);
        return NULL;
    }
    return json;
}

static size_t count(const cJSON *json)
{
    size_t sum = 1;

    for (const cJSON *item = json->child; item; item = item->next)
        sum += count(item);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1), *printed;
    size_t length;
    cJSON *json, *again;

    REQUIRE(text);
    memcpy(text, data, size);
    text[size] = '\0';
    json = parse(text, size);
    if (json) {
        REQUIRE(count(json) <= view_check_count(text, size));
        for (int is_pretty = 0; is_pretty < 2; is_pretty++) {
            printed = view_json_text(json, REEVE_JSON_LIMITS(.is_pretty = is_pretty), &length);
            REQUIRE(printed);
            again = parse(printed, length);
            REQUIRE(again && cJSON_Compare(json, again, 1));
            cJSON_Delete(again);
            free(printed);
        }
    }
    cJSON_Delete(json);
    free(text);
    return 0;
}
