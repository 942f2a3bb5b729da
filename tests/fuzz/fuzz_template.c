/* fuzz_template.c: any bytes as templates: two of them, separated by a zero byte, that may call
 * each other ("a", "b"), over a model with everything in it.
 *
 * Aborts when what an accepted template promises is broken: an error has its sentence with a place,
 * the output ends within its limit, comes in pieces that are not too large, and is UTF-8. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <reeve/view.h>

#include "base/utf8.h"

#define REQUIRE(condition)                                                  \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                        \
        }                                                                   \
    } while (0)

#define OUTPUT_MOST 65536

static const char model_text[] =
    "{\"v\":\"<&\\\"'>\",\"n\":1.5,\"t\":true,\"f\":false,\"z\":null,\"e\":\"\",\"d\":[],"
    "\"l\":[1,\"x\",{\"v\":2},[3,4],null],\"o\":{\"v\":\"in\",\"o\":{\"l\":[{\"m\":1},{\"m\":2}]}}"
    "}";

static const reeve_template_limits limits = {
    .size = sizeof limits, .max_bytes = OUTPUT_MOST, .max_steps = 100000, .max_depth = 40};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char output[OUTPUT_MOST];
static size_t length;

static int collect(void *arg, const void *data, size_t size)
{
    (void)arg;
    REQUIRE(size > 0 && size <= 16384 && size <= OUTPUT_MOST - length);
    memcpy(output + length, data, size);
    length += size;
    return 0;
}

static void add(reeve_templates *set, const char *name, const char *text, size_t size)
{
    /* As long as it is, so that the sanitizer sees a look beyond it. */
    char *copy = malloc(size ? size : 1), error[REEVE_TEMPLATE_ERROR];
    unsigned line, column;

    REQUIRE(copy);
    memcpy(copy, text, size);
    if (reeve_templates_add(set, name, copy, size, error) == -1) {
        REQUIRE(errno == EINVAL || errno == EFBIG);
        REQUIRE(sscanf(error, "%u:%u: ", &line, &column) == 2 || errno == EFBIG);
        REQUIRE(!reeve_templates_find(set, name));
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static cJSON *model;
    const char *text = (const char *)data, *cut = size > 0 ? memchr(text, '\0', size) : NULL;
    size_t first = cut ? (size_t)(cut - text) : size;
    reeve_templates *set = reeve_templates_new();
    const reeve_template *page;

    if (!model)
        model = cJSON_Parse(model_text);
    REQUIRE(model && set);
    add(set, "a", text, first);
    if (cut)
        add(set, "b", cut + 1, size - first - 1);
    page = reeve_templates_find(set, "a");
    length = 0;
    if (page && reeve_template_render(page, model, &limits, collect, NULL) == -1)
        REQUIRE(errno == ELOOP || errno == EFBIG || errno == E2BIG);
    else
        REQUIRE(utf8_is_valid(output, length));
    reeve_templates_free(set);
    return 0;
}
